package state

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"keepwatch/metric"
)

// tellEvery is how often an event tells of drops of one reason at most.
const tellEvery = int64(time.Minute / time.Millisecond)

// Dropped is how many inputs of one kind were not taken for one reason, since the start.
type Dropped struct {
	What   string // frames or gmond_packets, as the metric keepwatch_collector_WHAT_dropped_total has it
	Reason string // its label reason
	Count  uint64
}

// drops counts what was not taken and remembers who sent most of it. What it holds is bounded, whatever comes.
type drops struct {
	frames, packets []drop // by reason, as frameDrops and gmondDrops
}

type drop struct {
	total uint64
	told  uint64 // of total
	at    int64  // ms, when it was told
	loud  loudest
}

func newDrops() drops {
	return drops{frames: make([]drop, len(frameDrops)), packets: make([]drop, len(gmondDrops))}
}

// count notes one drop. name is the host that the input spoke of, as far as it was read.
func count(rs []reason, ds []drop, err error, name []byte, from netip.Addr) {
	i := slices.IndexFunc(rs, func(r reason) bool { return r.fits(err) })
	rs[i].counter.Inc()
	ds[i].total++
	if rs[i].tell != "" {
		ds[i].loud.add(from, name)
	}
}

func (r *reason) fits(err error) bool {
	return len(r.errs) == 0 || slices.ContainsFunc(r.errs, func(e error) bool { return errors.Is(err, e) })
}

// DroppedTotals is what was dropped since the start, only of reasons that occurred.
func (s *State) DroppedTotals() (out []Dropped) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops.each(func(r *reason, d *drop) {
		if d.total > 0 {
			out = append(out, Dropped{What: r.what, Reason: r.word, Count: d.total})
		}
	})
	return out
}

func (d *drops) each(f func(*reason, *drop)) {
	for i := range d.frames {
		f(&frameDrops[i], &d.frames[i])
	}
	for i := range d.packets {
		f(&gmondDrops[i], &d.packets[i])
	}
}

// clockSetBack takes what was told in the future for told now, so that it is told of again after a minute.
func (d *drops) clockSetBack(now int64) {
	d.each(func(_ *reason, x *drop) { x.at = min(x.at, now) })
}

// tell makes the events of drops that somebody should look at.
func (s *State) tell(now int64, events []metric.Event) []metric.Event {
	s.drops.each(func(r *reason, d *drop) {
		n := d.total - d.told
		if r.tell == "" || n == 0 || d.told > 0 && now-d.at < tellEvery {
			return
		}
		loud := d.loud.String()
		events = append(events, metric.Event{
			ID: fmt.Sprintf("dropped-%s-%s-%d", r.what, r.word, now), Cluster: s.opt.Cluster, Host: s.opt.Host, Time: now, Kind: metric.EventCollectorDropped,
			Text:   fmt.Sprintf("dropped %d %s (%s): %s. Most came from %s", n, strings.ReplaceAll(r.what, "_", " "), r.word, r.tell, loud),
			Labels: []metric.Label{{Name: "what", Value: r.what}, {Name: "reason", Value: r.word}, {Name: "count", Value: fmt.Sprint(n)}},
		})
		s.log.Warn("dropped what hosts sent: "+r.tell, "what", r.what, "reason", r.word, "count", n, "most_from", loud)
		d.told, d.at, d.loud = d.total, now, loudest{}
	})
	return events
}

const (
	loudSlots = 16
	loudNamed = 3
	loudName  = 64 // bytes of a name that are kept
)

// loudest finds the addresses that sent most of what was dropped in a bounded memory: a newcomer takes the place, and
// the count, of the one that sent least, so whoever sent more than a sixteenth of all is among them.
type loudest struct{ senders []loud }

type loud struct {
	addr netip.Addr
	name []byte // that it spoke of last
	n    uint64
}

func (l *loudest) add(addr netip.Addr, name []byte) {
	i := slices.IndexFunc(l.senders, func(x loud) bool { return x.addr == addr })
	switch {
	case i >= 0:
	case len(l.senders) < loudSlots:
		i = len(l.senders)
		l.senders = append(l.senders, loud{addr: addr})
	default:
		for j := range l.senders {
			if i < 0 || l.senders[j].n < l.senders[i].n {
				i = j
			}
		}
		l.senders[i].addr = addr
	}
	x := &l.senders[i]
	x.n++
	x.name = append(x.name[:0], name[:min(len(name), loudName)]...)
}

// String names the loudest. Names are quoted: they are what a stranger wrote.
func (l *loudest) String() string {
	slices.SortFunc(l.senders, func(a, b loud) int { return cmp.Compare(b.n, a.n) })
	var out []string
	for _, x := range l.senders[:min(len(l.senders), loudNamed)] {
		who := "this host"
		if x.addr.IsValid() {
			who = x.addr.String()
		}
		if len(x.name) > 0 {
			who += fmt.Sprintf(" (at last as %q)", x.name)
		}
		out = append(out, fmt.Sprintf("%s: %d", who, x.n))
	}
	return strings.Join(out, ", ")
}
