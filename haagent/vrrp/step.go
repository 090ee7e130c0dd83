package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Input is one thing that happened. The types below are all there are.
type Input interface{ input() }

// Start leaves Init.
type Start struct{}

// Shutdown returns to Init; a master says that it leaves.
type Shutdown struct{}

// Tick says that the time has come which State.Deadline asked for. One that is too early does nothing.
type Tick struct{}

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
	Detail string
}

// Reconfigure replaces the configuration without leaving the phase. Family and VRID must stay.
type Reconfigure struct{ Config }

func (Start) input()        {}
func (Shutdown) input()     {}
func (Tick) input()         {}
func (Received) input()     {}
func (LinkChanged) input()  {}
func (TrackChanged) input() {}
func (Reconfigure) input()  {}

// Action is one thing to do, in the order given. The types below are all there are.
type Action interface{ action() }

// SendAdvert sends Config.Advert(Priority).
type SendAdvert struct{ Priority uint8 }

// TakeAddresses puts the addresses on the interface, or renews them.
type TakeAddresses struct{ Addresses []netip.Prefix }

// ReleaseAddresses takes the addresses off the interface.
type ReleaseAddresses struct{ Addresses []netip.Prefix }

// Announce tells the neighbours who holds the addresses: a burst of gratuitous ARP or unsolicited NA.
type Announce struct{}

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
func (ReleaseAddresses) action() {}
func (Announce) action()         {}
func (Transition) action()       {}
func (Notice) action()           {}

// Step is the state machine: RFC 9568 section 6.4 with keepalived's Fault, tracks and preempt delay. It is a
// function of its arguments alone.
func Step(s State, in Input, now time.Time) (State, []Action) {
	m := machine{State: s, now: now}
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
		m.link(in)
	case TrackChanged:
		m.track(in)
	case Reconfigure:
		m.reconfigure(in.Config)
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
	if why := m.unfit(); why != "" {
		m.toFault(why)
		return
	}
	m.join("started")
}

// join enters the election: the owner of the addresses at the top, everybody else as backup with a full wait.
func (m *machine) join(reason string) {
	if m.Priority == PriorityOwner {
		m.toMaster(reason + ", as owner of the addresses")
		return
	}
	m.toBackup(reason, m.Config.Interval)
}

func (m *machine) shutdown() {
	if m.Phase == Master {
		m.farewell()
	}
	if m.Phase != Init {
		m.enter(Init, "stopped")
	}
}

// farewell gives the addresses up with a word. The word is said twice, because a lost one costs the network a full
// Master_Down.
func (m *machine) farewell() {
	m.send(0)
	m.send(0)
	m.do(ReleaseAddresses{m.Config.Addresses})
}

// send advertises, unless there is no address left to do it from.
func (m *machine) send(priority uint8) {
	if !m.Source.IsValid() {
		return
	}
	m.Counters.Sent++
	if priority == 0 {
		m.Counters.SentZero++
	}
	m.do(SendAdvert{priority})
}

// enter changes the phase and stops every timer; the callers start the ones that the new phase needs.
func (m *machine) enter(to Phase, reason string) {
	from := m.Phase
	m.Phase, m.Since, m.Reason = to, m.now, reason
	m.advertAt, m.downAt, m.preemptAt, m.announceAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	m.Master, m.lower, m.lowered, m.left = Peer{}, Peer{}, 0, false
	m.Counters.Transitions++
	m.do(Transition{From: from, To: to, Priority: m.Priority, Reason: reason})
}

func (m *machine) toBackup(reason string, masterInterval time.Duration) {
	m.enter(Backup, reason)
	m.masterInterval = masterInterval
	m.downAt = m.now.Add(MasterDown(m.Priority, masterInterval))
}

// toMaster advertises before it touches the interface: the other backups' timers run, the addresses can wait.
func (m *machine) toMaster(reason string) {
	m.send(m.Priority)
	m.do(TakeAddresses{m.Config.Addresses})
	m.do(Announce{})
	m.enter(Master, reason)
	m.masterInterval = m.Config.Interval
	m.advertAt = m.now.Add(m.Config.Interval)
	m.announced, m.bursts = m.now, 1
	m.announceAt = m.now.Add(announceAfter[0])
}

func (m *machine) toFault(reason string) {
	if m.Phase == Master {
		m.farewell()
	}
	m.enter(Fault, reason)
}

// announceAfter are the pauses between a master's announcements; the last one repeats. Switches and neighbours
// that lost the first burst, or learned another's after a split, are right again after the next.
var announceAfter = [...]time.Duration{time.Second, 4 * time.Second, time.Minute}

func (m *machine) tick() {
	due := func(t time.Time) bool { return !t.IsZero() && !m.now.Before(t) }
	if due(m.downAt) {
		m.toMaster(m.whyTakeOver())
		return
	}
	if due(m.advertAt) {
		m.advertise()
	}
	if due(m.announceAt) {
		m.do(Announce{})
		m.announceAt = m.now.Add(announceAfter[min(m.bursts, len(announceAfter)-1)])
		m.announced = m.now
		m.bursts++
	}
}

// advertise keeps the cadence when it is a little late and starts a new one when it is an interval late: a process
// that was stopped must not send what it missed.
func (m *machine) advertise() {
	late := m.now.Sub(m.advertAt)
	if late > 3*m.Config.Interval {
		m.Counters.Stalls++
		m.do(Notice{Kind: NoticeStall, Text: fmt.Sprintf("the agent stood still for %s: others may have taken the addresses meanwhile", seconds(late))})
	}
	m.advertAt = m.advertAt.Add(m.Config.Interval)
	if late >= m.Config.Interval {
		m.advertAt = m.now.Add(m.Config.Interval)
	}
	m.send(m.Priority)
}

func (m *machine) link(in LinkChanged) {
	m.LinkUp, m.Source, m.linkDetail = in.Up, in.Source, in.Detail
	m.settle(in.Detail)
}

func (m *machine) track(in TrackChanged) {
	i := slices.IndexFunc(m.Config.Tracks, func(t Track) bool { return t.Name == in.Name })
	if i < 0 || m.Config.Tracks[i].Up == in.Up {
		return
	}
	c := *m.Config
	c.Tracks = slices.Clone(c.Tracks)
	c.Tracks[i].Up, c.Tracks[i].Detail = in.Up, in.Detail
	m.Config = &c
	m.settle(c.Tracks[i].text())
}

// settle draws the consequences of a change of link, track or configuration; cause says which.
func (m *machine) settle(cause string) {
	if p := m.Config.effective(); p != m.Priority {
		m.change = fmt.Sprintf("%s: priority %d to %d", cause, m.Priority, p)
		if m.Phase == Backup {
			// keepalived moves the running timer by the difference; so do we, or the order of succession changes.
			m.downAt = m.downAt.Add(MasterDown(p, m.masterInterval) - MasterDown(m.Priority, m.masterInterval))
		}
		m.Priority = p
	}
	why := m.unfit()
	switch {
	case m.Phase == Init:
	case why != "" && m.Phase != Fault:
		m.toFault(why)
	case why == "" && m.Phase == Fault:
		m.join(cause)
	}
}

func (m *machine) reconfigure(next Config) {
	old := m.Config
	m.Config = next.pack()
	if m.Phase == Backup && !m.Master.Address.IsValid() {
		m.masterInterval = next.Interval
		m.downAt = m.downAt.Add(MasterDown(m.Priority, next.Interval) - MasterDown(m.Priority, old.Interval))
	}
	m.settle("configuration changed")
	if m.Phase != Master {
		return
	}
	added, removed := without(next.Addresses, old.Addresses), without(old.Addresses, next.Addresses)
	m.masterInterval = next.Interval
	if len(added) > 0 {
		m.do(TakeAddresses{next.Addresses})
	}
	m.send(m.Priority)
	m.advertAt = m.now.Add(next.Interval)
	if len(removed) > 0 {
		m.do(ReleaseAddresses{removed})
	}
	if len(added) > 0 {
		m.do(Announce{})
		m.announced = m.now
	}
}

func without(all, some []netip.Prefix) (rest []netip.Prefix) {
	for _, p := range all {
		if !slices.Contains(some, p) {
			rest = append(rest, p)
		}
	}
	return rest
}
