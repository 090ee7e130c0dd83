package haproxy

import "keepwatch/metric"

// processMetric is a line of "show info" that is a metric.
type processMetric struct {
	line string
	name string
	unit metric.Unit
	kind metric.Kind
}

// processMetrics names them as HAProxy's own Prometheus exporter does.
func processMetrics() []processMetric {
	g, c, b, rate := metric.Gauge, metric.Counter, metric.Bytes, metric.PerSecond
	return []processMetric{
		{"Uptime_sec", "uptime_seconds", metric.Seconds, g},
		{"Start_time_sec", "start_time_seconds", metric.Seconds, g},
		{"Nbthread", "nbthread", "", g},
		{"Stopping", "stopping", "", metric.State},
		{"Maxconn", "max_connections", "", g},
		{"Hard_maxconn", "hard_max_connections", "", g},
		{"Ulimit-n", "max_fds", "", g},
		{"Maxsock", "max_sockets", "", g},
		{"CurrConns", "current_connections", "", g},
		{"CumConns", "connections_total", "", c},
		{"CumReq", "requests_total", "", c},
		{"ConnRate", "current_connection_rate", rate, g},
		{"MaxConnRate", "max_connection_rate", rate, g},
		{"ConnRateLimit", "limit_connection_rate", rate, g},
		{"SessRate", "current_session_rate", rate, g},
		{"MaxSessRate", "max_session_rate", rate, g},
		{"CurrSslConns", "current_ssl_connections", "", g},
		{"CumSslConns", "ssl_connections_total", "", c},
		{"MaxSslConns", "max_ssl_connections", "", g},
		{"SslRate", "current_ssl_rate", rate, g},
		{"MaxSslRate", "max_ssl_rate", rate, g},
		{"SslFrontendSessionReuse_pct", "frontend_ssl_reuse", metric.Percent, g},
		{"SslCacheLookups", "ssl_cache_lookups_total", "", c},
		{"SslCacheMisses", "ssl_cache_misses_total", "", c},
		{"PipesUsed", "pipes_used_total", "", g},
		{"Tasks", "current_tasks", "", g},
		{"Run_queue", "current_run_queue", "", g},
		{"Idle_pct", "idle_time_percent", metric.Percent, g},
		{"Jobs", "jobs", "", g},
		{"Unstoppable Jobs", "unstoppable_jobs", "", g},
		{"Listeners", "listeners", "", g},
		{"ActivePeers", "active_peers", "", g},
		{"ConnectedPeers", "connected_peers", "", g},
		{"DroppedLogs", "dropped_logs_total", "", c},
		{"FailedResolutions", "failed_resolutions", "", c},
		{"PoolFailed", "pool_failures_total", "", c},
		{"TotalBytesOut", "bytes_out_total", b, c},
		{"BytesOutRate", "bytes_out_rate", metric.BytesPerSec, g},
		{"Memmax_bytes", "max_memory_bytes", b, g},
		{"PoolAlloc_bytes", "pool_allocated_bytes", b, g},
		{"PoolUsed_bytes", "pool_used_bytes", b, g},
	}
}

// info turns "show info" into the process's samples.
type info struct {
	who     owner
	lines   map[string]*metric.Series
	version string
	build   *metric.Series // nil: the version is not known or no label
}

func newInfo(who owner) *info {
	i := &info{who: who, lines: make(map[string]*metric.Series)}
	for _, m := range processMetrics() {
		i.lines[m.line], _ = who.series("haproxy_process_"+m.name, nil, m.unit, m.kind) // New has checked who
	}
	return i
}

func (i *info) emit(b []byte, r *run) {
	for len(b) > 0 {
		var name, value []byte
		name, value, b = cutInfo(b)
		if string(name) == "Version" {
			i.putVersion(value, r)
			continue
		}
		s := i.lines[string(name)]
		if v, ok := parseNumber(value); ok && v >= 0 {
			r.put(s, v)
		}
	}
}

func (i *info) putVersion(value []byte, r *run) {
	if i.version != string(value) {
		i.version = string(value)
		i.build, _ = i.who.series("haproxy_process_build_info", []metric.Label{{Name: "version", Value: i.version}}, metric.NoUnit, metric.Gauge)
	}
	r.put(i.build, 1)
}
