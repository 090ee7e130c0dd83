package bfd

import "fmt"

// receive judges a packet and acts on it: RFC 5880 section 6.8.6. Each refusal is counted under its reason.
func (m *machine) receive(h *Heard) {
	p, drop := Decode(h)
	if drop == Accepted {
		drop = m.judge(&p)
	}
	if drop != Accepted {
		m.Counters.Dropped[drop]++
		return
	}
	known := m.Remote.Discriminator
	m.learn(&p)
	if m.Phase == AdminDown {
		m.Counters.Dropped[DropAdminDown]++
		return
	}
	m.Counters.Received++
	before := m.Phase
	m.follow(&p, known)
	switch {
	case p.Poll:
		m.answer()
	case m.Phase != before, m.ripe():
		m.transmit()
	}
}

// judge makes the checks that need the session.
func (m *machine) judge(p *Packet) Drop {
	switch {
	case p.Your != 0 && p.Your != m.Local:
		return DropYours
	case p.Auth:
		return DropAuth
	}
	return Accepted
}

// learn takes over what the packet says of the peer, ends a poll sequence that it answers and sets the timers anew.
func (m *machine) learn(p *Packet) {
	m.Remote = Remote{
		Discriminator: p.My, Phase: p.Phase, Diag: p.Diag, Multiplier: p.Multiplier, DesiredMinTx: p.DesiredMinTx,
		RequiredMinRx: p.RequiredMinRx, Demand: p.Demand, Heard: m.now,
	}
	m.asked = false
	if p.Final && m.Polling {
		// An answer to a poll that began before the last change says nothing about that change.
		m.Polling, m.pollAgain = m.pollAgain, false
		if !m.Polling {
			m.usedTx, m.usedRx = m.desiredTx, m.requiredRx
		}
	}
	m.await()
}

// follow changes the phase as the peer's asks for. known is the peer's discriminator before this packet.
func (m *machine) follow(p *Packet, known uint32) {
	switch {
	case p.Phase == AdminDown:
		if m.Phase != Down {
			m.lose(Changed{Admin: true, Diag: DiagPeerDown, Text: "peer is administratively down"})
		}
	case m.Phase == Down && p.Phase == Down:
		m.enter(Init, m.Diag)
	case m.Phase == Down && p.Phase == Init, m.Phase == Init && p.Phase >= Init:
		m.enter(Up, DiagNone)
		m.report(Changed{Up: true, Text: "the peer answers"})
	case m.Phase == Up && p.Phase == Down:
		m.lose(Changed{Diag: DiagPeerDown, Text: whyPeerDown(p, known)})
	}
}

func whyPeerDown(p *Packet, known uint32) string {
	switch {
	case known != 0 && known != p.My:
		return "the peer was started anew"
	case p.Diag == DiagSilent:
		return "the peer is heard, but says that it does not hear this node: " + p.Diag.String()
	}
	return fmt.Sprintf("the peer is heard and says that the session is down: %s", p.Diag)
}

// answer ends the peer's poll: at once, whatever the timers say, and never with a poll of its own (RFC 5880 sections
// 6.5 and 6.8.7).
func (m *machine) answer() {
	p := m.packet()
	p.Poll, p.Final = false, true
	m.send(p)
}

// ripe tells whether the next packet may leave already: jitter leaves the choice. One that leaves when the peer's
// comes spares the process a wake-up, and wake-ups are most of what a session costs.
func (m *machine) ripe() bool {
	return m.planned > 0 && !m.sendAt.IsZero() && !m.now.Before(m.sentAt.Add(shortest(m.planned)))
}
