package extractor

import (
	"fmt"
	"net"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

// aggregator notes which aggregator the records to come are of.
func (k *clocks) aggregator(addr string, p *page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.Aggregators[addr]
	k.addr, k.read, k.beat, k.known = addr, time.Time{}, 0, known
}

// aggregatorOffset is that of the clock by which the present records were received. page.mu is held.
func (t *taker) aggregatorOffset() int64 {
	if e := t.page.Aggregators[t.clocks.addr]; e != nil {
		return e.Offset
	}
	return 0
}

// greeted compares the aggregator's clock with ours when its stream begins: it was what it told between our hello and
// its first record.
func (t *taker) greeted(told int64, asked, read time.Time, l *load) {
	if told > 0 && read.Sub(asked) <= surely {
		t.agrees(asked.Add(read.Sub(asked)/2), told, l)
	}
}

// surely is how exactly the aggregator's clock must be known.
const surely = 900 * time.Millisecond

// Two heartbeats are half a second apart at their sender; nearly so long apart at their reader, none of the two lay
// about before it was read.
const (
	beatLeast = 300 * time.Millisecond
	beatMost  = 2 * time.Second
)

// readAt compares the aggregator's clock with ours by its heartbeats; now is when the record was read.
func (t *taker) readAt(rec *frame.Record, now time.Time, l *load) {
	if t.filling || !rec.Heartbeat {
		return
	}
	k := &t.clocks
	here, there := now.Sub(k.read), time.Duration(rec.Received-k.beat)*time.Millisecond
	live := !k.read.IsZero() && here >= beatLeast && here <= beatMost && there >= beatLeast && here-there < beatLeast && there-here < beatLeast
	k.read, k.beat = now, rec.Received
	if live {
		t.agrees(now, rec.Received, l)
	}
}

// agrees notes that the aggregator's clock said that much when ours said now.
func (t *taker) agrees(now time.Time, said int64, l *load) {
	k := &t.clocks
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	if t.page.Aggregators == nil {
		t.page.Aggregators = make(map[string]*aggregatorClock)
	}
	a, offset := t.page.Aggregators[k.addr], now.UnixMilli()-said
	if a == nil {
		a = &aggregatorClock{}
		a.first(offset)
		t.page.Aggregators[k.addr] = a
	} else {
		a.observe(offset, skewSure)
	}
	k.known = true
	if worth(a.Offset) == a.Told {
		return
	}
	a.Told = worth(a.Offset)
	t.tellAggregator(a, now, l)
}

// aggregatorClock is what is known of an aggregator's clock.
type aggregatorClock struct {
	estimate
	Told int64 `json:"told,omitempty"` // offset that was told last
}

func (t *taker) tellAggregator(a *aggregatorClock, now time.Time, l *load) {
	addr := t.clocks.addr
	host, _, err := net.SplitHostPort(addr)
	if err != nil || metric.CheckHost("host", host) != nil {
		host = t.cluster
	}
	text := fmt.Sprintf("the clocks of collector %.60s and of its extractor agree again", addr)
	if a.Told != 0 {
		text = fmt.Sprintf("the clock of collector %.60s is %s, by that of its extractor: run chrony or systemd-timesyncd on both", addr, aheadOrBehind(a.Told))
		t.log.Warn("the collector's clock and this host's differ; run chrony or systemd-timesyncd on both", "collector", addr, "seconds_ahead", -a.Told/1000)
	}
	addEvent(metric.Event{
		ID: fmt.Sprintf("clock-collector-%.60s-%d", addr, now.UnixMilli()), Cluster: t.cluster, Host: host, Time: now.UnixMilli(),
		Kind: metric.EventClockSkew, Text: text, Labels: []metric.Label{{Name: "collector", Value: addr}, {Name: "seconds_ahead", Value: fmt.Sprint(-a.Told / 1000)}},
	}, l)
}
