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

// Compare says which advertisements' addresses are compared with the configured ones.
type Compare uint8

// The choices. keepalived's vrrp_skip_check_adv_addr is CompareFirst.
const (
	CompareEach  Compare = iota
	CompareFirst         // of a master only the first
	CompareNever
)

// Config is one virtual router. Its advertised addresses are of one family.
type Config struct {
	Interface    string // for texts only
	Family       Family
	Version      uint8 // 2 or 3
	VRID         uint8
	Priority     uint8         // 1 to 254, or PriorityOwner
	Interval     time.Duration // version 3: 10 ms to MaxInterval in steps of 10 ms; version 2: 1 to 255 whole seconds
	DownAfter    int           // intervals without an advertisement after which a master is given up; 0: 3
	NoPreempt    bool          // without effect on the owner
	PreemptDelay time.Duration
	StartDelay   time.Duration // not master sooner than this after Start
	Handover     bool          // a master whose priority a track lowers offers the addresses at once
	Pair         bool          // there are two routers only: the skew keeps no order among several backups
	Strict       bool          // version 2: drop advertisements with other addresses
	Compare      Compare
	Password     *Password // version 2; nil: none
	Peers        []netip.Addr
	MinTTL       int        // of a peer's advertisement; 0: any
	Group        netip.Addr // multicast group; invalid: the family's
	Addresses    []netip.Addr
	Checksum     Checksum // of what is sent
	Announce     Announcing
	Tracks       []Track   // as they are at the moment
	Quorum       *Track    // must be up before a silent master is replaced; nil: nothing must
	Beat         time.Time // moment from which intervals are counted, the same for all routers of a host; zero: each has its own
	Fence        bool      // a silent master's death must be confirmed before it is replaced

	packed Addresses
}

// Announcing is how often neighbours are told who holds the addresses.
type Announcing struct {
	Count   int           // messages for each address in a burst
	Delay   time.Duration // until the second burst, and four times that until the third; 0: one burst only
	Refresh time.Duration // between the single messages after them; 0: none
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
	Stalls          uint64 // times that this master came so late that others had given it up, and stepped down
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
	Aside    string // why this router leaves a weaker master alone, "" when it does not
	Holding  bool   // the addresses are held: by a master, and for a little while by one that was
	Counters Counters

	masterInterval time.Duration // Master_Adver_Interval of RFC 9568
	lower          Peer          // last discarded master of lower priority
	lowered        uint8         // its priority while it was still followed, 0: it never was
	left           bool          // the followed master said priority 0
	lost           string        // why the followed master counts as dead before its time
	change         string        // what last changed the effective priority
	linkDetail     string
	groupWhy       string // why another member of the sync group keeps this one in fault

	advertAt    time.Time // Adver_Timer
	downAt      time.Time // Active_Down_Timer
	earliest    time.Time // end of the start delay
	preemptAt   time.Time // end of the preempt delay
	announceAt  time.Time
	releaseAt   time.Time // when a former master lets the addresses go
	succeeded   bool      // a former master has heard its successor
	fencing     bool      // waits for Fenced
	waited      bool      // one more interval was waited for after this process stood still
	sentAt      time.Time // of the last advertisement as master
	answeredAt  time.Time // of the last advertisement that answered a weaker master
	announced   time.Time
	bursts      int
	rivalSince  time.Time // since when another master of lower priority is heard
	noticesFrom time.Time
	notices     int
	heard       [8]Neighbour
	heardNext   int
}

// Neighbour is another router that this one has heard, whether it follows it or not.
type Neighbour struct {
	Peer
	Notes []NoticeKind // what is wrong with it

	kinds uint16
}

// Neighbours lists the routers that were heard, the longest known first. A few are remembered.
func (s *State) Neighbours() (all []Neighbour) {
	for _, n := range s.heard {
		if !n.Address.IsValid() {
			continue
		}
		for i, k := range noticeKinds {
			if n.kinds&(1<<i) != 0 {
				n.Notes = append(n.Notes, k)
			}
		}
		all = append(all, n)
	}
	return all
}

// New is the state of a router that has not started.
func New(c Config, now time.Time) State {
	s := State{Config: c.pack(), Since: now, masterInterval: c.Interval, LinkUp: true}
	s.Priority = s.Config.effective()
	return s
}

func (c Config) pack() *Config {
	if c.DownAfter == 0 {
		c.DownAfter = 3
	}
	if c.Announce.Count == 0 {
		c.Announce.Count = 5
	}
	if !c.Group.IsValid() {
		c.Group = c.Family.Group()
	}
	c.packed = NewAddresses(c.Family, c.Addresses)
	return &c
}

// Advert is the message that the router sends with a priority.
func (c *Config) Advert(priority uint8) Advert {
	a := Advert{Version: c.Version, VRID: c.VRID, Priority: priority, Interval: c.Interval, Addresses: c.packed}
	if c.Password != nil {
		a.AuthType, a.Password = AuthPassword, *c.Password
	}
	return a
}

// Destinations are where advertisements go: the peers, or the multicast group.
func (c *Config) Destinations() []netip.Addr {
	if len(c.Peers) > 0 {
		return c.Peers
	}
	return []netip.Addr{c.Group}
}

// Leaving tells whether a former master still holds the addresses until its successor serves.
func (s *State) Leaving() bool { return s.Holding && s.Phase != Master }

// Deadline is when Step wants a Tick at the latest; false: it waits for other inputs only.
func (s *State) Deadline() (time.Time, bool) {
	var first time.Time
	for _, t := range [...]time.Time{s.advertAt, s.downAt, s.announceAt, s.releaseAt} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first, !first.IsZero()
}

// Skew is the time by which a backup of this priority waits longer than the best one could, in full precision,
// because a hundredth of a second divided by 256 is not zero. Version 3: RFC 9568 section 6.1; version 2 knows
// seconds only (RFC 3768 section 6.1).
func Skew(version, priority uint8, masterInterval time.Duration) time.Duration {
	if version == 2 {
		masterInterval = time.Second
	}
	return time.Duration(256-int(priority)) * masterInterval / 256
}

// MasterDown is how long a backup waits for a silent master: Active_Down_Interval of RFC 9568.
func MasterDown(version, priority uint8, masterInterval time.Duration) time.Duration {
	return 3*masterInterval + Skew(version, priority, masterInterval)
}

// skew and masterDown are the same for this configuration.
func (c *Config) skew(priority uint8, masterInterval time.Duration) time.Duration {
	return Skew(c.Version, c.turn(priority), masterInterval)
}

// turn is the priority that the skew is computed from. Of two routers only one is backup, so it waits as the strongest
// possible one would.
func (c *Config) turn(priority uint8) uint8 {
	if c.Pair {
		return max(priority, PriorityOwner-1)
	}
	return priority
}

func (c *Config) masterDown(priority uint8, masterInterval time.Duration) time.Duration {
	return time.Duration(c.DownAfter)*masterInterval + c.skew(priority, masterInterval)
}

// linger is Linger of the configuration: requests under way come to an end meanwhile.
func (c *Config) linger() time.Duration { return Linger(c.Interval) }

// Linger is how long a former master of that interval keeps the addresses after it has heard its successor.
func Linger(interval time.Duration) time.Duration { return min(interval, maxLinger) }

const maxLinger = 100 * time.Millisecond

// handoverBound is how long a leaving master waits for a successor: the longest that the protocol lets one wait
// after a priority of 0, but no longer than a person at the console would.
func (c *Config) handoverBound() time.Duration {
	return min(Skew(c.Version, 1, c.Interval), 10*time.Second) + c.linger()
}
