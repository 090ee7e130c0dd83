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
	gapSeconds       = metrics.GetOrCreateFloatCounter(`keepwatch_extractor_gap_seconds_total`)
	hostsRefused     = metrics.GetOrCreateCounter(`keepwatch_extractor_hosts_refused_total`)
)

const (
	sweepEvery = 30 * time.Minute
	maxSeries  = 4_000_000

	// gmondSlack is how far apart two aggregators may put one gmond packet: it carries no time, so each takes the
	// time at which it came, by its own clock.
	gmondSlack = 1000 // ms

	// maxHole is the longest time without a record that is no hole: heartbeats come every 500 ms.
	maxHole = 5000 // ms
)

// taker turns records into the content of loads. Time is what the aggregator's clock says, so that the same stream
// gives the same result whenever it is read.
type taker struct {
	page     *page
	names    *normalize.Normalizer
	rules    *normalize.Names
	log      *slog.Logger
	hostDmax int64 // ms
	interval int64 // ms, of a frame that promises none
	dec      batch.Decoder
	frames   windows
	events   recent
	gmond    map[*metric.Series]gmondLast
	source   int // number of the present connection's aggregator
	sources  map[string]int
	greeted  bool  // a heartbeat of this connection has been seen
	asked    int64 // since of this connection
	tick     int64 // when hosts are looked at next, ms
	heardTo  int64 // time of the last record, ms
	unbroken int64 // since when there is no hole in what was heard, ms
	swept    int64
	hostKey  []byte
	wrapped  int64 // when the page was told which counters have wrapped, ms

	conflicts int // of hosts, told so far
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
	t.names.Restore(p.Wraps)
	t.regroup(t.heardTo, nil)
	return t
}

// normalize gives all that a load holds the names of the vocabulary, once, when nothing is added any more.
func (t *taker) normalize(l *load) {
	t.names.Batch(&l.b, t.keptAs)
	if t.heardTo-t.wrapped < saveEvery.Milliseconds() {
		return
	}
	t.wrapped = t.heardTo
	wraps := t.names.Wraps()
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	t.page.Wraps = wraps
}

// connected says that the records to come are of another connection.
func (t *taker) connected(addr string) {
	n, ok := t.sources[addr]
	if !ok {
		n = len(t.sources) + 1
		t.sources[addr] = n
	}
	t.source, t.greeted, t.asked = n, false, t.page.since()
}

// record adds what a record holds to l.
func (t *taker) record(rec *frame.Record, l *load) {
	l.received = max(l.received, rec.Received)
	if rec.Received-t.heardTo > maxHole {
		t.unbroken = rec.Received
	}
	t.heardTo = rec.Received
	t.hostsDue(rec.Received, l)
	if rec.Heartbeat {
		t.gap(rec)
		return
	}
	framesPulled.Inc()
	switch {
	case rec.Err != nil:
		framesUnopened.Inc()
		t.log.Debug("a frame in the stream does not open", "err", rec.Err)
	case !t.frames.mark(rec.Frame.Origin, rec.Received):
		framesDuplicate.Inc()
	default:
		t.frame(rec, l)
	}
	if rec.Received-t.swept > sweepEvery.Milliseconds() {
		t.sweep(rec.Received)
	}
}

// gap tells once a connection when the aggregator holds less than was asked for.
func (t *taker) gap(rec *frame.Record) {
	if t.greeted {
		return
	}
	t.greeted = true
	if lost := rec.Oldest - t.asked; t.asked > 0 && lost > maxHole {
		gapSeconds.Add(float64(lost) / 1000)
		t.log.Error("some of the cluster's samples are lost: the extractor was away for longer than its collectors remember",
			"seconds", lost/1000)
	}
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
	if !rec.Frame.Derived {
		t.heard(l.b.Samples[samples:], &rec.Frame, rec.Received, l)
	}
	if rec.Frame.Gmond {
		l.b.Samples = append(l.b.Samples[:samples], t.newGmond(l.b.Samples[samples:])...)
	}
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
		if last.source != 0 && s.Time <= limit {
			gmondDuplicate.Inc()
			continue
		}
		t.gmond[s.Series] = gmondLast{s.Time, t.source}
		out = append(out, s)
	}
	return out
}

func (t *taker) sweep(now int64) {
	t.swept = now
	t.dec.Sweep()
	t.names.Sweep()
	t.frames.sweep(now)
	for s, last := range t.gmond {
		if now-last.time > 2*sweepEvery.Milliseconds() {
			delete(t.gmond, s)
		}
	}
}
