-- What the alerter judges.

-- name: AlerterRules :many
SELECT r.*, coalesce((SELECT array_agg(rc.contact ORDER BY rc.contact) FROM rule_contacts rc WHERE rc.rule = r.id), '{}')::int[] AS contacts
FROM rules r ORDER BY r.id;

-- name: AlerterAlerts :many
-- Every alert with what its series is measured in, for a start.
SELECT a.*, coalesce(s.unit, '')::text AS unit, coalesce(s.kind, 'gauge')::text AS kind
FROM alerts a LEFT JOIN series s ON s.metric = a.metric AND s.cluster = a.cluster AND s.host = a.host AND s.labels = a.labels
ORDER BY a.id;

-- name: AlerterSeen :many
-- The series of these metrics that sent something of late, for a start: one that falls silent meanwhile was watched.
SELECT cluster, host, metric, labels, unit, kind FROM latest
WHERE metric = ANY(@metrics::text[]) AND time > now() - make_interval(secs => @seconds::float8);

-- What it writes, all of it in one transaction a batch.

-- name: AlerterLockRules :many
-- The rules that still exist; none of them is deleted before the transaction ends.
SELECT id FROM rules WHERE id = ANY(@ids::int[]) ORDER BY id FOR KEY SHARE;

-- name: AlerterLockContacts :many
-- The contacts that may be told; none of them is deleted before the transaction ends.
SELECT * FROM contacts WHERE enabled ORDER BY id FOR KEY SHARE;

-- name: AlerterPutAlert :one
-- Nothing comes back when the stored machine is as new: it was stored already, or by another alerter.
INSERT INTO alerts (rule, rule_version, cluster, host, metric, labels, state, since, value, machine)
VALUES (@rule, @rule_version, @cluster, @host, @metric, @labels, @state, @since, @value, @machine)
ON CONFLICT (rule, cluster, host, metric, labels) DO UPDATE SET
	rule_version = EXCLUDED.rule_version, state = EXCLUDED.state, since = EXCLUDED.since, value = EXCLUDED.value,
	machine = EXCLUDED.machine, updated_at = now(),
	acknowledged_by = CASE WHEN EXCLUDED.state <> 'ok' THEN alerts.acknowledged_by END,
	acknowledged_at = CASE WHEN EXCLUDED.state <> 'ok' THEN alerts.acknowledged_at END,
	ack_comment = CASE WHEN EXCLUDED.state <> 'ok' THEN alerts.ack_comment ELSE '' END
WHERE coalesce((alerts.machine->>'writes')::bigint, 0) < (EXCLUDED.machine->>'writes')::bigint
RETURNING id;

-- name: AlerterStoredAlert :one
SELECT id, machine FROM alerts
WHERE rule = @rule AND cluster = @cluster AND host = @host AND metric = @metric AND labels = @labels;

-- name: AlerterPutEvent :one
INSERT INTO alert_events (alert, time, from_state, to_state, value, text)
VALUES (@alert, @time, @from_state, @to_state, @value, @text) RETURNING id;

-- name: AlerterTold :many
-- Who was told of the problem that the event ends, and how.
SELECT DISTINCT n.contact::int AS contact, n.channel FROM notifications n
WHERE n.alert = @alert::bigint AND n.contact IS NOT NULL AND n.kind IN ('problem', 'repeat') AND n.alert_event > coalesce(
	(SELECT max(e.id) FROM alert_events e WHERE e.alert = @alert::bigint AND e.to_state = 'ok' AND e.id < @event::bigint), 0)
ORDER BY 1, 2;

-- name: AlerterQueue :exec
INSERT INTO notifications (kind, alert, alert_event, contact, channel, recipient, subject, text, html)
VALUES (@kind, @alert, @alert_event, @contact, @channel, @recipient, @subject, @text, @html)
ON CONFLICT DO NOTHING;

-- name: AlerterEvents :many
SELECT host, time, kind, text FROM events
WHERE cluster = @cluster AND time BETWEEN @since AND @until ORDER BY time DESC, id LIMIT 200;

-- name: AlerterRefresh :exec
-- The newest values of open alerts.
UPDATE alerts a SET value = v.value, updated_at = now()
FROM (SELECT unnest(@ids::bigint[]) AS id, unnest(@values::float8[]) AS value) v
WHERE a.id = v.id AND a.state <> 'ok' AND a.value IS DISTINCT FROM v.value;

-- name: AlerterRepeatDue :many
-- Open alerts that nobody has acknowledged and of which nobody was told for so long, though somebody could be.
SELECT a.id, a.rule, a.cluster, a.host, a.metric, a.labels, a.state,
	coalesce((SELECT max(e.id) FROM alert_events e WHERE e.alert = a.id AND e.to_state = a.state), 0)::bigint AS event
FROM alerts a JOIN rules r ON r.id = a.rule AND r.enabled
WHERE a.state <> 'ok' AND a.acknowledged_at IS NULL AND a.since < now() - make_interval(secs => @seconds::float8)
	AND NOT EXISTS (SELECT FROM notifications n WHERE n.alert = a.id AND n.kind IN ('problem', 'repeat')
		AND n.created_at > now() - make_interval(secs => @seconds::float8))
	AND EXISTS (SELECT FROM rule_contacts rc JOIN contacts c ON c.id = rc.contact WHERE rc.rule = a.rule AND c.enabled
		AND (c.email <> '' OR c.phone <> '' AND (c.sms_from = 'warning' OR a.state <> 'warning')))
ORDER BY a.id LIMIT 500 FOR UPDATE OF a SKIP LOCKED;

-- name: AlerterForgotten :many
-- Open alerts of hosts that were forgotten, and when they were last.
SELECT a.rule, a.cluster, a.host, a.metric, a.labels, f.time::timestamptz AS forgotten
FROM alerts a JOIN (SELECT cluster, host, max(time) AS time FROM events WHERE kind = 'host_forgotten' GROUP BY cluster, host) f
	ON f.cluster = a.cluster AND f.host = a.host
WHERE a.state <> 'ok' ORDER BY a.id;

-- name: AlerterRenamed :many
-- The names under which a host was kept until it was given another one, of late.
SELECT cluster, host, max(time)::timestamptz AS renamed FROM events
WHERE kind = 'host_forgotten' AND labels->>'as' IS NOT NULL AND time > now() - make_interval(secs => @seconds::float8)
GROUP BY cluster, host;

-- The outbox.

-- name: OutboxClaim :many
-- Takes due notifications and records a try of each, before anything is sent. A message waits for the earlier ones
-- to the same person about the same alert by the same channel: a recovery never overtakes its problem.
WITH due AS (
	SELECT n.id FROM notifications n
	WHERE n.channel = @channel AND (n.status = 'queued' AND n.next_try <= now() OR n.status = 'sending' AND n.claimed_until <= now())
		AND NOT EXISTS (SELECT FROM notifications e WHERE e.alert = n.alert AND e.contact = n.contact AND e.channel = n.channel
			AND e.id < n.id AND e.status IN ('queued', 'sending'))
	ORDER BY n.next_try, n.id LIMIT @n FOR UPDATE OF n SKIP LOCKED
), lost AS (
	UPDATE notification_tries t SET ended_at = now(), outcome = 'retry', error = 'the process that tried it ended before it knew the outcome'
	FROM due WHERE t.notification = due.id AND t.outcome = 'started'
), claimed AS (
	UPDATE notifications n SET status = 'sending', tries = n.tries + 1, claimed_until = now() + make_interval(secs => @seconds::float8)
	FROM due WHERE n.id = due.id RETURNING n.*
), tried AS (
	INSERT INTO notification_tries (notification, try, started_at, outcome) SELECT id, tries, now(), 'started' FROM claimed
)
SELECT c.id, c.kind, c.alert, c.channel, c.recipient, c.subject, c.text, c.html, c.tries, c.created_at,
	extract(epoch FROM now() - c.created_at)::float8 AS age_seconds,
	coalesce(p.name, '')::text AS contact_name, coalesce(p.language, 'en')::text AS language
FROM claimed c LEFT JOIN contacts p ON p.id = c.contact ORDER BY c.id;

-- name: OutboxText :exec
UPDATE notifications SET subject = @subject, text = @text, html = @html WHERE id = @id;

-- name: OutboxDone :execrows
-- Records the outcome of a try, unless the claim has passed to somebody else meanwhile.
WITH done AS (
	UPDATE notifications n SET status = @status, claimed_until = NULL, last_error = @error::text,
		next_try = now() + make_interval(secs => @delay_seconds::float8), sent_at = CASE WHEN @status = 'sent' THEN now() END
	WHERE n.id = @id AND n.tries = @try::int AND n.status = 'sending' RETURNING n.id, n.tries
)
UPDATE notification_tries t SET ended_at = now(), outcome = @outcome, error = @error::text
FROM done WHERE t.notification = done.id AND t.try = done.tries;

-- name: OutboxQueue :one
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age_seconds
FROM notifications WHERE channel = @channel AND status IN ('queued', 'sending');
