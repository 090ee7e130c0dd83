package extractor

import (
	"slices"
	"strings"

	"keepwatch/metric"
)

// A metric that was handed to `keepwatch send` comes twice where the collector has a gmond channel that a collector
// hears: in a frame of its host, which nobody but us reads, and in a gmond packet, which may be all that arrives.
// Whichever comes first is kept, and the other one is known by its value and its time.

const (
	gmondPrefix = "gmond_"

	// sentSlack is how far apart the two times may be: one is the sender's, the other one that of who heard the packet.
	sentSlack = 5000 // ms

	maxSent = 64 // samples of a series whose other copy is awaited
)

// sent are the series of `keepwatch send`.
type sent map[*metric.Series]*awaited

// awaited is what was kept of a series and has come once only.
type awaited struct {
	copies []once
	newest int64 // ms
}

type once struct {
	time  int64
	value float64
	gmond bool // by which way it came
}

// unsent keeps the samples of a frame that have not come the other way already.
func (t *taker) unsent(in []metric.Sample, gmond bool) []metric.Sample {
	if gmond && len(t.sent) == 0 {
		return in
	}
	out := in[:0]
	for _, s := range in {
		if t.first(s, gmond) {
			out = append(out, s)
		} else {
			gmondDuplicate.Inc()
		}
	}
	return out
}

func (t *taker) first(s metric.Sample, gmond bool) bool {
	if !strings.HasPrefix(s.Series.Name, gmondPrefix) {
		return true
	}
	a := t.sent[s.Series]
	switch {
	case a != nil:
		return a.add(once{s.Time, s.Value, gmond})
	case gmond:
		return true
	}
	if t.sent == nil {
		t.sent = make(sent)
	}
	a = &awaited{}
	t.sent[s.Series] = a
	if had, heard := t.gmond[s.Series]; heard && near(had.time, s.Time, gmondSlack) {
		a.newest = s.Time
		return false
	}
	return a.add(once{s.Time, s.Value, false})
}

// add reports whether a sample is the first of its two copies.
func (a *awaited) add(s once) bool {
	a.newest = max(a.newest, s.time)
	for i, c := range a.copies {
		if c.gmond != s.gmond && c.value == s.value && near(c.time, s.time, sentSlack) {
			a.copies = slices.Delete(a.copies, i, i+1)
			return false
		}
	}
	if len(a.copies) >= maxSent {
		a.copies = slices.Delete(a.copies, 0, 1)
	}
	a.copies = append(a.copies, s)
	return true
}

func near(a, b, slack int64) bool { return a-b <= slack && b-a <= slack }

// sweep forgets the series of which nothing came for long.
func (s sent) sweep(now int64) {
	for series, a := range s {
		if now-a.newest > 2*sweepEvery.Milliseconds() {
			delete(s, series)
		}
	}
}
