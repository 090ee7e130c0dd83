package bfd

import (
	"math/bits"
	"time"
)

// SlowInterval is the least transmit interval of a session that is not up: RFC 5880 section 6.8.3.
const SlowInterval = time.Second

// Config is one session as this node wants it.
type Config struct {
	Interval   time.Duration // Desired Min TX and Required Min RX in one, 1 µs to 4294 s
	Multiplier uint8         // packets that must be missing in a row, 1 to 255
	Passive    bool          // say nothing before the peer does
}

// Remote is what the peer's last packet said.
type Remote struct {
	Discriminator uint32 // 0: not heard for a detection time
	Phase         Phase
	Diag          Diag
	Multiplier    uint8
	DesiredMinTx  time.Duration
	RequiredMinRx time.Duration // 0: it wants no periodic packets
	Demand        bool
	Heard         time.Time // zero: never, or not for a detection time
}

// unheard is a peer of which nothing is known: RFC 5880 section 6.8.1 gives the initial values.
var unheard = Remote{Phase: Down, RequiredMinRx: time.Microsecond}

// Counters count since New.
type Counters struct {
	Sent        uint64
	Received    uint64 // accepted ones
	Transitions uint64 // of the phase
	Late        uint64 // times that the detection timer came so late that the peer was asked again before it was given up
	Dropped     [numDrops]uint64
}

// State is all that a session remembers. It is a value: Step returns the next one and leaves the old as it was.
type State struct {
	Config   Config
	Phase    Phase
	Since    time.Time // of the phase
	Reason   string    // of the last change between up and not up
	Diag     Diag      // bfd.LocalDiag
	Local    uint32    // bfd.LocalDiscr
	Remote   Remote
	Polling  bool // a poll sequence runs: RFC 5880 section 6.5
	Counters Counters

	seed uint64

	desiredTx, requiredRx time.Duration // as packets say them: bfd.DesiredMinTxInterval, bfd.RequiredMinRxInterval
	usedTx, usedRx        time.Duration // as they are reckoned with, which is later for some: RFC 5880 section 6.8.3
	pollAgain             bool          // they changed while a poll sequence ran already

	sentAt    time.Time     // last packet other than an answer to a poll
	sendAt    time.Time     // next packet
	planned   time.Duration // interval that sendAt was reckoned with
	expireAt  time.Time     // end of the detection time
	asked     bool          // the peer got a second chance since it was last heard
	farewells int           // packets that are still to say that the session is held down
}

// New is the state of a session that has not started. discriminator is this node's, not 0 and of no other session
// (RFC 5880 section 6.8.1); seed is a random number, from which the jitter comes.
func New(c Config, discriminator uint32, seed uint64, now time.Time) State {
	s := State{Config: c, Phase: AdminDown, Since: now, Local: discriminator, Remote: unheard, seed: seed}
	s.desiredTx, s.requiredRx = s.desired(), c.Interval
	s.usedTx, s.usedRx = s.desiredTx, s.requiredRx
	return s
}

// Deadline is when Step wants a Tick at the latest; false: it waits for other inputs only.
func (s *State) Deadline() (time.Time, bool) {
	first := s.sendAt
	if first.IsZero() || !s.expireAt.IsZero() && s.expireAt.Before(first) {
		first = s.expireAt
	}
	return first, !first.IsZero()
}

// Silent tells whether a Tick at now would find that the peer has been silent for the detection time. Whoever sends
// that Tick must have shown Step all packets that came before.
func (s *State) Silent(now time.Time) bool { return due(s.expireAt, now) }

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// TransmitInterval is the agreed pause between two packets of this node, before jitter: RFC 5880 section 6.8.7. 0:
// the peer wants none.
func (s *State) TransmitInterval() time.Duration {
	if s.Remote.RequiredMinRx == 0 {
		return 0
	}
	return max(s.usedTx, s.Remote.RequiredMinRx)
}

// ReceiveInterval is the agreed pause between two packets of the peer, before jitter. 0: it is not heard.
func (s *State) ReceiveInterval() time.Duration {
	if s.Remote.Heard.IsZero() {
		return 0
	}
	return max(s.usedRx, s.Remote.DesiredMinTx)
}

// DetectionTime is how long the peer may be silent: RFC 5880 section 6.8.4. 0: it is not heard.
func (s *State) DetectionTime() time.Duration {
	return time.Duration(s.Remote.Multiplier) * s.ReceiveInterval()
}

// desired is bfd.DesiredMinTxInterval: slow until the session is up.
func (s *State) desired() time.Duration {
	if s.Phase == Up {
		return s.Config.Interval
	}
	return max(s.Config.Interval, SlowInterval)
}

// quiet tells whether no periodic packets may be sent: RFC 5880 section 6.8.7.
func (s *State) quiet() bool {
	asleep := s.Remote.Demand && s.Phase == Up && s.Remote.Phase == Up && !s.Polling
	return s.Phase == AdminDown || s.Config.Passive && s.Remote.Discriminator == 0 || s.Remote.RequiredMinRx == 0 || asleep
}

// jittered shortens an interval by chance, to 75 to 100 % of it, or to 75 to 90 % if a single lost packet ends the
// session: RFC 5880 section 6.8.7.
func (s *State) jittered(interval time.Duration) time.Duration {
	least, span := shortest(interval), interval/4
	if s.Config.Multiplier == 1 {
		span = interval / 20 * 3
	}
	// The generator is splitmix64: every seed is good, the next state is one addition away.
	s.seed += 0x9e3779b97f4a7c15
	z := s.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	high, _ := bits.Mul64(z^z>>31, uint64(span)+1)
	return least + time.Duration(high)
}

// shortest is the least that jitter leaves of an interval.
func shortest(interval time.Duration) time.Duration { return interval / 4 * 3 }

// packet is what the session has to say at the moment.
func (s *State) packet() Packet {
	return Packet{
		Diag: s.Diag, Phase: s.Phase, Poll: s.Polling, Multiplier: s.Config.Multiplier, My: s.Local,
		Your: s.Remote.Discriminator, DesiredMinTx: s.desiredTx, RequiredMinRx: s.requiredRx,
	}
}
