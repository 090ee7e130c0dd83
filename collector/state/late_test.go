package state

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/holders"
	"keepwatch/collector/share"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// gone is a frame in which a sender says that its HA agent gives no answer.
func (s sender) gone(at time.Duration) (out []byte) {
	b := &batch.Batch{Samples: []metric.Sample{
		{Series: metric.MustSeries("lab", s.name, holders.AgentUp, nil, "", metric.State), Time: start.Add(at).UnixMilli()},
	}}
	s.Seal(b, frame.Stamp{Now: start.Add(at), Interval: 10 * time.Second}, func(d []byte) { out = bytes.Clone(d) })
	return out
}

// heardOfTwo is a state, two senders, and what lets it hear frames of theirs at a time.
func heardOfTwo(t *testing.T) (s *State, a, b sender, hear func(at time.Duration, datagrams ...[]byte)) {
	s = newState(t, nil)
	a, b = newSender(t, "a", frame.Boot{Start: start.UnixMilli(), Random: 1}), newSender(t, "b", frame.Boot{Start: start.UnixMilli(), Random: 2})
	hear = func(at time.Duration, datagrams ...[]byte) {
		t.Helper()
		for _, d := range datagrams {
			if err := s.Native(d, from, start.Add(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s, a, b, hear
}

// A collector that was cut off from two holders of an address, one after the other, is sent again what it missed. That
// began and ended meanwhile, so it is no conflict.
func TestWhatWasHeldIsNoConflict(t *testing.T) {
	s, a, b, hear := heardOfTwo(t)
	hear(0, a.holds(0, 1), b.holds(0, 0))
	again, released, after := a.holds(5*time.Second, 1), a.holds(10*time.Second, 0), a.frame(start.Add(14*time.Second), "a", "load")
	hear(11*time.Second, b.holds(11*time.Second, 1))
	hear(13*time.Second, b.holds(13*time.Second, 1))
	hear(15*time.Second, after, again, released)
	s.Tick(start.Add(15 * time.Second))
	joined := []string{fmt.Sprintf("host_joined a joined-%d", start.UnixMilli()), fmt.Sprintf("host_joined b joined-%d", start.UnixMilli())}
	wantEvents(t, s, joined...)

	// Now both hold it. What they said before does not end that.
	let, silent := a.holds(41*time.Second, 0), a.gone(42*time.Second)
	hear(50*time.Second, a.holds(50*time.Second, 1), b.holds(50*time.Second, 1))
	hear(52*time.Second, a.holds(52*time.Second, 1), b.holds(52*time.Second, 1))
	conflict := append(joined, fmt.Sprintf("vip_conflict a vip-conflict-10.0.0.100-%d", start.Add(50*time.Second).UnixMilli()))
	wantEvents(t, s, conflict...)
	hear(53*time.Second, let, silent)
	s.Tick(start.Add(53 * time.Second))
	wantEvents(t, s, conflict...)
}

// ups is what the state has said of checks.
func ups(t *testing.T, s *State) (values []float64) {
	t.Helper()
	for _, x := range opened(t, s) {
		for _, sample := range x.Samples {
			if sample.Series.Name == share.Up {
				values = append(values, sample.Value)
			}
		}
	}
	return values
}

// The same of checks: what two vantage points said at different times, and is heard at once, is not what they say
// together.
func TestWhatWasSeenIsNoNews(t *testing.T) {
	s, a, b, hear := heardOfTwo(t)
	s.Tick(start.Add(-time.Minute)) // it has listened for longer than an interval, and may say up
	hear(time.Second, a.looks(time.Second, 1), b.looks(time.Second, 0))
	down, up := a.looks(11*time.Second, 0), a.looks(21*time.Second, 1)
	hear(21*time.Second, b.looks(21*time.Second, 0))
	if _, err := s.Beat(a.Beat(1)); err != nil { // it is by this that the two are known to be missing
		t.Fatal(err)
	}
	hear(24*time.Second, down, up)
	s.Tick(start.Add(26 * time.Second))
	older := a.looks(31*time.Second, 0)
	hear(41*time.Second, a.looks(41*time.Second, 1), b.looks(41*time.Second, 0))
	hear(55*time.Second, older)
	s.Tick(start.Add(57 * time.Second))
	if got := ups(t, s); slices.Contains(got, 0) || len(got) < 3 {
		t.Errorf("said was %v, want 1 at each time", got)
	}
	hear(61*time.Second, a.looks(61*time.Second, 0)) // that counts
	if got := ups(t, s); got[len(got)-1] != 0 {
		t.Errorf("said was %v, want 0 at the end", got)
	}
}
