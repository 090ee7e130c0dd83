package haagent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"keepwatch/haagent/link"
	"keepwatch/haagent/notify"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// unit drives one virtual router, or those of a sync group: it steps their states, and has its members carry out what
// comes of it. There is no queue and no other goroutine between its timer and the socket, nor between the socket and a
// step: who reads a packet takes the step. Its own goroutine serves the timers, and renews the leases of the addresses:
// a unit that stands still loses them.
//
// Whoever holds mu may ask for the agent's, never the other way round.
type unit struct {
	*shared
	name     string // of the group; empty: a single router
	members  []*instance
	names    []string
	lifetime time.Duration
	addrs    *link.Addresses
	notify   atomic.Pointer[conf.Notify] // of the group
	fencer   func(*unit, *instance, vrrp.Fence)

	in     chan input
	freeze chan struct{} // closed: end without a word, another unit goes on with the states
	ctx    context.Context
	stop   context.CancelFunc
	ended  chan struct{}
	alive  atomic.Int64 // when run last went round, for the sign of life
	reason reason

	mu      sync.Mutex // of all below, and of what the members do
	over    bool       // no step is taken any more
	states  []vrrp.State
	actions []vrrp.MemberAction
	timer   *time.Timer
	armed   time.Time // when timer fires; zero: it does not
}

// input is for one member; what it is may have to be found out when its turn comes.
type input struct {
	member *instance
	made   func() vrrp.Input // nil of it: there is no step to take
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
	defer u.end()
	renew := time.NewTicker(u.lifetime / 2)
	defer renew.Stop()
	u.begin()
	sleep := newSleep()
	done := u.ctx.Done()
	for {
		u.alive.Store(time.Now().UnixNano())
		if done == nil && !u.leaving() {
			return
		}
		select {
		case <-u.freeze:
			return
		case <-done:
			done = nil
			u.all(func(m *instance) { u.step(m, vrrp.Shutdown{}) })
		case <-u.timer.C:
			u.tick(sleep.since())
		case in := <-u.in:
			u.take(in)
		case <-renew.C:
			now := time.Now()
			u.all(func(m *instance) { u.renew(m, now) })
		}
	}
}

func (u *unit) begin() {
	u.all(func(m *instance) {
		if u.states[u.index(m)].Phase == vrrp.Init {
			u.step(m, vrrp.Start{})
		}
	})
}

func (u *unit) end() {
	u.mu.Lock()
	u.over = true
	u.timer.Stop()
	u.mu.Unlock()
	close(u.ended)
}

// hasEnded tells whether run has: a reload takes the unit apart then.
func (u *unit) hasEnded() bool {
	select {
	case <-u.ended:
		return true
	default:
		return false
	}
}

// all does something for each member, and sees to the timer.
func (u *unit) all(do func(*instance)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range u.members {
		do(m)
	}
	u.arm()
}

func (u *unit) take(in input) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if made := in.made(); made != nil {
		u.step(in.member, made)
	}
	u.arm()
}

// arm sets the timer where the next deadline is sooner than it fires. One that fires too soon costs a look, less than
// setting it with every packet. The caller holds mu.
func (u *unit) arm() {
	if deadline, ok := u.deadline(); ok && (u.armed.IsZero() || deadline.Before(u.armed)) {
		u.armed = deadline
		u.timer.Reset(time.Until(deadline))
	}
}

// state is a copy of a member's, for who asks.
func (u *unit) state(n int) vrrp.State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.states[n]
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
	u.mu.Lock()
	defer u.mu.Unlock()
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
// both wait, and the timer must not say that nobody was heard. A master has nothing to miss.
func (u *unit) tick(asleep time.Duration) {
	if u.due(asleep) {
		for _, m := range u.members {
			if m.Phase() == vrrp.Backup {
				m.port.drain()
			}
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.armed = time.Time{}
	now := time.Now()
	for n, m := range u.members {
		at, ok := u.states[n].Deadline()
		due := ok && !now.Before(at)
		if due && u.states[n].Phase == vrrp.Master {
			m.noteLateness(now, now.Sub(at))
		}
		if due || asleep > 0 {
			u.step(m, vrrp.Tick{Asleep: asleep})
		}
	}
	u.arm()
}

// due tells whether a timer is, and not one of a deadline that has moved since.
func (u *unit) due(asleep time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	deadline, ok := u.deadline()
	return asleep > 0 || ok && !time.Now().Before(deadline)
}

func (u *unit) renew(m *instance, now time.Time) {
	if u.states[u.index(m)].Holding {
		m.renew(now)
	}
	m.forgetConflicts(now)
}

// hear judges a packet and acts on it, in the goroutine of the socket's reader. What cannot be an advertisement is
// counted before anybody is held up by it.
func (u *unit) hear(m *instance, p *vrrp.Packet) {
	if _, _, drop := vrrp.Decode(p); drop != vrrp.Accepted {
		m.refused[drop].Add(1)
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return
	}
	u.step(m, vrrp.Received{Packet: p})
	u.arm()
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

// step takes one step. The caller holds mu.
func (u *unit) step(m *instance, in vrrp.Input) {
	now := time.Now()
	u.actions = vrrp.StepGroup(u.states, u.names, u.index(m), in, now, u.actions[:0])
	for _, a := range u.actions {
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
