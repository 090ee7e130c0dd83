package vrrp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func master(t *testing.T, change ...func(*Config)) *scenario {
	s := newScenario(t, config(200, change...))
	s.state, _ = Step(s.state, Start{}, epoch)
	s.state, _ = Step(s.state, Tick{}, epoch.Add(down200))
	return s
}

// A router that leaves of its own will serves until its successor does, and no longer than the protocol's timers.
func TestHandover(t *testing.T) {
	const m = down200
	t.Run("a successor comes", func(t *testing.T) {
		s := master(t)
		s.at(m, Shutdown{}, "advert 0, advert 0, master→init (stopped)", m+bound)
		s.at(m+10*ms, heard(9, 0), "", m+bound) // another one that leaves is none
		s.at(m+20*ms, heard(9, 100), "", m+20*ms+linger)
		s.at(m+40*ms, heard(9, 100), "", m+20*ms+linger) // its further advertisements change nothing
		if !s.state.Leaving() {
			t.Error("it left before the requests under way were done")
		}
		s.at(m+20*ms+linger, Tick{}, "release", 0)
	})
	t.Run("nobody comes", func(t *testing.T) {
		s := master(t)
		s.at(m, Shutdown{}, "advert 0, advert 0, master→init (stopped)", m+bound)
		s.at(m+bound, Tick{}, "notice no_successor, release", 0)
	})
	t.Run("the link goes while it waits", func(t *testing.T) {
		s := master(t, tracks(Track{Name: "x", Up: true}))
		s.at(m, TrackChanged{Name: "x"}, "advert 0, advert 0, master→fault (track x is down)", m+bound)
		s.at(m+ms, LinkChanged{Detail: "interface eth0 is down"}, "release", 0)
	})
	t.Run("the fault ends while it waits: it still serves, and may be master again", func(t *testing.T) {
		s := master(t, tracks(Track{Name: "x", Up: true}))
		s.at(m, TrackChanged{Name: "x"}, "advert 0, advert 0, master→fault (track x is down)", m+bound)
		s.at(m+ms, TrackChanged{Name: "x", Up: true}, "fault→backup (track x is up)", m+bound)
		s.at(m+bound, Tick{}, "notice no_successor, release", m+ms+down200)
		s.at(m+ms+down200, Tick{}, toMaster200+"backup→master (heard no advertisement for 3.22 s)", m+ms+down200+time.Second)
	})
	t.Run("switchover: the successor is left alone while it lives", func(t *testing.T) {
		s := master(t)
		s.at(m, StepAside{"asked"}, "advert 0, advert 0, master→backup (asked)", m+down200)
		s.at(m+ms, heard(9, 100), "", m+ms+linger)
		s.at(m+ms+linger, Tick{}, "release", m+ms+down200)
		s.at(m+time.Second, heard(9, 100), "", m+time.Second+down200)
		s.at(m+time.Second+down200, Tick{}, toMaster200+"backup→master (heard no advertisement from 10.0.0.9 (priority 100) for 3.22 s)", m+2*time.Second+down200)
		if s.state.Aside != "" {
			t.Error("it stays aside after its successor's death")
		}
	})
	t.Run("switchover to nobody: it takes the addresses back without having let them go", func(t *testing.T) {
		s := master(t)
		s.at(m, StepAside{"asked"}, "advert 0, advert 0, master→backup (asked)", m+down200)
		s.at(m+down200, Tick{}, "advert 200, take, announce, backup→master (nobody else took the addresses)", m+down200+time.Second)
	})
	t.Run("a lowered priority is offered at once where asked", func(t *testing.T) {
		s := master(t, tracks(Track{Name: "x", Weight: -150, Up: true}), func(c *Config) { c.Handover = true })
		wait := Skew(3, 50, time.Second) + linger
		s.at(m, TrackChanged{Name: "x"}, "advert 0, advert 0, master→backup (track x is down: priority 200 to 50)", m+wait)
		s.at(m+wait, Tick{}, "advert 50, take, announce, backup→master (nobody else took the addresses)", m+wait+time.Second)
	})
}

// A master that stood still for longer than the others wait steps down before anything else.
func TestLateness(t *testing.T) {
	const m = down200
	late := "the agent stood still for 4.00 s: others may have taken the addresses meanwhile"
	stall := "notice stall, release, master→backup (" + late + ")"
	listen := 1218750 * time.Microsecond
	t.Run("nobody else is there", func(t *testing.T) {
		s := master(t)
		s.at(m+4*time.Second, Tick{}, stall, m+4*time.Second+listen)
		s.at(m+4*time.Second+listen, Tick{}, toMaster200+"backup→master (heard no advertisement for 1.22 s)", m+5*time.Second+listen)
	})
	t.Run("a weaker one took over: it is not fought", func(t *testing.T) {
		s := master(t)
		s.at(m+4*time.Second, heard(9, 100), stall+"", m+4*time.Second+listen)
	})
	t.Run("the whole machine slept", func(t *testing.T) {
		s := master(t)
		s.at(m+time.Second, Tick{Asleep: 3 * time.Second}, stall, m+time.Second+listen)
	})
	t.Run("a backup that stood still listens for an interval more", func(t *testing.T) {
		s := newScenario(t, config(200))
		s.at(0, Start{}, "init→backup (started)", down200)
		s.at(time.Second, heard(9, 250), "", time.Second+down200)
		s.at(20*time.Second, Tick{}, "", 20*time.Second+listen)
		s.at(20*time.Second+listen, Tick{}, toMaster200+"backup→master (heard no advertisement from 10.0.0.9 (priority 250) for 20.22 s)", 21*time.Second+listen)
	})
}

func TestStartDelay(t *testing.T) {
	s := newScenario(t, config(255, func(c *Config) { c.StartDelay = 10 * time.Second }))
	s.at(0, Start{}, "init→backup (started)", 10*time.Second)
	s = newScenario(t, config(200, func(c *Config) { c.StartDelay = 10 * time.Second }))
	s.at(0, Start{}, "init→backup (started)", 10*time.Second)
	s.at(time.Second, heard(9, 0), "", 10*time.Second)
	s.at(9*time.Second, heard(9, 210), "", 9*time.Second+down200)
}

func TestQuorum(t *testing.T) {
	s := newScenario(t, config(200, func(c *Config) { c.Quorum = &Track{Name: "gateways"} }))
	s.at(0, Start{}, "init→backup (started)", down200)
	s.at(down200, Tick{}, "notice quorum", down200+time.Second)
	s.at(down200+ms, heard(9, 0), "", down200+ms+218750*time.Microsecond) // a farewell needs no quorum
	s.at(down200+2*ms, heard(9, 210), "", 2*down200+2*ms)
	s.at(down200+3*ms, TrackChanged{Name: "gateways", Up: true}, "", 2*down200+2*ms)
	s.at(2*down200+2*ms, Tick{}, toMaster200+"backup→master (heard no advertisement from 10.0.0.9 (priority 210) for 3.22 s)", 2*down200+2*ms+time.Second)
}

func TestFence(t *testing.T) {
	s := newScenario(t, config(200, func(c *Config) { c.Fence = true }))
	s.at(0, Start{}, "init→backup (started)", down200)
	s.at(0, heard(9, 210), "", down200)
	s.at(down200, Tick{}, "fence 10.0.0.9", 0)
	s.at(down200+ms, Fenced{Detail: "exit status 1"}, "notice fence", 2*down200+ms)
	s.at(2*down200+ms, Tick{}, "fence 10.0.0.9", 0)
	s.at(2*down200+2*ms, heard(9, 210), "", 3*down200+2*ms)
	s.at(2*down200+3*ms, Fenced{Dead: true}, "", 3*down200+2*ms) // too late: it lives
	s.at(3*down200+2*ms, Tick{}, "fence 10.0.0.9", 0)
	s.at(3*down200+3*ms, Fenced{Dead: true, Detail: "power is off"},
		toMaster200+"backup→master (heard no advertisement from 10.0.0.9 (priority 210) for 3.22 s; fenced: power is off)", 3*down200+3*ms+time.Second)
}

func TestPeerLost(t *testing.T) {
	s := newScenario(t, config(192))
	lost := PeerLost{Peer: netip.MustParseAddr("10.0.0.9"), Skew: 40 * ms, Detail: "BFD session b is down"}
	s.state, _ = Step(s.state, Start{}, epoch)
	s.state, _ = Step(s.state, heard(9, 210), epoch)
	s.at(time.Second, PeerLost{Peer: netip.MustParseAddr("10.0.0.8"), Skew: ms}, "", MasterDown(3, 192, time.Second))
	s.at(time.Second, lost, "", 1010*ms)
	s.at(1001*ms, heard(9, 210), "", 1001*ms+MasterDown(3, 192, time.Second)) // it lives: the signal was wrong
	s.at(2*time.Second, lost, "", 2010*ms)
	s.at(2010*ms, Tick{}, "advert 192, take, announce, backup→master (BFD session b is down, heard no advertisement from 10.0.0.9 (priority 210) for 1.01 s)", 3010*ms)
}

func v2(c *Config) { c.Version = 2 }

// RFC 3768 section 7.1.
func TestVersion2(t *testing.T) {
	password := NewPassword("s3cret12")
	cases := []struct {
		name   string
		config func(*Config)
		advert func(*Advert)
		want   Drop
		notice string
	}{
		{"as configured", nil, nil, Accepted, ""},
		{"version 3", nil, func(a *Advert) { a.Version = 3 }, DropVersion, "notice version"},
		{"password where none is", nil, func(a *Advert) { a.AuthType = 1 }, DropAuth, "notice auth"},
		{"AH", nil, func(a *Advert) { a.AuthType = 2 }, DropAuth, "notice auth"},
		{"none where a password is", func(c *Config) { c.Password = &password }, nil, DropAuth, "notice auth"},
		{"another password", func(c *Config) { c.Password = &password }, func(a *Advert) { a.AuthType, a.Password = 1, NewPassword("x") }, DropPassword, "notice auth"},
		{"the password, which is cut at 8", func(c *Config) { c.Password = &password }, func(a *Advert) { a.AuthType, a.Password = 1, NewPassword("s3cret12and") }, Accepted, ""},
		{"another interval", nil, interval(2 * time.Second), DropMismatch, "notice interval"},
		{"other addresses", nil, func(a *Advert) { a.Addresses = NewAddresses(IPv4, addrs("10.0.0.7")) }, Accepted, "notice addresses"},
		{"other addresses, strict", func(c *Config) { c.Strict = true }, func(a *Advert) { a.Addresses = NewAddresses(IPv4, addrs("10.0.0.7")) }, DropAddresses, "notice addresses"},
		{"other addresses of their owner, strict", func(c *Config) { c.Strict = true }, func(a *Advert) { a.Addresses, a.Priority = NewAddresses(IPv4, addrs("10.0.0.7")), 255 }, Accepted, "notice addresses"},
		{"other addresses, not compared", func(c *Config) { c.Compare = CompareNever }, func(a *Advert) { a.Addresses = NewAddresses(IPv4, addrs("10.0.0.7")) }, Accepted, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			change := []func(*Config){v2}
			if c.config != nil {
				change = append(change, c.config)
			}
			s := newScenario(t, config(100, change...))
			s.at(0, Start{}, "init→backup (started)", down100)
			next := down100
			if c.want == Accepted {
				next += ms
			}
			in := heard(9, 200, func(a *Advert) { a.Version = 2 })
			if c.advert != nil {
				in = heard(9, 200, func(a *Advert) { a.Version = 2 }, c.advert)
			}
			s.at(ms, in, c.notice, next)
			if s.state.Counters.Dropped[c.want] != 1 {
				t.Errorf("want %s, got %v", c.want, s.state.Counters.Dropped)
			}
		})
	}
	if got := Skew(2, 100, 10*time.Second); got != 609375*time.Microsecond {
		t.Errorf("version 2's skew grows with the interval: %s", got)
	}
}

func TestUnicast(t *testing.T) {
	peers := func(c *Config) { c.Peers, c.MinTTL = addrs("10.0.0.9", "10.0.0.8"), 250 }
	us := netip.MustParseAddr("10.0.0.5")
	from := func(last byte, ttl int, dst netip.Addr) Received {
		r := heard(last, 200)
		a := Advert{Version: 3, VRID: 51, Priority: 200, Interval: time.Second, Addresses: NewAddresses(IPv4, addrs("10.0.0.100"))}
		r.Dest, r.TTL, r.Payload = dst, ttl, a.Append(nil, r.Source, dst, WithPseudoHeader)
		return r
	}
	for _, c := range []struct {
		in   Received
		want Drop
	}{{from(9, 250, us), Accepted}, {from(8, 255, us), Accepted}, {from(9, 249, us), DropTTL}, {from(7, 255, us), DropPeer}, {from(9, 255, GroupIPv4), DropDest}} {
		s := newScenario(t, config(100, peers))
		s.state, _ = Step(s.state, Start{}, epoch)
		s.state, _ = Step(s.state, c.in, epoch)
		if s.state.Counters.Dropped[c.want] != 1 {
			t.Errorf("%+v: want %s, got %v", c.in.Packet, c.want, s.state.Counters.Dropped)
		}
	}
	c := New(config(100, peers), epoch)
	if got := fmt.Sprint(c.Config.Destinations()); got != "[10.0.0.9 10.0.0.8]" {
		t.Errorf("advertisements go to %s", got)
	}
	c = New(config(100), epoch)
	if got := fmt.Sprint(c.Config.Destinations()); got != "[224.0.0.18]" {
		t.Errorf("advertisements go to %s", got)
	}
}

// keepalived.conf(5), track_file: the number times the weight; with weight 0 another number than 0 is a fault, as is
// a sum below -253.
func TestFileTracks(t *testing.T) {
	f := func(file Track, add int, fault bool) {
		t.Helper()
		file.ByValue = true
		if a, f := file.Effect(); a != add || f != fault {
			t.Errorf("%+v: got %d, %v, want %d, %v", file, a, f, add, fault)
		}
	}
	f(Track{Up: true, Weight: 2, Value: -10}, -20, false)
	f(Track{Up: true, Weight: 2, Value: -10, Reverse: true}, 20, false)
	f(Track{Up: true, Weight: 1, Value: -254}, -254, true)
	f(Track{Up: true, Value: 0}, 0, false)
	f(Track{Up: true, Value: 3}, 0, true)
	f(Track{Up: false}, 0, true)
	f(Track{Up: false, Weight: -5}, -5, false)
	f(Track{Up: true, Value: 0, Reverse: true}, 0, true)
}

// A flood of strangers is told of a few times only, and answered no more often than is useful.
func TestFlood(t *testing.T) {
	s := master(t)
	told, adverts := 0, 0
	for i := range 10_000 {
		in := heard(byte(10+i%200), 100, interval(time.Duration(2+i%3)*time.Second))
		var out []Action
		s.state, out = Step(s.state, in, epoch.Add(down200+600*ms+time.Duration(i)*10*time.Microsecond)) // 100 ms in all
		for _, a := range out {
			switch a.(type) {
			case Notice:
				told++
			case SendAdvert:
				adverts++
			}
		}
	}
	if told > noticesAtMost || adverts > 11 || s.state.Phase != Master {
		t.Errorf("%d notices, %d advertisements, %s", told, adverts, s.state.Phase)
	}
}

func TestSplitBrainIsTold(t *testing.T) {
	s := master(t)
	const m = down200
	s.at(m+100*ms, heard(9, 100), "advert 200", m+time.Second) // the last word of one that has just lost
	want := "notice split_brain, "
	for i := 1; i < 8; i++ {
		s.state, _ = Step(s.state, Tick{}, epoch.Add(m+time.Duration(i)*time.Second))
		var out []Action
		s.state, out = Step(s.state, heard(9, 100), epoch.Add(m+time.Duration(i)*time.Second+500*ms))
		if got := describe(out); !strings.HasPrefix(got, want) {
			t.Errorf("after %d s: got %s, want %s", i, got, want)
		}
		want = "advert 200"
		if i == 4 {
			want = "notice deaf_peer, "
		}
	}
	if n := s.state.Neighbours(); len(n) != 1 || len(n[0].Notes) != 2 {
		t.Errorf("neighbours: %+v", n)
	}
}

// What a handover needs is prepared as soon as it is known from whom the addresses would come, once for each.
func TestHandoverIsPrepared(t *testing.T) {
	s := newScenario(t, config(150))
	s.state, _ = Step(s.state, Start{}, epoch)
	for _, c := range []struct {
		in   Received
		from string
	}{{heard(9, 200), "10.0.0.9"}, {heard(9, 200), ""}, {heard(8, 210), "10.0.0.8"}, {heard(7, 100), "10.0.0.7"}, {heard(7, 100), ""}, {heard(8, 0), "10.0.0.8"}} {
		var out []Action
		s.state, out = Step(s.state, c.in, epoch)
		got := ""
		for _, a := range out {
			if a, ok := a.(Succeed); ok && !a.Now {
				got = a.From.String()
			}
		}
		if got != c.from {
			t.Errorf("after %s with %d: prepared %q, want %q", c.in.Source, c.in.Payload[2], got, c.from)
		}
	}
}

// Routers of one interval advertise at the same moments, whenever each became master, and never later than an
// interval after the last time.
func TestBeat(t *testing.T) {
	s := newScenario(t, config(255, func(c *Config) { c.Beat, c.Announce.Delay, c.Announce.Refresh = epoch.Add(-300*ms), 0, 0 }))
	s.at(0, Start{}, "advert 255, take, announce, init→master (started, as owner of the addresses)", 700*ms)
	s.at(700*ms, Tick{}, "advert 255", 1700*ms)
	s.at(1710*ms, Tick{}, "advert 255", 2700*ms)
	s.at(2000*ms, heard(9, 100), "notice split_brain, advert 255, announce", 2700*ms)
	s.at(3800*ms, Tick{}, "advert 255", 4700*ms)
}

// Of two routers the backup has nobody to wait for.
func TestPair(t *testing.T) {
	least := Skew(3, 254, time.Second)
	s := newScenario(t, config(100, func(c *Config) { c.Pair = true }))
	s.at(0, Start{}, "init→backup (started)", 3*time.Second+least)
	s.at(time.Second, heard(9, 200), "", 4*time.Second+least)
	s.at(2*time.Second, PeerLost{Peer: netip.MustParseAddr("10.0.0.9"), Skew: 256 * ms}, "", 2002*ms)
	s.at(2001*ms, heard(9, 0), "", 2001*ms+least)
	s.at(2001*ms+least, Tick{}, "advert 100, succeed 10.0.0.9, take, announce, backup→master (10.0.0.9 gave the addresses up (priority 0))", 2001*ms+least+again)
}
