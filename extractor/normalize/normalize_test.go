package normalize

import (
	"fmt"
	"strings"
	"testing"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// test is what *testing.T, *testing.B and *rapid.T have in common.
type test interface {
	Helper()
	Fatal(...any)
}

func normalizer(t test) *Normalizer {
	t.Helper()
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// gmondSeries is the series that a collector makes of a gmond metric; text is empty for a number.
func gmondSeries(name, units, text string, kind metric.Kind) *metric.Series {
	labels := []metric.Label{{Name: "source", Value: "gmond"}, {Name: "value", Value: text}}
	clean := strings.Map(nameRune, name)
	if clean != name {
		labels = append(labels, metric.Label{Name: "gmond_name", Value: name})
	}
	if text != "" {
		return metric.MustSeries("web", "web1", prefix+clean+infoSuffix, labels, metric.NoUnit, metric.State)
	}
	return metric.MustSeries("web", "web1", prefix+clean, labels, metric.Unit(strings.TrimSpace(units)), kind)
}

func (n *Normalizer) one(s *metric.Series, at int64, value float64) []metric.Sample {
	b := &batch.Batch{Samples: []metric.Sample{{Series: s, Time: at, Value: value}}}
	n.Batch(b, nil)
	return b.Samples
}

// nameRune is what collectors make of a character of a gmond name.
func nameRune(r rune) rune {
	if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '_'
}

// written writes a sample as the table's column becomes does.
func written(s metric.Sample) string {
	var labels []string
	for _, l := range s.Series.Labels {
		if l.Name != "source" {
			labels = append(labels, l.Name+"="+l.Value)
		}
	}
	name := s.Series.Name
	if len(labels) > 0 {
		name += "{" + strings.Join(labels, ",") + "}"
	}
	return fmt.Sprintf("%s %.10g", name, s.Value)
}

// A unit that no line names is converted where it measures the same, and otherwise the metric is not the one meant.
func TestOtherUnits(t *testing.T) {
	n := normalizer(t)
	f := func(name, units string, value float64, want string) {
		t.Helper()
		got := n.one(gmondSeries(name, units, "", metric.Gauge), 7, value)
		if w := written(got[0]); w != want {
			t.Errorf("%s in %q: got %s, want %s", name, units, w, want)
		}
	}
	f("mem_total", "Bytes", 4096, "node_memory_MemTotal_bytes 4096")
	f("mem_total", "MB", 2, "node_memory_MemTotal_bytes 2097152")
	f("cpu_speed", "GHz", 2.5, "node_cpu_frequency_hertz 2500000000")
	f("bytes_in", "KB/s", 2, "node_network_receive_bytes_per_second 2048")
	f("cpu_intr", "intr/sec", 250, "node_intr_per_second 250")
	f("cpu_idle", "percent", 75, "node_cpu_usage_ratio{mode=idle} 0.75")
	f("cpu_user", "jiffies", 3, "gmond_cpu_user 3")
	f("mem_total", "", 3, "gmond_mem_total 3")
	f("multicpu_userX", "%", 50, "gmond_multicpu_userX 0.5")
}

func TestUnknownNamesPassInBaseUnits(t *testing.T) {
	n := normalizer(t)
	f := func(units string, value float64, unit metric.Unit, want float64) {
		t.Helper()
		got := n.one(gmondSeries("sensor/rack3", units, "", metric.Gauge), 7, value)
		s := got[0].Series
		if len(got) != 1 || s.Name != "gmond_sensor_rack3" || s.Label("gmond_name") != "sensor/rack3" || s.Unit != unit || got[0].Value != want {
			t.Errorf("%q: got %v %q %v, want %q %v", units, s, s.Unit, got[0].Value, unit, want)
		}
	}
	f("", 3, "", 3)
	f("widgets", 3, "widgets", 3)
	f("KB", 2, metric.Bytes, 2048)
	f("kB", 2, metric.Bytes, 2048)
	f("kb", 2, "kb", 2)
	f("Mb", 2, "Mb", 2)
	f("Mb/s", 2, "Mb/s", 2)
	f("GB", 1, metric.Bytes, 1<<30)
	f("ms", 250, metric.Seconds, 0.25)
	f("percent", 50, metric.Ratio, 0.5)
	f("Celsius", 21, metric.Celsius, 21)
	f("bits/sec", 80, metric.BytesPerSec, 10)
	f("frobs/sec", 80, metric.PerSecond, 80)
	f("ms/s", 80, "ms/s", 80)
	f("ȺȺȺ/s", 80, metric.PerSecond, 80) // longer in lower case
	f("KİKİ per second", 80, metric.PerSecond, 80)
	f("Ⱥ", 3, "Ⱥ", 3)
	other := metric.MustSeries("web", "web1", "node_load1", nil, "widgets", metric.Gauge)
	if got := n.one(other, 7, 1); len(got) != 1 || got[0].Series != other {
		t.Errorf("a metric that gmond did not send: got %v", got)
	}
}

func TestTextsPass(t *testing.T) {
	n := normalizer(t)
	got := n.one(gmondSeries("bios", "", "v1.2", 0), 7, 1)
	if w := written(got[0]); w != "gmond_bios_info{value=v1.2} 1" {
		t.Errorf("got %s", w)
	}
	got = n.one(gmondSeries("load_one", "", "high", 0), 7, 1) // the number is known, the text is not
	if w := written(got[0]); w != "gmond_load_one_info{value=high} 1" {
		t.Errorf("got %s", w)
	}
}

// What collectors tell of a metric is kept for those only that the table doesn't know.
func TestMetadata(t *testing.T) {
	n := normalizer(t)
	tell := func(of *metric.Series, units string) []metric.Sample {
		labels := []metric.Label{
			{Name: "source", Value: "gmond"}, {Name: "metric", Value: of.Name}, {Name: "gmond_name", Value: of.Label("gmond_name")},
			{Name: "title", Value: "T"}, {Name: "units", Value: units},
		}
		return n.one(metric.MustSeries("web", "web1", metadataName, labels, "", metric.State), 7, 1)
	}
	f := func(name, units, text, want string) {
		t.Helper()
		got := tell(gmondSeries(name, units, text, metric.Gauge), units)
		if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || got[0].Series.Label("metric") != want || got[0].Series.Label("title") != "T") {
			t.Errorf("%s in %q: got %v, want that of %q", name, units, got, want)
		}
	}
	f("load_one", " ", "", "")
	f("cpu_user", "%", "", "")
	f("multicpu_idle7", "%", "", "")
	f("sda1-disk_used", "%", "", "")
	f("os_name", "", "Linux", "")
	f("os_name", "", "", "gmond_os_name")
	f("load_one", "", "high", "gmond_load_one_info")
	f("cpu_user", "widgets", "", "gmond_cpu_user")
	f("disk /var", "", "", "gmond_disk__var")
}

func TestHostsAreRenamed(t *testing.T) {
	n := normalizer(t)
	native := metric.MustSeries("web", "web1.example.com", "node_load1", nil, "", metric.Gauge)
	other := metric.MustSeries("web", "db1", "node_load1", nil, "", metric.Gauge)
	gmond := metric.MustSeries("web", "web1.example.com", "gmond_load_one", []metric.Label{{Name: "source", Value: "gmond"}}, "", metric.Gauge)
	b := &batch.Batch{
		Samples: []metric.Sample{{Series: native, Value: 1}, {Series: other, Value: 2}, {Series: gmond, Value: 3}},
		Events:  []metric.Event{{Cluster: "web", Host: "web1.example.com"}},
	}
	n.Batch(b, func(cluster, host string) string { return strings.TrimSuffix(host, ".example.com") })
	var got []string
	for _, s := range b.Samples {
		got = append(got, fmt.Sprint(s.Series, " ", s.Value))
	}
	want := `[node_load1{cluster="web",host="web1"} 1 node_load1{cluster="web",host="db1"} 2 node_load1{cluster="web",host="web1",source="gmond"} 3]`
	if fmt.Sprint(got) != want || b.Events[0].Host != "web1" || b.Samples[1].Series != other {
		t.Errorf("got %v, event of %s", got, b.Events[0].Host)
	}
}

// The same series becomes the same pointer each time, and costs no allocation.
func TestSeriesAreCached(t *testing.T) {
	n := normalizer(t)
	idle, load := gmondSeries("cpu_idle", "%", "", metric.Gauge), gmondSeries("load_one", "", "", metric.Gauge)
	b := &batch.Batch{Samples: make([]metric.Sample, 0, 8)}
	fill := func() {
		b.Samples = append(b.Samples[:0], metric.Sample{Series: idle, Value: 1}, metric.Sample{Series: load, Value: 1})
		n.Batch(b, nil)
	}
	fill()
	first := b.Samples[0].Series
	if len(b.Samples) != 3 {
		t.Fatalf("got %v", b.Samples)
	}
	if allocs := testing.AllocsPerRun(100, fill); allocs != 0 {
		t.Errorf("%v allocations a batch, want none", allocs)
	}
	if b.Samples[0].Series != first {
		t.Error("the pointer changed")
	}
}

// A label of the table that the packet brought itself cannot be added: the sample passes.
func TestClashingLabelPasses(t *testing.T) {
	n := normalizer(t)
	s := metric.MustSeries("web", "web1", "gmond_cpu_user", []metric.Label{{Name: "mode", Value: "odd"}}, "%", metric.Gauge)
	if got := n.one(s, 7, 50); len(got) != 1 || written(got[0]) != "gmond_cpu_user{mode=odd} 0.5" {
		t.Errorf("got %v", got)
	}
}

func BenchmarkBatch(b *testing.B) {
	n := normalizer(b)
	in := make([]metric.Sample, 0, 1200)
	for i := range 1000 {
		s := gmondSeries(fmt.Sprintf("multicpu_user%d", i), "%", "", metric.Gauge)
		if i%2 == 0 {
			s = metric.MustSeries("web", "web1", fmt.Sprintf("node_x%d", i), nil, "", metric.Gauge)
		}
		in = append(in, metric.Sample{Series: s, Value: 1})
	}
	var load batch.Batch
	b.ReportAllocs()
	for b.Loop() {
		load.Samples = append(load.Samples[:0], in...)
		n.Batch(&load, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
}
