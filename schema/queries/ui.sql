-- Sign-in and sessions.

-- name: UIFirstUser :execrows
INSERT INTO users (name, full_name, role, password)
SELECT @name::text, @full_name::text, @role::text, @password::text WHERE NOT EXISTS (SELECT FROM users)
ON CONFLICT (name) DO NOTHING;

-- name: UIUser :one
SELECT * FROM users WHERE id = @id;

-- name: UISignedIn :exec
UPDATE users SET last_login = now() WHERE id = @id;

-- name: UISetPassword :exec
UPDATE users SET password = @password WHERE id = @id;

-- name: UISetProfile :exec
UPDATE users SET full_name = @full_name, language = @language WHERE id = @id;

-- name: UISession :one
SELECT data, expiry FROM sessions WHERE token = @token AND expiry > now();

-- name: UIPutSession :exec
INSERT INTO sessions (token, data, expiry) VALUES (@token, @data, @expiry)
ON CONFLICT (token) DO UPDATE SET data = excluded.data, expiry = excluded.expiry;

-- name: UITouchSession :exec
UPDATE sessions SET expiry = @expiry WHERE token = @token;

-- name: UIDropSession :exec
DELETE FROM sessions WHERE token = @token;

-- name: UIDropOldSessions :execrows
DELETE FROM sessions WHERE expiry <= now();

-- name: UIWriteAudit :exec
INSERT INTO audit (actor, action, object, details) VALUES (@actor, @action, @object, @details);

-- name: UIAudit :many
SELECT * FROM audit ORDER BY time DESC, id DESC LIMIT @n;

-- Users.

-- name: UIUsers :many
SELECT * FROM users ORDER BY name;

-- name: UIUpdateUser :one
UPDATE users SET full_name = @full_name, role = @role, disabled = @disabled, password = coalesce(sqlc.narg(password), password)
WHERE id = @id RETURNING *;

-- name: UIDeleteUser :one
DELETE FROM users WHERE id = @id RETURNING name;

-- name: UILockAdmins :many
SELECT id FROM users WHERE role = 'admin' AND NOT disabled ORDER BY id FOR UPDATE;

-- Alerts.

-- name: UIAlert :one
SELECT a.id, a.rule, r.name AS rule_name, a.cluster, a.host, a.metric, a.labels, coalesce(s.unit, '')::text AS unit, r.transform,
	a.state, a.since, a.value, r.warning, r.critical, r.description, a.acknowledged_by, a.acknowledged_at, a.ack_comment, a.updated_at
FROM alerts a JOIN rules r ON r.id = a.rule
LEFT JOIN series s ON s.metric = a.metric AND s.cluster = a.cluster AND s.host = a.host AND s.labels = a.labels
WHERE a.id = @id;

-- name: UIAlerts :many
SELECT a.id, a.rule, r.name AS rule_name, a.cluster, a.host, a.metric, a.labels, coalesce(s.unit, '')::text AS unit, r.transform,
	a.state, a.since, a.value, r.warning, r.critical, r.description, a.acknowledged_by, a.acknowledged_at, a.ack_comment, a.updated_at
FROM (
	SELECT * FROM alerts
	WHERE state = ANY(@states::text[]) AND (@cluster::text = '' OR cluster = @cluster) AND (@host::text = '' OR host = @host)
		AND (@rule::int = 0 OR rule = @rule)
	ORDER BY array_position(ARRAY['critical', 'unknown', 'warning', 'ok'], state), since DESC, id DESC LIMIT @n
) a JOIN rules r ON r.id = a.rule
LEFT JOIN series s ON s.metric = a.metric AND s.cluster = a.cluster AND s.host = a.host AND s.labels = a.labels
ORDER BY array_position(ARRAY['critical', 'unknown', 'warning', 'ok'], a.state), a.since DESC, a.id DESC;

-- name: UIAlertTotals :one
SELECT count(*) FILTER (WHERE state = 'critical') AS critical, count(*) FILTER (WHERE state = 'warning') AS warning,
	count(*) FILTER (WHERE state = 'unknown') AS unknown, count(*) FILTER (WHERE acknowledged_at IS NOT NULL) AS acknowledged
FROM alerts WHERE state <> 'ok';

-- name: UIAlertEvents :many
SELECT * FROM alert_events WHERE alert = @alert ORDER BY time DESC, id DESC LIMIT @n;

-- name: UIAcknowledge :execrows
UPDATE alerts SET acknowledged_by = @who::text, acknowledged_at = now(), ack_comment = @comment, updated_at = now()
WHERE id = @id AND state <> 'ok';

-- name: UIUnacknowledge :execrows
UPDATE alerts SET acknowledged_by = NULL, acknowledged_at = NULL, ack_comment = '', updated_at = now()
WHERE id = @id AND acknowledged_at IS NOT NULL;

-- name: UIWriteAlertEvent :exec
INSERT INTO alert_events (alert, time, from_state, to_state, value, text, actor)
SELECT a.id, now(), a.state, @to_state, a.value, @text, @actor FROM alerts a WHERE a.id = @alert;

-- Notifications.

-- name: UINotifications :many
SELECT n.*, coalesce(c.name, '')::text AS contact_name FROM notifications n LEFT JOIN contacts c ON c.id = n.contact
WHERE (@status::text = '' OR n.status = @status) AND (@alert::bigint = 0 OR n.alert = @alert)
ORDER BY n.id DESC LIMIT @n;

-- name: UINotification :one
SELECT n.*, coalesce(c.name, '')::text AS contact_name FROM notifications n LEFT JOIN contacts c ON c.id = n.contact WHERE n.id = @id;

-- name: UIQueueTest :one
INSERT INTO notifications (kind, contact, channel, recipient, subject, text)
VALUES ('test', @contact, @channel, @recipient, @subject, @text) RETURNING id;

-- name: UINotificationTotals :one
SELECT (SELECT count(*) FROM notifications q WHERE q.status IN ('queued', 'sending')) AS queued,
	(SELECT count(*) FROM notifications f WHERE f.status = 'failed' AND f.created_at > now() - interval '24 hours') AS failed;

-- Events.

-- name: UIEvents :many
SELECT * FROM events
WHERE (@cluster::text = '' OR cluster = @cluster) AND (@host::text = '' OR host = @host) AND (@kind::text = '' OR kind = @kind)
	AND time >= @since AND time <= @until
ORDER BY time DESC, id DESC LIMIT @n;

-- name: UIRecentEvents :many
SELECT * FROM events ORDER BY time DESC, id DESC LIMIT @n;

-- name: UIEventsAfter :many
SELECT * FROM events WHERE time > now() - interval '1 hour' AND id = ANY(@ids::text[]) ORDER BY time LIMIT @n;

-- name: UIEventsOfKinds :many
SELECT e.* FROM unnest(@kinds::text[]) AS k(kind) CROSS JOIN LATERAL (
	SELECT * FROM events WHERE events.kind = k.kind AND (@instance::text = '' OR events.labels->>'instance' = @instance)
	ORDER BY time DESC LIMIT @n) e
ORDER BY e.time DESC, e.id DESC LIMIT @n;

-- Hosts.

-- name: UIHosts :many
SELECT h.cluster, h.name, h.last_seen, extract(epoch FROM now() - h.last_seen)::float8 AS age,
	coalesce(p.critical, 0)::int AS critical, coalesce(p.warning, 0)::int AS warning, coalesce(p.unknown, 0)::int AS unknown
FROM hosts h LEFT JOIN (
	SELECT cluster, host, count(*) FILTER (WHERE state = 'critical') AS critical, count(*) FILTER (WHERE state = 'warning') AS warning,
		count(*) FILTER (WHERE state = 'unknown') AS unknown
	FROM alerts WHERE state <> 'ok' GROUP BY 1, 2) p ON p.cluster = h.cluster AND p.host = h.name
WHERE (@cluster::text = '' OR h.cluster = @cluster) AND (@name::text = '' OR h.name = @name)
ORDER BY h.cluster, h.name;

-- name: UIHostGauges :many
SELECT cluster, host, metric, coalesce(labels->>'source', '')::text AS source, max(value)::float8 AS value,
	min(extract(epoch FROM now() - time))::float8 AS age
FROM latest
WHERE metric = ANY(@metrics::text[])
	AND (metric <> 'node_cpu_usage_ratio' OR labels->>'mode' = CASE labels->>'source' WHEN 'gmond' THEN 'not_idle' ELSE 'busy' END)
GROUP BY 1, 2, 3, 4;

-- name: UIHostsUp :many
SELECT cluster, host, value, extract(epoch FROM now() - time)::float8 AS age FROM latest
WHERE metric = 'keepwatch_host_up' AND (cardinality(@hosts::text[]) = 0 OR host = ANY(@hosts));

-- name: UILatestOfHost :many
SELECT metric, labels, value, unit, kind, time, extract(epoch FROM now() - time)::float8 AS age FROM latest
WHERE cluster = @cluster AND host = @host ORDER BY metric, labels LIMIT @n;

-- name: UILatest :many
SELECT cluster, host, metric, labels, value, time, extract(epoch FROM now() - time)::float8 AS age FROM latest
WHERE metric = ANY(@metrics::text[]) ORDER BY cluster, host, metric, labels;

-- name: UIMetrics :many
SELECT metric, max(unit)::text AS unit, max(kind)::text AS kind, count(DISTINCT (cluster, host)) AS hosts
FROM series WHERE last_seen > now() - interval '1 day' GROUP BY metric ORDER BY metric;

-- name: UIMetricInfo :many
-- What senders in a Ganglia network say of metrics that are not known: the newest word on each.
SELECT DISTINCT ON (labels->>'metric') coalesce(labels->>'metric', '')::text AS metric, coalesce(labels->>'title', '')::text AS title,
	coalesce(labels->>'desc', '')::text AS description
FROM series WHERE metric = 'gmond_metric_info' AND last_seen > now() - interval '1 day' ORDER BY labels->>'metric', last_seen DESC;

-- name: UIData :one
SELECT now()::timestamptz AS now, coalesce((SELECT max(last_seen) FROM hosts), 'epoch')::timestamptz AS newest;

-- High availability.

-- name: UILastTransitions :many
SELECT i.cluster::text AS cluster, i.host::text AS host, i.instance::text AS instance, e.time, coalesce(e.labels->>'to', '')::text AS to_state,
	coalesce(e.labels->>'reason', '')::text AS reason
FROM (SELECT unnest(@clusters::text[]) AS cluster, unnest(@hosts::text[]) AS host, unnest(@instances::text[]) AS instance) i
CROSS JOIN LATERAL (
	SELECT time, labels FROM events v WHERE v.cluster = i.cluster AND v.host = i.host AND v.kind = 'vrrp_transition' AND v.labels->>'instance' = i.instance
	ORDER BY time DESC LIMIT 1) e;

-- name: UILastTaken :many
SELECT i.cluster::text AS cluster, i.host::text AS host, i.vip::text AS vip, e.time
FROM (SELECT unnest(@clusters::text[]) AS cluster, unnest(@hosts::text[]) AS host, unnest(@vips::text[]) AS vip) i
CROSS JOIN LATERAL (
	SELECT time FROM events v WHERE v.cluster = i.cluster AND v.host = i.host AND v.kind = 'vip_taken' AND v.labels->>'vip' = i.vip
	ORDER BY time DESC LIMIT 1) e;

-- Thresholds.

-- name: UIRules :many
SELECT r.*, ARRAY(SELECT c.contact FROM rule_contacts c WHERE c.rule = r.id ORDER BY 1)::int[] AS contacts,
	(SELECT count(*) FROM alerts a WHERE a.rule = r.id AND a.state <> 'ok')::int AS alerting
FROM rules r WHERE @id::int = 0 OR r.id = @id ORDER BY r.name;

-- name: UICreateRule :one
INSERT INTO rules (name, metric, hosts, labels, transform, warning, critical, for_seconds, clear_seconds, no_data, description, enabled, updated_by)
VALUES (@name, @metric, @hosts, @labels, @transform, @warning, @critical, @for_seconds, @clear_seconds, @no_data, @description, @enabled, @updated_by)
RETURNING id;

-- name: UIUpdateRule :execrows
UPDATE rules SET name = @name, metric = @metric, hosts = @hosts, labels = @labels, transform = @transform, warning = @warning,
	critical = @critical, for_seconds = @for_seconds, clear_seconds = @clear_seconds, no_data = @no_data, description = @description,
	enabled = @enabled, updated_by = @updated_by, updated_at = now(), version = version + 1
WHERE id = @id AND version = @version;

-- name: UIDeleteRule :one
DELETE FROM rules WHERE id = @id RETURNING name;

-- name: UIDropRuleContacts :exec
DELETE FROM rule_contacts WHERE rule = @rule AND contact <> ALL(@contacts::int[]);

-- name: UIAddRuleContacts :exec
INSERT INTO rule_contacts (rule, contact) SELECT @rule, unnest(@contacts::int[]) ON CONFLICT DO NOTHING;

-- Contacts.

-- name: UIContacts :many
SELECT c.*, (SELECT count(*) FROM rule_contacts r WHERE r.contact = c.id)::int AS thresholds
FROM contacts c WHERE @id::int = 0 OR c.id = @id ORDER BY c.name;

-- name: UICreateContact :one
INSERT INTO contacts (name, email, phone, language, sms_from, enabled)
VALUES (@name, @email, @phone, @language, @sms_from, @enabled) RETURNING id;

-- name: UIUpdateContact :execrows
UPDATE contacts SET name = @name, email = @email, phone = @phone, language = @language, sms_from = @sms_from, enabled = @enabled, updated_at = now()
WHERE id = @id;

-- name: UIDeleteContact :one
DELETE FROM contacts WHERE id = @id RETURNING name;
