-- The writer: series, hosts, events. Samples themselves go by COPY (schema/db/samples.go). Arrays of one statement
-- have one length: their n-th elements belong together.

-- name: FindSeries :many
SELECT k.ord::int AS ord, s.id, s.unit, s.kind, s.last_seen
FROM (SELECT unnest(@ords::int[]) AS ord, unnest(@metrics::text[]) AS metric, unnest(@clusters::text[]) AS cluster,
	unnest(@hosts::text[]) AS host, unnest(@labels::text[]) AS labels) k
JOIN series s ON s.metric = k.metric AND s.cluster = k.cluster AND s.host = k.host AND s.labels = k.labels::jsonb;

-- name: AddSeries :exec
INSERT INTO series (metric, cluster, host, labels, unit, kind, first_seen, last_seen)
SELECT unnest(@metrics::text[]), unnest(@clusters::text[]), unnest(@hosts::text[]), unnest(@labels::text[])::jsonb,
	unnest(@units::text[]), unnest(@kinds::text[]), unnest(@seen::timestamptz[]), unnest(@seen::timestamptz[])
ON CONFLICT (metric, cluster, host, labels) DO NOTHING;

-- name: DescribeSeries :exec
UPDATE series s SET unit = k.unit, kind = k.kind
FROM (SELECT unnest(@ids::int[]) AS id, unnest(@units::text[]) AS unit, unnest(@kinds::text[]) AS kind) k WHERE s.id = k.id;

-- name: SeriesSeen :exec
UPDATE series s SET last_seen = k.seen
FROM (SELECT unnest(@ids::int[]) AS id, unnest(@seen::timestamptz[]) AS seen) k WHERE s.id = k.id AND s.last_seen < k.seen;

-- name: HostsSeen :exec
INSERT INTO hosts (cluster, name, first_seen, last_seen)
SELECT unnest(@clusters::text[]), unnest(@names::text[]), unnest(@seen::timestamptz[]), unnest(@seen::timestamptz[])
ON CONFLICT (cluster, name) DO UPDATE SET last_seen = excluded.last_seen WHERE hosts.last_seen < excluded.last_seen;

-- name: AddEvents :execrows
INSERT INTO events (cluster, host, id, time, kind, text, labels)
SELECT unnest(@clusters::text[]), unnest(@hosts::text[]), unnest(@ids::text[]), unnest(@times::timestamptz[]),
	unnest(@kinds::text[]), unnest(@texts::text[]), unnest(@labels::text[])::jsonb
ON CONFLICT DO NOTHING;

-- name: TellSamples :exec
SELECT pg_notify('keepwatch_samples', @payload::text);

-- name: ForgetSeries :many
DELETE FROM series WHERE last_seen < @before RETURNING id;

-- name: ForgetHosts :exec
DELETE FROM hosts WHERE last_seen < @before;
