package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/share"
	"keepwatch/internal/ganglia"
	"keepwatch/metric"
)

// An event that a collector makes of a host has the host's time only when that can be right.
func TestEventsOfAHostWithAWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Second, time.Hour, -time.Hour} {
		s := newState(t, nil)
		sent, at := start.Add(ahead), start.Add(40*time.Millisecond)
		host := newSender(t, "web1", frame.Boot{Start: sent.UnixMilli(), Random: 1})
		if err := s.Native(host.frame(sent, "web1", "load"), from, at); err != nil {
			t.Fatal(err)
		}
		s.Tick(at)
		want := at
		if ahead <= time.Second && ahead >= -time.Second {
			want = sent
		}
		n := 0
		for _, b := range opened(t, s) {
			for _, e := range b.Events {
				if n++; e.Kind != metric.EventHostJoined || e.Time != want.UnixMilli() {
					t.Errorf("clock ahead by %v: %s at %d, want host_joined at %d", ahead, e.Kind, e.Time, want.UnixMilli())
				}
			}
		}
		if n != 1 {
			t.Errorf("clock ahead by %v: %d events, want 1", ahead, n)
		}
	}
}

// Our clock is set back and forward under what is known: what is said of it each 10 s goes on, by the clock as it is, and
// says the same; who falls silent then is lost in its time.
func TestOurClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, -8 * time.Second, 3 * time.Second, 5 * time.Minute} {
		s := newState(t, stalls)
		a, b := newSender(t, "a", frame.Boot{Start: start.UnixMilli(), Random: 1}), newSender(t, "b", frame.Boot{Start: start.UnixMilli(), Random: 2})
		ours := start
		hear := func(datagram []byte) {
			t.Helper()
			if err := s.Native(datagram, from, ours); err != nil {
				t.Fatal(err)
			}
		}
		say := func(at time.Duration) { // by clocks that are right
			hear(a.looks(at, 0))
			hear(b.looks(at, 0))
			hear(a.holds(at, 1))
			hear(b.holds(at, 0))
		}
		s.Tick(start.Add(-10 * time.Minute)) // after which it did not run
		say(0)
		for i := range 60 {
			at := time.Duration(i) * time.Second
			if i == 15 {
				ours = ours.Add(by)
			}
			if i <= 16 {
				hear(a.frame(start.Add(at), "silent", "load"))
			}
			if i%5 == 0 {
				say(at)
			}
			s.Tick(ours)
			ours = ours.Add(time.Second)
		}
		said := make(map[string]int)
		for _, x := range opened(t, s) {
			for _, sample := range x.Samples {
				if n := sample.Series.Name; n == share.Up || n == "keepwatch_vip_conflict" && sample.Series.Host == "a" {
					said[fmt.Sprintf("%s %v", n, sample.Value)]++
				}
			}
		}
		up, vip := said[share.Up+" 0"], said["keepwatch_vip_conflict 0"]
		if up < 6 || up > 8 || vip < 6 || vip > 8 || len(said) != 2 {
			t.Errorf("set by %v: said %v; want down and no conflict 6 to 8 times in a minute, and nothing else", by, said)
		}
		if got := lost(t, s); !slices.Equal(got, []string{"silent"}) {
			t.Errorf("set by %v: lost %q, want the host that is silent for 43 s, four times its interval is 40 s", by, got)
		}
	}
}

func stalls(o *Options) { o.Stall = 3 * time.Second }

// lost is the hosts that were told lost.
func lost(t *testing.T, s *State) (hosts []string) {
	t.Helper()
	for _, e := range events(t, s) {
		if f := strings.Fields(e); f[0] == "host_lost" {
			hosts = append(hosts, f[1])
		}
	}
	return hosts
}

// A collector that does not run for five minutes finds nobody lost, nor forgets what was said of a check, whether it reads first what waited for it, of which the
// later part has been dropped, or the clock. Who says no more after that is lost in its time.
func TestWhoWasNotHeardWhileWeDidNotRun(t *testing.T) {
	for _, clockFirst := range []bool{false, true} {
		s := newState(t, stalls)
		a, b := newSender(t, "a", frame.Boot{Start: start.UnixMilli(), Random: 1}), newSender(t, "b", frame.Boot{Start: start.UnixMilli(), Random: 2})
		g := newWire(t, s, "10.0.0.1:8649")
		say := func(at time.Duration) {
			must(t, s.Native(a.frame(start.Add(at), "a", "load"), from, start.Add(at)))
			must(t, s.Native(b.frame(start.Add(at), "b", "load"), from, start.Add(at)))
			g.heartbeat(at, "g", start.Add(-time.Hour))
		}
		for _, at := range []time.Duration{50 * time.Minute, time.Hour} { // it was the same before our clock was set back
			s.Tick(start.Add(at))
		}
		const ran, again = 10 * time.Second, 310 * time.Second
		for at := time.Duration(0); at <= ran; at += time.Second {
			say(at)
			s.Tick(start.Add(at))
		}
		must(t, s.Native(a.looks(ran, 0), from, start.Add(ran)))
		must(t, s.Native(b.looks(ran, 0), from, start.Add(ran)))
		said := len(ups(t, s))
		if clockFirst {
			s.Tick(start.Add(again))
		}
		say(ran + time.Second)
		say(ran + 2*time.Second)
		s.Tick(start.Add(again))
		if got := lost(t, s); len(got) > 0 {
			t.Errorf("clock first %v: lost %q", clockFirst, got)
		}
		if got := ups(t, s); len(got) != said+1 || got[said] != 0 {
			t.Errorf("clock first %v: said was %v of a check that was down, want down once more", clockFirst, got)
		}
		var h ganglia.Host
		if s.FillGmond("g", start.Add(again).UnixMilli(), &h); h.TN > 5 {
			t.Errorf("clock first %v: a gmond host was not heard for %d s, which is for as long as we did not run", clockFirst, h.TN)
		}
		for at := again; at < again+90*time.Second; at += time.Second {
			must(t, s.Native(a.frame(start.Add(at), "a", "load"), from, start.Add(at)))
			s.Tick(start.Add(at))
		}
		if got := lost(t, s); !slices.Equal(got, []string{"b", "g"}) {
			t.Errorf("clock first %v: lost %q after another 90 s, want b and g", clockFirst, got)
		}
	}
}

// Two hosts hold an address while our clock is set forward by a minute: that is one conflict and goes on.
func TestConflictGoesOnWhenOurClockIsSetForward(t *testing.T) {
	s := newState(t, stalls)
	a, b := newSender(t, "a", frame.Boot{Start: start.UnixMilli(), Random: 1}), newSender(t, "b", frame.Boot{Start: start.UnixMilli(), Random: 2})
	for i := range 40 {
		at := time.Duration(i) * time.Second
		ours := start.Add(at)
		if i >= 20 {
			ours = ours.Add(time.Minute)
		}
		must(t, s.Native(a.holds(at, 1), from, ours))
		must(t, s.Native(b.holds(at, 1), from, ours.Add(500*time.Millisecond)))
		s.Tick(ours.Add(900 * time.Millisecond))
	}
	told := slices.DeleteFunc(events(t, s), func(e string) bool { return !strings.HasPrefix(e, "vip_conflict") })
	if len(told) != 1 {
		t.Errorf("got %q, want one conflict", told)
	}
}

// Our clock is set back by an hour: a gmond host that dies then is told as silent, and what is dropped is told of.
func TestWhatIsToldAfterOurClockWasSetBack(t *testing.T) {
	s := newState(t, func(o *Options) { o.MaxHosts, o.HostDmax = 2, 24*time.Hour })
	w := newWire(t, s, "10.0.0.1:8649")
	w.heartbeat(0, "web1", start.Add(-time.Hour))
	w.heartbeat(0, "web2", start.Add(-time.Hour))
	back := -time.Hour
	for _, at := range []time.Duration{0, back, back + time.Minute, back + 30*time.Minute} {
		_ = w.raw(at, []byte{0, 0, 0, 133}) // a part of a packet
		if at == 0 {
			_ = w.value(at, "web3", "load", 1)
		}
		s.Tick(start.Add(at))
	}
	told := slices.DeleteFunc(events(t, s), func(e string) bool { return !strings.Contains(e, "dropped-gmond_packets-malformed-") })
	if len(told) != 3 {
		t.Errorf("got %q, want events of drops before, one minute and half an hour after", told)
	}
	var h ganglia.Host
	if s.FillGmond("web1", start.Add(back+30*time.Minute).UnixMilli(), &h); h.TN != 1800 {
		t.Errorf("silent for half an hour, TN is %d s", h.TN)
	}
	if d := s.gmondDmax(start.Add(back + 30*time.Minute)); d != (24 * time.Hour).Milliseconds() {
		t.Errorf("half an hour after a host was refused, silent ones are forgotten after %d ms", d)
	}
}
