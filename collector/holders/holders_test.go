package holders

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keepwatch/metric"
)

const start = 1_795_000_000_000 // ms

// story drives a table by a script: lines "MS WHAT", where WHAT is "HOST VIP up", "HOST VIP down", "HOST gone" or
// "tick" or "away MS", and gives what came of it: events, samples of changes and doubts, one a line.
type story struct {
	t   *testing.T
	tab *Table
	out []string
}

func (s *story) do(script string) {
	s.t.Helper()
	for line := range strings.Lines(script) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		var ms int64
		if _, err := fmt.Sscan(f[0], &ms); err != nil {
			s.t.Fatal(err)
		}
		now := start + ms
		var events []metric.Event
		switch {
		case f[1] == "away":
			var by int64
			if _, err := fmt.Sscan(f[2], &by); err != nil {
				s.t.Fatal(err)
			}
			s.tab.Away(by, now)
		case f[1] == "tick":
			events = s.tab.Tick(now, nil)
		case f[2] == "gone":
			events = s.tab.Silent("c", f[1], now, nil)
		default:
			events = s.tab.Hear(Word{Cluster: "c", Host: f[1], Instance: "web", VIP: f[2], Held: f[3] == "up", Time: now - 7, Heard: now}, nil)
		}
		for i := range events {
			e := &events[i]
			if err := e.Check(); err != nil {
				s.t.Error(err)
			}
			s.out = append(s.out, fmt.Sprintf("%d %s of %s, hosts %s: %s (%s)", ms, e.Kind, e.Host, e.Label("hosts"), e.Text, strings.TrimPrefix(e.ID, "vip-")))
		}
		for _, x := range s.tab.Samples(now, false, nil) {
			s.out = append(s.out, fmt.Sprintf("%d %s %s %g", ms, x.Series.Host, x.Series.Label("vip"), x.Value))
		}
		for _, h := range []string{"a", "b", "z"} {
			if s.tab.Doubt("c", h, now) {
				s.out = append(s.out, fmt.Sprintf("%d ask %s", ms, h))
			}
		}
	}
}

func TestConflicts(t *testing.T) {
	f := func(name, script string, want ...string) {
		t.Helper()
		s := story{t: t, tab: New(MaxWords)}
		s.do(script)
		if got := strings.Join(s.out, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, strings.Join(want, "\n"))
		}
	}
	f("our clock is set back by an hour", `
		0        a 10.0.0.100/24 up
		100      b 10.0.0.100/24 up
		1100     a 10.0.0.100/24 up
		1100     b 10.0.0.100/24 up
		1200     tick
		-3598000 tick
		-3597000 a 10.0.0.100/24 up
		-3597000 tick
		-3580000 tick
		-3578000 tick`,
		"1100 ask b",
		"1100 vip_conflict of a, hosts a, b: 10.0.0.100 is held by a (instance web) and by b (instance web) at the same time, for 1s now: traffic to it reaches any of them. Look at the network between them (conflict-10.0.0.100-1795000000093)",
		"1100 a 10.0.0.100 1",
		"1100 b 10.0.0.100 0",
		"-3580000 ask a",
		"-3580000 ask b",
		"-3578000 vip_conflict_ended of a, hosts a: 10.0.0.100 is held by a (instance web): the conflict is over after 21.1s (conflict-ended-10.0.0.100-1795000000093)",
		"-3578000 a 10.0.0.100 0",
		"-3578000 b 10.0.0.100 0")
	f("our clock is set forward by a minute", `
		0     a 10.0.0.100/24 up
		100   b 10.0.0.100/24 up
		1100  a 10.0.0.100/24 up
		1100  b 10.0.0.100/24 up
		1200  tick
		62000 away 60800
		62000 tick
		63000 a 10.0.0.100/24 up
		83000 tick`,
		"1100 ask b",
		"1100 vip_conflict of a, hosts a, b: 10.0.0.100 is held by a (instance web) and by b (instance web) at the same time, for 1s now: traffic to it reaches any of them. Look at the network between them (conflict-10.0.0.100-1795000000093)",
		"1100 a 10.0.0.100 1",
		"1100 b 10.0.0.100 0",
		"83000 vip_conflict_ended of a, hosts a: 10.0.0.100 is held by a (instance web): the conflict is over after 22.1s (conflict-ended-10.0.0.100-1795000000093)",
		"83000 a 10.0.0.100 0",
		"83000 b 10.0.0.100 0")
	f("one master", `
		0     a 10.0.0.100/24 up
		100   b 10.0.0.100/24 down
		10000 a 10.0.0.100/24 up
		10100 b 10.0.0.100/24 down
		11000 tick`)
	f("a handover in 400 ms", `
		0     a 10.0.0.100/24 up
		5000  b 10.0.0.100/24 up
		5400  a 10.0.0.100/24 down
		6000  tick
		15000 b 10.0.0.100/24 up
		15100 a 10.0.0.100/24 down`)
	f("a master killed with its host says nothing more, and asks nobody twice", `
		0     a 10.0.0.100/24 up
		3000  b 10.0.0.100/24 up
		3900  tick
		4000  tick
		4010  b 10.0.0.100/24 up
		5000  tick
		13000 b 10.0.0.100/24 up
		90000 a 10.0.0.100/24 down`,
		"4000 ask a", "4000 ask b", "4010 ask a", "5000 ask a", "13000 ask a")
	f("a killed agent lets go", `
		0     a 10.0.0.100/24 up
		3000  b 10.0.0.100/24 up
		3010  a gone
		4000  tick
		5000  b 10.0.0.100/24 up`)
	f("two masters, until one lets go", `
		0     a 10.0.0.100/24 up
		1     b 10.0.0.100/24 down
		3000  b 10.0.0.100/24 up
		4050  tick
		4060  b 10.0.0.100 up
		4070  a 10.0.0.100/24 up
		9060  tick
		9065  b 10.0.0.100/24 up
		9070  a 10.0.0.100/24 up
		12000 b 10.0.0.100/24 down`,
		"4050 ask a", "4050 ask b", "4060 ask a",
		"4070 vip_conflict of a, hosts a, b: 10.0.0.100 is held by a (instance web) and by b (instance web) at the same time, for 1.1s now: traffic to it reaches any of them. Look at the network between them (conflict-10.0.0.100-1795000002993)",
		"4070 a 10.0.0.100 1", "4070 b 10.0.0.100 0",
		"9060 ask b",
		"12000 vip_conflict_ended of a, hosts a: 10.0.0.100 is held by a (instance web): the conflict is over after 9s (conflict-ended-10.0.0.100-1795000002993)",
		"12000 a 10.0.0.100 0", "12000 b 10.0.0.100 0")
	f("a holder that falls silent, and comes back", `
		0     a fd00::100 up
		3000  b fd00:0::100/64 up
		4100  a fd00::100 up
		4100  b fd00::100 up
		24000 b fd00::100 up
		24101 tick
		30000 a fd00::100 up
		31000 a fd00::100 up
		31000 b fd00::100 up`,
		"4100 ask b",
		"4100 vip_conflict of a, hosts a, b: fd00::100 is held by a (instance web) and by b (instance web) at the same time, for 1.1s now: traffic to it reaches any of them. Look at the network between them (conflict-fd00::100-1795000002993)",
		"4100 a fd00::100 1", "4100 b fd00::100 0", "24000 ask a",
		"24101 vip_conflict_ended of a, hosts b: fd00::100 is held by b (instance web): the conflict is over after 21.1s (conflict-ended-fd00::100-1795000002993)",
		"24101 a fd00::100 0", "24101 b fd00::100 0",
		"31000 ask b",
		"31000 vip_conflict of a, hosts a, b: fd00::100 is held by a (instance web) and by b (instance web) at the same time, for 1s now: traffic to it reaches any of them. Look at the network between them (conflict-fd00::100-1795000029993)",
		"31000 a fd00::100 1", "31000 b fd00::100 0")
	f("the host of the conflict goes", `
		0     a 10.0.0.1 up
		0     b 10.0.0.1 up
		1000  a 10.0.0.1 up
		1000  b 10.0.0.1 up
		1500  a gone`,
		"1000 ask b",
		"1000 vip_conflict of a, hosts a, b: 10.0.0.1 is held by a (instance web) and by b (instance web) at the same time, for 1s now: traffic to it reaches any of them. Look at the network between them (conflict-10.0.0.1-1794999999993)",
		"1000 a 10.0.0.1 1", "1000 b 10.0.0.1 0",
		"1500 vip_conflict_ended of a, hosts b: 10.0.0.1 is held by b (instance web): the conflict is over after 1.5s (conflict-ended-10.0.0.1-1794999999993)",
		"1500 b 10.0.0.1 0", "1500 a 10.0.0.1 0")
	f("what is no address", `
		0     a nonsense up
		0     b nonsense up
		1000  a nonsense up
		1000  b nonsense up`)
}

// Two instances of one host are one holder, and clusters have nothing to do with each other.
func TestWhoCountsAsTwo(t *testing.T) {
	tab := New(MaxWords)
	for _, ms := range []int64{0, 2000, 4000} {
		for _, w := range []Word{{Cluster: "c", Host: "a", Instance: "web"}, {Cluster: "c", Host: "a", Instance: "web2"}, {Cluster: "d", Host: "b", Instance: "web"}} {
			w.VIP, w.Held, w.Time, w.Heard = "10.0.0.1", true, start+ms, start+ms
			if e := tab.Hear(w, nil); len(e) > 0 {
				t.Errorf("got %v", e)
			}
		}
	}
	if got := tab.Samples(start, true, nil); len(got) > 0 {
		t.Errorf("got samples %v of addresses of one host", got)
	}
}

func TestSamplesOfAll(t *testing.T) {
	s := story{t: t, tab: New(MaxWords)}
	s.do("0 a 10.0.0.1 up\n 0 b 10.0.0.1 down\n 0 a 10.0.0.2 up")
	var got []string
	for _, x := range s.tab.Samples(start+10, true, nil) {
		got = append(got, fmt.Sprintf("%s %d %g", x.Series, x.Time-start, x.Value))
	}
	want := []string{
		`keepwatch_vip_conflict{cluster="c",host="a",vip="10.0.0.1"} 10 0`,
		`keepwatch_vip_conflict{cluster="c",host="b",vip="10.0.0.1"} 10 0`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A collector that starts while two hosts hold an address does not say first that one does, which would end the alert.
func TestSamplesOfAllInDoubt(t *testing.T) {
	s := story{t: t, tab: New(MaxWords)}
	f := func(ms int64, want ...string) {
		t.Helper()
		var got []string
		for _, x := range s.tab.Samples(start+ms, true, nil) {
			got = append(got, fmt.Sprintf("%s %g", x.Series.Host, x.Value))
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %d ms: got %q, want %q", ms, got, want)
		}
	}
	s.do("0 a 10.0.0.1 up\n 300 b 10.0.0.1 up")
	f(400)
	s.do("1400 a 10.0.0.1 up\n 1500 b 10.0.0.1 up")
	f(1600, "a 1", "b 0")
	s.do("2000 b 10.0.0.1 down")
	f(2100, "a 0", "b 0")
	s.do("3000 b 10.0.0.1 up\n 15000 a 10.0.0.1 up\n 22000 a 10.0.0.1 up") // b was killed with its host after a second
	f(22500)
	f(23001, "a 0", "b 0")
}

func TestBound(t *testing.T) {
	tab := New(3)
	for i := range int64(10) {
		tab.Hear(Word{Cluster: "c", Host: fmt.Sprint("h", i), VIP: "10.0.0.1", Held: true, Time: start + i, Heard: start + i}, nil)
	}
	if tab.Dropped() != 7 || tab.order.Len() != 3 || len(tab.hosts) != 3 {
		t.Errorf("got %d dropped, %d words", tab.Dropped(), tab.order.Len())
	}
}

// Whatever is said in whatever order: what is remembered is bounded, a conflict ends only after it began, and nobody
// is in conflict with itself.
func TestAnyWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		tab := New(limit)
		now := int64(start)
		open := make(map[string]bool)
		for range rapid.IntRange(1, 120).Draw(t, "words") {
			now += rapid.SampledFrom([]int64{0, 100, 900, 1100, 6000, 25_000, Forget}).Draw(t, "later")
			host := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "host")
			var events []metric.Event
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				events = tab.Tick(now, nil)
			case 1:
				events = tab.Silent("c", host, now, nil)
			default:
				events = tab.Hear(Word{
					Cluster: "c", Host: host, Instance: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "instance"),
					VIP:  rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2/24", "fd00::1/64"}).Draw(t, "vip"),
					Held: rapid.Bool().Draw(t, "held"), Time: now + rapid.Int64Range(-20_000, 20_000).Draw(t, "skew"), Heard: now,
				}, nil)
			}
			for i := range events {
				e := &events[i]
				if err := e.Check(); err != nil {
					t.Fatal(err)
				}
				begins := e.Kind == metric.EventVIPConflict
				if open[e.Label("vip")] == begins {
					t.Fatalf("%s out of turn", e.Kind)
				}
				open[e.Label("vip")] = begins
				if begins && !strings.Contains(e.Label("hosts"), ", ") {
					t.Fatalf("a conflict of %q alone", e.Label("hosts"))
				}
			}
			if tab.order.Len() > limit || len(tab.vips) > limit || len(tab.doubtful) > len(tab.vips) || len(tab.hosts) > limit {
				t.Fatalf("%d words, %d addresses, %d doubtful, %d hosts of %d", tab.order.Len(), len(tab.vips), len(tab.doubtful), len(tab.hosts), limit)
			}
			tab.Samples(now, rapid.Bool().Draw(t, "all"), nil)
		}
	})
}
