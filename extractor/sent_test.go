package extractor

import (
	"fmt"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// handed is a stream of what `keepwatch send` gave, in frames of its host and in gmond packets.
type handed struct {
	*stream
	got string
}

func newHanded(t *testing.T) *handed { return &handed{stream: newStream(t, &page{})} }

// comes plays a frame with one sample of these times, ms, and adds what is kept of it.
func (h *handed) comes(gmond bool, at, received int64, value float64) {
	h.t.Helper()
	h.seq++
	series := metric.MustSeries("c", "web1", "gmond_jobs", []metric.Label{{Name: "source", Value: "gmond"}}, "", metric.Gauge)
	f := frame.Frame{Origin: frame.Origin{Seq: h.seq}, Cluster: "c", Host: "web1", Gmond: gmond, Interval: 15 * time.Second, Sent: received}
	f.Payload = batch.Append(nil, &batch.Batch{Samples: []metric.Sample{{Series: series, Time: at, Value: value}}})
	l := &load{}
	h.take.record(&frame.Record{Received: received, Frame: f}, l)
	for _, s := range l.b.Samples {
		if s.Series.Name == series.Name {
			h.got += fmt.Sprintf("%v@%d ", s.Value, s.Time)
		}
	}
}

func (h *handed) native(at, received int64, value float64) { h.comes(false, at, received, value) }
func (h *handed) packet(at int64, value float64)           { h.comes(true, at, at, value) }

// What was sent once is kept once, by whichever way it comes first, and however often.
func TestSentMetricIsKeptOnce(t *testing.T) {
	for name, c := range map[string]struct {
		play func(*handed)
		want string
	}{
		"frame first": {func(h *handed) {
			for i := range int64(3) {
				h.native(100_000+i*500, 100_002+i*500, 17)
				h.packet(100_008+i*500, 17)
			}
		}, "17@100000 17@100500 17@101000 "},
		"packet first": {func(h *handed) {
			for i := range int64(3) {
				h.packet(100_008+i*500, float64(i))
				h.native(100_000+i*500, 100_012+i*500, float64(i))
			}
		}, "0@100008 1@100508 2@101008 "},
		"nobody hears the packets": {func(h *handed) {
			for i := range int64(200) {
				h.native(100_000+i*500, 100_002+i*500, 17)
			}
			h.got = h.got[:20]
		}, "17@100000 17@100500 "},
		"a frame is lost and repaired": {func(h *handed) {
			h.native(100_000, 100_001, 1)
			h.packet(100_005, 1)
			h.packet(101_005, 2)
			h.native(102_000, 102_001, 3)
			h.packet(102_005, 3)
			h.native(101_000, 130_000, 2)
		}, "1@100000 2@101005 3@102000 "},
		"a packet is lost": {func(h *handed) {
			h.native(100_000, 100_001, 1)
			h.packet(100_005, 1)
			h.native(101_000, 101_001, 2)
			h.native(102_000, 102_001, 3)
			h.packet(102_005, 3)
		}, "1@100000 2@101000 3@102000 "},
		"another aggregator heard the packet too": {func(h *handed) {
			h.native(100_000, 100_001, 1)
			h.packet(100_005, 1)
			h.take.connected("b:1")
			h.packet(100_006, 1)
		}, "1@100000 "},
		"a gmetric that is none of ours": {func(h *handed) {
			h.packet(100_000, 1)
			h.packet(101_500, 1)
		}, "1@100000 1@101500 "},
	} {
		h := newHanded(t)
		if c.play(h); h.got != c.want {
			t.Errorf("%s: kept %q, want %q", name, h.got, c.want)
		}
	}
}

func TestSentIsForgotten(t *testing.T) {
	h := newHanded(t)
	h.native(100_000, 100_000, 1)
	if len(h.take.sent) != 1 {
		t.Fatalf("%d series", len(h.take.sent))
	}
	h.take.sweep(100_000 + 2*sweepEvery.Milliseconds() + 1)
	if len(h.take.sent) != 0 {
		t.Error("a series of which nothing comes is known for ever")
	}
}
