package gmond

import (
	"fmt"

	"keepwatch/internal/ganglia"
	"keepwatch/metric"
)

// take brings a packet to its metric.
func (t *Table) take(e *entry, name []byte, p *Packet, now int64, res *Result) error {
	if p.ID == Metadata || p.Legacy {
		if err := t.describe(e, name, p, now, res); err != nil {
			return err
		}
	}
	if p.ID == Metadata {
		res.Outcome = Learned
		if e.flags&pending == 0 {
			return nil
		}
		return t.join(e, e.valued, res)
	}
	if e.desc.special == isHeartbeat {
		if p.ID != ValueUint || p.Number == 0 { // of gmetric, which sends 0 as text and means that the host lives
			*res = t.alive(*res, now)
			return nil
		}
		e.host.started = int64(p.Number)
		res.Started = e.host.started
	}
	if err := t.keep(e, p, now); err != nil {
		return err
	}
	if e.desc.knowledge != told {
		if err := t.infer(e, name, p, now, res); err != nil || res.Outcome == Waiting {
			return err
		}
	} else if e.due(now) {
		res.Descr = e.desc
	}
	return t.join(e, now, res)
}

// describe gives e the metadata of p.
func (t *Table) describe(e *entry, name []byte, p *Packet, now int64, res *Result) error {
	before := e.desc
	d, err := t.descriptor(told, name, p, before)
	if err != nil {
		return err
	}
	t.drop(before)
	if before.knowledge != told {
		e.first = 0
	}
	if d != before {
		e.desc, e.asks = d, 0
		if !d.alike(before) {
			e.series = nil
			res.Retyped = before.knowledge == told
		}
	}
	e.meta = seconds(now)
	if e.due(now) {
		res.Descr = d
	}
	return nil
}

// due reports, once an hour, that the metadata of e, which is told, is to be published.
func (e *entry) due(now int64) bool {
	s := seconds(now)
	if e.first != 0 && s < e.first+hour/second {
		return false
	}
	e.first = max(s, 1)
	return true
}

// infer deals with a value whose metadata is not known: it waits, and after inferAfter its message tells the type.
// Metadata that never comes is no fault: gmetric sends it once, a deaf gmond never hears that it is wanted.
func (t *Table) infer(e *entry, name []byte, p *Packet, now int64, res *Result) error {
	res.Ask = t.ask(e, now)
	if e.desc.knowledge == unknown && seconds(now) < e.first+inferAfter {
		e.flags |= pending
		res.Outcome = Waiting
		return nil
	}
	d, err := t.descriptor(inferred, name, p, e.desc)
	if err != nil {
		return err
	}
	t.drop(e.desc)
	e.desc = d
	return nil
}

// A metric's metadata is asked for after 1, 2, 4, 8 and then each 10 minutes.
const (
	askFirst = 60  // s
	askLast  = 600 // s
)

// ask reports whether the metadata of e, which is not told, should be asked for now.
func (t *Table) ask(e *entry, now int64) bool {
	s := seconds(now)
	if s < e.meta {
		return false
	}
	if int64(s) != t.askedSecond {
		t.asked, t.askedSecond = 0, int64(s)
	}
	if t.asked >= t.opt.MaxAsks {
		return false
	}
	t.asked++
	wait := uint32(askLast)
	if w := uint32(askFirst) << e.asks; w < askLast {
		wait = w
		e.asks++
	}
	e.meta = s + wait
	return true
}

// join makes the sample of the value of e, whose metadata is known or inferred.
func (t *Table) join(e *entry, at int64, res *Result) error {
	e.flags &^= pending
	isText := ID(e.id) == ValueString
	switch {
	case e.desc.class == ganglia.Textual, isText && e.flags&numeric == 0 && e.desc.class == ganglia.ByValue:
		return t.joinText(e, at, res)
	case isText && e.flags&numeric == 0:
		return fmt.Errorf("%w: %.40q of %s on %q is no number", ErrValue, e.text.raw, e.desc.base, e.host.name)
	case !finite(e.number):
		return fmt.Errorf("%w: %v of %s on %q", ErrValue, e.number, e.desc.base, e.host.name)
	}
	if e.series == nil || e.flags&isInfo != 0 {
		if err := t.makeSeries(e, ""); err != nil {
			return err
		}
		e.flags &^= isInfo
	}
	value := round(e.number, ID(e.id), e.verb, int(e.decimal))
	res.Outcome, res.Sample = Joined, metric.Sample{Series: e.series, Time: at, Value: value}
	return nil
}

func (t *Table) joinText(e *entry, at int64, res *Result) error {
	if ID(e.id) != ValueString && e.verb != literal {
		var buf [400]byte // the longest float64 has 309 digits before its point
		v := e.verb
		if v == nothing {
			v = byID // an empty label value is no series
		}
		if _, err := t.keepText(e, appendPrinted(buf[:0], ID(e.id), v, int(e.decimal), e.number, nil)); err != nil {
			return err
		}
	}
	c := e.text
	if e.series == nil || e.flags&isInfo == 0 || !c.same {
		info := ganglia.Text(c.raw, metric.MaxLabelValue)
		if info == "" {
			return fmt.Errorf("%w: %s on %q is empty", ErrValue, e.desc.base, e.host.name)
		}
		if err := t.makeInfo(e, info); err != nil {
			return err
		}
	}
	res.Outcome, res.Sample = Joined, metric.Sample{Series: e.series, Time: at, Value: 1}
	return nil
}

// makeInfo brings the series of a text to what the text now says.
func (t *Table) makeInfo(e *entry, info string) error {
	c := e.text
	if e.series == nil || e.flags&isInfo == 0 || c.info != info {
		if grown := int64(2 * (len(info) - len(c.info))); grown > 0 {
			if err := t.charge(grown); err != nil {
				return err
			}
		} else {
			t.bytes += grown
		}
		c.info = info
		if err := t.makeSeries(e, info); err != nil {
			return err
		}
		e.flags |= isInfo
	}
	c.same = true
	return nil
}

// makeSeries makes the series of e anew; info is the value of a textual one, empty for a number. What hosts have in
// common they share.
func (t *Table) makeSeries(e *entry, info string) error {
	if err := t.mayMake(e); err != nil {
		return err
	}
	d := e.desc
	if d.series != nil && d.info == info {
		s, err := d.series.OfHost(e.host.name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMetric, err)
		}
		e.series, e.flags = s, e.flags|remade
		return nil
	}
	labels := []metric.Label{{Name: "source", Value: "gmond"}, {Name: "gmond_name", Value: d.orig}, {Name: "value", Value: info}}
	name, kind, unit := d.base, d.kind, d.unit
	if info != "" {
		name, kind, unit = d.base+ganglia.InfoSuffix, metric.State, metric.NoUnit
	}
	s, err := metric.NewSeries(t.opt.Cluster, e.host.name, name, labels, unit, kind)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMetric, err)
	}
	e.series, e.flags = s, e.flags|remade
	d.series, d.info = s, info
	return nil
}

// mayMake bounds the series that take the place of others: a string that never repeats, or a type that changes, would
// otherwise make one with each packet.
func (t *Table) mayMake(e *entry) error {
	if e.flags&remade == 0 {
		return nil
	}
	h := e.host
	if now := max(h.heard, 0) / hour; now != h.madeHour {
		h.made, h.madeHour = 0, now
	}
	if h.made >= t.opt.MaxMetrics {
		return fmt.Errorf("%w: %d made anew by %q in this hour", ErrTooManyMetrics, h.made, h.name)
	}
	h.made++
	return nil
}
