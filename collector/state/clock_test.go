package state

import (
	"testing"
	"time"

	"keepwatch/collector/frame"
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
