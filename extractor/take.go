package extractor

import (
	"errors"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/collector/frame"
	"keepwatch/extractor/normalize"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

var (
	framesPulled     = metrics.GetOrCreateCounter(`keepwatch_extractor_frames_total`)
	framesDuplicate  = metrics.GetOrCreateCounter(`keepwatch_extractor_duplicate_frames_total`)
	framesUnopened   = metrics.GetOrCreateCounter(`keepwatch_extractor_frames_dropped_total{reason="sealed"}`)
	framesMalformed  = metrics.GetOrCreateCounter(`keepwatch_extractor_frames_dropped_total{reason="malformed"}`)
	framesTooMany    = metrics.GetOrCreateCounter(`keepwatch_extractor_frames_dropped_total{reason="too_many_series"}`)
	gmondDuplicate   = metrics.GetOrCreateCounter(`keepwatch_extractor_duplicate_samples_total{source="gmond"}`)
	eventsDuplicate  = metrics.GetOrCreateCounter(`keepwatch_extractor_duplicate_events_total`)
	samplesPublished = metrics.GetOrCreateCounter(`keepwatch_extractor_published_samples_total`)
	hostUpSamples    = metrics.GetOrCreateCounter(`keepwatch_extractor_host_up_samples_total`)
	eventsPublished  = metrics.GetOrCreateCounter(`keepwatch_extractor_published_events_total`)
	streamsLost      = metrics.GetOrCreateCounter(`keepwatch_extractor_streams_lost_total`)
	hostsRefused     = metrics.GetOrCreateCounter(`keepwatch_extractor_hosts_refused_total`)
)

const (
	sweepEvery = 30 * time.Minute
	maxSeries  = 4_000_000

	// gmondSlack is how far apart two aggregators may put one gmond packet: it carries no time, so each takes the
	// time at which it came, by its own clock.
	gmondSlack = 1000 // ms

	// gmondPending is how long an aggregator may keep a gmond sample before it is in a frame.
	gmondPending = 2000 // ms

	// maxHole is the longest time without a record that is no hole: heartbeats come every 500 ms.
	maxHole = 5000 // ms
)

// taker turns records into the content of loads. Time is when the aggregator received them, made ours by arrive, so that
// the same stream gives the same result whenever it is read.
type taker struct {
	cluster   string
	page      *page
	clocks    clocks
	names     *normalize.Normalizer
	rules     *normalize.Names
	log       *slog.Logger
	hostDmax  int64 // ms
	interval  int64 // ms, of a frame that promises none
	dec       batch.Decoder
	frames    windows
	events    recent
	gmond     map[*metric.Series]gmondLast
	source    int // number of the present connection's aggregator
	sources   map[string]int
	filling   bool                     // the records are of a collector that is asked for what is missing, not of the one that is followed
	hole      map[*metric.Series]*hole // of gmond, while others are to be asked for what is missing; nil: none are
	breaks    int                      // times since then that another one spoke
	elsewhere int64                    // gmond samples up to here came to an earlier run from another aggregator, ms
	floor     int64                    // what was received before it came to an earlier run, ms
	tick      int64                    // when hosts are looked at next, ms
	heardTo   int64                    // time of the last record, ms
	unbroken  int64                    // since when there is no hole in what was heard, ms
	swept     int64
	hostKey   []byte
	wrapped   int64 // when the page was told which counters have wrapped, ms
	wall      int64 // our clock when the last record came, ms

	conflicts int // of hosts, told so far
	sent      sent

	parting map[string]farewell // those of the page that are in a load
}

// gmondLast is the newest sample of a gmond series and which aggregator gave it.
type gmondLast struct {
	time   int64
	source int
}

func newTaker(names *normalize.Normalizer, rules *normalize.Names, p *page, hostDmax, interval time.Duration, log *slog.Logger) *taker {
	t := &taker{
		rules: rules,
		page:  p, names: names, log: log, hostDmax: hostDmax.Milliseconds(), interval: interval.Milliseconds(), dec: batch.Decoder{MaxSeries: maxSeries},
		gmond: make(map[*metric.Series]gmondLast), sources: make(map[string]int), heardTo: p.since(),
	}
	t.names.Restore(p.wraps())
	t.regroup(t.heardTo, nil)
	return t
}

// normalize gives all that a load holds the names of the vocabulary, once, when nothing is added any more.
func (t *taker) normalize(l *load) {
	t.names.Batch(&l.b, t.keptAs)
	l.b.Events = append(l.b.Events, l.farewells...) // of names that were kept, whoever has them now
	if t.heardTo-t.wrapped < saveEvery.Milliseconds() {
		return
	}
	t.wrapped = t.heardTo
	t.page.wrapped(t.names.Wraps())
}

// connected says that the records to come are of another connection.
func (t *taker) connected(addr string) {
	n, ok := t.sources[addr]
	if !ok {
		n = len(t.sources) + 1
		t.sources[addr] = n
	}
	t.source = n
	t.clocks.aggregator(addr, t.page)
}

// record adds what a record holds to l.
func (t *taker) record(rec *frame.Record, l *load) {
	if !t.filling {
		t.follow(rec, l)
	}
	if rec.Heartbeat {
		return
	}
	framesPulled.Inc()
	switch {
	case rec.Err != nil:
		framesUnopened.Inc()
		t.log.Debug("a frame in the stream does not open", "err", rec.Err)
	case rec.Known || rec.Received < t.floor || !t.frames.mark(rec.Frame.Origin, rec.Received, t.filling):
		framesDuplicate.Inc()
	default:
		t.frame(rec, l)
	}
	if rec.Received-t.swept > sweepEvery.Milliseconds() {
		t.sweep(rec.Received)
	}
}

// follow takes the time from the aggregator that is followed. While something is missing, all that is on the bus is
// what was there before it.
func (t *taker) follow(rec *frame.Record, l *load) {
	if t.hole == nil {
		l.received = max(l.received, rec.Received)
	}
	if rec.Received-t.heardTo > maxHole {
		t.unbroken = rec.Received
	}
	t.heardTo = rec.Received
	t.hostsDue(rec.Received, l)
}

func (t *taker) frame(rec *frame.Record, l *load) {
	samples, events := len(l.b.Samples), len(l.b.Events)
	err := t.dec.Decode(rec.Frame.Payload, &l.b)
	if errors.Is(err, batch.ErrTooManySeries) {
		t.sweep(rec.Received)
		err = t.dec.Decode(rec.Frame.Payload, &l.b)
	}
	switch {
	case errors.Is(err, batch.ErrTooManySeries):
		framesTooMany.Inc()
		return
	case err != nil:
		framesMalformed.Inc()
		t.log.Debug("a frame in the stream is malformed", "sender", rec.Frame.Host, "err", err)
		return
	}
	t.correct(&rec.Frame, rec.Received, l, samples, events)
	if !rec.Frame.Derived {
		t.heard(l.b.Samples[samples:], &rec.Frame, rec.Received, l)
	}
	if rec.Frame.Gmond {
		l.b.Samples = append(l.b.Samples[:samples], t.newGmond(l.b.Samples[samples:])...)
	}
	l.b.Samples = append(l.b.Samples[:samples], t.unsent(l.b.Samples[samples:], rec.Frame.Gmond)...)
	keep := l.b.Events[:events]
	for _, e := range l.b.Events[events:] {
		if t.events.add(e.Cluster + "\x00" + e.Host + "\x00" + e.ID) {
			keep = append(keep, e)
		} else {
			eventsDuplicate.Inc()
		}
	}
	l.b.Events = keep
}

// newGmond keeps the samples that are newer than what was had of their series.
func (t *taker) newGmond(in []metric.Sample) []metric.Sample {
	out := in[:0]
	for _, s := range in {
		last := t.gmond[s.Series]
		limit := last.time
		if last.source != t.source {
			limit += gmondSlack
		}
		if last.source == 0 && t.hole == nil {
			limit = t.elsewhere
		}
		switch {
		case s.Time > limit:
			if t.hole != nil {
				t.missed(s.Series).ends(span{last.time, s.Time}, t.breaks)
			}
			t.gmond[s.Series] = gmondLast{s.Time, t.source}
		case t.hole != nil && t.missed(s.Series).holds(s.Time):
		default:
			gmondDuplicate.Inc()
			continue
		}
		out = append(out, s)
	}
	return out
}

// maxSpans bounds the times without samples that are known of one series.
const maxSpans = 32

// span is a time without samples of a series, ms.
type span struct{ from, to int64 }

// hole is where samples of a gmond series may be missing: around each change of the collector that is followed.
type hole struct {
	breaks int // that are in spans
	spans  []span
}

func (t *taker) missed(s *metric.Series) *hole {
	h := t.hole[s]
	if h == nil {
		h = &hole{}
		t.hole[s] = h
	}
	return h
}

// ends notes the first sample after another collector began to speak, and the last one before it.
func (h *hole) ends(s span, breaks int) {
	if h.breaks != breaks && len(h.spans) < maxSpans {
		h.breaks, h.spans = breaks, append(h.spans, s)
	}
}

// holds says whether a sample of another collector is one that is missing, and that it is no more.
func (h *hole) holds(at int64) bool {
	for i, s := range h.spans {
		if at > s.from+gmondSlack && at < s.to-gmondSlack {
			h.spans[i].to = at
			if len(h.spans) < maxSpans {
				h.spans = append(h.spans, span{at, s.to})
			}
			return true
		}
	}
	return false
}

func (t *taker) sweep(now int64) {
	t.swept = now
	t.dec.Sweep()
	t.names.Sweep()
	t.frames.sweep(now)
	t.sweepClocks(now)
	t.sent.sweep(now)
	for s, last := range t.gmond {
		if now-last.time > 2*sweepEvery.Milliseconds() {
			delete(t.gmond, s)
		}
	}
}
