package session

import (
	"net/netip"
	"time"

	"keepwatch/haagent/bfd"
)

// SessionStatus is what a session knows at a moment.
type SessionStatus struct {
	Name       string
	Peer       netip.Addr
	Source     netip.Addr // invalid: the kernel's choice
	SourcePort uint16

	State string // admin_down, down, init or up
	Up    bool
	Since time.Time // of the state
	// Reason of the last change between up and not up.
	Reason      string
	Diag        string // why the session last went down, as the peer is told
	RemoteState string
	RemoteDiag  string
	LastHeard   time.Time // zero: never, or not for a detection time

	LocalDiscriminator  uint32
	RemoteDiscriminator uint32 // 0: not heard

	// Agreed with the peer, before jitter; 0: it is not heard, or wants no packets.
	TransmitInterval, ReceiveInterval, DetectionTime time.Duration
	Multiplier, RemoteMultiplier                     int

	Sent, Received uint64 // packets; received counts the accepted ones
	Transitions    uint64 // of the state
	Late           uint64 // times that this process stood still and asked the peer again before giving it up
	Dropped        map[string]uint64
	SendErrors     uint64
	LastError      string // empty: the last packet left
}

// Status is every session's, in the order of the configuration. It never waits for a session.
func (s *Set) Status() []SessionStatus {
	s.mu.RLock()
	sessions := s.sessions
	s.mu.RUnlock()
	all := make([]SessionStatus, 0, len(sessions))
	for _, n := range sessions {
		all = append(all, n.status())
	}
	return all
}

// Strays is how many packets came that belong to no session: neither their discriminator nor their source is known.
func (s *Set) Strays() uint64 { return s.strays.Load() }

func (n *session) status() SessionStatus {
	n.seenMu.Lock()
	s, failures, lastError := n.seen, n.failures, n.lastError
	n.seenMu.Unlock()
	c := &s.Counters
	out := SessionStatus{
		Name: n.name, Peer: n.peer, Source: n.source, SourcePort: n.port,
		State: s.Phase.String(), Up: s.Phase == bfd.Up, Since: s.Since, Reason: s.Reason, Diag: s.Diag.String(),
		RemoteState: s.Remote.Phase.String(), RemoteDiag: s.Remote.Diag.String(), LastHeard: s.Remote.Heard,
		LocalDiscriminator: s.Local, RemoteDiscriminator: s.Remote.Discriminator,
		TransmitInterval: s.TransmitInterval(), ReceiveInterval: s.ReceiveInterval(), DetectionTime: s.DetectionTime(),
		Multiplier: int(s.Config.Multiplier), RemoteMultiplier: int(s.Remote.Multiplier),
		Sent: c.Sent, Received: c.Received, Transitions: c.Transitions, Late: c.Late,
		Dropped: make(map[string]uint64), SendErrors: failures, LastError: lastError,
	}
	for _, d := range bfd.Drops() {
		if n := c.Dropped[d]; n > 0 {
			out.Dropped[d.String()] = n
		}
	}
	return out
}
