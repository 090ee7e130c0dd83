package vrrp

import (
	"net/netip"
	"time"
)

// Phase is the state of a virtual router on this host.
type Phase uint8

// The phases. Their numbers are the values of the metric keepwatch_vrrp_state.
const (
	Init   Phase = 0 // not started, or stopped
	Backup Phase = 1
	Master Phase = 2
	Fault  Phase = 3 // could not hold the addresses: link down, no source address, a track of weight 0 down
)

// String gives init, backup, master or fault.
func (p Phase) String() string {
	return [...]string{"init", "backup", "master", "fault"}[p&3]
}

// PriorityOwner is the priority of the router whose own addresses the virtual ones are. Tracks do not change it.
const PriorityOwner = 255

// Track is one health that moves the priority, with what is known of it.
type Track struct {
	Name   string
	Weight int // added while up when positive, subtracted while down when negative; 0: Fault while down
	Up     bool
	Detail string // why it is as it is, for people
}

// Config is one virtual router. Its addresses are of one family.
type Config struct {
	Interface    string // for texts only
	Family       Family
	VRID         uint8
	Priority     uint8         // 1 to 254, or PriorityOwner
	Interval     time.Duration // 10 ms to MaxInterval in steps of 10 ms
	NoPreempt    bool          // without effect on the owner
	PreemptDelay time.Duration
	Addresses    []netip.Prefix
	Checksum     Checksum // of what is sent
	Tracks       []Track  // as they are at the moment

	packed Addresses
}

// version of the protocol that instances speak.
const version = 3

func (c Config) pack() *Config {
	addrs := make([]netip.Addr, len(c.Addresses))
	for i, p := range c.Addresses {
		addrs[i] = p.Addr()
	}
	c.packed = NewAddresses(c.Family, addrs)
	return &c
}

// Advert is the message that the router sends with a priority.
func (c *Config) Advert(priority uint8) Advert {
	return Advert{Version: version, VRID: c.VRID, Priority: priority, Interval: c.Interval, Addresses: c.packed}
}

// Peer is another router of the same virtual router, as last heard.
type Peer struct {
	Address  netip.Addr
	Priority uint8
	Interval time.Duration
	Heard    time.Time
}

// Counters count since New.
type Counters struct {
	Sent            uint64 // advertisements, those of priority 0 too
	SentZero        uint64
	Received        uint64 // accepted ones
	ReceivedZero    uint64
	Discarded       uint64 // accepted, of a priority too low to count
	PseudoHeader    uint64 // accepted ones whose checksum covers a pseudo-header
	MessageOnly     uint64 // accepted ones whose checksum covers the message only
	AddressMismatch uint64 // accepted ones with other addresses than ours
	Transitions     uint64
	Stalls          uint64 // advertisements that left so late that others had given this router up
	Dropped         [numDrops]uint64
}

// State is all that a virtual router remembers. It is a value: Step returns the next one and leaves the old as it
// was.
type State struct {
	Config   *Config // never changed in place
	Phase    Phase
	Since    time.Time  // of the phase
	Source   netip.Addr // this router's own address; invalid: the interface has none
	LinkUp   bool
	Priority uint8  // effective, after tracks
	Reason   string // of the last transition
	Master   Peer   // whom this backup follows; zero when none was heard or this is the master
	Counters Counters

	masterInterval time.Duration // Master_Adver_Interval of RFC 9568
	lower          Peer          // last discarded master of lower priority
	lowered        uint8         // its priority while it was still followed, 0: it never was
	left           bool          // the followed master said priority 0
	change         string        // what last changed the effective priority
	linkDetail     string

	advertAt   time.Time // Adver_Timer
	downAt     time.Time // Active_Down_Timer
	preemptAt  time.Time // end of the preempt delay
	announceAt time.Time
	announced  time.Time
	bursts     int
	told       [4]told
	toldNext   int
}

// told remembers which peculiarities of a peer have been reported, so that each is told once.
type told struct {
	peer  netip.Addr
	kinds uint8
}

// New is the state of a router that has not started.
func New(c Config, now time.Time) State {
	s := State{Config: c.pack(), Since: now, masterInterval: c.Interval, LinkUp: true}
	s.Priority = s.Config.effective()
	return s
}

// Deadline is when Step wants a Tick at the latest; false: it waits for other inputs only.
func (s *State) Deadline() (time.Time, bool) {
	var first time.Time
	for _, t := range [...]time.Time{s.advertAt, s.downAt, s.announceAt} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first, !first.IsZero()
}

// Skew is the time by which a backup of this priority waits longer than the best one could: RFC 9568 section 6.1,
// in full precision, because a hundredth of a second divided by 256 is not zero.
func Skew(priority uint8, masterInterval time.Duration) time.Duration {
	return time.Duration(256-int(priority)) * masterInterval / 256
}

// MasterDown is how long a backup waits for a silent master: Active_Down_Interval of RFC 9568.
func MasterDown(priority uint8, masterInterval time.Duration) time.Duration {
	return 3*masterInterval + Skew(priority, masterInterval)
}

// effective is the priority after the tracks: the sum is clamped to 1..254, the owner's never moves.
func (c *Config) effective() uint8 {
	if c.Priority == PriorityOwner {
		return PriorityOwner
	}
	sum := int(c.Priority)
	for _, t := range c.Tracks {
		if t.Up == (t.Weight > 0) {
			sum += t.Weight
		}
	}
	return uint8(min(max(sum, 1), 254))
}
