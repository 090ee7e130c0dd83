package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keepwatch/schema/db"
)

// HostDetail is one host with all that is known of it now.
type HostDetail struct {
	Host        Host              `json:"host"`
	Names       []HostName        `json:"names" doc:"all names under which it is heard; empty when its own is the only one"`
	Facts       map[string]string `json:"facts" doc:"uname, boot_time and what else the host says of itself"`
	Metrics     []HostMetric      `json:"metrics"`
	Alerts      []Alert           `json:"alerts"`
	Events      []Event           `json:"events"`
	Filesystems []Filesystem      `json:"filesystems"`
	Interfaces  []Interface       `json:"interfaces"`
	Checks      []HostCheck       `json:"checks" doc:"remote checks that collectors make of it"`
}

// HostName is a name under which a host is heard.
type HostName struct {
	Name   string `json:"name"`
	Rule   string `json:"rule" doc:"of extractor.hosts, by which it is this host: aliases, strip_domains DOMAIN or lowercase; empty: it is its own"`
	Source string `json:"source" doc:"who speaks of it so, comma-separated: collector (its own), probe (of another host), gmond"`
}

// HostMetric is a metric that the host has.
type HostMetric struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Kind   string `json:"kind" enum:"gauge,counter,state"`
	Series int    `json:"series"`
}

// Filesystem is one that is mounted.
type Filesystem struct {
	Mountpoint string  `json:"mountpoint"`
	Device     string  `json:"device"`
	Size       float64 `json:"size" doc:"bytes"`
	UsedRatio  float64 `json:"used_ratio"`
}

// Interface is a network interface.
type Interface struct {
	Device string   `json:"device"`
	Up     bool     `json:"up"`
	Speed  *float64 `json:"speed" doc:"bytes a second"`
}

type hostPath struct {
	Cluster string `path:"cluster" maxLength:"253"`
	Name    string `path:"name" maxLength:"253"`
}

// maxHostSeries bounds the series of one host that a page shows.
const maxHostSeries = 20_000

func (a *API) getHost(ctx context.Context, in *hostPath) (*body[HostDetail], error) {
	rows, err := a.db.UIHosts(ctx, db.UIHostsParams{Cluster: in.Cluster, Name: in.Name})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("cannot find host %q: %w", in.Name, db.ErrNotFound)
	}
	series, err := a.db.UILatestOfHost(ctx, db.UILatestOfHostParams{Cluster: in.Cluster, Host: in.Name, N: maxHostSeries})
	if err != nil {
		return nil, err
	}
	d := HostDetail{Host: hostOf(rows[0], gaugesOf(series), a.o.Stale)}
	d.Metrics = hostMetricsOf(series)
	d.Names = namesOf(series)
	d.Facts = factsOf(series)
	d.Filesystems = filesystemsOf(series)
	d.Interfaces = interfacesOf(series)
	d.Checks = checksOf(series, a.o.Stale)
	if d.Alerts, err = a.alerts(ctx, db.UIAlertsParams{States: statesOf("open"), Cluster: in.Cluster, Host: in.Name, N: 200}); err != nil {
		return nil, err
	}
	events, err := a.db.UIEvents(ctx, db.UIEventsParams{Cluster: in.Cluster, Host: in.Name, Until: endOfTime, N: 50})
	d.Events = each(events, eventOf)
	return one(d), err
}

// gaugesOf does for one host what the query UIHostGauges does for all.
func gaugesOf(series []db.UILatestOfHostRow) []db.UIHostGaugesRow {
	type key struct{ metric, source string }
	var out []db.UIHostGaugesRow
	at := make(map[key]int)
	for _, s := range series {
		labels := labelsOf(s.Labels)
		if !slices.Contains(hostMetrics, s.Metric) || s.Metric == "node_cpu_usage_ratio" && labels["mode"] != busyMode(labels["source"]) {
			continue
		}
		k := key{s.Metric, labels["source"]}
		i, ok := at[k]
		if !ok {
			at[k] = len(out)
			out = append(out, db.UIHostGaugesRow{Metric: k.metric, Source: k.source, Value: s.Value, Age: s.Age})
			continue
		}
		out[i].Value, out[i].Age = max(out[i].Value, s.Value), min(out[i].Age, s.Age)
	}
	return out
}

// busyMode is the mode of node_cpu_usage_ratio that says how busy a host is: gmond counts the wait for disks in.
func busyMode(source string) string {
	if source == "gmond" {
		return "not_idle"
	}
	return "busy"
}

// hostMetricsOf counts series by metric; they come sorted by it.
func hostMetricsOf(series []db.UILatestOfHostRow) []HostMetric {
	out := []HostMetric{}
	for _, s := range series {
		if n := len(out); n > 0 && out[n-1].Name == s.Metric {
			out[n-1].Series++
			continue
		}
		out = append(out, HostMetric{Name: s.Metric, Unit: s.Unit, Kind: s.Kind, Series: 1})
	}
	return out
}

// nameStale is how old, in seconds, the word on a host's name may be: it is told every quarter of an hour.
const nameStale = 35 * 60

// namesOf reads what the extractor tells of a host's names: of each the newest word.
func namesOf(series []db.UILatestOfHostRow) []HostName {
	out := []HostName{}
	age := map[string]float64{}
	for _, s := range series {
		if s.Metric != "keepwatch_host_name_info" || s.Age > nameStale {
			continue
		}
		l := labelsOf(s.Labels)
		n := HostName{Name: l["name"], Rule: l["rule"], Source: l["from"]}
		had, ok := age[n.Name]
		switch {
		case !ok:
			out = append(out, n)
		case s.Age < had:
			out[slices.IndexFunc(out, func(o HostName) bool { return o.Name == n.Name })] = n
		default:
			continue
		}
		age[n.Name] = s.Age
	}
	return out
}

// factsOf reads what the host says of itself: the labels of its …_info series, and when it booted. What its own
// collector says goes before what gmond says, which tells each part of uname by itself.
func factsOf(series []db.UILatestOfHostRow) map[string]string {
	facts := map[string]string{}
	uname := map[string]string{}
	own := map[string]bool{}
	put := func(to map[string]string, source, name, value string) {
		if value == "" || value == "unspecified" || own[name] || len(to) >= 100 { // gmond's word for what it was not told
			return
		}
		to[name], own[name] = value, source == ""
	}
	for _, s := range series {
		l := labelsOf(s.Labels)
		switch {
		case s.Metric == "node_uname_info":
			for _, name := range unameParts {
				put(uname, l["source"], name, l[name])
			}
		case s.Metric == "node_boot_time_seconds":
			put(facts, l["source"], "boot_time", time.UnixMilli(int64(s.Value*1000)).UTC().Format(timeLayout))
		case s.Metric == "gmond_metric_info", s.Metric == "gmond_gexec_info", strings.HasPrefix(s.Metric, "keepwatch_"): // gexec: of a launcher of jobs that is no more
		case strings.HasSuffix(s.Metric, "_info"):
			for name, value := range l {
				if name != "source" && name != "gmond_name" {
					put(facts, l["source"], factName(s.Metric, name), value)
				}
			}
		}
	}
	var parts []string
	for _, name := range unameParts {
		parts = append(parts, strings.Fields(uname[name])...)
	}
	if len(parts) > 0 {
		facts["uname"] = strings.Join(parts, " ")
	}
	return facts
}

var unameParts = []string{"sysname", "release", "version", "machine"}

// factName is how a label of an …_info series is called among the facts: node_location_info{location} is the location.
func factName(metric, label string) string {
	name := strings.TrimSuffix(metric, "_info")
	if short := strings.TrimPrefix(name, "node_"); short == label {
		return label
	}
	return name + "_" + label
}

func filesystemsOf(series []db.UILatestOfHostRow) []Filesystem {
	out := []Filesystem{}
	at := map[string]int{}
	for _, s := range series {
		if s.Metric != "node_filesystem_size_bytes" && s.Metric != "node_filesystem_used_ratio" {
			continue
		}
		l := labelsOf(s.Labels)
		if l["mountpoint"] == "" { // gmond knows sums only
			continue
		}
		i, ok := at[l["mountpoint"]]
		if !ok {
			i = len(out)
			at[l["mountpoint"]] = i
			out = append(out, Filesystem{Mountpoint: l["mountpoint"], Device: l["device"]})
		}
		if s.Metric == "node_filesystem_size_bytes" {
			out[i].Size = s.Value
		} else {
			out[i].UsedRatio = s.Value
		}
	}
	return out
}

func interfacesOf(series []db.UILatestOfHostRow) []Interface {
	out := []Interface{}
	at := map[string]int{}
	find := func(device string) *Interface {
		i, ok := at[device]
		if !ok {
			i = len(out)
			at[device] = i
			out = append(out, Interface{Device: device})
		}
		return &out[i]
	}
	for _, s := range series {
		l := labelsOf(s.Labels)
		switch s.Metric {
		case "node_network_up":
			find(l["device"]).Up = s.Value == 1
		case "snmp_interface_up":
			find(l["interface"]).Up = s.Value == 1
		case "node_network_speed_bytes":
			find(l["device"]).Speed = positive(s.Value)
		case "snmp_interface_speed_bits_per_second":
			find(l["interface"]).Speed = positive(s.Value / 8)
		}
	}
	return out
}

// positive is nil for the zero and -1 by which systems say that there is no speed.
func positive(v float64) *float64 {
	if v <= 0 {
		return nil
	}
	return &v
}
