package gmondimport

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"keepwatch/collector/gmondsend"
	"keepwatch/internal/conf"
	"keepwatch/internal/gmondconf"
	"keepwatch/internal/report"
)

// titles are gmond's own, of every metric of this host that the collector sends as gmond does.
var titles = map[string]string{
	"heartbeat": "", "cpu_num": "CPU Count", "cpu_speed": "CPU Speed", "mem_total": "Memory Total",
	"swap_total": "Swap Space Total", "boottime": "Last Boot Time", "machine_type": "Machine Type",
	"os_name": "Operating System", "os_release": "Operating System Release", "location": "Location",
	"gexec": "Gexec Status", "cpu_user": "CPU User", "cpu_system": "CPU System", "cpu_idle": "CPU Idle",
	"cpu_nice": "CPU Nice", "cpu_aidle": "CPU aidle", "cpu_wio": "CPU wio", "cpu_steal": "CPU steal",
	"cpu_intr": "CPU intr", "cpu_sintr": "CPU sintr", "load_one": "One Minute Load Average",
	"load_five": "Five Minute Load Average", "load_fifteen": "Fifteen Minute Load Average",
	"proc_run": "Total Running Processes", "proc_total": "Total Processes", "mem_free": "Free Memory",
	"mem_shared": "Shared Memory", "mem_buffers": "Memory Buffers", "mem_cached": "Cached Memory",
	"swap_free": "Free Swap Space", "bytes_out": "Bytes Sent", "bytes_in": "Bytes Received",
	"pkts_in": "Packets Received", "pkts_out": "Packets Sent", "disk_total": "Total Disk Space",
	"disk_free": "Disk Space Available", "part_max_used": "Maximum Disk Space Used",
	"mem_sreclaimable": "Slab Memory Reclaimable", "sys_clock": "System Clock", "mtu": "Network MTU",
}

// foreign is a metric of a group that nothing here serves.
type foreign struct {
	at   report.Place
	name string // or expression
}

// groups translates the collection groups, unless they say what gmond's own default says.
func (t *translator) groups() {
	t.foreign = make(map[string][]foreign)
	metrics := 0
	var all []conf.GmondGroup
	var places []report.Place
	for _, g := range least(t, "collection_group", t.in.Groups, maxGroups) {
		if metrics += len(g.Metrics); metrics > maxMetrics {
			t.note(g.At, report.Mistake, "more than %d metrics: this group and those behind it are left out", maxMetrics)
			break
		}
		if group := t.group(g); len(group.Metrics) > 0 {
			all, places = append(all, group), append(places, g.At)
		}
	}
	if t.in.Mute() || reflect.DeepEqual(canonical(all), canonical(gmondsend.Default())) {
		return // nothing is collected, or what is without groups
	}
	for i, group := range all {
		path := fmt.Sprintf("collector.gmond.groups[%d]", len(t.Config.Collector.Gmond.Groups))
		if t.Add(places[i], "collection_group", func(c *conf.Config) { c.Collector.Gmond.Groups = append(c.Collector.Gmond.Groups, group) }) {
			t.Comment(path, report.Place{File: places[i].File, Line: places[i].Line}.String())
		}
	}
	if len(all) == 0 && len(t.in.Send) > 0 {
		t.note(report.Place{File: t.file}, report.Changed, "no collection_group with a metric that is known here: gmond sends none of those, here its default ones are sent; take collector.gmond.send out to send nothing")
	}
}

// canonical writes groups so that two that mean the same are the same.
func canonical(groups []conf.GmondGroup) (out []string) {
	for _, g := range groups {
		if g.Once {
			g.Every = 0
		}
		metrics := slices.Clone(g.Metrics)
		slices.SortFunc(metrics, func(a, b conf.GmondMetric) int { return strings.Compare(a.Name+a.Match, b.Name+b.Match) })
		out = append(out, fmt.Sprint(g.Once, g.Every, g.Threshold, metrics))
	}
	slices.Sort(out)
	return out
}

func (t *translator) group(g *gmondconf.Group) conf.GmondGroup {
	out := conf.NewItem[conf.GmondGroup]()
	out.Once = g.Once
	if !g.Once {
		out.Every = t.Seconds(place(g.At, g.Set, "collect_every"), "collect_every", g.Every, time.Second, 24*time.Hour)
	}
	out.Threshold = t.Seconds(place(g.At, g.Set, "time_threshold"), "time_threshold", g.Threshold, time.Second, 24*time.Hour)
	for _, m := range g.Metrics {
		if metric, ok := t.metric(m); ok {
			out.Metrics = append(out.Metrics, metric)
		}
	}
	return out
}

// metric translates one metric; false when nothing here serves it.
func (t *translator) metric(m *gmondconf.Metric) (out conf.GmondMetric, ok bool) {
	out.ValueThreshold = m.ValueThreshold
	if !(m.ValueThreshold >= 0) || math.IsInf(m.ValueThreshold, 0) { // NaN too: nothing moves by so much
		out.ValueThreshold = -1
	}
	out.Title = t.Text(m.At, m.Title)
	if _, expression := m.Set["name_match"]; expression {
		out.Match = t.Text(m.At, m.Match)
		r, err := regexp.Compile(out.Match)
		if err != nil {
			t.note(m.Set["name_match"], report.Missing, "name_match %.60q: an expression of PCRE that RE2 does not have: the metric is left out; name the metrics instead", m.Match)
			return out, false
		}
		return out, t.serves(m.At, out.Match, r.MatchString)
	}
	out.Name = t.Text(m.At, m.Name)
	if out.Name == "" {
		t.note(m.At, report.Mistake, "metric with neither name nor name_match: it is left out, gmond finds none either")
		return out, false
	}
	if out.Title == titles[strings.ToLower(out.Name)] {
		out.Title = ""
	}
	begins := func(known string) bool {
		return len(known) >= len(out.Name) && strings.EqualFold(known[:len(out.Name)], out.Name)
	}
	return out, t.serves(m.At, out.Name, begins)
}

// serves reports whether a metric is known that fits; else it is remembered for the module that may serve it.
func (t *translator) serves(at report.Place, name string, fits func(string) bool) bool {
	for known := range titles {
		if fits(known) {
			return true
		}
	}
	t.foreign[at.File] = append(t.foreign[at.File], foreign{at, name})
	return false
}
