package extractor

import (
	"fmt"
	"net"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

// link is the aggregator whose records are read now, and what they tell of its clock. From arrive on all times are ours.
type link struct {
	addr   string
	known  bool // its offset
	agreed bool // known by this stream

	last int64     // Received of the last record
	live bool      // which had just come
	read time.Time // when the last heartbeat was read
	beat int64     // and its Received
}

// aggregatorClock is what is known of an aggregator's clock.
type aggregatorClock struct {
	estimate
	Told int64 `json:"told,omitempty"` // offset that was told last
}

const (
	// surely is how exactly the aggregator's clock must be known, by how long its first answer took.
	surely = 900 * time.Millisecond

	// Two heartbeats are half a second apart at their sender; nearly so long apart at their reader, none of the two
	// lay about before it was read.
	beatLeast = 300 * time.Millisecond
	beatMost  = 2 * time.Second

	steppedBack = int64(1_000) // ms: records come in their order
	inTime      = int64(2_000) // ms: what is not older has just come
	tooEarly    = int64(1_250) // ms: more than an offset is inexact
)

// aggregator notes which aggregator the records to come are of.
func (k *clocks) aggregator(addr string, p *page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.Aggregators[addr]
	k.link = link{addr: addr, known: known}
}

// offsetOf is that of an aggregator's clock; not ok: nothing is known of it.
func (p *page) offsetOf(addr string) (offset int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.Aggregators[addr]
	if e == nil {
		return 0, false
	}
	return e.Offset, true
}

// greeted compares the aggregator's clock with ours when its stream begins: it was what it told between our hello and
// its first record.
func (t *taker) greeted(told int64, asked, read time.Time, l *load) {
	if told > 0 && read.Sub(asked) <= surely {
		t.agrees(asked.Add(read.Sub(asked)/2), told, (*estimate).set, l)
	}
}

// arrive gives a record that was read at now our times. On the way it compares the aggregator's clock with ours: by
// heartbeats, and when a record shows that one of the two was set.
func (t *taker) arrive(rec *frame.Record, now time.Time, l *load) {
	t.ourTime(now.UnixMilli(), l)
	k := &t.clocks.link
	offset, _ := t.page.offsetOf(k.addr)
	early := rec.Received+offset > now.UnixMilli()+tooEarly // nothing comes before it was received
	back := rec.Received < k.last-steppedBack
	switch {
	case early && k.agreed, back && k.live:
		t.agrees(now, rec.Received, (*estimate).set, l)
	case (early || back) && k.known:
		k.known, k.read = false, time.Time{} // by a clock that may be wrong nobody is judged
	case rec.Heartbeat && k.tells(rec.Received, now):
		t.agrees(now, rec.Received, (*estimate).observe, l)
	}
	offset, _ = t.page.offsetOf(k.addr)
	k.last, k.live = rec.Received, rec.Received+offset > now.UnixMilli()-inTime
	rec.Received = min(rec.Received+offset, now.UnixMilli())
	rec.Oldest = min(rec.Oldest+offset, rec.Received)
}

// tells notes a heartbeat and reports whether it tells the time.
func (k *link) tells(received int64, now time.Time) bool {
	here, there := now.Sub(k.read), time.Duration(received-k.beat)*time.Millisecond
	live := !k.read.IsZero() && here >= beatLeast && here <= beatMost && there >= beatLeast && here-there < beatLeast && there-here < beatLeast
	k.read, k.beat = now, received
	return live
}

// agrees notes that the aggregator's clock said that much when ours said at.
func (t *taker) agrees(at time.Time, said int64, note func(e *estimate, offset int64), l *load) {
	k := &t.clocks.link
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	if t.page.Aggregators == nil {
		t.page.Aggregators = make(map[string]*aggregatorClock)
	}
	a, offset := t.page.Aggregators[k.addr], at.UnixMilli()-said
	if a == nil {
		a = &aggregatorClock{}
		a.set(offset)
		t.page.Aggregators[k.addr] = a
	} else {
		note(&a.estimate, offset)
	}
	k.known, k.agreed = true, true
	now := worth(quantise(a.Offset))
	if now == a.Told {
		return
	}
	a.Told = now
	t.tellAggregator(a, at, l)
}

func (t *taker) tellAggregator(a *aggregatorClock, now time.Time, l *load) {
	addr := t.clocks.link.addr
	host, _, err := net.SplitHostPort(addr)
	if err != nil || metric.CheckHost("host", host) != nil {
		host = t.cluster
	}
	text := fmt.Sprintf("the clocks of collector %.60s and of its extractor agree again", addr)
	if a.Told != 0 {
		text = fmt.Sprintf("the clock of collector %.60s is %s, by that of its extractor: run chrony or systemd-timesyncd on both", addr, aheadOrBehind(a.Told))
		t.log.Warn("the collector's clock and this host's differ; run chrony or systemd-timesyncd on both", "collector", addr, "seconds_ahead", -a.Told/1000)
	} else {
		t.log.Info("the collector's clock and this host's agree again", "collector", addr)
	}
	addEvent(metric.Event{
		ID: fmt.Sprintf("clock-collector-%.60s-%d", addr, now.UnixMilli()), Cluster: t.cluster, Host: host, Time: now.UnixMilli(),
		Kind: metric.EventClockSkew, Text: text, Labels: []metric.Label{{Name: "collector", Value: addr}, {Name: "seconds_ahead", Value: fmt.Sprint(-a.Told / 1000)}},
	}, l)
}
