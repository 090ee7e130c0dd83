package batch

import (
	"errors"
	"math"
	"testing"

	"keepwatch/metric"

	"pgregory.net/rapid"
)

// visitor calls sample for each sample, with the names of its group.
type visitor struct {
	cluster, host string
	sample        func(cluster, host string, s Raw) (known bool, err error)
}

func (v *visitor) Group(cluster, host []byte) (bool, error) {
	v.cluster, v.host = string(cluster), string(host)
	return false, nil
}

func (v *visitor) Sample(s Raw) (bool, error) { return v.sample(v.cluster, v.host, s) }

func TestScanSeesWhatDecodeDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBatch(t)
		var seen []metric.Sample
		samples, events, err := Scan(Append(nil, b), &visitor{sample: func(cluster, host string, raw Raw) (bool, error) {
			s, err := Series(cluster, host, raw.Desc)
			if err == nil && len(s.Name) < 128 && (!Named(raw.Desc, s.Name) || Named(raw.Desc, s.Name+"x") || Named(raw.Desc, s.Name[1:])) {
				t.Fatalf("the descriptor of %s is not of its name", s)
			}
			seen = append(seen, metric.Sample{Series: s, Time: raw.Time, Value: raw.Value})
			return false, err
		}})
		if err != nil || samples != len(b.Samples) || events != len(b.Events) {
			t.Fatalf("got %d samples, %d events, %v; want %d, %d", samples, events, err, len(b.Samples), len(b.Events))
		}
		for i, got := range seen {
			if want := b.Samples[i]; got.Series.Key() != want.Series.Key() || got.Time != want.Time || math.Float64bits(got.Value) != math.Float64bits(want.Value) {
				t.Fatalf("sample %d: got %v, want %v", i, got, want)
			}
		}
	})
}

func TestScanStopsWithWhatTheVisitorSays(t *testing.T) {
	stop := errors.New("stop")
	raw := Append(nil, sample("load"))
	if _, _, err := Scan(raw, &visitor{sample: func(_, _ string, _ Raw) (bool, error) { return false, stop }}); !errors.Is(err, stop) {
		t.Errorf("got %v, want what the visitor returned", err)
	}
}

// Scan accepts exactly what Decode accepts.
func FuzzScan(f *testing.F) {
	f.Add(Append(nil, sample("load")))
	f.Add(Append(nil, &Batch{Events: []metric.Event{{ID: "1", Cluster: "c", Host: "h", Kind: "k", Text: "t"}}}))
	f.Fuzz(func(t *testing.T, src []byte) {
		var b Batch
		want := new(Decoder).Decode(src, &b)
		samples, events, err := Scan(src, &visitor{sample: func(_, _ string, _ Raw) (bool, error) { return false, nil }})
		if err == nil && want == nil && (samples != len(b.Samples) || events != len(b.Events)) {
			t.Fatalf("got %d, %d; want %d, %d", samples, events, len(b.Samples), len(b.Events))
		}
		if (err == nil) != (want == nil) && len(b.Samples) > 0 {
			t.Fatalf("Scan says %v, Decode %v", err, want)
		}
	})
}
