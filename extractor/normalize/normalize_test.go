package normalize

import (
	_ "embed"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// What a real gmond 3.7.2 announced: name, type, …, units.
//
//go:embed testdata/gmond-metrics.txt
var announced string

func one(t *testing.T, name string, value float64, unit metric.Unit) []metric.Sample {
	t.Helper()
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s := metric.MustSeries("web", "web1", name, []metric.Label{{Name: "source", Value: "gmond"}}, unit, metric.Gauge)
	b := &batch.Batch{Samples: []metric.Sample{{Series: s, Time: 7, Value: value}}}
	n.Batch(b)
	return b.Samples
}

// Each line of the table, with a value as gmond sends it and what it must become.
func TestEveryLine(t *testing.T) {
	cases := map[string][]struct {
		in   float64
		want string
	}{
		"boottime":         {{1.7e9, `node_boot_time_seconds{cluster="web",host="web1",source="gmond"} seconds 1.7e+09`}},
		"heartbeat":        {{1.7e9, `gmond_start_time_seconds{cluster="web",host="web1",source="gmond"} seconds 1.7e+09`}},
		"sys_clock":        {{1.7e9, `node_time_seconds{cluster="web",host="web1",source="gmond"} seconds 1.7e+09`}},
		"load_one":         {{0.31, `node_load1{cluster="web",host="web1",source="gmond"}  0.31`}},
		"load_five":        {{0.31, `node_load5{cluster="web",host="web1",source="gmond"}  0.31`}},
		"load_fifteen":     {{0.31, `node_load15{cluster="web",host="web1",source="gmond"}  0.31`}},
		"cpu_num":          {{4, `node_cpu_count{cluster="web",host="web1",source="gmond"}  4`}},
		"cpu_speed":        {{2400, `node_cpu_frequency_hertz{cluster="web",host="web1",source="gmond"} hertz 2.4e+09`}},
		"cpu_user":         {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="user",source="gmond"} ratio 0.125`}},
		"cpu_nice":         {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="nice",source="gmond"} ratio 0.125`}},
		"cpu_system":       {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="system",source="gmond"} ratio 0.125`}},
		"cpu_idle":         {{75, `node_cpu_usage_ratio{cluster="web",host="web1",mode="idle",source="gmond"} ratio 0.75`}, {75, `node_cpu_usage_ratio{cluster="web",host="web1",mode="busy",source="gmond"} ratio 0.25`}},
		"cpu_wio":          {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="iowait",source="gmond"} ratio 0.125`}},
		"cpu_intr":         {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="irq",source="gmond"} ratio 0.125`}},
		"cpu_sintr":        {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="softirq",source="gmond"} ratio 0.125`}},
		"cpu_steal":        {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="steal",source="gmond"} ratio 0.125`}},
		"cpu_guest":        {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="guest",source="gmond"} ratio 0.125`}},
		"cpu_gnice":        {{12.5, `node_cpu_usage_ratio{cluster="web",host="web1",mode="guest_nice",source="gmond"} ratio 0.125`}},
		"cpu_aidle":        {{12.5, `node_cpu_idle_since_boot_ratio{cluster="web",host="web1",source="gmond"} ratio 0.125`}},
		"mem_total":        {{1024, `node_memory_MemTotal_bytes{cluster="web",host="web1",source="gmond"} bytes 1048576`}},
		"mem_free":         {{1024, `node_memory_MemFree_bytes{cluster="web",host="web1",source="gmond"} bytes 1048576`}},
		"mem_shared":       {{1024, `node_memory_Shmem_bytes{cluster="web",host="web1",source="gmond"} bytes 1048576`}},
		"mem_buffers":      {{1024, `node_memory_Buffers_bytes{cluster="web",host="web1",source="gmond"} bytes 1048576`}},
		"mem_cached":       {{1024, `node_memory_Cached_bytes{cluster="web",host="web1",source="gmond"} bytes 1048576`}},
		"mem_sreclaimable": {{1024, `node_memory_SReclaimable_bytes{cluster="web",host="web1",source="gmond"} bytes 1048576`}},
		"swap_total":       {{1024, `node_memory_SwapTotal_bytes{cluster="web",host="web1",source="gmond"} bytes 1048576`}},
		"swap_free":        {{1024, `node_memory_SwapFree_bytes{cluster="web",host="web1",source="gmond"} bytes 1048576`}},
		"disk_total":       {{2.5, `node_filesystems_size_bytes{cluster="web",host="web1",source="gmond"} bytes 2.5e+09`}},
		"disk_free":        {{2.5, `node_filesystems_free_bytes{cluster="web",host="web1",source="gmond"} bytes 2.5e+09`}},
		"part_max_used":    {{93, `node_filesystems_fullest_used_ratio{cluster="web",host="web1",source="gmond"} ratio 0.93`}},
		"bytes_in":         {{10, `node_network_receive_bytes_per_second{cluster="web",host="web1",source="gmond"} bytes_per_second 10`}},
		"bytes_out":        {{10, `node_network_transmit_bytes_per_second{cluster="web",host="web1",source="gmond"} bytes_per_second 10`}},
		"pkts_in":          {{10, `node_network_receive_packets_per_second{cluster="web",host="web1",source="gmond"} per_second 10`}},
		"pkts_out":         {{10, `node_network_transmit_packets_per_second{cluster="web",host="web1",source="gmond"} per_second 10`}},
		"mtu":              {{1500, `node_network_smallest_mtu_bytes{cluster="web",host="web1",source="gmond"} bytes 1500`}},
		"proc_run":         {{3, `node_procs_running{cluster="web",host="web1",source="gmond"}  3`}},
		"proc_total":       {{300, `node_processes{cluster="web",host="web1",source="gmond",state="total"}  300`}},
	}
	rules, err := parse(table)
	if err != nil {
		t.Fatal(err)
	}
	for name := range rules {
		if _, ok := cases[strings.TrimPrefix(name, prefix)]; !ok {
			t.Errorf("%s is in the table and has no case here", name)
		}
	}
	for name, wants := range cases {
		got := one(t, prefix+name, wants[0].in, "")
		if len(got) != len(wants) {
			t.Errorf("%s: got %d samples, want %d", name, len(got), len(wants))
			continue
		}
		for i, w := range wants {
			if s := fmt.Sprintf("%v %s %.7g", got[i].Series, got[i].Series.Unit, got[i].Value); s != w.want || got[i].Time != 7 {
				t.Errorf("%s: got %s, want %s", name, s, w.want)
			}
		}
	}
}

// What gmond announces of its own modules is in the table, but for texts; its units are those that the table takes
// for granted.
func TestTableCoversWhatGmondAnnounces(t *testing.T) {
	rules, err := parse(table)
	if err != nil {
		t.Fatal(err)
	}
	scales := map[string]float64{"KB": 1024, "GB": 1e9, "%": 0.01, "MHz": 1e6, "bytes/sec": 1, "packets/sec": 1, "s": 1, "": 1, "CPUs": 1}
	line := regexp.MustCompile(`^(\S+) +(\S+) +\d+ \S+ +'(.*?)'.*'GROUP', '(cpu|disk|load|memory|network|process|system)'`)
	found := 0
	for l := range strings.Lines(announced) {
		m := line.FindStringSubmatch(l)
		if m == nil || m[2] == "string" {
			continue
		}
		found++
		rs := rules[prefix+m[1]]
		if len(rs) == 0 {
			t.Errorf("gmond's %s is not in the table", m[1])
			continue
		}
		if want := scales[strings.TrimSpace(m[3])]; math.Abs(rs[0].scale) != want {
			t.Errorf("%s in %q: scale %v, want %v", m[1], m[3], rs[0].scale, want)
		}
	}
	if found < 25 {
		t.Errorf("read %d of gmond's own metrics, want at least 25", found)
	}
}

func TestUnknownNamesPass(t *testing.T) {
	for _, name := range []string{"gmond_sensor_rack3", "node_load1", "gmond_os_name_info"} {
		if got := one(t, name, 42, "widgets"); len(got) != 1 || got[0].Series.Name != name || got[0].Value != 42 || got[0].Series.Unit != "widgets" {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// The same series becomes the same pointer each time, and costs no allocation.
func TestSeriesAreCached(t *testing.T) {
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s := metric.MustSeries("web", "web1", "gmond_load_one", nil, "", metric.Gauge)
	b := &batch.Batch{Samples: []metric.Sample{{Series: s, Value: 1}}}
	n.Batch(b)
	first := b.Samples[0].Series
	if allocs := testing.AllocsPerRun(100, func() { b.Samples[0].Series = s; n.Batch(b) }); allocs != 0 {
		t.Errorf("%v allocations a sample, want none", allocs)
	}
	if b.Samples[0].Series != first {
		t.Error("the pointer changed")
	}
}

// A label of the table that the packet brought itself cannot be added: the sample passes as it came.
func TestClashingLabelPasses(t *testing.T) {
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s := metric.MustSeries("web", "web1", "gmond_cpu_user", []metric.Label{{Name: "mode", Value: "odd"}}, "", metric.Gauge)
	b := &batch.Batch{Samples: []metric.Sample{{Series: s, Value: 50}}}
	n.Batch(b)
	if b.Samples[0].Series != s || b.Samples[0].Value != 50 {
		t.Errorf("got %v", b.Samples[0])
	}
}
