package gmond

import (
	"fmt"
	"net/netip"

	"keepwatch/internal/ganglia"
	"keepwatch/metric"
)

const (
	second = 1000 // ms
	hour   = 3600 * second

	// moved is after how much silence of a host's address another one takes its place without a conflict: four times
	// gmond's host_tmax, when Ganglia holds a host for down.
	moved = 80 * second
)

// host is one host, by the name that its packets claim. Times are ms since the epoch.
type host struct {
	name    string
	heard   int64
	started int64 // value of its heartbeat, s
	first   speaker
	metrics []uint32 // of the index, in the order of their arrival
	other   speaker  // the last one that was not first
	warned  int64    // when a conflict was last told

	made     int   // series that took the place of others in madeHour
	madeHour int64 // hours since the epoch
	turn     uint8 // of Sweep
	tag      any   // the caller's
}

// speaker is an address that speaks for a host.
type speaker struct {
	text  string     // as gmond's XML has it; of a spoofed packet whatever its sender wrote
	addr  netip.Addr // source of its packets, where they are not spoofed
	heard int64
}

// is compares without allocating; spoofed is the address of a spoofed packet, nil for others.
func (s *speaker) is(spoofed []byte, from netip.Addr) bool {
	if spoofed != nil {
		return s.text == string(spoofed)
	}
	return s.addr == from
}

// claim is whom a packet speaks of.
type claim struct {
	name    []byte
	address []byte // of a spoofed packet, else nil
}

func (t *Table) claimOf(p *Packet, from netip.Addr) (claim, error) {
	switch {
	case p.Legacy && p.Spoof:
		return claim{p.Host, p.Address}, nil
	case p.Legacy && from.IsValid():
		t.address = from.AppendTo(t.address[:0])
		return claim{name: t.address}, nil
	case p.Legacy:
		return claim{}, fmt.Errorf("%w: a packet of gmond before 3.1 without a source address", ErrHost)
	case !p.Spoof:
		return claim{name: p.Host}, nil
	}
	address, name, err := split(p.Host)
	return claim{name, address}, err
}

// newHost makes the host of a claim.
func (t *Table) newHost(c claim, from netip.Addr, now int64) (*host, error) {
	s := string(c.name)
	if err := metric.CheckHost("host", s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHost, err)
	}
	if len(t.hosts) >= t.opt.MaxHosts {
		return nil, fmt.Errorf("%w: %d, and now %q", ErrTooManyHosts, len(t.hosts), s)
	}
	h := &host{name: s, heard: now, first: newSpeaker(c.address, from, now), turn: t.dealt}
	if err := t.charge(h.cost()); err != nil {
		return nil, fmt.Errorf("%w, and now host %q", err, s)
	}
	t.dealt = (t.dealt + 1) % turns
	t.hosts[s] = h
	return h, nil
}

// cost is about how many bytes a host holds without its metrics, in a map that is half full.
func (h *host) cost() int64 {
	const fixed, addresses = 320, 2*metric.MaxHost + 32
	return fixed + addresses + int64(2*len(h.name))
}

func newSpeaker(spoofed []byte, from netip.Addr, now int64) speaker {
	s := speaker{addr: from, heard: now}
	switch {
	case spoofed != nil:
		s.text, s.addr = ganglia.Text(spoofed, metric.MaxHost), netip.Addr{}
	case from.IsValid():
		s.text = from.String()
	}
	return s
}

// spokenFor notes which address spoke for the host. It gives the address of one that disputes it with the first: at
// most once an hour, for a host behind two addresses is a mistake of the network or a forgery, and either goes on.
func (h *host) spokenFor(spoofed []byte, from netip.Addr, now int64) (conflict string) {
	if h.first.is(spoofed, from) {
		h.first.heard = now
		return ""
	}
	return h.disputed(spoofed, from, now)
}

func (h *host) disputed(spoofed []byte, from netip.Addr, now int64) (conflict string) {
	again := h.other.is(spoofed, from)
	if !again {
		s := newSpeaker(spoofed, from, now)
		if s.text == h.first.text { // once spoofed, once not
			if h.first.heard = now; spoofed == nil {
				h.first.addr = from
			}
			return ""
		}
		h.other = s
	}
	again = again && now-h.other.heard < hour
	h.other.heard = now
	gone := now-h.first.heard > moved
	if gone {
		h.first, h.other = h.other, h.first
	}
	if gone && !again || h.other.text == "" || h.warned != 0 && now-h.warned < hour {
		return ""
	}
	h.warned = now
	return h.other.text
}
