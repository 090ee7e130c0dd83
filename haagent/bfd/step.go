package bfd

import (
	"fmt"
	"time"
)

// Input is one thing that happened. The types below are all there are.
type Input interface{ input() }

// Start begins the session.
type Start struct{}

// Stop holds the session down and says so to the peer a few times; Ticks must go on until Deadline wants none.
type Stop struct{}

// Tick says that the time has come which State.Deadline asked for. One that is too early does nothing.
type Tick struct{}

// Received is a packet that the socket heard, whatever it is: Step judges it. The payload is not kept.
type Received struct{ *Heard }

// Reconfigure replaces the configuration without leaving the phase.
type Reconfigure struct{ Config }

func (Start) input()       {}
func (Stop) input()        {}
func (Tick) input()        {}
func (Received) input()    {}
func (Reconfigure) input() {}

// Action is one thing to do, in the order given. The types below are all there are.
type Action interface{ action() }

// Send sends a packet to the peer.
type Send struct{ Packet }

// Changed reports that the session came up or went down, and once at the start that it is not up. A Stop is not
// reported: it says nothing about the peer.
type Changed struct {
	Up      bool
	Admin   bool          // the peer went down because its operator or its end wants it so: a farewell, not a death
	Diag    Diag          // of this node: DiagSilent is the peer's death or a cut, DiagPeerDown comes from a peer that lives
	Silence time.Duration // DiagSilent: how long the peer had not been heard
	Text    string
}

func (Send) action()    {}
func (Changed) action() {}

// Farewells are so many because each may be lost, and few and close because the process that sends them ends.
const (
	farewells     = 3
	farewellPause = 10 * time.Millisecond
)

// Step is the state machine: RFC 5880 section 6.8. It is a function of its arguments alone.
func Step(s State, in Input, now time.Time) (State, []Action) {
	m := machine{State: s, now: now}
	switch in := in.(type) {
	case Start:
		m.start()
	case Stop:
		m.stop()
	case Tick:
		m.tick()
	case Received:
		m.receive(in.Heard)
	case Reconfigure:
		m.Config = in.Config
		m.retime()
	}
	m.schedule()
	return m.State, m.out
}

// machine is a State in the middle of a Step.
type machine struct {
	State
	now time.Time
	out []Action
}

func (m *machine) start() {
	if m.Phase != AdminDown {
		return
	}
	m.farewells, m.sendAt, m.planned = 0, time.Time{}, 0
	m.enter(Down, DiagNone)
	m.report(Changed{Text: "no packet yet"})
}

func (m *machine) stop() {
	if m.Phase == AdminDown {
		return
	}
	unknown := m.Config.Passive && m.Remote.Discriminator == 0
	m.enter(AdminDown, DiagAdminDown)
	m.Reason = "stopped"
	m.Polling, m.pollAgain = false, false
	m.expireAt, m.sendAt, m.planned = time.Time{}, time.Time{}, 0
	if !unknown {
		m.farewells = farewells
		m.farewell()
	}
}

// farewell says once more that the session is held down.
func (m *machine) farewell() {
	m.transmit()
	m.farewells--
	m.sendAt = time.Time{}
	if m.farewells > 0 {
		m.sendAt = m.now.Add(farewellPause)
	}
}

func (m *machine) tick() {
	if due(m.expireAt, m.now) {
		m.expire()
	}
	if !due(m.sendAt, m.now) {
		return
	}
	if m.Phase == AdminDown {
		m.farewell()
	} else {
		m.transmit()
	}
}

// expire finds that the peer has been silent for the detection time: RFC 5880 section 6.8.4. A process or a host
// that stood still comes here late and without any packet of a peer that lives; it asks the peer by a poll, which
// is answered at once, and waits once more.
func (m *machine) expire() {
	silence, late := m.now.Sub(m.Remote.Heard), m.now.Sub(m.expireAt)
	live := m.Phase == Init || m.Phase == Up
	if live && !m.asked && late > m.ReceiveInterval() {
		m.asked = true
		m.Counters.Late++
		m.poll()
		m.expireAt = m.now.Add(m.DetectionTime())
		return
	}
	text := fmt.Sprintf("heard nothing from the peer for %s, its detection time is %s", round(silence), round(m.DetectionTime()))
	if m.asked {
		text += ", and it did not answer when this node asked after standing still itself"
	}
	// What the peer said last binds nobody any more: it may be another process by now.
	m.Remote, m.expireAt, m.asked = unheard, time.Time{}, false
	if live {
		m.lose(Changed{Diag: DiagSilent, Silence: silence, Text: text})
		m.transmit()
	}
}

// lose takes the session down.
func (m *machine) lose(c Changed) {
	wasUp := m.Phase == Up
	m.enter(Down, c.Diag)
	if wasUp {
		m.report(c)
	}
}

// enter changes the phase and what follows from it for the intervals.
func (m *machine) enter(to Phase, diag Diag) {
	m.Phase, m.Since, m.Diag = to, m.now, diag
	m.Counters.Transitions++
	m.retime()
}

func (m *machine) report(c Changed) {
	m.Reason = c.Text
	m.out = append(m.out, c)
}

// retime draws the consequences of a new phase or configuration for the intervals. A longer transmit interval and a
// shorter receive interval wait until the peer knows of them: RFC 5880 section 6.8.3.
func (m *machine) retime() {
	tx, rx := m.desired(), m.Config.Interval
	if tx != m.desiredTx || rx != m.requiredRx {
		m.desiredTx, m.requiredRx = tx, rx
		m.poll()
	}
	if m.Phase != Up || tx < m.usedTx {
		m.usedTx = tx
	}
	if m.Phase != Up || rx > m.usedRx {
		m.usedRx = rx
	}
	m.await()
}

// poll begins a poll sequence: the packets that are sent anyway ask for an answer, RFC 5880 section 6.5.
func (m *machine) poll() {
	m.pollAgain = m.Polling
	m.Polling = true
}

// await sets the end of the detection time anew.
func (m *machine) await() {
	if !m.Remote.Heard.IsZero() && m.Phase != AdminDown {
		m.expireAt = m.Remote.Heard.Add(m.DetectionTime())
	}
}

// transmit sends a packet now and reckons the next one from it.
func (m *machine) transmit() {
	m.send(m.packet())
	m.sentAt, m.planned = m.now, 0
}

func (m *machine) send(p Packet) {
	m.Counters.Sent++
	m.out = append(m.out, Send{p})
}

// schedule sets the time of the next packet after an input. A new interval counts from the last packet: RFC 5880
// section 6.8.3 wants a shorter one to be honoured at once.
func (m *machine) schedule() {
	if m.Phase == AdminDown {
		return
	}
	if m.quiet() {
		m.sendAt, m.planned = time.Time{}, 0
		return
	}
	if interval := m.TransmitInterval(); interval != m.planned {
		m.planned = interval
		m.sendAt = m.sentAt.Add(m.jittered(interval))
		if m.sendAt.Before(m.now) {
			m.sendAt = m.now
		}
	}
}

// round makes a duration readable.
func round(d time.Duration) time.Duration {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}
