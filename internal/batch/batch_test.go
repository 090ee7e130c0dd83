package batch

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"keepwatch/metric"

	"pgregory.net/rapid"
)

func drawBatch(t *rapid.T) *Batch {
	b := &Batch{}
	name := rapid.StringMatching(`[a-z_][a-z0-9_:]{0,20}`)
	text := rapid.StringMatching(`[a-zA-Z0-9 .äß中/-]{1,20}`)
	label := rapid.StringMatching(`l[a-z0-9_]{0,8}`)
	for i := range rapid.IntRange(0, 20).Draw(t, "samples") {
		labels := make([]metric.Label, 0, 3)
		for _, n := range rapid.SliceOfNDistinct(label, 0, 3, rapid.ID[string]).Draw(t, "labels") {
			labels = append(labels, metric.Label{Name: n, Value: text.Draw(t, "value")})
		}
		s := metric.MustSeries("c", fmt.Sprintf("h%d", i/5), name.Draw(t, "name"), labels, metric.Bytes, metric.Kind(rapid.IntRange(1, 3).Draw(t, "kind")))
		b.Samples = append(b.Samples, metric.Sample{Series: s, Time: rapid.Int64Range(0, 1<<45).Draw(t, "time"), Value: rapid.Float64().Draw(t, "v")})
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "events") {
		b.Events = append(b.Events, metric.Event{
			ID: fmt.Sprintf("b-%d", i), Cluster: "c", Host: text.Draw(t, "host"), Time: rapid.Int64Range(0, 1<<45).Draw(t, "time"),
			Kind: metric.EventVIPTaken, Text: text.Draw(t, "text"), Labels: []metric.Label{{Name: "vip", Value: "10.0.0.1"}},
		})
	}
	return b
}

func TestDecodeIsTheInverseOfAppend(t *testing.T) {
	var dec Decoder
	rapid.Check(t, func(t *rapid.T) {
		want := drawBatch(t)
		var got Batch
		raw, err := Decompress(nil, Compress(nil, Append(nil, want)))
		if err != nil {
			t.Fatal(err)
		}
		if err := dec.Decode(raw, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Samples) != len(want.Samples) || len(got.Events) != len(want.Events) {
			t.Fatalf("got %d samples, %d events; want %d, %d", len(got.Samples), len(got.Events), len(want.Samples), len(want.Events))
		}
		for i, w := range want.Samples {
			g := got.Samples[i]
			if g.Series.Key() != w.Series.Key() || g.Series.Unit != w.Series.Unit || g.Series.Kind != w.Series.Kind ||
				g.Time != w.Time || math.Float64bits(g.Value) != math.Float64bits(w.Value) {
				t.Fatalf("sample %d: got %v %v, want %v %v", i, g, g.Series, w, w.Series)
			}
		}
		for i := range want.Events {
			if !reflect.DeepEqual(got.Events[i], want.Events[i]) {
				t.Fatalf("event %d: got %+v, want %+v", i, got.Events[i], want.Events[i])
			}
		}
	})
}

func TestEqualSeriesAreEqualPointers(t *testing.T) {
	var dec Decoder
	first := decodeOne(t, &dec)
	dec.Sweep()
	if second := decodeOne(t, &dec); first != second {
		t.Error("a series in use changed its pointer over one Sweep")
	}
	dec.Sweep()
	dec.Sweep()
	if third := decodeOne(t, &dec); first == third {
		t.Error("a series that two Sweeps did not see is still remembered")
	}
}

func decodeOne(t *testing.T, d *Decoder) *metric.Series {
	t.Helper()
	var b Batch
	if err := d.Decode(Append(nil, sample("load")), &b); err != nil {
		t.Fatal(err)
	}
	return b.Samples[0].Series
}

func sample(name string) *Batch {
	return &Batch{Samples: []metric.Sample{{Series: metric.MustSeries("c", "h", name, nil, "", metric.Gauge), Time: 5, Value: 1}}}
}

func TestDecoderBoundsItsMemory(t *testing.T) {
	dec := Decoder{MaxSeries: 10}
	var b Batch
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = dec.Decode(Append(nil, sample(fmt.Sprintf("m%d", i))), &b)
	}
	if !errors.Is(err, ErrTooManySeries) {
		t.Fatalf("got %v, want ErrTooManySeries", err)
	}
	if len(b.Samples) != 9 { // the group counts as one
		t.Errorf("got %d samples of what was accepted, want 9", len(b.Samples))
	}
}

// What was in the batch before a refused decoding stays; nothing of the refused one is left.
func TestRefusedDecodingLeavesNothing(t *testing.T) {
	raw := Append(nil, sample("load"))
	for cut := range raw {
		b := sample("before")
		if err := new(Decoder).Decode(raw[:cut], b); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut at %d: got %v, want ErrMalformed", cut, err)
		}
		if len(b.Samples) != 1 || b.Samples[0].Series.Name != "before" {
			t.Fatalf("cut at %d: batch now holds %v", cut, b.Samples)
		}
	}
	if err := new(Decoder).Decode(append(raw, 0), &Batch{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("trailing byte: got %v, want ErrMalformed", err)
	}
	raw[0] = 2
	if err := new(Decoder).Decode(raw, &Batch{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("other version: got %v, want ErrMalformed", err)
	}
}

func TestDecompressRefuses(t *testing.T) {
	bomb := Compress(nil, make([]byte, MaxDecompressed+1))
	for name, src := range map[string][]byte{"bomb": bomb, "noise": []byte("not zstd at all"), "cut": bomb[:len(bomb)/2]} {
		if _, err := Decompress(nil, src); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, sample("load")))
	f.Add(Append(nil, &Batch{Events: []metric.Event{{ID: "1", Cluster: "c", Host: "h", Kind: "k", Text: "t"}}}))
	f.Fuzz(func(t *testing.T, src []byte) {
		var b Batch
		if err := (&Decoder{MaxSeries: 1000}).Decode(src, &b); err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooManySeries) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		for i := range b.Events {
			if err := b.Events[i].Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var in, out Batch
	for i := range 1000 {
		s := metric.MustSeries("c", fmt.Sprintf("h%d", i/100), fmt.Sprintf("metric_number_%d", i%100), []metric.Label{{Name: "device", Value: "eth0"}}, metric.Bytes, metric.Counter)
		in.Samples = append(in.Samples, metric.Sample{Series: s, Time: int64(i), Value: float64(i)})
	}
	raw := Append(nil, &in)
	var dec Decoder
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := dec.Decode(raw, &out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
}

func BenchmarkAppend(b *testing.B) {
	var in Batch
	for i := range 1000 {
		s := metric.MustSeries("c", "h", fmt.Sprintf("metric_number_%d", i), nil, metric.Bytes, metric.Counter)
		in.Samples = append(in.Samples, metric.Sample{Series: s, Time: int64(i), Value: float64(i)})
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = Append(dst[:0], &in)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
}
