package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// Host is one host with what matters of it. Ratios are 0 to 1.
type Host struct {
	Cluster  string `json:"cluster"`
	Name     string `json:"name"`
	Up       bool   `json:"up"`
	LastSeen Time   `json:"last_seen"`
	Problems struct {
		Critical int32 `json:"critical"`
		Warning  int32 `json:"warning"`
		Unknown  int32 `json:"unknown"`
	} `json:"problems"`
	CPUBusy    *float64 `json:"cpu_busy" doc:"1 - idle - iowait; where gmond alone tells, 1 - idle"`
	MemoryUsed *float64 `json:"memory_used"`
	Load1      *float64 `json:"load1"`
	CPUs       *float64 `json:"cpus"`
	DiskUsed   *float64 `json:"disk_used" doc:"of the fullest filesystem"`
	Sources    []string `json:"sources" doc:"who tells of it: keepwatch, gmond, snmp"`
}

// hostMetrics are the series that a Host is made of.
var hostMetrics = []string{
	metricHostUp, "node_cpu_usage_ratio", "node_memory_used_ratio", "node_load1", "node_cpu_count", "node_filesystem_used_ratio",
	"keepwatch_probe_up", "snmp_up",
}

const metricHostUp = "keepwatch_host_up"

type hostKey struct{ cluster, host string }

// upness is the newest of keepwatch_host_up.
type upness struct {
	value float64
	age   float64 // seconds
}

func (a *API) registerHosts() {
	register(a, "list-hosts", http.MethodGet, "/hosts", auth.Viewer, "All hosts", a.listHosts)
	register(a, "get-host", http.MethodGet, "/hosts/{cluster}/{name}", auth.Viewer, "One host with its metrics, alerts and events", a.getHost)
	register(a, "list-metrics", http.MethodGet, "/metrics", auth.Viewer, "Names of metrics of the last day", a.listMetrics)
}

// isUp trusts what the extractor says of the host while it says something, and else the age of the newest sample.
func isUp(h db.UIHostsRow, said *upness, stale time.Duration) bool {
	if said != nil && said.age <= stale.Seconds() {
		return said.value == 1
	}
	return h.Age <= stale.Seconds()
}

// gaugesFor is how long the newest values of all hosts are kept: reading them takes half a second of 10,000 hosts.
// Alerts are always read anew.
const gaugesFor = 2 * time.Second

func (a *API) listHosts(ctx context.Context, _ *none) (*items[Host], error) {
	rows, err := a.db.UIHosts(ctx, db.UIHostsParams{})
	if err != nil {
		return nil, err
	}
	of, err := a.gauges.get(gaugesFor, func() (map[hostKey][]db.UIHostGaugesRow, error) {
		all, err := a.db.UIHostGauges(ctx, hostMetrics)
		of := make(map[hostKey][]db.UIHostGaugesRow, len(rows))
		for _, g := range all {
			k := hostKey{g.Cluster, g.Host}
			of[k] = append(of[k], g)
		}
		return of, err
	})
	if err != nil {
		return nil, err
	}
	return list(each(rows, func(r db.UIHostsRow) Host { return hostOf(r, of[hostKey{r.Cluster, r.Name}], a.o.Stale) })), nil
}

func hostOf(r db.UIHostsRow, gauges []db.UIHostGaugesRow, stale time.Duration) Host {
	h := Host{Cluster: r.Cluster, Name: r.Name, LastSeen: at(r.LastSeen), Sources: []string{}}
	h.Problems.Critical, h.Problems.Warning, h.Problems.Unknown = r.Critical, r.Warning, r.Unknown
	var said *upness
	source := func(name string) {
		if !slices.Contains(h.Sources, name) {
			h.Sources = append(h.Sources, name)
		}
	}
	for _, g := range gauges {
		if g.Source != "" {
			source(g.Source)
		}
		switch g.Metric {
		case metricHostUp:
			said = &upness{g.Value, g.Age}
		case "keepwatch_probe_up":
			source("keepwatch")
		case "snmp_up":
			source("snmp")
		default:
			h.set(g, stale)
		}
	}
	slices.Sort(h.Sources)
	h.Up = isUp(r, said, stale)
	return h
}

// set takes one gauge; what is too old says nothing about now. A host's own probe counts more than gmond.
func (h *Host) set(g db.UIHostGaugesRow, stale time.Duration) {
	if g.Age > stale.Seconds() {
		return
	}
	var to **float64
	switch g.Metric {
	case "node_cpu_usage_ratio":
		to = &h.CPUBusy
	case "node_memory_used_ratio":
		to = &h.MemoryUsed
	case "node_load1":
		to = &h.Load1
	case "node_cpu_count":
		to = &h.CPUs
	case "node_filesystem_used_ratio":
		to = &h.DiskUsed
	default:
		return
	}
	if *to == nil || g.Source == "" {
		*to = &g.Value
	}
}

// countHosts is the overview's summary of all hosts.
func countHosts(rows []db.UIHostsRow, up map[hostKey]upness, stale time.Duration) HostsTotal {
	t := HostsTotal{Total: len(rows), DownList: []DownHost{}}
	for _, r := range rows {
		var said *upness
		if u, ok := up[hostKey{r.Cluster, r.Name}]; ok {
			said = &u
		}
		if isUp(r, said, stale) {
			t.Up++
			continue
		}
		t.Down++
		t.DownList = append(t.DownList, DownHost{Cluster: r.Cluster, Name: r.Name, LastSeen: at(r.LastSeen)})
	}
	slices.SortStableFunc(t.DownList, func(x, y DownHost) int { return cmp.Compare(y.LastSeen.UnixMilli(), x.LastSeen.UnixMilli()) })
	t.DownList = t.DownList[:min(len(t.DownList), 50)]
	return t
}
