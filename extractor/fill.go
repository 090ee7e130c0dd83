package extractor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

var (
	gapSeconds = metrics.GetOrCreateFloatCounter(`keepwatch_extractor_gap_seconds_total`)
	fillsDone  = metrics.GetOrCreateCounter(`keepwatch_extractor_fills_total`)
)

const (
	remembered = 10 * time.Minute // for so long a collector holds what it heard

	// A collector whose oldest frame came so long before the stream broke has heard all that was missed. Less would not
	// do: the clocks of two collectors differ.
	coverMargin = 15 * time.Second

	fillAgain = 5 * time.Second // after a collector that could not be asked
)

// debts are the collectors that may have heard what is missing, since the collector that is followed now, or the one
// before, had not heard it or not yet told it when it died. Times are ms.
type debts struct {
	had    int64           // everything heard before was told; 0: this is the first run
	begin  int64           // from when on the followed one knows
	oldest int64           // the oldest frame that anyone who answered so far holds
	told   bool            // the followed one's is known: it says so when it has no more to tell
	owed   map[string]bool // whom to ask yet
	until  time.Time       // then nobody remembers it any more
	again  time.Time       // next try

	// What was on its way when the collector began that is followed now may reach the others later than that: they are
	// asked once more when this time has come.
	settled time.Time
	last    bool // round
}

// begins judges by the first record of a stream whether its collector heard all that came since the last one broke;
// if not, the others are asked before it is followed, so that samples come in their order.
func (p *pull) begins(ctx context.Context, addr string, rec *frame.Record) {
	begin, d := beginOf(rec), &p.debts
	if alone := len(p.cluster.Collectors) == 1; alone && d.had == 0 || begin <= d.had-coverMargin.Milliseconds() {
		p.paid()
		return
	}
	now := time.Now()
	if p.take.hole == nil {
		d.oldest, d.until = begin, now.Add(remembered)
		p.take.hole = make(map[*metric.Series]*hole)
	}
	p.take.breaks++
	d.begin, d.oldest, d.told = begin, min(d.oldest, begin), false
	d.again, d.settled, d.last = time.Time{}, now.Add(coverMargin), false
	if p.owe(addr); len(d.owed) == 0 {
		d.last, d.settled = true, now
	} else {
		p.log.Info("the collector has not heard all of what was missed; asking the others", "collector", addr)
	}
	p.pay(ctx, now)
}

// owe puts all collectors but one on the list of those to ask.
func (p *pull) owe(but string) {
	p.debts.owed = make(map[string]bool)
	for _, other := range p.cluster.Collectors {
		if other != but {
			p.debts.owed[other] = true
		}
	}
}

// tells takes from the followed collector what it holds.
func (p *pull) tells(ctx context.Context, rec *frame.Record) {
	d := &p.debts
	if p.take.hole != nil {
		if rec.Heartbeat {
			d.oldest, d.told = min(d.oldest, rec.Oldest), true
		}
		if rec.Heartbeat && rec.Oldest <= d.had-coverMargin.Milliseconds() {
			p.paid() // it has heard all, there was just little to hear
		} else {
			p.pay(ctx, time.Now())
		}
	}
	if p.take.hole == nil {
		d.had = rec.Received
	}
}

// paid ends what is owed: from here on everything that the followed collector tells is all there is.
func (p *pull) paid() {
	p.debts.owed, p.debts.again = nil, time.Time{}
	p.take.hole = nil
}

// pay asks those that are owed, as long as they may know more than the one that is followed.
func (p *pull) pay(ctx context.Context, now time.Time) {
	d := &p.debts
	if p.take.hole == nil || now.Before(d.again) {
		return
	}
	for _, f := range p.fillers(ctx) {
		if f.begin < d.begin+coverMargin.Milliseconds() && ctx.Err() == nil {
			if err := p.fill(ctx, f); err != nil {
				p.log.Debug("a collector that was asked for what is missing broke off", "collector", f.addr, "err", err)
				d.owed[f.addr] = true
			} else {
				fillsDone.Inc()
				d.oldest = min(d.oldest, f.begin)
			}
		}
		f.c.close()
	}
	switch {
	case ctx.Err() != nil:
	case len(d.owed) > 0 && now.Before(d.until):
		d.again = time.Now().Add(fillAgain)
	case now.Before(d.settled):
		d.again = d.settled
	case !d.last:
		if at := p.connected.Load(); at != nil {
			p.owe(*at)
		}
		d.last = true
	case d.told:
		p.paidUp()
	}
}

// paidUp ends what is owed when all have been asked, and tells what nobody knew.
func (p *pull) paidUp() {
	d := &p.debts
	if lost := d.oldest - d.had; d.had > 0 && lost > maxHole {
		gapSeconds.Add(float64(lost) / 1000)
		p.log.Error("some of the cluster's samples are lost: no collector remembers them; the extractor was away for more than ten minutes, or all collectors were restarted",
			"seconds", lost/1000)
	}
	p.paid()
}

// filler is a collector that answered when it was asked for what is missing.
type filler struct {
	addr  string
	c     *connection
	first frame.Record
	begin int64 // ms
	link  link
}

// fillers asks all that are owed; those that answer are owed no more. The one with the oldest frame comes first.
func (p *pull) fillers(ctx context.Context) (out []*filler) {
	for _, addr := range slices.Sorted(maps.Keys(p.debts.owed)) {
		c, err := p.open(ctx, addr, p.sinceWindow(addr, time.Now()))
		if err != nil {
			continue
		}
		f := &filler{addr: addr, c: c}
		if err := p.listen(f); err != nil {
			c.close()
			continue
		}
		delete(p.debts.owed, addr)
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b *filler) int { return cmp.Compare(a.begin, b.begin) })
	return out
}

// listen reads the first record of a filler, and what it tells of its clock.
func (p *pull) listen(f *filler) (err error) {
	if f.first, err = f.c.r.Next(); err != nil {
		return err
	}
	defer p.take.aside(f)()
	p.take.greeted(f.c.r.Clock(), f.c.asked, time.Now(), p.current)
	p.take.arrive(&f.first, time.Now(), p.current)
	f.link, f.begin = p.take.clocks.link, beginOf(&f.first)
	return nil
}

// aside lets records of a filler come; what it returns goes back to the one that is followed.
func (t *taker) aside(f *filler) (back func()) {
	source, link := t.source, t.clocks.link
	t.connected(f.addr)
	if f.link.addr != "" {
		t.clocks.link = f.link
	}
	t.filling = true
	return func() { t.source, t.clocks.link, t.filling = source, link, false }
}

// beginOf gives from when on a collector knows, by the first record of its stream.
func beginOf(rec *frame.Record) int64 {
	if rec.Heartbeat {
		return rec.Oldest
	}
	return rec.Received
}

// fill takes what a collector heard before the one that is followed began.
func (p *pull) fill(ctx context.Context, f *filler) error {
	defer p.take.aside(f)()
	p.take.breaks++
	defer func() { p.take.breaks++ }()
	for rec := f.first; ; {
		// gmond samples are known by their time only: what the followed one is to tell must not come before it.
		late := rec.Received - p.debts.begin
		if rec.Heartbeat || late > coverMargin.Milliseconds() {
			return nil
		}
		if !rec.Frame.Gmond || late < gmondSlack {
			p.take.record(&rec, p.current)
		}
		if len(p.current.b.Samples) >= flushSamples && !p.flush(ctx) {
			return ctx.Err()
		}
		err := f.c.conn.SetReadDeadline(time.Now().Add(silence))
		if err == nil {
			rec, err = f.c.r.Next()
		}
		if err != nil {
			return err
		}
		p.take.arrive(&rec, time.Now(), p.current)
	}
}
