-- +goose Up
-- The names that others may rely on are views and tables of this schema; sample_rows and its partitions are not.

-- +goose StatementBegin
DO $$ BEGIN
	IF current_schema() IS DISTINCT FROM 'keepwatch' THEN
		RAISE EXCEPTION 'search_path must start with schema keepwatch';
	END IF;
END $$;
-- +goose StatementEnd

CREATE TABLE hosts (
	id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	cluster    text        NOT NULL,
	name       text        NOT NULL,
	first_seen timestamptz NOT NULL DEFAULT now(),
	last_seen  timestamptz NOT NULL DEFAULT now(), -- time of its newest sample
	UNIQUE (cluster, name)
);

CREATE TABLE series (
	id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	cluster    text        NOT NULL,
	host       text        NOT NULL,
	metric     text        NOT NULL,
	labels     jsonb       NOT NULL DEFAULT '{}',
	unit       text        NOT NULL DEFAULT '',
	kind       text        NOT NULL CHECK (kind IN ('gauge', 'counter', 'state')),
	first_seen timestamptz NOT NULL DEFAULT now(),
	last_seen  timestamptz NOT NULL DEFAULT now(), -- exact to an hour: it says which series a time range can hold
	UNIQUE (metric, cluster, host, labels)
);
CREATE INDEX series_host ON series (cluster, host);

-- Raw samples, a row each, in partitions of a day that are made ahead and dropped whole when retention has passed.
CREATE TABLE sample_rows (
	series int              NOT NULL,
	time   timestamptz      NOT NULL,
	value  double precision NOT NULL,
	PRIMARY KEY (series, time)
) PARTITION BY RANGE (time);

CREATE VIEW samples AS
	SELECT r.time, s.cluster, s.host, s.metric, s.labels, r.value
	FROM sample_rows r JOIN series s ON s.id = r.series;

CREATE VIEW samples_5m AS
	SELECT date_bin('5 minutes', r.time, 'epoch') AS time, s.cluster, s.host, s.metric, s.labels,
		min(r.value) AS min, max(r.value) AS max, avg(r.value) AS avg, count(*) AS count
	FROM sample_rows r JOIN series s ON s.id = r.series
	GROUP BY 1, s.id;

CREATE VIEW samples_1h AS
	SELECT date_bin('1 hour', r.time, 'epoch') AS time, s.cluster, s.host, s.metric, s.labels,
		min(r.value) AS min, max(r.value) AS max, avg(r.value) AS avg, count(*) AS count
	FROM sample_rows r JOIN series s ON s.id = r.series
	GROUP BY 1, s.id;

-- The newest sample of each series that has one in the last hour.
CREATE VIEW latest AS
	SELECT r.time, s.cluster, s.host, s.metric, s.labels, r.value, s.unit, s.kind, s.id AS series
	FROM series s CROSS JOIN LATERAL (
		SELECT time, value FROM sample_rows
		WHERE series = s.id AND time > now() - interval '1 hour'
		ORDER BY time DESC LIMIT 1) r
	WHERE s.last_seen > now() - interval '3 hours';

-- What happened once. The id comes from who saw it, so that one event delivered twice is one row.
CREATE TABLE events (
	cluster text        NOT NULL,
	host    text        NOT NULL,
	id      text        NOT NULL,
	time    timestamptz NOT NULL,
	kind    text        NOT NULL,
	text    text        NOT NULL,
	labels  jsonb       NOT NULL DEFAULT '{}',
	PRIMARY KEY (cluster, host, id)
);
CREATE INDEX events_time ON events (time DESC);
CREATE INDEX events_host ON events (cluster, host, time DESC);
CREATE INDEX events_kind ON events (kind, time DESC);

CREATE VIEW ha_transitions AS
	SELECT time, cluster, host, labels->>'instance' AS instance, labels->>'interface' AS interface,
		(labels->>'vrid')::int AS vrid, labels->>'from' AS from_state, labels->>'to' AS to_state,
		(labels->>'priority')::int AS priority, labels->>'reason' AS reason, text, id
	FROM events WHERE kind = 'vrrp_transition';

-- Each virtual router on each host as it last told of itself.
CREATE VIEW ha_instances AS
	WITH one AS (
		SELECT DISTINCT ON (cluster, host, metric, labels->>'instance') cluster, host, metric, labels, labels->>'instance' AS instance, value, time
		FROM latest WHERE metric = ANY ('{keepwatch_vrrp_state,keepwatch_vrrp_info,keepwatch_vrrp_priority,keepwatch_vrrp_priority_configured}')
		ORDER BY cluster, host, metric, labels->>'instance', time DESC)
	SELECT s.cluster, s.host, s.instance, s.labels->>'interface' AS interface, (s.labels->>'vrid')::int AS vrid, s.labels->>'family' AS family,
		(i.labels->>'version')::int AS version, i.labels->>'group' AS sync_group,
		CASE s.value WHEN 0 THEN 'init' WHEN 1 THEN 'backup' WHEN 2 THEN 'master' WHEN 3 THEN 'fault' ELSE 'unknown' END AS state,
		p.value::int AS priority, c.value::int AS priority_configured, s.time
	FROM one s
	LEFT JOIN one i ON (i.cluster, i.host, i.instance, i.metric) = (s.cluster, s.host, s.instance, 'keepwatch_vrrp_info')
	LEFT JOIN one p ON (p.cluster, p.host, p.instance, p.metric) = (s.cluster, s.host, s.instance, 'keepwatch_vrrp_priority')
	LEFT JOIN one c ON (c.cluster, c.host, c.instance, c.metric) = (s.cluster, s.host, s.instance, 'keepwatch_vrrp_priority_configured')
	WHERE s.metric = 'keepwatch_vrrp_state';

-- People.
CREATE TABLE roles (
	name        text PRIMARY KEY,
	rank        int  NOT NULL UNIQUE, -- a higher one may all that a lower one may
	description text NOT NULL
);
INSERT INTO roles VALUES
	('viewer', 1, 'sees everything, changes nothing'),
	('operator', 2, 'acknowledges alerts, sets thresholds and contacts'),
	('admin', 3, 'also manages users');

CREATE TABLE users (
	id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name       text        NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
	full_name  text        NOT NULL DEFAULT '',
	role       text        NOT NULL REFERENCES roles,
	password   text        NOT NULL, -- argon2id, PHC string
	language   text        NOT NULL DEFAULT '' CHECK (language IN ('', 'en', 'zh')), -- '': the browser's
	disabled   boolean     NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now(),
	last_login timestamptz
);

CREATE TABLE sessions (
	token  text PRIMARY KEY, -- a hash of the cookie's value
	data   bytea       NOT NULL,
	expiry timestamptz NOT NULL
);
CREATE INDEX sessions_expiry ON sessions (expiry);

CREATE TABLE audit (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	time    timestamptz NOT NULL DEFAULT now(),
	actor   text        NOT NULL, -- the user's name; 'system' otherwise
	action  text        NOT NULL, -- as 'threshold.create', 'alert.acknowledge', 'session.create'
	object  text        NOT NULL,
	details jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_time ON audit (time DESC);

CREATE TABLE contacts (
	id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name       text        NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
	email      text        NOT NULL DEFAULT '',
	phone      text        NOT NULL DEFAULT '', -- E.164: +8613…
	language   text        NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'zh')),
	sms_from   text        NOT NULL DEFAULT 'critical' CHECK (sms_from IN ('warning', 'critical')), -- mails go out from warning on
	enabled    boolean     NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	CHECK (email <> '' OR phone <> '')
);

-- What is judged. A threshold looks at every arriving sample of one metric on the hosts that match.
CREATE TABLE rules (
	id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name         text        NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
	metric       text        NOT NULL,
	hosts        text        NOT NULL DEFAULT '*', -- globs of cluster/host or host, comma separated: web/*, lb1
	labels       jsonb       NOT NULL DEFAULT '{}', -- label name: glob
	transform    text        NOT NULL DEFAULT 'value' CHECK (transform IN ('value', 'rate')), -- rate: increase per second of a counter
	warning      text        NOT NULL DEFAULT '', -- Nagios range: alerts outside of it, @ inside; '': none
	critical     text        NOT NULL DEFAULT '',
	for_seconds  int         NOT NULL DEFAULT 0 CHECK (for_seconds BETWEEN 0 AND 604800), -- outside for this long before it alerts
	clear_seconds int        NOT NULL DEFAULT 0 CHECK (clear_seconds BETWEEN 0 AND 604800), -- inside for this long before it recovers
	no_data      boolean     NOT NULL DEFAULT true, -- silence of a watched series is UNKNOWN
	description  text        NOT NULL DEFAULT '', -- what it means and what to do, told in each message
	enabled      boolean     NOT NULL DEFAULT true,
	version      int         NOT NULL DEFAULT 1, -- grows with each change
	created_at   timestamptz NOT NULL DEFAULT now(),
	updated_at   timestamptz NOT NULL DEFAULT now(),
	updated_by   text        NOT NULL DEFAULT 'system',
	CHECK (warning <> '' OR critical <> '')
);

-- What is wrong on every installation. Nobody is told by mail or SMS until contacts are named.
INSERT INTO rules (name, metric, critical, no_data, description) VALUES
	('VIP held by two hosts', 'keepwatch_vip_conflict', '0', false,
		'Two hosts say that they hold the same virtual address: traffic reaches either of them. The network between them is cut, or two configurations share a virtual router. Look at the HA page: who is master of which instance, and whom it hears.'),
	('VIP also held by another host', 'keepwatch_vrrp_conflict', '0', false,
		'The HA agent that holds a virtual address sees another host that has it too, by ARP or by its advertisements. Find the host by its MAC address in keepwatch ha status and take the address away there.'),
	('Host is down', 'keepwatch_host_up', '1:', false,
		'The host has been silent for four of its intervals, by every channel on which it was heard. Ask it by ping or its console: is it the host, its network, or its collector?'),
	('Check failed', 'keepwatch_check_up', '1:', false,
		'A remote check found its target down, by as many vantage points as its quorum asks for. The host page lists what each of them sees, and the events say why.');
INSERT INTO rules (name, metric, warning, for_seconds, no_data, description) VALUES
	('Clock of a host is wrong', 'keepwatch_host_clock_skew_seconds', '-5:5', 60, false,
		'The clock of the host is more than 5 seconds off, ahead when the value is positive. What it sends is stored at the right time all the same, but its logs and what runs at a time are not. Run chrony or systemd-timesyncd there.');

CREATE TABLE rule_contacts (
	rule    int NOT NULL REFERENCES rules ON DELETE CASCADE,
	contact int NOT NULL REFERENCES contacts ON DELETE CASCADE,
	PRIMARY KEY (rule, contact)
);

-- One row for each series that a rule has ever found outside its range; state 'ok' once it is over.
CREATE TABLE alerts (
	id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	rule            int         NOT NULL REFERENCES rules ON DELETE CASCADE,
	rule_version    int         NOT NULL,
	cluster         text        NOT NULL,
	host            text        NOT NULL,
	metric          text        NOT NULL,
	labels          jsonb       NOT NULL DEFAULT '{}',
	state           text        NOT NULL CHECK (state IN ('ok', 'warning', 'critical', 'unknown')),
	since           timestamptz NOT NULL, -- when this state began, by the samples' own time
	value           double precision,     -- the newest that was judged when the row was written
	machine         jsonb       NOT NULL, -- what the state machine must remember over a restart
	acknowledged_by text,
	acknowledged_at timestamptz,
	ack_comment     text        NOT NULL DEFAULT '',
	updated_at      timestamptz NOT NULL DEFAULT now(),
	UNIQUE (rule, cluster, host, metric, labels)
);
CREATE INDEX alerts_open ON alerts (state) WHERE state <> 'ok';

CREATE TABLE alert_events (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	alert      bigint      NOT NULL REFERENCES alerts ON DELETE CASCADE,
	time       timestamptz NOT NULL,
	from_state text        NOT NULL,
	to_state   text        NOT NULL, -- also 'acknowledged', 'unacknowledged'
	value      double precision,
	text       text        NOT NULL,
	actor      text        NOT NULL DEFAULT 'system'
);
CREATE INDEX alert_events_alert ON alert_events (alert, time DESC);
CREATE INDEX alert_events_time ON alert_events (time DESC);

-- A message to one contact by one channel: a row before it is sent.
CREATE TABLE notifications (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind        text        NOT NULL CHECK (kind IN ('problem', 'recovery', 'repeat', 'test')),
	alert       bigint      REFERENCES alerts ON DELETE SET NULL,
	alert_event bigint      REFERENCES alert_events ON DELETE SET NULL,
	contact     int         REFERENCES contacts ON DELETE SET NULL,
	channel     text        NOT NULL CHECK (channel IN ('mail', 'sms')),
	recipient   text        NOT NULL, -- address or number as it was then
	subject     text        NOT NULL DEFAULT '',
	text        text        NOT NULL,
	html        text        NOT NULL DEFAULT '',
	status      text        NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sending', 'sent', 'failed')),
	tries       int         NOT NULL DEFAULT 0,
	next_try    timestamptz NOT NULL DEFAULT now(),
	claimed_until timestamptz, -- while 'sending': past it, the claim is void
	last_error  text        NOT NULL DEFAULT '',
	created_at  timestamptz NOT NULL DEFAULT now(),
	sent_at     timestamptz
);
CREATE UNIQUE INDEX notifications_once ON notifications (alert_event, contact, channel, kind) WHERE kind IN ('problem', 'recovery');
CREATE INDEX notifications_due ON notifications (next_try) WHERE status IN ('queued', 'sending');
CREATE INDEX notifications_alert ON notifications (alert);

CREATE TABLE notification_tries (
	notification bigint      NOT NULL REFERENCES notifications ON DELETE CASCADE,
	try          int         NOT NULL,
	started_at   timestamptz NOT NULL,
	ended_at     timestamptz,
	outcome      text        NOT NULL CHECK (outcome IN ('started', 'sent', 'retry', 'failed')),
	error        text        NOT NULL DEFAULT '',
	PRIMARY KEY (notification, try)
);

-- Who is told of a change: LISTEN keepwatch; the payload is {"table": …, "op": …, "id": …}.
-- +goose StatementBegin
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	r jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
	PERFORM pg_notify('keepwatch', jsonb_build_object('table', TG_TABLE_NAME, 'op', lower(TG_OP), 'id', r->'id')::text);
	RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER tell AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON alerts FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON rules FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON notifications FOR EACH ROW EXECUTE FUNCTION tell();
-- +goose StatementBegin
CREATE FUNCTION tell_rule() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('keepwatch', jsonb_build_object('table', 'rules', 'op', 'update', 'id', coalesce(NEW.rule, OLD.rule))::text);
	RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER tell AFTER INSERT OR DELETE ON rule_contacts FOR EACH ROW EXECUTE FUNCTION tell_rule();

-- +goose Down
DROP SCHEMA keepwatch CASCADE;
