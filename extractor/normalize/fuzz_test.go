package normalize

import (
	"math"
	"strings"
	"testing"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// FuzzBatch gives a normalizer what a stranger's gmond packet may hold: whatever its texts are, each sample becomes
// one at least, metadata at most one, and all of them are valid.
func FuzzBatch(f *testing.F) {
	for _, units := range []string{"", "KB", "mb/sec", "%", "1/sec", "ms per second", "Mb/s", "ȺȺȺ/s", "/s", "İ per second", "K/SEC", "/ſ"} {
		f.Add("cpu_idle", units, "", "web1", 12.5, byte(metric.Gauge))
	}
	f.Add("sda1-disk_used", "%", "", "WEB1", math.MaxFloat64, byte(metric.Counter))
	f.Add("multicpu_user12", "percent", "", "ẞ", math.Inf(-1), byte(metric.Counter))
	f.Add("os_name", "", "Linux", "::ffff:10.0.0.1", 1.0, byte(metric.State))
	f.Add("disk /var", "widgets", "$", "web1.", math.NaN(), byte(metric.State))
	n := normalizer(f)
	f.Fuzz(func(t *testing.T, name, units, text, host string, value float64, kind byte) {
		labels := []metric.Label{{Name: "source", Value: "gmond"}, {Name: "gmond_name", Value: name}, {Name: "value", Value: text}}
		clean := prefix + strings.Map(nameRune, name)
		if text != "" {
			clean += infoSuffix
		}
		about := []metric.Label{{Name: "metric", Value: clean}, {Name: "gmond_name", Value: name}, {Name: "units", Value: units}}
		x, err := metric.NewSeries("web", "web1", clean, labels, metric.Unit(units), metric.Kind(kind))
		info, noInfo := metric.NewSeries("web", "web1", metadataName, about, metric.NoUnit, metric.State)
		if err != nil || noInfo != nil {
			return // no collector makes it
		}
		hosts := func(_, _ string) string { return host }
		b := &batch.Batch{Samples: []metric.Sample{{Series: x, Time: 1000, Value: value}, {Series: x, Time: 2000, Value: value / 2}}}
		n.Batch(b, hosts)
		if len(b.Samples) < 2 {
			t.Fatalf("%v in %q is lost", x, units)
		}
		told := &batch.Batch{Samples: []metric.Sample{{Series: info, Time: 1000, Value: 1}}}
		n.Batch(told, hosts)
		if len(told.Samples) > 1 {
			t.Fatalf("%v becomes %v", info, told.Samples)
		}
		for _, s := range append(b.Samples, told.Samples...) {
			if _, err := metric.NewSeries(s.Series.Cluster, s.Series.Host, s.Series.Name, s.Series.Labels, s.Series.Unit, s.Series.Kind); err != nil {
				t.Fatalf("%v in %q of host %q: %v", x, units, host, err)
			}
		}
		n.Sweep()
	})
}
