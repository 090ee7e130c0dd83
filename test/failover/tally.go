package main

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// tally follows the masters of some virtual routers as the client's wire shows them.
type tally struct {
	mu  sync.Mutex
	all map[int]*record
}

// record is what one virtual router's advertisements showed.
type record struct {
	interval time.Duration
	first    netip.Addr // the master that everybody agreed on
	master   netip.Addr // who advertised last
	last     time.Time
	adverts  int
	takes    int           // times that another than the first began to advertise
	farewell int           // advertisements of priority 0
	longest  time.Duration // pause between two advertisements of the same router
	late     int           // pauses over one and a half intervals
}

// newTally begins with a master that everybody agrees on.
func newTally(master *side, all []setup) *tally {
	t := &tally{all: make(map[int]*record)}
	for _, s := range all {
		t.all[s.vrid] = &record{interval: s.interval, first: master.address, master: master.address}
	}
	return t
}

func (t *tally) add(a advert) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.all[a.vrid]
	if r == nil {
		return
	}
	if a.priority == 0 {
		r.farewell++
		return
	}
	r.adverts++
	if a.from != r.master && a.from != r.first {
		r.takes++
	} else if a.from == r.master && !r.last.IsZero() {
		pause := a.at.Sub(r.last)
		r.longest = max(r.longest, pause)
		if pause > r.interval*3/2 {
			r.late++
		}
	}
	r.master, r.last = a.from, a.at
}

// of copies a record. A master that fell silent shows as a pause that lasts until now.
func (t *tally) of(vrid int) record {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := *t.all[vrid]
	if !r.last.IsZero() {
		r.longest = max(r.longest, time.Since(r.last)-r.interval)
	}
	return r
}

// settle starts fresh agents of a system on both nodes and waits until a is master of all and b is backup.
func (r *rig) settle(sys system, all []setup) error {
	if err := r.clear(); err != nil {
		return err
	}
	for _, s := range []*side{r.a, r.b} {
		mine := append([]setup(nil), all...)
		for i := range mine {
			mine[i].priority = 254
			if s == r.b {
				mine[i].priority = 253
			}
		}
		if err := sys.configure(s, mine...); err != nil {
			return err
		}
		if err := sys.start(s); err != nil {
			return err
		}
	}
	return r.await("a steady state", func() error { return r.agreed(sys) })
}

// agreed tells whether a says that it is master of all and b that it is backup.
func (r *rig) agreed(sys system) error {
	for _, s := range []*side{r.a, r.b} {
		want := "master"
		if s == r.b {
			want = "backup"
		}
		if !s.agent.alive() {
			return fmt.Errorf("agent %c: %w; it said:\n%s", s.letter, errEnded, s.agent.said())
		}
		if got, err := sys.state(s); err != nil || got != want {
			return fmt.Errorf("%c is %s, want %s: %w", s.letter, got, want, err)
		}
	}
	return nil
}

// pause waits, or ends early with the context.
func (r *rig) pause(d time.Duration) error {
	select {
	case <-r.ctx.Done():
		return r.ctx.Err()
	case <-time.After(d):
		return nil
	}
}
