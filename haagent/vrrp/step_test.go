package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const ms = time.Millisecond

func config(priority uint8, change ...func(*Config)) Config {
	c := Config{Interface: "eth0", Family: IPv4, Version: 3, VRID: 51, Priority: priority, Interval: time.Second, Addresses: addrs("10.0.0.100"),
		Announce: Announcing{Count: 5, Delay: time.Second, Refresh: time.Minute}}
	for _, f := range change {
		f(&c)
	}
	return c
}

// heard is an advertisement from 10.0.0.LAST.
func heard(last byte, priority uint8, change ...func(*Advert)) Received {
	a := Advert{Version: 3, VRID: 51, Priority: priority, Interval: time.Second, Addresses: NewAddresses(IPv4, addrs("10.0.0.100"))}
	for _, f := range change {
		f(&a)
	}
	src := netip.AddrFrom4([4]byte{10, 0, 0, last})
	return Received{&Packet{Source: src, Dest: GroupIPv4, TTL: 255, Payload: a.Append(nil, src, GroupIPv4, WithPseudoHeader)}}
}

func interval(d time.Duration) func(*Advert) { return func(a *Advert) { a.Interval = d } }

func describe(out []Action) string {
	var words []string
	for _, a := range out {
		switch a := a.(type) {
		case SendAdvert:
			words = append(words, fmt.Sprintf("advert %d", a.Priority))
		case TakeAddresses:
			words = append(words, "take")
		case ReleaseAddresses:
			words = append(words, "release")
		case TrimAddresses:
			words = append(words, "trim")
		case Fence:
			words = append(words, "fence "+a.Master.String())
		case Succeed:
			if a.Now { // a preparation changes nothing, and has a test of its own
				words = append(words, "succeed "+a.From.String())
			}
		case Announce:
			words = append(words, "announce")
			if a.Count != 5 {
				words[len(words)-1] += fmt.Sprintf(" %d", a.Count)
			}
		case Transition:
			words = append(words, fmt.Sprintf("%s→%s (%s)", a.From, a.To, a.Reason))
		case Notice:
			words = append(words, fmt.Sprintf("notice %s", a.Kind))
		}
	}
	return strings.Join(words, ", ")
}

// scenario drives a router whose address is 10.0.0.5 and checks what each step does and when it wants a Tick next.
type scenario struct {
	t     *testing.T
	state State
}

func newScenario(t *testing.T, c Config) *scenario {
	s := &scenario{t: t, state: New(c, epoch)}
	s.state, _ = Step(s.state, LinkChanged{Up: true, Source: netip.MustParseAddr("10.0.0.5")}, epoch)
	return s
}

// at feeds an input; next is the deadline after it as an offset from the epoch, 0 for none.
func (s *scenario) at(offset time.Duration, in Input, want string, next time.Duration) {
	s.t.Helper()
	before := s.state
	var out []Action
	s.state, out = Step(s.state, in, epoch.Add(offset))
	if got := describe(out); got != want {
		s.t.Errorf("at %s: got  %s\nwant %s", offset, got, want)
	}
	deadline, armed := s.state.Deadline()
	if armed != (next != 0) || armed && deadline.Sub(epoch) != next {
		s.t.Errorf("at %s: next deadline %s (%v), want %s", offset, deadline.Sub(epoch), armed, next)
	}
	again, _ := Step(before, in, epoch.Add(offset))
	if again.Phase != s.state.Phase || again.Counters != s.state.Counters {
		s.t.Errorf("at %s: the same step gave another state", offset)
	}
}

const toMaster200 = "advert 200, take, announce, "

const succeed200 = "advert 200, succeed 10.0.0.9, take, announce, "

// What a handover takes at one second: the successor's answer is awaited for the longest skew, 255/256 s, requests
// under way are given 100 ms, and who takes over from one that still serves announces itself again 50 ms later.
const (
	linger = 100 * ms
	bound  = 99609375*10*time.Nanosecond + linger
	again  = 150 * ms
)

// Master_Down of priority 200 at one second: 3 s + 56/256 s = 3.21875 s. Of 100: 3 s + 156/256 s = 3.609375 s.
const (
	down200 = 3218750 * time.Microsecond
	down100 = 3609375 * time.Microsecond
)

func TestTimers(t *testing.T) {
	f := func(priority uint8, interval, skew, down time.Duration) {
		t.Helper()
		if got := Skew(3, priority, interval); got != skew {
			t.Errorf("skew of %d at %s: got %s, want %s", priority, interval, got, skew)
		}
		if got := MasterDown(3, priority, interval); got != down {
			t.Errorf("master down of %d at %s: got %s, want %s", priority, interval, got, down)
		}
	}
	f(100, time.Second, 609375*time.Microsecond, down100)
	f(254, time.Second, 7812500*time.Nanosecond, 3007812500*time.Nanosecond)
	f(255, 10*ms, 39062*time.Nanosecond, 30039062*time.Nanosecond) // not 0 as in whole centiseconds
	f(1, 10*ms, 9960937*time.Nanosecond, 39960937*time.Nanosecond)
	f(1, MaxInterval, 40790039062*time.Nanosecond, 163640039062*time.Nanosecond)
}

// RFC 9568 section 6.4.1.
func TestInitialize(t *testing.T) {
	t.Run("owner becomes master", func(t *testing.T) {
		s := newScenario(t, config(255))
		s.at(0, Start{}, "advert 255, take, announce, init→master (started, as owner of the addresses)", time.Second)
	})
	t.Run("others become backup with a full wait", func(t *testing.T) {
		s := newScenario(t, config(200))
		s.at(0, Start{}, "init→backup (started)", down200)
		s.at(1, Start{}, "", down200)
	})
	t.Run("nothing is heard before the start", func(t *testing.T) {
		s := newScenario(t, config(200))
		s.at(0, heard(9, 250), "", 0)
		if got := s.state.Counters.Dropped[DropIdle]; got != 1 {
			t.Errorf("dropped %d, want 1", got)
		}
	})
	t.Run("a broken link at the start is a fault", func(t *testing.T) {
		s := newScenario(t, config(255))
		s.at(0, LinkChanged{Up: false, Detail: "interface eth0 has no carrier"}, "", 0)
		s.at(0, Start{}, "init→fault (interface eth0 has no carrier)", 0)
	})
}

// RFC 9568 section 6.4.2.
func TestBackup(t *testing.T) {
	start := func(t *testing.T, priority uint8, change ...func(*Config)) *scenario {
		s := newScenario(t, config(priority, change...))
		s.state, _ = Step(s.state, Start{}, epoch)
		return s
	}
	t.Run("shutdown: to init without a word", func(t *testing.T) {
		start(t, 100).at(time.Second, Shutdown{}, "backup→init (stopped)", 0)
	})
	t.Run("timer: advertise, take, announce, master", func(t *testing.T) {
		s := start(t, 200)
		s.at(down200-1, Tick{}, "", down200)
		s.at(down200, Tick{}, toMaster200+"backup→master (heard no advertisement for 3.22 s)", down200+time.Second)
	})
	t.Run("priority 0: wait the skew only", func(t *testing.T) {
		s := start(t, 100)
		s.at(time.Second, heard(9, 200), "", time.Second+down100)
		s.at(2*time.Second, heard(9, 0), "", 2*time.Second+609375*time.Microsecond)
		s.at(2*time.Second+609375*time.Microsecond, Tick{}, "advert 100, succeed 10.0.0.9, take, announce, backup→master (10.0.0.9 gave the addresses up (priority 0))", 2609375*time.Microsecond+again)
	})
	t.Run("higher priority: adopt the interval", func(t *testing.T) {
		s := start(t, 100)
		s.at(ms, heard(9, 200, interval(2*time.Second)), "notice interval", ms+2*down100)
		s.at(2*time.Second, heard(9, 200, interval(2*time.Second)), "", 2*time.Second+2*down100)
		s.at(2*time.Second+2*down100, Tick{}, "advert 100, take, announce, backup→master (heard no advertisement from 10.0.0.9 (priority 200) for 7.22 s)", 3*time.Second+2*down100)
	})
	t.Run("equal priority counts as a master", func(t *testing.T) {
		start(t, 100).at(time.Second, heard(2, 100), "", time.Second+down100)
	})
	t.Run("lower priority: discard, the timer keeps running", func(t *testing.T) {
		s := start(t, 200)
		s.at(time.Second, heard(9, 100), "", down200)
		s.at(3*time.Second, heard(9, 100), "", down200)
		s.at(down200, Tick{}, succeed200+"backup→master (our priority 200 is higher than 100 of master 10.0.0.9 (preemption))", down200+again)
		if s.state.Counters.Discarded != 2 {
			t.Errorf("discarded %d, want 2", s.state.Counters.Discarded)
		}
	})
	t.Run("lower priority without preemption counts as a master", func(t *testing.T) {
		s := start(t, 200, func(c *Config) { c.NoPreempt = true })
		s.at(time.Second, heard(9, 100), "", time.Second+down200)
		s.at(2*time.Second, heard(9, 0), "", 2*time.Second+218750*time.Microsecond)
	})
	t.Run("the owner preempts in any case", func(t *testing.T) {
		s := newScenario(t, config(255, func(c *Config) { c.NoPreempt = true }))
		s.at(0, Start{}, "advert 255, take, announce, init→master (started, as owner of the addresses)", time.Second)
		s.at(ms, heard(9, 255), "notice two_owners, advert 255, master→backup (10.0.0.9 advertises the same priority 255 and its address is higher than ours, 10.0.0.5)",
			ms+linger)
		s.at(time.Second, heard(8, 100), "", ms+linger)
	})
	t.Run("two owners are told of also by the one that remains", func(t *testing.T) {
		s := newScenario(t, config(255))
		s.at(0, Start{}, "advert 255, take, announce, init→master (started, as owner of the addresses)", time.Second)
		s.at(ms, heard(3, 255), "notice two_owners, advert 255", time.Second)
	})
	t.Run("a master that lowers its priority", func(t *testing.T) {
		s := start(t, 150)
		down := MasterDown(3, 150, time.Second)
		s.at(time.Second, heard(9, 200), "", time.Second+down)
		s.at(2*time.Second, heard(9, 140), "", time.Second+down)
		s.at(3*time.Second, heard(9, 140), "", time.Second+down)
		s.at(time.Second+down, Tick{}, "advert 150, succeed 10.0.0.9, take, announce, backup→master (10.0.0.9 lowered its priority from 200 to 140, ours is 150)", time.Second+down+again)
	})
}

func TestPreemptDelay(t *testing.T) {
	s := newScenario(t, config(200, func(c *Config) { c.PreemptDelay = 5 * time.Second }))
	s.at(0, Start{}, "init→backup (started)", down200)
	for i := 1; i < 6; i++ { // first heard at 1 s: it counts until 6 s
		at := time.Duration(i) * time.Second
		s.at(at, heard(9, 100), "", at+down200)
	}
	s.at(6*time.Second, heard(9, 100), "", 5*time.Second+down200)
	s.at(7*time.Second, heard(9, 100), "", 5*time.Second+down200)
	s.at(5*time.Second+down200, Tick{}, succeed200+"backup→master (our priority 200 is higher than 100 of master 10.0.0.9 (preemption))", 5*time.Second+down200+again)
}

// RFC 9568 section 6.4.3.
func TestMaster(t *testing.T) {
	start := func(t *testing.T, change ...func(*Config)) *scenario {
		s := newScenario(t, config(200, change...))
		s.state, _ = Step(s.state, Start{}, epoch)
		s.state, _ = Step(s.state, Tick{}, epoch.Add(down200))
		return s
	}
	const m = down200 // when it became master
	t.Run("timer: advertise, announce again after 1 s, 5 s and every minute", func(t *testing.T) {
		s := start(t)
		s.at(m+time.Second, Tick{}, "advert 200, announce", m+2*time.Second)
		for i := 2; i < 5; i++ {
			s.at(m+time.Duration(i)*time.Second, Tick{}, "advert 200", m+time.Duration(i+1)*time.Second)
		}
		s.at(m+5*time.Second, Tick{}, "advert 200, announce", m+6*time.Second)
		for i := 6; i < 65; i++ {
			s.at(m+time.Duration(i)*time.Second, Tick{}, "advert 200", m+time.Duration(i+1)*time.Second)
		}
		s.at(m+65*time.Second, Tick{}, "advert 200, announce 1", m+66*time.Second)
	})
	t.Run("a late timer keeps the cadence, a lost one does not", func(t *testing.T) {
		s := start(t)
		s.at(m+1400*ms, Tick{}, "advert 200, announce", m+2*time.Second)
		s.at(m+3100*ms, Tick{}, "advert 200", m+4100*ms)
		s.at(m+9*time.Second, Tick{}, "notice stall, release, master→backup (the agent stood still for 5.90 s: others may have taken the addresses meanwhile)", m+9*time.Second+1218750*time.Microsecond)
		if s.state.Counters.Stalls != 1 {
			t.Errorf("stalls %d, want 1", s.state.Counters.Stalls)
		}
	})
	t.Run("shutdown: say so, release, init", func(t *testing.T) {
		start(t).at(m+ms, Shutdown{}, "advert 0, advert 0, master→init (stopped)", m+ms+bound)
	})
	t.Run("priority 0: advertise at once", func(t *testing.T) {
		start(t).at(m+500*ms, heard(9, 0), "advert 200", m+time.Second) // announcement is due then
	})
	t.Run("higher priority: yield", func(t *testing.T) {
		s := start(t)
		s.at(m+500*ms, heard(2, 201), "advert 200, master→backup (10.0.0.2 advertises priority 201, ours is 200)", m+500*ms+linger)
		if got := s.state.Master; got.Address.String() != "10.0.0.2" || got.Priority != 201 {
			t.Errorf("follows %+v", got)
		}
	})
	t.Run("higher priority with another interval: adopt it", func(t *testing.T) {
		start(t).at(m, heard(2, 201, interval(100*ms)), "notice interval, advert 200, master→backup (10.0.0.2 advertises priority 201, ours is 200)", m+linger)
	})
	t.Run("preemption is not asked here", func(t *testing.T) {
		start(t, func(c *Config) { c.NoPreempt = true }).at(m, heard(9, 100), "advert 200", m+time.Second)
	})
	t.Run("equal priority, higher address: yield", func(t *testing.T) {
		start(t).at(m, heard(10, 200), "advert 200, master→backup (10.0.0.10 advertises the same priority 200 and its address is higher than ours, 10.0.0.5)", m+linger)
	})
	t.Run("equal priority, lower address: stay and answer", func(t *testing.T) {
		start(t).at(m, heard(2, 200), "advert 200", m+time.Second)
	})
	t.Run("lower priority: answer at once, announce at most once a second", func(t *testing.T) {
		s := start(t)
		s.at(m+500*ms, heard(9, 100), "notice split_brain, advert 200", m+time.Second)
		s.at(m+time.Second, Tick{}, "announce", m+1500*ms)
		s.at(m+1500*ms, Tick{}, "advert 200", m+2500*ms)
		s.at(m+2100*ms, heard(9, 100), "advert 200, announce", m+3100*ms)
		s.at(m+2200*ms, heard(9, 100), "advert 200", m+3200*ms)
	})
	t.Run("link down: release at once", func(t *testing.T) {
		s := start(t)
		s.at(m+ms, LinkChanged{Up: false, Source: netip.MustParseAddr("10.0.0.5"), Detail: "interface eth0 lost its carrier"},
			"release, master→fault (interface eth0 lost its carrier)", 0)
	})
	t.Run("without an address to advertise from nothing is said", func(t *testing.T) {
		s := start(t)
		s.at(m+ms, LinkChanged{Up: true}, "release, master→fault (interface eth0 has no ipv4 address to advertise from)", 0)
		s.at(m+2*ms, LinkChanged{Up: true, Source: netip.MustParseAddr("10.0.0.6"), Detail: "interface eth0 is up"}, "fault→backup (interface eth0 is up)", m+2*ms+down200)
	})
	t.Run("own address: drop and tell once", func(t *testing.T) {
		s := start(t)
		s.at(m+ms, heard(5, 250), "notice own_address", m+time.Second)
		s.at(m+2*ms, heard(5, 250), "", m+time.Second)
		if s.state.Counters.Dropped[DropOwn] != 2 {
			t.Errorf("dropped %d, want 2", s.state.Counters.Dropped[DropOwn])
		}
	})
}

func tracks(ts ...Track) func(*Config) { return func(c *Config) { c.Tracks = ts } }

func TestEffectivePriority(t *testing.T) {
	f := func(base, want uint8, ts ...Track) {
		t.Helper()
		c := config(base, tracks(ts...))
		if got := c.effective(); got != want {
			t.Errorf("base %d, %+v: got %d, want %d", base, ts, got, want)
		}
	}
	f(100, 100)
	f(100, 100, Track{Weight: -60, Up: true})
	f(100, 40, Track{Weight: -60})
	f(100, 120, Track{Weight: 20, Up: true})
	f(100, 100, Track{Weight: 20})
	f(100, 60, Track{Weight: 20, Up: true}, Track{Weight: -60})
	f(100, 1, Track{Weight: -253})
	f(250, 254, Track{Weight: 253, Up: true})
	f(200, 200, Track{Weight: -253}, Track{Weight: 253, Up: true}) // the sum is clamped, not its parts
	f(100, 100, Track{Weight: 0})
	f(255, 255, Track{Weight: -100})
}

func TestTracks(t *testing.T) {
	down := TrackChanged{Name: "haproxy", Up: false, Detail: "process haproxy ended"}
	up := TrackChanged{Name: "haproxy", Up: true, Detail: "process haproxy runs"}
	t.Run("weight: the next advertisement says it, a stronger one ends it", func(t *testing.T) {
		s := newScenario(t, config(200, tracks(Track{Name: "haproxy", Weight: -60, Up: true})))
		s.at(0, Start{}, "init→backup (started)", down200)
		s.at(down200, Tick{}, toMaster200+"backup→master (heard no advertisement for 3.22 s)", down200+time.Second)
		s.at(down200+ms, down, "", down200+time.Second)
		s.at(down200+time.Second, Tick{}, "advert 140, announce", down200+2*time.Second)
		s.at(down200+time.Second+ms, heard(9, 150),
			"advert 140, master→backup (10.0.0.9 advertises priority 150, ours is 140, track haproxy is down (process haproxy ended): priority 200 to 140)",
			down200+time.Second+ms+linger)
		heardAt := down200 + time.Second + ms
		s.at(heardAt+linger, Tick{}, "release", heardAt+MasterDown(3, 140, time.Second))
		s.at(heardAt+linger+ms, up, "", heardAt+down200) // the running timer moves by the difference
		s.at(heardAt+time.Second, heard(9, 150), "", heardAt+down200)
		s.at(heardAt+down200-100*ms, heard(9, 150), "", heardAt+down200)
		s.at(heardAt+down200, Tick{},
			succeed200+"backup→master (our priority 200 is higher than 150 of master 10.0.0.9 (preemption), track haproxy is up (process haproxy runs): priority 140 to 200)", heardAt+down200+again)
	})
	t.Run("weight 0: fault and back with a full wait", func(t *testing.T) {
		s := newScenario(t, config(200, tracks(Track{Name: "haproxy", Up: true})))
		s.at(0, Start{}, "init→backup (started)", down200)
		s.at(down200, Tick{}, toMaster200+"backup→master (heard no advertisement for 3.22 s)", down200+time.Second)
		s.at(4*time.Second, down, "advert 0, advert 0, master→fault (track haproxy is down (process haproxy ended))", 4*time.Second+bound)
		s.at(4500*ms, heard(9, 100), "", 4500*ms+linger) // the successor
		s.at(4500*ms+linger, Tick{}, "release", 0)
		s.at(6*time.Second, heard(9, 100), "", 0)
		s.at(7*time.Second, up, "fault→backup (track haproxy is up (process haproxy runs))", 7*time.Second+down200)
		s.at(8*time.Second, up, "", 7*time.Second+down200)
		s.at(8*time.Second, TrackChanged{Name: "other"}, "", 7*time.Second+down200)
	})
	t.Run("a fault has all its reasons", func(t *testing.T) {
		s := newScenario(t, config(200, tracks(Track{Name: "haproxy", Up: true})))
		s.at(0, Start{}, "init→backup (started)", down200)
		s.at(1, LinkChanged{Up: false, Detail: "interface eth0 is down"}, "backup→fault (interface eth0 is down)", 0)
		s.at(2, down, "", 0)
		s.at(3, LinkChanged{Up: true, Source: netip.MustParseAddr("10.0.0.5"), Detail: "interface eth0 is up"}, "", 0)
		s.at(4, up, "fault→backup (track haproxy is up (process haproxy runs))", 4+down200)
		s.at(5, LinkChanged{Up: true}, "backup→fault (interface eth0 has no ipv4 address to advertise from)", 0)
		s.at(6, Shutdown{}, "fault→init (stopped)", 0)
	})
}

func TestReceiveFilters(t *testing.T) {
	f := func(want Drop, p *Packet) {
		t.Helper()
		s := newScenario(t, config(100))
		s.at(0, Start{}, "init→backup (started)", down100)
		next := down100
		if want == Accepted {
			next += ms
		}
		notice := map[Drop]string{DropVersion: "notice version", DropDest: "notice unicast"}[want]
		s.at(ms, Received{p}, notice, next)
		if got := s.state.Counters.Dropped[want]; got != 1 {
			t.Errorf("%s: counted %d, want 1; all %v", want, got, s.state.Counters.Dropped)
		}
	}
	with := func(r Received, change func(*Packet)) *Packet { change(r.Packet); return r.Packet }
	f(Accepted, heard(9, 200).Packet)
	f(DropTTL, with(heard(9, 200), func(p *Packet) { p.TTL = 254 }))
	f(DropShort, with(heard(9, 200), func(p *Packet) { p.Payload = p.Payload[:4] }))
	f(DropChecksum, with(heard(9, 200), func(p *Packet) { p.Payload[2] = 250 }))
	f(DropVRID, heard(9, 200, func(a *Advert) { a.VRID = 52 }).Packet)
	f(DropVersion, heard(9, 200, func(a *Advert) { a.Version = 2 }).Packet)
	unicast := netip.MustParseAddr("10.0.0.5")
	a := Advert{Version: 3, VRID: 51, Priority: 200, Interval: time.Second, Addresses: NewAddresses(IPv4, addrs("10.0.0.100"))}
	src := netip.MustParseAddr("10.0.0.9")
	f(DropDest, &Packet{Source: src, Dest: unicast, TTL: 255, Payload: a.Append(nil, src, unicast, WithPseudoHeader)})
	six := netip.MustParseAddr("fe80::9")
	a.Addresses = NewAddresses(IPv6, addrs("fe80::100"))
	f(DropFamily, &Packet{Source: six, Dest: GroupIPv6, TTL: 255, Payload: a.Append(nil, six, GroupIPv6, WithPseudoHeader)})
}

// None of these is a reason to drop: that would make two masters.
func TestNotices(t *testing.T) {
	s := newScenario(t, config(100))
	s.at(0, Start{}, "init→backup (started)", down100)
	other := func(a *Advert) { a.Addresses = NewAddresses(IPv4, addrs("10.0.0.100", "10.0.0.101")) }
	s.at(1, heard(9, 200, other), "notice addresses", 1+down100)
	s.at(2, heard(9, 200, other), "", 2+down100)
	s.at(3, heard(8, 200, other), "notice addresses", 3+down100)
	s.at(4, heard(9, 200), "", 4+down100)
	s.at(5, heard(9, 200, other, interval(2*time.Second)), "notice addresses, notice interval", 5+2*down100)
	src := netip.MustParseAddr("10.0.0.7")
	a := Advert{Version: 3, VRID: 51, Priority: 200, Interval: time.Second, Addresses: NewAddresses(IPv4, addrs("10.0.0.100"))}
	s.at(6, Received{&Packet{Source: src, Dest: GroupIPv4, TTL: 255, Payload: a.Append(nil, src, GroupIPv4, MessageOnly)}}, "notice checksum", 6+down100)
	c := s.state.Counters
	if c.AddressMismatch != 4 || c.PseudoHeader != 5 || c.MessageOnly != 1 || c.Received != 6 {
		t.Errorf("counted %+v", c)
	}
}

func TestReconfigure(t *testing.T) {
	s := newScenario(t, config(200))
	s.at(0, Start{}, "init→backup (started)", down200)
	s.at(0, Reconfigure{config(100)}, "", down100)
	s.at(0, Reconfigure{config(200, func(c *Config) { c.Interval = 100 * ms })}, "", down200/10)
	s.at(0, Reconfigure{config(200)}, "", down200)
	s.at(down200, Tick{}, toMaster200+"backup→master (heard no advertisement for 3.22 s)", down200+time.Second)
	const m = down200
	s.at(m+100*ms, Reconfigure{config(200, func(c *Config) { c.Addresses = addrs("10.0.0.100", "10.0.0.101") })}, "take, advert 200, trim, announce", m+time.Second)
	s.at(m+200*ms, Reconfigure{config(200, func(c *Config) { c.Addresses = addrs("10.0.0.101") })}, "take, advert 200, trim", m+time.Second)
	s.at(m+300*ms, Reconfigure{config(120, func(c *Config) { c.Interval = 100 * ms })}, "take, advert 120, trim, announce", m+400*ms)
	s.at(m+310*ms, Shutdown{}, "advert 0, advert 0, master→init (stopped)", m+310*ms+199609375)
}

func TestDropsAreListed(t *testing.T) {
	if !slices.Contains(Drops(), DropIdle) || slices.Contains(Drops(), Accepted) {
		t.Errorf("got %v", Drops())
	}
}

func BenchmarkStep(b *testing.B) {
	s := New(config(100), epoch)
	s, _ = Step(s, LinkChanged{Up: true, Source: netip.MustParseAddr("10.0.0.5")}, epoch)
	s, _ = Step(s, Start{}, epoch)
	in := heard(9, 200)
	b.Run("backup hears", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, _ = Step(s, in, epoch)
		}
	})
	m := New(config(255), epoch)
	m, _ = Step(m, LinkChanged{Up: true, Source: netip.MustParseAddr("10.0.0.5")}, epoch)
	m, _ = Step(m, Start{}, epoch)
	b.Run("master advertises", func(b *testing.B) {
		b.ReportAllocs()
		now := epoch
		for b.Loop() {
			now = now.Add(time.Second)
			m, _ = Step(m, Tick{}, now)
		}
	})
}
