package extractor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

// Times and offsets are ms. An offset is what must be added to a clock to make it ours.
const (
	skewMetric = "keepwatch_host_clock_skew_seconds"

	skewLeast = 1_000  // an offset below it is none
	skewMoved = 2_000  // an estimate stands until the offset has grown by more than this
	skewFell  = 750    // or fallen by more than this, which rounding alone does not do: since delay makes offsets too large, the smaller one is the truth
	skewTold  = 2_000  // an offset from here on is told
	skewSure  = 30_000 // no network is so slow: an offset that has grown by this is the clock's at once
	skewSpan  = 3      // else it must have grown for so many frames on end: one of them may have been late

	forgetClock = int64(2 * 60 * 60 * 1000)
	maxClocks   = 100_000
)

// estimate is an offset that is found by what comes in. Delay makes single ones too large, never too small.
type estimate struct {
	Offset int64 `json:"offset"` // whole seconds

	last [skewSpan]int64
	n    int
}

// first takes the offset of a clock of which nothing is known.
func (e *estimate) first(offset int64) { e.Offset = quantise(offset) }

// observe reports whether the estimate has changed.
func (e *estimate) observe(offset int64, sure int64) (changed bool) {
	e.last[e.n%skewSpan] = offset
	e.n++
	moved := offset - e.Offset
	if moved >= -skewFell && moved <= skewMoved {
		e.n, e.last[0] = 1, offset
		return false
	}
	if moved > skewMoved && moved < sure {
		if e.n < skewSpan {
			return false
		}
		offset = slices.Min(e.last[:])
		if offset-e.Offset <= skewMoved {
			return false
		}
	}
	e.n = 0
	before := e.Offset
	e.Offset = quantise(offset)
	return e.Offset != before
}

func quantise(offset int64) int64 {
	switch {
	case offset >= skewLeast:
		return (offset + 500) / 1000 * 1000
	case offset <= -skewLeast:
		return (offset - 500) / 1000 * 1000
	}
	return 0
}

// clock is what is known of the clock of one boot of a sender. A frame's times are always corrected by the same
// amount, whenever and from whichever aggregator it is pulled: what it is hangs on its sequence alone.
type clock struct {
	estimate
	From   uint64 `json:"from"`             // first sequence that is corrected by Offset
	Before int64  `json:"before,omitempty"` // what those before it are corrected by
	Top    uint64 `json:"top"`              // highest sequence that was observed
	Heard  int64  `json:"heard"`            // aggregator's clock

	host     string // cluster, NUL, name
	series   *metric.Series
	interval int64
}

// clocks are those of all senders of a cluster, and of its aggregators.
type clocks struct {
	boots map[frame.Boot]*clock
	hosts map[string]*clock // the boot that told of its own host last

	addr  string // of the aggregator that is followed
	read  time.Time
	beat  int64 // Received of its last heartbeat
	known bool  // its offset
}

// correct makes the times that a sender took by its own clock ours: those of the samples and events of a frame, which
// stand in l from there on. What an aggregator made itself has the aggregator's times.
func (t *taker) correct(f *frame.Frame, received int64, l *load, samples, events int) {
	if f.Gmond || f.Derived {
		return
	}
	told := l.b.Events[events:]
	t.page.mu.Lock()
	c := t.clockOf(f)
	t.observe(c, f, received, l)
	if n := len(l.b.Samples); n > samples && l.b.Samples[n-1].Series.Host == f.Host && l.b.Samples[n-1].Series.Cluster == f.Cluster {
		c.interval = max(f.Interval.Milliseconds(), hostUpEvery)
		t.clocks.hosts[c.host] = c
	}
	t.page.mu.Unlock()
	by := c.Offset
	if f.Seq < c.From {
		by = c.Before
	}
	if by == 0 {
		return
	}
	for i := range l.b.Samples[samples:] {
		l.b.Samples[samples+i].Time += by
	}
	for i := range told {
		l.b.Events[events+i].Time += by
	}
}

func (t *taker) clockOf(f *frame.Frame) *clock {
	k := &t.clocks
	c := k.boots[f.Boot]
	if c != nil {
		return c
	}
	if k.boots == nil {
		k.boots, k.hosts = make(map[frame.Boot]*clock), make(map[string]*clock)
	}
	if t.page.Clocks == nil {
		t.page.Clocks = make(map[string]*clock)
	}
	id := f.Boot.String()
	if c = t.page.Clocks[id]; c == nil {
		c = &clock{}
		if len(t.page.Clocks) < maxClocks {
			t.page.Clocks[id] = c
		}
	}
	c.host = string(t.key(f.Cluster, f.Host))
	if len(k.boots) < maxClocks {
		k.boots[f.Boot] = c
	}
	return c
}

// observe estimates by the frames that come in their order: one that was repaired comes late. While it is not known
// how the clock by which they were received stands to ours, nobody's is taken for wrong.
func (t *taker) observe(c *clock, f *frame.Frame, received int64, l *load) {
	if t.filling || !t.clocks.known || f.Seq <= c.Top {
		return
	}
	offset := received + t.aggregatorOffset() - f.Sent
	changed := false
	switch {
	case c.From == 0:
		c.first(offset)
		c.Before, c.From, changed = c.Offset, f.Seq, true
	default:
		before := c.Offset
		if changed = c.observe(offset, skewSure); changed {
			c.Before, c.From = before, f.Seq
		}
	}
	c.Top, c.Heard = f.Seq, received
	if changed || !t.told(c) {
		t.tellClock(c, f, received, l)
	}
}

// told reports whether what was said last of a host's clock still is right.
func (t *taker) told(c *clock) bool { return t.page.Skews[c.host] == worth(c.Offset) }

// worth is the part of an offset that is told.
func worth(offset int64) int64 {
	if offset > -skewTold && offset < skewTold {
		return 0
	}
	return offset
}

// tellClock says by an event and in the log that a host's clock is wrong, otherwise wrong, or right again.
func (t *taker) tellClock(c *clock, f *frame.Frame, at int64, l *load) {
	now := worth(c.Offset)
	if t.told(c) {
		return
	}
	if t.page.Skews == nil {
		t.page.Skews = make(map[string]int64)
	}
	if now == 0 {
		delete(t.page.Skews, c.host)
	} else if len(t.page.Skews) < maxClocks {
		t.page.Skews[c.host] = now
	}
	text := "the clock of " + f.Host + " is right again"
	if now != 0 {
		text = fmt.Sprintf("the clock of %s is %s: its samples are stored at the right time all the same; run chrony or systemd-timesyncd there", f.Host, aheadOrBehind(now))
		t.log.Warn("a host's clock is wrong; what it sends is corrected. Run chrony or systemd-timesyncd there", "host", f.Host, "sender_cluster", f.Cluster, "seconds_ahead", -now/1000)
	}
	addEvent(metric.Event{
		ID: fmt.Sprintf("clock-%v-%d-%d", f.Boot, c.From, -now/1000), Cluster: f.Cluster, Host: f.Host, Time: at + t.aggregatorOffset(),
		Kind: metric.EventClockSkew, Text: text, Labels: []metric.Label{{Name: "seconds_ahead", Value: fmt.Sprint(-now / 1000)}},
	}, l)
}

func aheadOrBehind(offset int64) string {
	if offset < 0 {
		return fmt.Sprintf("%d s ahead", -offset/1000)
	}
	return fmt.Sprintf("%d s behind", offset/1000)
}

func addEvent(e metric.Event, l *load) {
	if e.Check() == nil {
		l.b.Events = append(l.b.Events, e)
	}
}

// skewsDue says of every host that sends frames how far its clock is ahead. page.mu is held.
func (t *taker) skewsDue(at int64, l *load) {
	from := len(l.b.Samples)
	for key, c := range t.clocks.hosts {
		if at-c.Heard > missed*c.interval {
			if at-c.Heard > forgetClock {
				delete(t.clocks.hosts, key)
			}
			continue
		}
		if c.series == nil && !c.name(key) {
			delete(t.clocks.hosts, key)
			continue
		}
		l.b.Samples = append(l.b.Samples, metric.Sample{Series: c.series, Time: at, Value: float64(-c.Offset) / 1000})
	}
	slices.SortFunc(l.b.Samples[from:], func(a, b metric.Sample) int { return cmp.Compare(a.Series.Key(), b.Series.Key()) })
}

func (c *clock) name(key string) bool {
	cluster, host, _ := strings.Cut(key, "\x00")
	s, err := metric.NewSeries(cluster, host, skewMetric, nil, metric.Seconds, metric.Gauge)
	c.series = s
	return err == nil
}

// sweepClocks forgets the boots that have been silent for long.
func (t *taker) sweepClocks(now int64) {
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	for boot, c := range t.clocks.boots {
		if now-c.Heard > forgetClock {
			delete(t.clocks.boots, boot)
		}
	}
	for id, c := range t.page.Clocks {
		if c == nil || now-c.Heard > forgetClock {
			delete(t.page.Clocks, id)
		}
	}
	for key := range t.page.Skews {
		if t.page.Hosts[key] == nil {
			delete(t.page.Skews, key)
		}
	}
}
