package haagent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/link"
	"keepwatch/haagent/notify"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// inputs is how many inputs may wait for a unit: packets past it are dropped and counted, since the next
// advertisement says the same again.
const inputs = 256

// unit drives one virtual router, or those of a sync group: it alone steps their states, and has its members carry
// out what comes of it. It also renews the leases of their addresses itself: a unit that stands still loses them.
// There is no queue and no other goroutine between its timer and the socket.
type unit struct {
	*shared
	name     string // of the group; empty: a single router
	members  []*instance
	names    []string
	lifetime time.Duration
	addrs    *link.Addresses
	notify   atomic.Pointer[conf.Notify] // of the group
	fencer   func(*unit, *instance, vrrp.Fence)

	in      chan input
	packets chan packet
	freeze  chan struct{} // closed: end without a word, another unit goes on with the states
	ctx     context.Context
	stop    context.CancelFunc
	ended   chan struct{}
	states  []vrrp.State // of run alone until ended
	alive   atomic.Int64 // when run last went round, for the sign of life
	reason  reason
}

// input is for one member; what it is may have to be found out when its turn comes.
type input struct {
	member *instance
	made   func() vrrp.Input // nil of it: there is no step to take
}

type packet struct {
	member *instance
	*vrrp.Packet
}

// reason is the last transition's of a group.
type reason struct {
	mu   sync.Mutex
	text string
}

func (r *reason) set(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = text
}

func (r *reason) get() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text
}

// run drives the routers until ctx ends, then leaves with a word to the others and serves until one of them does.
func (u *unit) run() {
	defer close(u.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	renew := time.NewTicker(u.lifetime / 2)
	defer renew.Stop()
	for _, m := range u.members {
		if u.states[u.index(m)].Phase == vrrp.Init {
			u.step(m, vrrp.Start{})
		}
	}
	sleep := newSleep()
	done := u.ctx.Done()
	for {
		now := time.Now()
		u.alive.Store(now.UnixNano())
		if done == nil && !u.leaving() {
			return
		}
		deadline, armed := u.deadline()
		if armed {
			timer.Reset(deadline.Sub(now))
		} else {
			timer.Stop()
		}
		select {
		case <-u.freeze:
			return
		case <-done:
			done = nil
			for _, m := range u.members {
				u.step(m, vrrp.Shutdown{})
			}
		case <-timer.C:
			u.tick(sleep.since())
		case p := <-u.packets:
			u.step(p.member, vrrp.Received{Packet: p.Packet})
		case in := <-u.in:
			if made := in.made(); made != nil {
				u.step(in.member, made)
			}
		case <-renew.C:
			u.renew()
		}
	}
}

func (u *unit) index(m *instance) int {
	for n := range u.members {
		if u.members[n] == m {
			return n
		}
	}
	return -1
}

func (u *unit) leaving() bool {
	for n := range u.states {
		if u.states[n].Leaving() {
			return true
		}
	}
	return false
}

func (u *unit) deadline() (first time.Time, armed bool) {
	for n := range u.states {
		if at, ok := u.states[n].Deadline(); ok && (!armed || at.Before(first)) {
			first, armed = at, true
		}
	}
	return first, armed
}

// tick serves the timers that are due, after all packets that came before: when this process was stopped for a while
// both wait, and the timer must not say that nobody was heard.
func (u *unit) tick(asleep time.Duration) {
	now := time.Now()
	for n, m := range u.members {
		s := &u.states[n]
		if at, ok := s.Deadline(); ok && !now.Before(at) && s.Phase == vrrp.Master {
			m.noteLateness(now, now.Sub(at))
		}
	}
	if u.hearFirst() {
		now = time.Now()
	}
	for n, m := range u.members {
		if at, ok := u.states[n].Deadline(); ok && !now.Before(at) || asleep > 0 {
			u.step(m, vrrp.Tick{Asleep: asleep})
		}
	}
}

// hearFirst judges what waits in the sockets of routers that are not master: a master has nothing to miss.
func (u *unit) hearFirst() (heard bool) {
	for n, m := range u.members {
		if u.states[n].Phase == vrrp.Backup {
			m.port.drain()
		}
	}
	for range inputs {
		select {
		case p := <-u.packets:
			u.step(p.member, vrrp.Received{Packet: p.Packet})
			heard = true
		default:
			return heard
		}
	}
	return heard
}

func (u *unit) renew() {
	now := time.Now()
	for n, m := range u.members {
		if u.states[n].Holding {
			m.renew(now)
		}
		m.forgetConflicts(now)
	}
}

// hear takes a packet from a socket's reader without ever making it wait. What cannot be an advertisement is counted
// here, so that a flood of it does not push an advertisement out of the queue.
func (u *unit) hear(m *instance, p *vrrp.Packet) {
	if _, _, drop := vrrp.Decode(p); drop != vrrp.Accepted {
		m.refused[drop].Add(1)
		return
	}
	select {
	case u.packets <- packet{m, clone(p)}:
	default:
		m.flooded.Add(1)
	}
}

// tell hands over an input that must not be lost. It waits only while the unit is alive.
func (u *unit) tell(m *instance, in vrrp.Input) { u.tellMade(m, func() vrrp.Input { return in }) }

// tellMade is tell for an input that the unit finds out itself.
func (u *unit) tellMade(m *instance, made func() vrrp.Input) {
	select {
	case u.in <- input{m, made}:
	case <-u.ended:
	}
}

func (u *unit) step(m *instance, in vrrp.Input) {
	now := time.Now()
	states, actions := vrrp.StepGroup(u.states, u.names, u.index(m), in, now)
	u.states = states
	for _, a := range actions {
		member := u.members[a.Member]
		if f, ok := a.Action.(vrrp.Fence); ok {
			u.fencer(u, member, f)
			continue
		}
		member.do(&u.states[a.Member], a.Action, now)
		if t, ok := a.Action.(vrrp.Transition); ok && u.name != "" {
			u.groupTransition(t, now)
		}
	}
	for n, member := range u.members {
		member.publish(&u.states[n])
	}
}

// groupTransition tells a group's transition once, when all members have made it.
func (u *unit) groupTransition(t vrrp.Transition, now time.Time) {
	for n := range u.states {
		if u.states[n].Phase != t.To {
			return
		}
	}
	u.reason.set(t.Reason)
	u.journal.add(now, "vrrp_group", "group "+u.name+": all are "+t.To.String()+": "+t.Reason, map[string]string{"group": u.name, "to": t.To.String(), "reason": t.Reason})
	for _, to := range []*conf.Notify{u.notify.Load(), u.global.Load()} {
		u.notifier.Tell(*to, notify.KindGroup, u.name, notifyState(t.To), int(t.Priority))
	}
}

// sleep tells for how long the machine stood still without its clock moving: CLOCK_BOOTTIME goes on over a suspend,
// the clock of timers does not.
type sleep struct{ gap time.Duration }

func newSleep() *sleep { return &sleep{gap: bootGap()} }

// sleepLeast is what the two clocks may be apart by reading one after the other.
const sleepLeast = 10 * time.Millisecond

func (s *sleep) since() time.Duration {
	gap := bootGap()
	slept := gap - s.gap
	s.gap = gap
	if slept < sleepLeast {
		return 0
	}
	return slept
}

func bootGap() time.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - mono.Nano())
}
