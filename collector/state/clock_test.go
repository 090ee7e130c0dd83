package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/share"
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
	for _, by := range []time.Duration{-time.Hour, -8 * time.Second, 3 * time.Second} {
		s := newState(t, nil)
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
		say(0)
		hear(a.frame(start, "silent", "load"))
		for i := range 60 {
			at := time.Duration(i) * time.Second
			if i == 15 {
				ours = ours.Add(by)
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
		lost := slices.ContainsFunc(events(t, s), func(e string) bool { return strings.HasPrefix(e, "host_lost silent ") })
		if !lost {
			t.Errorf("set by %v: a host is silent for a minute, four times its interval is 40 s, and is not lost", by)
		}
	}
}
