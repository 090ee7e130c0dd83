-- Reading for PromQL; samples are read by hand (schema/db/samples.go). An empty array means that any will do.

-- name: SelectSeries :many
SELECT id, cluster, host, metric, labels, unit, kind
FROM series
WHERE (cardinality(@metrics::text[]) = 0 OR metric = ANY (@metrics::text[]))
  AND (cardinality(@clusters::text[]) = 0 OR cluster = ANY (@clusters::text[]))
  AND (cardinality(@hosts::text[]) = 0 OR host = ANY (@hosts::text[]))
  AND labels @> @labels
  AND last_seen >= @since
ORDER BY id
LIMIT @at_most;

-- name: MetricMetadata :many
SELECT metric, min(unit)::text AS unit, min(kind)::text AS kind, count(DISTINCT (cluster, host)) AS hosts
FROM series
WHERE last_seen >= @since
GROUP BY metric
ORDER BY metric;
