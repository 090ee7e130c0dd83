package extractor

import (
	"log/slog"
	"testing"

	"keepwatch/extractor/normalize"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

func newPolled(t *testing.T, b *book, s *sink, c conf.HostNames) *polled {
	t.Helper()
	return &polled{bus: s, book: b, log: slog.New(slog.DiscardHandler), rules: rules(t, c), clusters: make(map[string]*polledCluster)}
}

// A source tells of a cluster that is pulled natively too: what becomes of the source leaves the cluster's page alone,
// so that the pull may write in it meanwhile and its wrapped counters stay known.
func TestPolledEventsLeaveThePageAlone(t *testing.T) {
	b, err := openBook(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	page := b.page("c")
	page.Wraps = map[string]normalize.Wrap{"series": {}}
	polled := newPolled(t, b, newSink(), conf.HostNames{StripDomains: []string{"example.com"}})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // the taker; the race detector sees what else touches its page
		defer close(done)
		taker := newStream(t, page)
		for sec := int64(0); ; sec++ {
			select {
			case <-stop:
				return
			default:
				taker.until(sec, sec+1, "web1")
			}
		}
	}()
	for range 100 {
		lost := &batch.Batch{Events: []metric.Event{{ID: "lost", Cluster: "c", Host: "web1.example.com", Time: 1, Kind: metric.EventSourceLost, Text: "lost"}}}
		if err := polled.take(t.Context(), "c", lost); err != nil {
			t.Error(err)
		}
		if got := lost.Events[0].Host; got != "web1" {
			t.Errorf("the event is of host %q, which the rules know as web1", got)
		}
	}
	close(stop)
	<-done
	if _, known := page.Wraps["series"]; !known {
		t.Error("the counter that had wrapped is forgotten")
	}
}

// A cluster that is only polled keeps its wrapped counters in its own page over a restart.
func TestPolledWrapsOutliveARestart(t *testing.T) {
	b, err := openBook(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	series := metric.MustSeries("c", "web1", "gmond_requests", []metric.Label{{Name: "source", Value: "gmond"}}, "", metric.Counter)
	tell := func(p *polled, sec int64, v float64) float64 {
		t.Helper()
		x := &batch.Batch{Samples: []metric.Sample{{Series: series, Time: sec * 1000, Value: v}}}
		if err := p.take(t.Context(), "c", x); err != nil {
			t.Fatal(err)
		}
		return x.Samples[0].Value
	}
	const edge = float64(1 << 32)
	before := newPolled(t, b, newSink(), conf.HostNames{})
	tell(before, 1000, edge-10)
	if got := tell(before, 1010, 5); got != edge+5 {
		t.Fatalf("over the edge: got %v", got)
	}
	if got := tell(newPolled(t, b, newSink(), conf.HostNames{}), 1020, 9); got != edge+9 {
		t.Errorf("after a restart: got %v, want %v", got, edge+9)
	}
}
