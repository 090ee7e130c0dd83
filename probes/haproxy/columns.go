package haproxy

import "keepwatch/metric"

// kind is what a row of "show stat" is about, in the numbers of its column "type".
type kind uint8

const (
	frontend kind = 0
	backend  kind = 1
	server   kind = 2
	nKinds        = 3
)

func (k kind) String() string { return [nKinds]string{"frontend", "backend", "server"}[k] }

// The columns that are read for more than a metric; those of metrics() follow.
const (
	colProxy = iota
	colServer
	colType
	colStatus
	colAddress
	colCheckStatus
	colLastCheck
	nPlain
	nColumns = nPlain + nMetrics
)

// nMetrics is the length of metrics(). Its first two are read for events too.
const (
	mDowns   = 0
	mChanged = 1
	nMetrics = 64
)

func plainNames() [nPlain]string {
	return [nPlain]string{"pxname", "svname", "type", "status", "addr", "check_status", "last_chk"}
}

// Sets of kinds.
const (
	onF = 1 << frontend
	onB = 1 << backend
	onS = 1 << server
)

// column is a column of "show stat" that is a metric: haproxy_KIND_NAME for each kind in of.
type column struct {
	column string // in the header of "show stat"
	of     uint8
	name   string
	unit   metric.Unit
	kind   metric.Kind
	scale  float64 // 0: 1
	code   string  // label code, where set
}

// metrics names them as HAProxy's own Prometheus exporter does.
func metrics() [nMetrics]column {
	g, c := metric.Gauge, metric.Counter
	const ms = 0.001
	return [nMetrics]column{
		mDowns:   {column: "chkdown", of: onB | onS, name: "check_up_down_total", kind: c},
		mChanged: {column: "lastchg", of: onB | onS, name: "check_last_change_seconds", unit: metric.Seconds, kind: g},
		{column: "qcur", of: onB | onS, name: "current_queue", kind: g},
		{column: "qmax", of: onB | onS, name: "max_queue", kind: g},
		{column: "qlimit", of: onS, name: "queue_limit", kind: g},
		{column: "scur", of: onF | onB | onS, name: "current_sessions", kind: g},
		{column: "smax", of: onF | onB | onS, name: "max_sessions", kind: g},
		{column: "slim", of: onF | onB | onS, name: "limit_sessions", kind: g},
		{column: "stot", of: onF | onB | onS, name: "sessions_total", kind: c},
		{column: "rate", of: onF | onB | onS, name: "current_session_rate", unit: metric.PerSecond, kind: g},
		{column: "rate_max", of: onF | onB | onS, name: "max_session_rate", unit: metric.PerSecond, kind: g},
		{column: "rate_lim", of: onF, name: "limit_session_rate", unit: metric.PerSecond, kind: g},
		{column: "conn_rate", of: onF, name: "connections_rate_current", unit: metric.PerSecond, kind: g},
		{column: "conn_rate_max", of: onF, name: "connections_rate_max", unit: metric.PerSecond, kind: g},
		{column: "conn_tot", of: onF, name: "connections_total", kind: c},
		{column: "bin", of: onF | onB | onS, name: "bytes_in_total", unit: metric.Bytes, kind: c},
		{column: "bout", of: onF | onB | onS, name: "bytes_out_total", unit: metric.Bytes, kind: c},
		{column: "req_rate", of: onF, name: "http_requests_rate_current", unit: metric.PerSecond, kind: g},
		{column: "req_rate_max", of: onF, name: "http_requests_rate_max", unit: metric.PerSecond, kind: g},
		{column: "req_tot", of: onF | onB, name: "http_requests_total", kind: c},
		{column: "hrsp_1xx", of: onF | onB | onS, name: "http_responses_total", kind: c, code: "1xx"},
		{column: "hrsp_2xx", of: onF | onB | onS, name: "http_responses_total", kind: c, code: "2xx"},
		{column: "hrsp_3xx", of: onF | onB | onS, name: "http_responses_total", kind: c, code: "3xx"},
		{column: "hrsp_4xx", of: onF | onB | onS, name: "http_responses_total", kind: c, code: "4xx"},
		{column: "hrsp_5xx", of: onF | onB | onS, name: "http_responses_total", kind: c, code: "5xx"},
		{column: "hrsp_other", of: onF | onB | onS, name: "http_responses_total", kind: c, code: "other"},
		{column: "intercepted", of: onF, name: "intercepted_requests_total", kind: c},
		{column: "dreq", of: onF | onB, name: "requests_denied_total", kind: c},
		{column: "dresp", of: onF | onB | onS, name: "responses_denied_total", kind: c},
		{column: "dcon", of: onF, name: "denied_connections_total", kind: c},
		{column: "dses", of: onF, name: "denied_sessions_total", kind: c},
		{column: "ereq", of: onF, name: "request_errors_total", kind: c},
		{column: "econ", of: onB | onS, name: "connection_errors_total", kind: c},
		{column: "eresp", of: onB | onS, name: "response_errors_total", kind: c},
		{column: "eint", of: onF | onB | onS, name: "internal_errors_total", kind: c},
		{column: "wretr", of: onB | onS, name: "retry_warnings_total", kind: c},
		{column: "wredis", of: onB | onS, name: "redispatch_warnings_total", kind: c},
		{column: "wrew", of: onF | onB | onS, name: "failed_header_rewriting_total", kind: c},
		{column: "cli_abrt", of: onB | onS, name: "client_aborts_total", kind: c},
		{column: "srv_abrt", of: onB | onS, name: "server_aborts_total", kind: c},
		{column: "connect", of: onB | onS, name: "connection_attempts_total", kind: c},
		{column: "reuse", of: onB | onS, name: "connection_reuses_total", kind: c},
		{column: "lbtot", of: onB | onS, name: "loadbalanced_total", kind: c},
		{column: "weight", of: onB | onS, name: "weight", kind: g},
		{column: "uweight", of: onB | onS, name: "uweight", kind: g},
		{column: "act", of: onB, name: "active_servers", kind: g},
		{column: "bck", of: onB, name: "backup_servers", kind: g},
		{column: "chkfail", of: onS, name: "check_failures_total", kind: c},
		{column: "check_code", of: onS, name: "check_code", kind: metric.State},
		{column: "check_duration", of: onS, name: "check_duration_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "downtime", of: onB | onS, name: "downtime_seconds_total", unit: metric.Seconds, kind: c},
		{column: "lastsess", of: onB | onS, name: "last_session_seconds", unit: metric.Seconds, kind: g},
		{column: "throttle", of: onS, name: "current_throttle", unit: metric.Percent, kind: g},
		{column: "qtime", of: onB | onS, name: "queue_time_average_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "ctime", of: onB | onS, name: "connect_time_average_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "rtime", of: onB | onS, name: "response_time_average_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "ttime", of: onB | onS, name: "total_time_average_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "qtime_max", of: onB | onS, name: "max_queue_time_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "ctime_max", of: onB | onS, name: "max_connect_time_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "rtime_max", of: onB | onS, name: "max_response_time_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "ttime_max", of: onB | onS, name: "max_total_time_seconds", unit: metric.Seconds, kind: g, scale: ms},
		{column: "srv_icur", of: onS, name: "idle_connections_current", kind: g},
		{column: "used_conn_cur", of: onS, name: "used_connections_current", kind: g},
		{column: "src_ilim", of: onS, name: "idle_connections_limit", kind: g},
	}
}

func columnName(c int) string {
	if c < nPlain {
		return plainNames()[c]
	}
	return metrics()[c-nPlain].column
}

// columnIndex gives the column of a name in the header.
func columnIndex() map[string]int {
	m := make(map[string]int, nColumns)
	for c := range nColumns {
		m[columnName(c)] = c
	}
	return m
}
