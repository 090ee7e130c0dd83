package gmond

import (
	"fmt"

	"keepwatch/internal/ganglia"
	"keepwatch/metric"
)

// entry is one metric of one host. There are hundreds of thousands: each is one line of the processor's cache, and two
// of its times have a second meaning before its metadata is told.
type entry struct {
	host    *host
	desc    *Descriptor
	series  *metric.Series
	text    *content // of a value that came as text
	number  float64
	valued  int64  // ms since the epoch at which the value came
	first   uint32 // s since the epoch, of its first packet; once told: when its metadata was last published, 0: never
	meta    uint32 // s since the epoch before which its metadata is not asked for; once told: of its last metadata
	id      uint8  // ID of the value; 0: none has come
	verb    verb   // of the value's format
	decimal uint8  // of the verb fixed
	asks    uint8  // how often its metadata was asked for in vain
	flags   flags
}

type flags uint8

const (
	pending flags = 1 << iota // the value has not been given out as a sample
	numeric                   // the text of the value is number
	isInfo                    // series is that of a text
	remade                    // a series was made before
)

// content is the text of a value.
type content struct {
	raw  []byte
	info string // of the series: raw as label value
	same bool   // info is made of what raw now holds
}

// inferAfter is how long a value waits for its metadata, in seconds. gmond answers a request within 60 s for all that
// is collected regularly.
const inferAfter = 60

// inferredTMax is what gmetric says when it is told nothing, in seconds.
const inferredTMax = 60

// Estimates of bytes held: an entry, its slot in an index that is half full and its place in its host, its series with
// a key; a text, with the series that is often its own.
const (
	entryCost   = 64 + 16 + 8 + 112 + 40
	contentCost = 64 + 160
)

func (e *entry) cost() int64 { return entryCost + int64(len(e.host.name)+len(e.desc.base)) }

func (c *content) cost() int64 { return contentCost + int64(cap(c.raw)+2*len(c.info)) }

// newEntry makes a metric of which nothing is known but the name.
func (t *Table) newEntry(h *host, hash uint32, name []byte, now int64) (*entry, error) {
	if len(h.metrics) >= t.opt.MaxMetrics {
		return nil, fmt.Errorf("%w: %d of %q", ErrTooManyMetrics, len(h.metrics), h.name)
	}
	d, err := t.descriptor(unknown, name, nil, nil)
	if err != nil {
		return nil, err
	}
	fresh := entry{host: h, desc: d, first: seconds(now)}
	if err := t.charge(fresh.cost()); err != nil {
		t.drop(d)
		return nil, err
	}
	n, e := t.entries.add(hash)
	*e = fresh
	h.metrics = append(h.metrics, n)
	return e, nil
}

// forget takes metric n out of everything but its host.
func (t *Table) forget(n uint32) {
	e := t.entries.at(n)
	t.bytes -= e.cost()
	if e.text != nil {
		t.bytes -= e.text.cost()
	}
	t.drop(e.desc)
	t.entries.remove(t.hash([]byte(e.host.name), []byte(e.desc.Name)), n)
}

// keep holds the value of p as the last one of e.
func (t *Table) keep(e *entry, p *Packet, now int64) error {
	v, decimals := parseFormat(p.Format)
	switch {
	case p.ID == ValueString:
		changed, err := t.keepText(e, p.Text)
		if err != nil {
			return err
		}
		if changed || ID(e.id) != ValueString {
			n, ok := ganglia.Number(e.text.raw)
			if e.number, e.flags = n, e.flags&^numeric; ok {
				e.flags |= numeric
			}
		}
	case v == literal: // printed as it is
		if _, err := t.keepText(e, p.Format); err != nil {
			return err
		}
		e.number = p.Number
	default:
		e.number = p.Number
	}
	e.id, e.verb, e.decimal, e.valued = uint8(p.ID), v, uint8(decimals), now
	return nil
}

// keepText holds s in place of the text before it, whose memory it uses again.
func (t *Table) keepText(e *entry, s []byte) (changed bool, err error) {
	s = s[:min(len(s), maxText)]
	if e.text == nil {
		if err := t.charge((&content{}).cost()); err != nil {
			return false, err
		}
		e.text = new(content)
	}
	c := e.text
	if string(c.raw) == string(s) {
		return false, nil
	}
	if grown := (len(s) + 7) &^ 7; grown > cap(c.raw) {
		if err := t.charge(int64(grown - cap(c.raw))); err != nil {
			return false, err
		}
		c.raw = make([]byte, 0, grown)
	}
	c.raw, c.same = append(c.raw[:0], s...), false
	return true, nil
}

// seconds of a time in ms, as they are kept.
func seconds(ms int64) uint32 { return uint32(max(ms, 0) / second) }
