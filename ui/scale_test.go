package ui_test

import (
	"testing"
)

// crowd stores 10,000 hosts with 40 series each and one sample of each.
func (s *server) crowd() {
	s.t.Helper()
	s.partition()
	s.exec(`INSERT INTO hosts (cluster, name) SELECT 'default', 'host' || n FROM generate_series(1, 10000) n`)
	s.exec(`INSERT INTO series (cluster, host, metric, labels, kind)
		SELECT 'default', 'host' || n, m, '{}', 'gauge' FROM generate_series(1, 10000) n,
			unnest(ARRAY['keepwatch_host_up', 'node_load1', 'node_cpu_count', 'node_memory_used_ratio', 'keepwatch_probe_up']) m
		UNION ALL
		SELECT 'default', 'host' || n, 'node_cpu_usage_ratio', jsonb_build_object('mode', m), 'gauge' FROM generate_series(1, 10000) n,
			unnest(ARRAY['busy', 'user', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal']) m
		UNION ALL
		SELECT 'default', 'host' || n, 'node_filesystem_used_ratio', jsonb_build_object('mountpoint', m), 'gauge' FROM generate_series(1, 10000) n,
			unnest(ARRAY['/', '/var', '/home']) m
		UNION ALL
		SELECT 'default', 'host' || n, 'other_' || m, '{}', 'gauge' FROM generate_series(1, 10000) n, generate_series(1, 24) m`)
	s.exec(`INSERT INTO sample_rows SELECT id, now() - make_interval(secs => t), 1 FROM series, unnest(ARRAY[2, 17, 32]) t`)
	s.exec(`INSERT INTO rules (name, metric, warning) VALUES ('load', 'node_load1', '10')`)
	s.exec(`INSERT INTO alerts (rule, rule_version, cluster, host, metric, state, since, machine)
		SELECT 1, 1, 'default', 'host' || n, 'node_load1', CASE WHEN n % 10 = 0 THEN 'critical' ELSE 'ok' END, now(), '{}' FROM generate_series(1, 10000) n`)
	s.exec(`ANALYZE`)
}

// The pages' calls against 10,000 hosts: go test ./ui -run '^$' -bench Pages
func BenchmarkPages(b *testing.B) {
	s := start(b)
	s.crowd()
	c := s.as("viewer")
	for _, path := range []string{"/overview", "/hosts", "/hosts/default/host77", "/ha", "/alerts", "/events", "/metrics"} {
		b.Run(path[1:], func(b *testing.B) {
			for b.Loop() {
				c.want(200, "GET", "/api/v1"+path, nil, nil)
			}
		})
	}
}
