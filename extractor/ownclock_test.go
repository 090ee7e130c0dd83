package extractor

import (
	"log/slog"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// wrongFirst is a stream of an hour, of which our clock, which is the collector's too, is eight hours ahead for the
// first ten seconds.
func wrongFirst(t *testing.T, each func(s *stream, ms int64, ours time.Time, l *load)) {
	t.Helper()
	s := newStream(t, &page{})
	right := time.UnixMilli(anyDay)
	for ms := int64(0); ms < hour; ms += 500 {
		ours := right.Add(time.Duration(ms) * time.Millisecond)
		if ms < 10_000 {
			ours = ours.Add(8 * time.Hour)
		}
		if ms == 0 {
			s.take.greeted(ours.UnixMilli(), ours, ours, &load{})
		}
		l := &load{}
		rec := frame.Record{Received: ours.UnixMilli(), Heartbeat: true}
		s.take.arrive(&rec, ours, l)
		s.take.record(&rec, l)
		each(s, ms, ours, l)
	}
}

func (s *stream) says(f *frame.Frame, m *metric.Series, at, ours time.Time, value float64, l *load) {
	s.seq++
	b := &batch.Batch{Samples: []metric.Sample{{Series: m, Time: at.UnixMilli(), Value: value}}}
	f.Origin, f.Cluster, f.Sent = frame.Origin{Boot: frame.Boot{Start: 1, Random: 1}, Seq: s.seq}, "c", at.UnixMilli()
	f.Payload = batch.Append(nil, b)
	rec := frame.Record{Received: ours.UnixMilli(), Frame: *f}
	s.take.arrive(&rec, ours, l)
	s.take.record(&rec, l)
}

func TestDeadHostIsDownAfterOurClockWasAhead(t *testing.T) {
	load1 := metric.MustSeries("c", "a", "node_load1", nil, "", metric.Gauge)
	last, begin := -1.0, time.UnixMilli(anyDay)
	wrongFirst(t, func(s *stream, ms int64, ours time.Time, l *load) {
		if ms%15_000 == 1000 && ms < 70_000 { // then it dies
			s.says(&frame.Frame{Host: "a", Interval: 15 * time.Second}, load1, begin.Add(time.Duration(ms)*time.Millisecond), ours, 1, l)
		}
		for _, x := range l.b.Samples {
			if x.Series.Name == hostUpMetric {
				last = x.Value
			}
		}
	})
	if last != 0 {
		t.Errorf("the host has been dead for almost an hour; up is %v", last)
	}
}

func TestGmondSamplesAreNewAfterOurClockWasAhead(t *testing.T) {
	load1 := metric.MustSeries("c", "a", "gmond_load_one", []metric.Label{{Name: "source", Value: "gmond"}}, "", metric.Gauge)
	sent, came := 0, 0
	wrongFirst(t, func(s *stream, ms int64, ours time.Time, l *load) {
		if ms < 20_000 || ms%15_000 != 1000 {
			if ms == 1000 {
				s.says(&frame.Frame{Host: "agg", Gmond: true, Interval: 20 * time.Second}, load1, ours, ours, 0, l)
			}
			return
		}
		sent++
		s.says(&frame.Frame{Host: "agg", Gmond: true, Interval: 20 * time.Second}, load1, ours, ours, float64(sent), l)
		for _, x := range l.b.Samples {
			if x.Series == load1 || x.Series.Name == load1.Name {
				came++
			}
		}
	})
	if sent == 0 || came != sent {
		t.Errorf("of %d samples after the clock was set right %d are new", sent, came)
	}
}

// What came while the clock was wrong does not hide from the next run what it has not heard.
func TestRestartAfterOurClockWasAhead(t *testing.T) {
	b, err := openBook(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	opt := &Options{Bus: newSink(), Log: slog.New(slog.DiscardHandler), HostDmax: 24 * time.Hour, Interval: 15 * time.Second, Keys: keyring(t)}
	run := func() *pull {
		p, err := newPull(conf.Cluster{Name: "c", Collectors: []string{"a:1"}}, opt, b)
		if err != nil {
			t.Fatal(err)
		}
		p.fresh(t.Context())
		p.take.connected("a:1")
		return p
	}
	right := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	first := run()
	hear := func(at time.Time) {
		rec := frame.Record{Received: at.UnixMilli(), Heartbeat: true, Oldest: right.UnixMilli()}
		first.take.arrive(&rec, at, first.current)
		first.take.record(&rec, first.current)
		first.take.page.published(first.current.received)
	}
	wrong := right.Add(time.Hour)
	first.since("a:1", wrong)
	first.take.greeted(wrong.UnixMilli(), wrong, wrong, first.current)
	for ms := range 20 {
		hear(wrong.Add(time.Duration(ms) * 500 * time.Millisecond))
	}
	stopped := right.Add(10 * time.Minute)
	for at := right.Add(10 * time.Second); at.Before(stopped); at = at.Add(500 * time.Millisecond) {
		hear(at)
	}
	next := run()
	next.since("a:1", stopped.Add(5*time.Minute))
	if next.take.floor > stopped.UnixMilli() {
		t.Errorf("what came in the %d ms after the stop is taken for had", next.take.floor-stopped.UnixMilli())
	}
}

// A page that was written by a clock that was ahead.
func TestPageOfAClockThatWasAhead(t *testing.T) {
	b, err := openBook(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ahead := time.Now().Add(8 * time.Hour).UnixMilli()
	p := b.page("c")
	p.Received, p.Hosts["c\x00a"] = ahead, &hostLife{Native: promise{Heard: ahead, Interval: 15_000}}
	if _, err := newPull(conf.Cluster{Name: "c", Collectors: []string{"a:1"}}, &Options{Bus: newSink(), Log: slog.New(slog.DiscardHandler), Keys: keyring(t)}, b); err != nil {
		t.Fatal(err)
	}
	if now := time.Now().UnixMilli(); p.Received > now || p.Hosts["c\x00a"].Native.Heard > now {
		t.Errorf("it still says %+v at %d", p, now)
	}
}
