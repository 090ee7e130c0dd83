package vrrp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Input is one thing that happened. The types below are all there are.
type Input interface{ input() }

// Start leaves Init.
type Start struct{}

// Shutdown returns to Init; a master says that it leaves and serves until its successor does.
type Shutdown struct{}

// Tick says that the time has come which State.Deadline asked for. One that is too early does nothing. Asleep is
// for how long the whole machine stood still since the last Tick without its clock moving.
type Tick struct{ Asleep time.Duration }

// Received is a packet that the socket heard, whatever it is: Step judges it. The payload is not kept.
type Received struct{ *Packet }

// LinkChanged tells the state of the interface. Source is the address that advertisements leave from, invalid when
// the interface has none of the family.
type LinkChanged struct {
	Up     bool
	Source netip.Addr
	Detail string // "interface eth0 lost its carrier"
}

// TrackChanged tells the health of a track; names that the configuration does not use are ignored.
type TrackChanged struct {
	Name   string
	Up     bool
	Value  int // of a file
	Detail string
}

// PeerLost says that another signal than VRRP's, as BFD, has lost a router. Skew is its measure of who comes first
// when several hear it.
type PeerLost struct {
	Peer   netip.Addr
	Skew   time.Duration // of one interval of that signal
	Detail string
}

// Fenced answers the action Fence.
type Fenced struct {
	Dead   bool
	Detail string
}

// StepAside makes a master hand its addresses over and leave its successor alone, as long as that one lives.
type StepAside struct{ Why string }

// Reconfigure replaces the configuration without leaving the phase. Family and VRID must stay.
type Reconfigure struct{ Config }

// groupHold says why another member of the sync group keeps this one in Fault, "" when none does.
type groupHold struct{ why string }

// groupMaster and groupBackup take a member along with another one.
type (
	groupMaster struct{ reason string }
	groupBackup struct{ reason string }
)

func (Start) input()        {}
func (Shutdown) input()     {}
func (Tick) input()         {}
func (Received) input()     {}
func (LinkChanged) input()  {}
func (TrackChanged) input() {}
func (PeerLost) input()     {}
func (Fenced) input()       {}
func (StepAside) input()    {}
func (Reconfigure) input()  {}
func (groupHold) input()    {}
func (groupMaster) input()  {}
func (groupBackup) input()  {}

// Action is one thing to do, in the order given. The types below are all there are.
type Action interface{ action() }

// SendAdvert sends Config.Advert(Priority) to Config.Destinations.
type SendAdvert struct{ Priority uint8 }

// TakeAddresses puts those of the configured addresses on the interface that are not there.
type TakeAddresses struct{}

// TrimAddresses takes those off that are no longer configured.
type TrimAddresses struct{}

// ReleaseAddresses takes all addresses off the interface.
type ReleaseAddresses struct{}

// Announce tells the neighbours who holds the addresses: Count gratuitous ARP or unsolicited NA for each.
type Announce struct{ Count int }

// Succeed says from which router the addresses will probably come, so that what a handover needs is ready. With Now,
// right before TakeAddresses, they do come, and that router still serves: what is under way there should not be
// broken.
type Succeed struct {
	From netip.Addr
	Now  bool
}

// Fence asks for a confirmation that a silent master is dead; Fenced answers.
type Fence struct{ Master netip.Addr }

// Transition reports that the phase changed.
type Transition struct {
	From, To Phase
	Priority uint8 // effective
	Reason   string
}

// Notice reports something that an operator should repair and that changes no phase.
type Notice struct {
	Kind NoticeKind
	Peer netip.Addr // invalid when it is about this router alone
	Text string
}

func (SendAdvert) action()       {}
func (TakeAddresses) action()    {}
func (TrimAddresses) action()    {}
func (ReleaseAddresses) action() {}
func (Announce) action()         {}
func (Succeed) action()          {}
func (Fence) action()            {}
func (Transition) action()       {}
func (Notice) action()           {}

// Step is the state machine: RFC 9568 section 6.4 with keepalived's Fault, tracks and preempt delay, and a handover
// that makes before it breaks. It is a function of its arguments alone.
func Step(s State, in Input, now time.Time) (State, []Action) {
	m := machine{State: s, now: now}
	asleep := time.Duration(0)
	if t, ok := in.(Tick); ok {
		asleep = t.Asleep
	}
	m.noticeLateness(asleep)
	switch in := in.(type) {
	case Start:
		m.start()
	case Shutdown:
		m.shutdown()
	case Tick:
		m.tick()
	case Received:
		m.receive(in.Packet)
	case LinkChanged:
		m.LinkUp, m.Source, m.linkDetail = in.Up, in.Source, in.Detail
		m.settle(in.Detail)
	case TrackChanged:
		m.track(in)
	case PeerLost:
		m.peerLost(in)
	case Fenced:
		m.fenced(in)
	case StepAside:
		m.stepAside(in.Why)
	case Reconfigure:
		m.reconfigure(in.Config)
	case groupHold:
		m.groupWhy = in.why
		m.settle(cmp.Or(in.why, "the sync group is fit again"))
	case groupMaster:
		m.follower(in)
	case groupBackup:
		m.leaveWith(in.reason)
	}
	return m.State, m.out
}

// machine is a State in the middle of a Step.
type machine struct {
	State
	now time.Time
	out []Action
}

func (m *machine) do(a Action) { m.out = append(m.out, a) }

func (m *machine) start() {
	if m.Phase != Init {
		return
	}
	m.earliest = m.now.Add(m.Config.StartDelay)
	if why := m.unfit(); why != "" {
		m.toFault(why)
		return
	}
	m.join("started")
}

// join enters the election: the owner of the addresses at the top, everybody else as backup with a full wait.
func (m *machine) join(reason string) {
	if m.Priority == PriorityOwner && !m.now.Before(m.earliest) {
		m.toMaster(reason + ", as owner of the addresses")
		return
	}
	m.toBackup(reason, m.Config.Interval)
	if m.Priority == PriorityOwner {
		m.awaitMaster(0)
	}
}

func (m *machine) shutdown() {
	if m.Phase == Master {
		m.farewell()
	}
	m.Aside = ""
	if m.Phase != Init {
		m.enter(Init, "stopped")
	}
}

// enter changes the phase and stops every timer; the callers start the ones that the new phase needs. A handover
// under way goes on.
func (m *machine) enter(to Phase, reason string) {
	from := m.Phase
	m.Phase, m.Since, m.Reason = to, m.now, reason
	m.advertAt, m.downAt, m.preemptAt, m.announceAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	m.Master, m.lower, m.lowered, m.left, m.lost = Peer{}, Peer{}, 0, false, ""
	m.fencing, m.waited, m.rivalSince = false, false, time.Time{}
	m.Counters.Transitions++
	m.do(Transition{From: from, To: to, Priority: m.Priority, Reason: reason})
}

func (m *machine) toBackup(reason string, masterInterval time.Duration) {
	m.enter(Backup, reason)
	m.masterInterval = masterInterval
	m.awaitMaster(m.Config.masterDown(m.Priority, masterInterval))
}

// awaitMaster sets the time at which this backup takes over, not before the start delay has passed.
func (m *machine) awaitMaster(wait time.Duration) {
	m.downAt = m.now.Add(wait)
	if m.downAt.Before(m.earliest) {
		m.downAt = m.earliest
	}
}

func (m *machine) toFault(reason string) {
	switch {
	case m.Phase == Master && m.LinkUp && m.Source.IsValid():
		m.farewell()
	case m.Holding:
		m.release()
	}
	m.enter(Fault, reason)
}

func (m *machine) tick() {
	if m.due(m.downAt) {
		m.masterIsDown() // before letting go: a former master may take back what it still holds
	}
	if m.due(m.releaseAt) {
		m.letGo()
	}
	if m.due(m.advertAt) {
		m.advertise()
	}
	if m.due(m.announceAt) {
		m.announceAgain()
	}
}

func (m *machine) due(t time.Time) bool { return !t.IsZero() && !m.now.Before(t) }

func (m *machine) track(in TrackChanged) {
	c := *m.Config
	changed := ""
	update := func(t *Track) {
		if t.Name != in.Name || t.Up == in.Up && t.Value == in.Value {
			return
		}
		t.Up, t.Value, t.Detail = in.Up, in.Value, in.Detail
		changed = t.text()
	}
	c.Tracks = slices.Clone(c.Tracks)
	for i := range c.Tracks {
		update(&c.Tracks[i])
	}
	if c.Quorum != nil {
		q := *c.Quorum
		update(&q)
		c.Quorum = &q
	}
	if changed == "" {
		return
	}
	m.Config = &c
	m.settle(changed)
}

// settle draws the consequences of a change of link, track, group or configuration; cause says which.
func (m *machine) settle(cause string) {
	fell := false
	if p := m.Config.effective(); p != m.Priority {
		m.change = fmt.Sprintf("%s: priority %d to %d", cause, m.Priority, p)
		if m.Phase == Backup && !m.downAt.IsZero() {
			// keepalived moves the running timer by the difference; so do we, or the order of succession changes.
			m.downAt = m.downAt.Add(m.Config.skew(p, m.masterInterval) - m.Config.skew(m.Priority, m.masterInterval))
		}
		fell = p < m.Priority
		m.Priority = p
	}
	why := m.unfit()
	switch {
	case m.Phase == Init:
	case m.Phase == Fault && m.Holding && !m.LinkUp:
		m.release() // the handover has lost its way
	case why != "" && m.Phase != Fault:
		m.toFault(why)
	case why == "" && m.Phase == Fault:
		m.join(cause)
	case fell && m.Phase == Master && m.Config.Handover:
		m.offer(m.change)
	}
}

func (m *machine) reconfigure(next Config) {
	old := m.Config
	m.Config = next.pack()
	if m.Phase == Backup && !m.Master.Address.IsValid() && !m.downAt.IsZero() {
		m.masterInterval = next.Interval
		m.downAt = m.downAt.Add(m.Config.masterDown(m.Priority, next.Interval) - old.masterDown(m.Priority, old.Interval))
	}
	m.settle("configuration changed")
	if m.Phase != Master {
		return
	}
	m.masterInterval = next.Interval
	m.do(TakeAddresses{})
	m.send(m.Priority)
	m.advertAt = m.nextAdvert()
	m.do(TrimAddresses{})
	if len(without(m.Config.Addresses, old.Addresses)) > 0 {
		m.announce(next.Announce.Count)
	}
}

func without(all, some []netip.Addr) (rest []netip.Addr) {
	for _, a := range all {
		if !slices.Contains(some, a) {
			rest = append(rest, a)
		}
	}
	return rest
}
