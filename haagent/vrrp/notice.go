package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// NoticeKind names what is wrong.
type NoticeKind string

// The kinds of notice.
const (
	NoticeAddresses  NoticeKind = "addresses"   // the peer's list of virtual addresses differs
	NoticeChecksum   NoticeKind = "checksum"    // the peer computes the checksum the other way
	NoticeInterval   NoticeKind = "interval"    // the peer's interval differs
	NoticeOwnAddress NoticeKind = "own_address" // our own source address was heard
	NoticeTwoOwners  NoticeKind = "two_owners"  // two routers claim priority 255
	NoticeVersion    NoticeKind = "version"     // the peer speaks the other version
	NoticeAuth       NoticeKind = "auth"        // the peer's authentication or password differs
	NoticeUnicast    NoticeKind = "unicast"     // the peer sends to the group where peers are configured, or the other way round
	NoticeRival      NoticeKind = "split_brain" // another router is master at the same time
	NoticeDeaf       NoticeKind = "deaf_peer"   // it goes on being master: it does not hear this router
	NoticeStall      NoticeKind = "stall"       // this process was stopped for longer than others wait
	NoticeQuorum     NoticeKind = "quorum"      // the master is silent, but the quorum is missing
	NoticeFence      NoticeKind = "fence"       // the master is silent, but its death is not confirmed
	NoticeNobody     NoticeKind = "no_successor"
)

// noticeKinds are those that are about a peer, each told once.
var noticeKinds = [...]NoticeKind{
	NoticeAddresses, NoticeChecksum, NoticeInterval, NoticeOwnAddress, NoticeTwoOwners, NoticeVersion, NoticeAuth,
	NoticeUnicast, NoticeRival, NoticeDeaf,
}

func (k NoticeKind) bit() uint16 { return 1 << slices.Index(noticeKinds[:], k) }

// complain tells of a refused packet where an operator could repair something: two masters come of most of these.
func (m *machine) complain(p *Packet, a *Advert, drop Drop) {
	once := func(kind NoticeKind, format string, args ...any) {
		if m.news(p.Source, kind, true) {
			m.tell(p.Source, kind, format, args...)
		}
	}
	switch drop {
	case DropOwn:
		once(NoticeOwnAddress, "an advertisement came from this router's own address %s: a loop, or a second router with that address", p.Source)
	case DropVersion:
		if a.VRID == m.Config.VRID {
			once(NoticeVersion, "%s speaks version %d, this router version %d: neither hears the other, make them the same", p.Source, a.Version, m.Config.Version)
		}
	case DropAuth:
		once(NoticeAuth, "%s authenticates with type %d, this router with type %d: neither hears the other, make them the same (%d none, %d password)",
			p.Source, a.AuthType, m.Config.authType(), AuthNone, AuthPassword)
	case DropPassword:
		once(NoticeAuth, "%s has another password: neither hears the other, make them the same", p.Source)
	case DropMismatch:
		once(NoticeInterval, "%s advertises every %s, this router every %s: version 2 refuses that, and both become master; make them the same", p.Source, a.Interval, m.Config.Interval)
	case DropAddresses:
		once(NoticeAddresses, "%s advertises the addresses %s, this router has %s: refused (strict), make them the same on all routers", p.Source, a.Addresses, m.Config.packed)
	case DropDest:
		if a.VRID == m.Config.VRID {
			once(NoticeUnicast, "%s advertises to %s, this router to %s: neither hears the other, make peers the same on all routers", p.Source, p.Dest, m.Config.Destinations()[0])
		}
	}
}

func (c *Config) authType() uint8 {
	if c.Password != nil {
		return AuthPassword
	}
	return AuthNone
}

// compare reports where the peer's configuration differs. None of it is a reason to drop: RFC 9568 section 7.1
// wants a log line, and a router that does drop makes two masters.
func (m *machine) compare(p *Packet, a *Advert, kind Checksum) {
	if kind == WithPseudoHeader {
		m.Counters.PseudoHeader++
	} else {
		m.Counters.MessageOnly++
	}
	if m.Config.Compare == CompareEach || m.Config.Compare == CompareFirst && m.Master.Address != p.Source {
		differs := !a.Addresses.Equal(m.Config.packed)
		if differs {
			m.Counters.AddressMismatch++
		}
		if m.news(p.Source, NoticeAddresses, differs) {
			m.tell(p.Source, NoticeAddresses, "%s advertises the addresses %s, this router has %s: make them the same on all routers", p.Source, a.Addresses, m.Config.packed)
		}
	}
	if m.news(p.Source, NoticeChecksum, a.Version == 3 && m.Config.Family == IPv4 && kind != m.Config.Checksum) {
		m.tell(p.Source, NoticeChecksum, "%s computes the checksum the other way and may drop what this router sends: set checksum to %s here", p.Source, kind)
	}
	if m.news(p.Source, NoticeInterval, a.Interval != m.Config.Interval) {
		m.tell(p.Source, NoticeInterval, "%s advertises every %s, this router is set to %s: make them the same on all routers", p.Source, a.Interval, m.Config.Interval)
	}
}

// Notices come from packets that anybody may send: at most so many in so long.
const (
	noticesAtMost = 32
	noticesIn     = time.Minute
)

func (m *machine) tell(peer netip.Addr, kind NoticeKind, format string, args ...any) {
	if m.now.Sub(m.noticesFrom) >= noticesIn {
		m.noticesFrom, m.notices = m.now, 0
	}
	if m.notices++; m.notices > noticesAtMost {
		return
	}
	m.do(Notice{Kind: kind, Peer: peer, Text: fmt.Sprintf(format, args...)})
}

// news tells whether something wrong with a peer has not been told yet. Each is told once, and again after the peer
// was right for a while.
func (m *machine) news(peer netip.Addr, kind NoticeKind, wrong bool) bool {
	n := m.neighbour(peer, wrong)
	if n == nil {
		return false
	}
	news := wrong && n.kinds&kind.bit() == 0
	if wrong {
		n.kinds |= kind.bit()
	} else {
		n.kinds &^= kind.bit()
	}
	return news
}

// neighbour finds a router among those heard; add makes room for a new one, at the cost of the oldest entry.
func (m *machine) neighbour(peer netip.Addr, add bool) *Neighbour {
	for i := range m.heard {
		if m.heard[i].Address == peer {
			return &m.heard[i]
		}
	}
	if !add {
		return nil
	}
	n := &m.heard[m.heardNext]
	m.heardNext = (m.heardNext + 1) % len(m.heard)
	*n = Neighbour{Peer: Peer{Address: peer}}
	return n
}
