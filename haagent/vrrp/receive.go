package vrrp

import (
	"net/netip"
	"slices"
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
		m.complain(p, &a, drop)
		if drop == DropIdle && a.Priority != 0 {
			m.successor()
		}
		return
	}
	m.Counters.Received++
	if a.Priority == 0 {
		m.Counters.ReceivedZero++
	}
	m.compare(p, &a, kind)
	n := m.neighbour(p.Source, true)
	n.Priority, n.Interval, n.Heard = a.Priority, a.Interval, m.now
	if m.Phase == Master {
		m.heardAsMaster(p.Source, &a)
		return
	}
	if a.Priority != 0 {
		m.successor()
	}
	m.heardAsBackup(p.Source, &a)
}

// judge makes the checks that need the configuration.
func (m *machine) judge(p *Packet, a *Advert) Drop {
	c := m.Config
	unicast := len(c.Peers) > 0
	switch {
	case FamilyOf(p.Source) != c.Family:
		return DropFamily
	case unicast && p.TTL < c.MinTTL:
		return DropTTL
	case a.Version != c.Version:
		return DropVersion
	case a.VRID != c.VRID:
		return DropVRID
	case unicast && p.Dest.IsMulticast(), !unicast && p.Dest != c.Group:
		return DropDest
	case p.Source == m.Source:
		return DropOwn
	case unicast && !slices.Contains(c.Peers, p.Source):
		return DropPeer
	}
	if a.Version == 2 {
		switch {
		case a.AuthType != c.authType():
			return DropAuth
		case c.Password != nil && a.Password != *c.Password:
			return DropPassword
		case a.Interval != c.Interval:
			return DropMismatch
		case c.Strict && a.Priority != PriorityOwner && !a.Addresses.Equal(c.packed):
			return DropAddresses
		}
	}
	if m.Phase == Init || m.Phase == Fault {
		return DropIdle
	}
	return Accepted
}

// heardAsMaster is what RFC 9568 section 6.4.3 says of an advertisement.
func (m *machine) heardAsMaster(src netip.Addr, a *Advert) {
	wins := a.Priority > m.Priority || a.Priority == m.Priority && src.Compare(m.Source) > 0
	if a.Priority == PriorityOwner && m.Priority == PriorityOwner && m.news(src, NoticeTwoOwners, true) {
		m.tell(src, NoticeTwoOwners, "%s claims priority 255 too: only one router can own the addresses", src)
	}
	switch {
	case a.Priority == 0:
		m.advertNow()
		m.announceIfSilent()
	case wins:
		m.yield(src, a)
	default:
		// The other one holds the addresses too. It must hear at once that it has lost, and the neighbours that
		// believed it must be told again.
		m.Counters.Discarded++
		m.rival(src, a)
		m.advertNow()
		m.announceIfSilent()
	}
}

func (m *machine) announceIfSilent() {
	if m.now.Sub(m.announced) >= time.Second {
		m.announce(m.Config.Announce.Count)
	}
}

// answerEvery bounds the advertisements that others' can provoke.
const answerEvery = 10 * time.Millisecond

func (m *machine) advertNow() {
	if m.now.Sub(m.answeredAt) < min(answerEvery, m.Config.Interval) {
		return
	}
	m.answeredAt = m.now
	m.send(m.Priority)
	m.advertAt = m.nextAdvert()
}

// rival reports another master at the same time. The last word of one that has just lost is none.
func (m *machine) rival(src netip.Addr, a *Advert) {
	if m.now.Sub(m.Since) < m.Config.Interval/2 {
		return
	}
	if m.news(src, NoticeRival, true) {
		m.tell(src, NoticeRival, "%s is master too, with priority %d against ours, %d: both hold the addresses", src, a.Priority, m.Priority)
	}
	if m.rivalSince.IsZero() {
		m.rivalSince = m.now
	}
	if m.now.Sub(m.rivalSince) > m.Config.masterDown(a.Priority, m.Config.Interval) && m.news(src, NoticeDeaf, true) {
		m.tell(src, NoticeDeaf, "%s goes on being master: it does not hear this router, or refuses what it hears (a filter for protocol 112, another checksum, password or list of addresses); look at its log", src)
	}
}

// yield advertises a last time, so that the winner hears a lower priority and announces itself again to neighbours
// that only now can believe it, and lets the addresses go when the requests under way are done.
func (m *machine) yield(src netip.Addr, a *Advert) {
	reason := m.whyYield(src, a)
	m.send(m.Priority)
	m.lingerOn()
	m.toBackup(reason, a.Interval)
	m.Master = Peer{Address: src, Priority: a.Priority, Interval: a.Interval, Heard: m.now}
}
