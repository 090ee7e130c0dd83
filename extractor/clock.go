package extractor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

const (
	skewMetric = "keepwatch_host_clock_skew_seconds"
	skewTold   = 2_000 // ms: an offset from here on is told

	forgetClock = int64(2 * 60 * 60 * 1000)
	maxClocks   = 100_000
)

// clock is what is known of the clock of one boot of a sender.
type clock struct {
	offsets
	Heard int64 `json:"heard"` // ms

	host     string // cluster, NUL, name
	series   *metric.Series
	interval int64
}

// clocks are those of all senders of a cluster, and of its aggregators.
type clocks struct {
	boots map[frame.Boot]*clock
	hosts map[string]*clock // the boot that told of its own host last

	link link // of the present records
}

// correct makes the times in a frame ours: those of its samples and events, which stand in l from there on. What an
// aggregator made itself has the aggregator's times.
func (t *taker) correct(f *frame.Frame, received int64, l *load, samples, events int) {
	by := t.offset(f, received, l, samples)
	if by == 0 {
		return
	}
	for i := range l.b.Samples[samples:] {
		l.b.Samples[samples+i].Time += by
	}
	for i := range l.b.Events[events:] {
		l.b.Events[events+i].Time += by
	}
}

func (t *taker) offset(f *frame.Frame, received int64, l *load, samples int) int64 {
	if f.Gmond || f.Derived {
		return t.ofAggregator(f, received)
	}
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	c := t.clockOf(f)
	t.observe(c, f, received, l)
	if n := len(l.b.Samples); n > samples && l.b.Samples[n-1].Series.Host == f.Host && l.b.Samples[n-1].Series.Cluster == f.Cluster {
		c.interval = max(f.Interval.Milliseconds(), hostUpEvery)
		t.clocks.hosts[c.host] = c
	}
	return c.of(f.Seq)
}

// ofAggregator is what the times of a frame are corrected by that its aggregator sealed at the time at which, as it is
// told now, it was received: the two differ by what the aggregator's clock was set by since. A gmond sample is told from
// that of another aggregator by its time alone, so that is kept to the millisecond. A derived frame may be one of another
// collector, and late.
func (t *taker) ofAggregator(f *frame.Frame, received int64) int64 {
	told := received - f.Sent
	if f.Gmond {
		return told
	}
	by, _ := t.page.offsetOf(t.clocks.link.addr)
	if moved := told - by; moved > skewMoved || moved < -skewMoved {
		return quantise(told)
	}
	return by
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

// observe estimates by the frames that come in their order. While it is not known how the clock by which they were
// received stands to ours, nobody's is taken for wrong.
func (t *taker) observe(c *clock, f *frame.Frame, received int64, l *load) {
	if !t.clocks.link.known || f.Seq <= c.Top {
		return
	}
	c.Heard = received
	if c.offsets.observe(f.Seq, f.Sent, received) || !t.told(c) {
		t.tellClock(c, f, received, l)
	}
}

// told reports whether what was said last of a host's clock still is right.
func (t *taker) told(c *clock) bool { return t.page.Skews[c.host] == worth(c.now()) }

// worth is the part of an offset that is told.
func worth(offset int64) int64 {
	if offset > -skewTold && offset < skewTold {
		return 0
	}
	return offset
}

// tellClock says by an event and in the log that a host's clock is wrong, otherwise wrong, or right again.
func (t *taker) tellClock(c *clock, f *frame.Frame, at int64, l *load) {
	now := worth(c.now())
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
	} else {
		t.log.Info("a host's clock is right again", "host", f.Host, "sender_cluster", f.Cluster)
	}
	addEvent(metric.Event{
		ID: fmt.Sprintf("clock-%v-%d-%d", f.Boot, c.Steps[len(c.Steps)-1].From, -now/1000), Cluster: f.Cluster, Host: f.Host, Time: at,
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
		l.b.Samples = append(l.b.Samples, metric.Sample{Series: c.series, Time: at, Value: float64(-c.now()) / 1000})
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
