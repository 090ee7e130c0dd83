package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// receive judges a packet and acts on it. Each refusal is counted under its reason.
func (m *machine) receive(p *Packet) {
	a, kind, drop := Decode(p)
	if drop == Accepted {
		drop = m.judge(p, &a)
	}
	m.Counters.Dropped[drop]++
	if drop != Accepted {
		if drop == DropOwn && m.news(p.Source, NoticeOwnAddress, true) {
			m.tell(p.Source, NoticeOwnAddress, "an advertisement came from this router's own address %s: a loop, or a second router with that address", p.Source)
		}
		return
	}
	m.Counters.Received++
	if a.Priority == 0 {
		m.Counters.ReceivedZero++
	}
	m.compare(p, &a, kind)
	if m.Phase == Master {
		m.heardAsMaster(p.Source, &a)
	} else {
		m.heardAsBackup(p.Source, &a)
	}
}

// judge makes the checks that need the configuration.
func (m *machine) judge(p *Packet, a *Advert) Drop {
	switch {
	case FamilyOf(p.Source) != m.Config.Family:
		return DropFamily
	case a.Version != version:
		return DropVersion
	case a.VRID != m.Config.VRID:
		return DropVRID
	case p.Dest != m.Config.Family.Group():
		return DropDest
	case p.Source == m.Source:
		return DropOwn
	case m.Phase == Init || m.Phase == Fault:
		return DropIdle
	}
	return Accepted
}

// heardAsBackup is what RFC 9568 section 6.4.2 says of an advertisement.
func (m *machine) heardAsBackup(src netip.Addr, a *Advert) {
	switch {
	case a.Priority == 0:
		m.left = true
		if m.Master.Address != src {
			m.Master = Peer{Address: src, Interval: a.Interval}
		}
		m.Master.Heard = m.now
		m.downAt = m.now.Add(Skew(m.Priority, m.masterInterval))
	case a.Priority >= m.Priority:
		m.preemptAt = time.Time{}
		m.follow(src, a)
	case !m.preempts():
		m.follow(src, a)
	default:
		m.Counters.Discarded++
		m.lowered = 0
		if m.Master.Address == src {
			m.lowered = m.Master.Priority
		} else if m.lower.Address == src {
			m.lowered = m.lower.Priority
		}
		if m.lowered <= a.Priority {
			m.lowered = 0
		}
		m.lower = Peer{Address: src, Priority: a.Priority, Interval: a.Interval, Heard: m.now}
	}
}

// preempts tells whether a master of lower priority is to be ignored until the timer ends its time. It starts the
// preempt delay when it meets such a master first.
func (m *machine) preempts() bool {
	if m.Config.Priority == PriorityOwner {
		return true
	}
	if m.Config.NoPreempt {
		return false
	}
	if m.Config.PreemptDelay == 0 {
		return true
	}
	if m.preemptAt.IsZero() {
		m.preemptAt = m.now.Add(m.Config.PreemptDelay)
	}
	return !m.now.Before(m.preemptAt)
}

func (m *machine) follow(src netip.Addr, a *Advert) {
	m.Master = Peer{Address: src, Priority: a.Priority, Interval: a.Interval, Heard: m.now}
	m.lower, m.lowered, m.left = Peer{}, 0, false
	m.masterInterval = a.Interval
	m.downAt = m.now.Add(MasterDown(m.Priority, a.Interval))
}

// heardAsMaster is what RFC 9568 section 6.4.3 says of an advertisement.
func (m *machine) heardAsMaster(src netip.Addr, a *Advert) {
	wins := a.Priority > m.Priority || a.Priority == m.Priority && src.Compare(m.Source) > 0
	switch {
	case a.Priority == 0:
		m.advertNow()
	case wins:
		m.yield(src, a)
	default:
		// The other one holds the addresses too. It must hear at once that it has lost, and the neighbours that
		// believed it must be told again.
		m.Counters.Discarded++
		m.advertNow()
		if m.now.Sub(m.announced) >= time.Second {
			m.announced = m.now
			m.do(Announce{})
		}
	}
}

func (m *machine) advertNow() {
	m.send(m.Priority)
	m.advertAt = m.now.Add(m.Config.Interval)
}

// yield lets the addresses go and then advertises a last time: the winner hears a lower priority and announces
// itself again, to neighbours that only now can believe it.
func (m *machine) yield(src netip.Addr, a *Advert) {
	reason := m.whyYield(src, a)
	if a.Priority == PriorityOwner && m.Priority == PriorityOwner && m.news(src, NoticeTwoOwners, true) {
		m.tell(src, NoticeTwoOwners, "%s claims priority 255 too: only one router can own the addresses", src)
	}
	m.do(ReleaseAddresses{m.Config.Addresses})
	m.send(m.Priority)
	m.toBackup(reason, a.Interval)
	m.Master = Peer{Address: src, Priority: a.Priority, Interval: a.Interval, Heard: m.now}
}

// NoticeKind names what is wrong.
type NoticeKind string

// The kinds of notice.
const (
	NoticeAddresses  NoticeKind = "addresses"   // the peer's list of virtual addresses differs
	NoticeChecksum   NoticeKind = "checksum"    // the peer computes the checksum the other way
	NoticeInterval   NoticeKind = "interval"    // the peer's interval differs
	NoticeOwnAddress NoticeKind = "own_address" // our own source address was heard
	NoticeTwoOwners  NoticeKind = "two_owners"  // two routers claim priority 255
	NoticeStall      NoticeKind = "stall"       // this process was stopped for longer than others wait
)

func (k NoticeKind) bit() uint8 {
	for i, known := range [...]NoticeKind{NoticeAddresses, NoticeChecksum, NoticeInterval, NoticeOwnAddress, NoticeTwoOwners} {
		if k == known {
			return 1 << i
		}
	}
	return 0
}

// compare reports where the peer's configuration differs. None of it is a reason to drop: RFC 9568 section 7.1
// wants a log line, and a router that does drop makes two masters.
func (m *machine) compare(p *Packet, a *Advert, kind Checksum) {
	if kind == WithPseudoHeader {
		m.Counters.PseudoHeader++
	} else {
		m.Counters.MessageOnly++
	}
	differs := !a.Addresses.Equal(m.Config.packed)
	if differs {
		m.Counters.AddressMismatch++
	}
	if m.news(p.Source, NoticeAddresses, differs) {
		m.tell(p.Source, NoticeAddresses, "%s advertises the addresses %s, this router has %s: make them the same on all routers", p.Source, a.Addresses, m.Config.packed)
	}
	if m.news(p.Source, NoticeChecksum, m.Config.Family == IPv4 && kind != m.Config.Checksum) {
		m.tell(p.Source, NoticeChecksum, "%s computes the checksum the other way and may drop what this router sends: set checksum to %s here", p.Source, kind)
	}
	if m.news(p.Source, NoticeInterval, a.Interval != m.Config.Interval) {
		m.tell(p.Source, NoticeInterval, "%s advertises every %s, this router is set to %s: make them the same on all routers", p.Source, a.Interval, m.Config.Interval)
	}
}

func (m *machine) tell(peer netip.Addr, kind NoticeKind, format string, args ...any) {
	m.do(Notice{Kind: kind, Peer: peer, Text: fmt.Sprintf(format, args...)})
}

// news tells whether something wrong with a peer has not been told yet. Each is told once, and again after the peer
// was right for a while. A few peers are remembered.
func (m *machine) news(peer netip.Addr, kind NoticeKind, wrong bool) bool {
	i := 0
	for i < len(m.told) && m.told[i].peer != peer {
		i++
	}
	if i == len(m.told) {
		if !wrong {
			return false
		}
		i = m.toldNext
		m.toldNext = (m.toldNext + 1) % len(m.told)
		m.told[i] = told{peer: peer}
	}
	t, bit := &m.told[i], kind.bit()
	news := wrong && t.kinds&bit == 0
	if wrong {
		t.kinds |= bit
	} else {
		t.kinds &^= bit
	}
	return news
}
