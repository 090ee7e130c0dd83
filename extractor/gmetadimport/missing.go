package gmetadimport

import "keepwatch/internal/report"

// without is what is said of a directive for which there is no key.
var without = map[string]string{
	"debug_level":       "set log.level to debug; keepwatch always stays in the foreground",
	"server_threads":    "nothing: as many clients as the ports' own bound are served at once, a slow one holds up nobody",
	"umask":             "nothing: no files are written for others",
	"setuid":            serviceUnit,
	"setuid_username":   serviceUnit,
	"rrd_rootdir":       noRRD,
	"rras":              "extractor.storage.retention says how long samples are kept; " + noRRD,
	"write_rrds":        noRRD,
	"rrdcached_address": noRRD,

	"carbon_server": noCarbon, "carbon_port": noCarbon, "carbon_protocol": noCarbon, "carbon_timeout": noCarbon,
	"graphite_prefix": noCarbon, "graphite_path": noCarbon,
	"memcached_parameters": noExport, "memcached_include_cluster_in_key": noExport,
	"riemann_server": noAlerts, "riemann_port": noAlerts, "riemann_protocol": noAlerts, "riemann_attributes": noAlerts,
	"unsummarized_metrics": noSummary, "unsummarized_sflow_vm_metrics": noSummary, "summarized_metrics": noSummary,
}

const (
	serviceUnit = "the user is that of the service unit"
	noRRD       = "no RRDs are written, samples are in the database. " + leave
	noCarbon    = "nothing is sent to Graphite: read by the Prometheus API. " + leave
	leave       = "Or leave a gmetad for it, that polls gmond's XML port (8649) of the collectors: of what it polls at port 8651 a gmetad keeps sums only"
	noExport    = "nothing is written to memcached: ask the interactive port or the Prometheus API"
	noAlerts    = "nothing is sent to Riemann: make rules in the alerter"
	noSummary   = "in gmetad it decides only which summary RRDs are written; the XML has all summaries, here too"
)

// missing lists what is left out, each directive once, with what to use instead.
func (t *translator) missing() {
	for _, d := range t.in.Directives {
		if text, ok := without[d.Name]; ok && t.in.Set[d.Name] == d.At {
			t.note(d.At, report.Missing, "%s: %s", d.Name, text)
		}
	}
}
