package extractor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

const (
	hour   = int64(3_600_000)
	anyDay = int64(1_795_000_000_000)
)

// clocked is a stream whose aggregator's clock is known, and one sender.
type clocked struct {
	*stream
	boot frame.Boot
	seq  uint64
	told []string // events

	ahead int64 // of the aggregator's clock
}

func newClocked(t *testing.T, p *page) *clocked {
	t.Helper()
	c := &clocked{stream: newStream(t, p), boot: frame.Boot{Start: anyDay, Random: 7}}
	c.take.cluster = "c"
	c.meets("a:1", 0)
	return c
}

// meets lets the aggregator's clock be known; its clock is ahead of ours by that much.
func (c *clocked) meets(addr string, ahead int64) {
	c.ahead = ahead
	c.take.connected(addr)
	l := &load{}
	c.take.greeted(anyDay+ahead, time.UnixMilli(anyDay-50), time.UnixMilli(anyDay+50), l)
	c.note(l)
}

func (c *clocked) note(l *load) {
	for _, e := range l.b.Events {
		if e.Kind == metric.EventClockSkew {
			c.told = append(c.told, fmt.Sprintf("%s %s", e.Host, e.Label("seconds_ahead")))
		}
	}
}

// frame plays one that was sent when the sender's clock said sent and received at received; it gives what the time of
// a sample taken then became, as it differs from received.
func (c *clocked) frame(seq uint64, sent, received int64, flags ...string) (off int64) {
	c.t.Helper()
	b := &batch.Batch{
		Samples: []metric.Sample{{Series: metric.MustSeries("c", "web1", "load", nil, "", metric.Gauge), Time: sent}},
		Events:  []metric.Event{{ID: fmt.Sprintf("e%d-%d", seq, received), Cluster: "c", Host: "web1", Kind: metric.EventVIPTaken, Time: sent}},
	}
	l := &load{}
	rec := frame.Record{Received: received, Frame: frame.Frame{
		Origin: frame.Origin{Boot: c.boot, Seq: seq}, Sent: sent, Interval: 15 * time.Second, Cluster: "c", Host: "web1",
		Payload: batch.Append(nil, b), Gmond: slices.Contains(flags, "gmond"), Derived: slices.Contains(flags, "derived"),
	}}
	c.take.arrive(&rec, time.UnixMilli(received-c.ahead), l)
	c.take.record(&rec, l)
	c.note(l)
	for _, e := range l.b.Events {
		if e.Kind == metric.EventVIPTaken {
			off = e.Time - received
		}
	}
	for _, s := range l.b.Samples {
		if s.Series.Name == "load" && s.Time-received != off {
			c.t.Errorf("the sample is corrected to %d, the event to %d", s.Time-received, off)
		}
	}
	return off
}

// next plays the next frame, which takes that long; the sender's clock is ahead of ours.
func (c *clocked) next(at, ahead, delay int64) (off int64) {
	c.seq++
	return c.frame(c.seq, at+ahead, at+delay)
}

func TestWrongClocksAreCorrected(t *testing.T) {
	for _, c := range []struct {
		name       string
		ahead      int64
		off        int64 // of what is stored, but for a delay of 20 ms
		events     []string
		skewMetric float64
	}{
		{"right", 0, 0, nil, 0},
		{"half a second", 500, 500, nil, 0},
		{"an hour ahead", hour, 0, []string{"web1 3600"}, 3600},
		{"an hour behind", -hour, 0, []string{"web1 -3600"}, -3600},
		{"a second and a half", 1500, 500, nil, 1},
		{"two seconds behind", -2000, 0, []string{"web1 -2"}, -2},
		{"eleven minutes and a bit", 660_400, 400, []string{"web1 660"}, 660},
	} {
		s := newClocked(t, &page{})
		for i := range int64(6) {
			if off := s.next(anyDay+i*15_000, c.ahead, 20) + 20; off != c.off {
				t.Errorf("%s, frame %d: stored %d ms off, want %d", c.name, i, off, c.off)
			}
		}
		if !slices.Equal(s.told, c.events) {
			t.Errorf("%s: told %q, want %q", c.name, s.told, c.events)
		}
		l := &load{}
		s.take.record(&frame.Record{Received: anyDay + 90_000, Heartbeat: true}, l)
		found := false
		for _, x := range l.b.Samples {
			if x.Series.Name == skewMetric {
				if found = true; x.Series.Host != "web1" || x.Value != c.skewMetric || x.Series.Unit != metric.Seconds {
					t.Errorf("%s: got %v %v, want %v", c.name, x.Series.Key(), x.Value, c.skewMetric)
				}
			}
		}
		if !found {
			t.Errorf("%s: no sample of %s", c.name, skewMetric)
		}
	}
}

// A clock that is set in the middle of a boot is followed: at once when it is put forward or by more than any network
// is slow, else when three frames on end say so. What was sent before, and came late, keeps its own correction.
func TestClockThatJumps(t *testing.T) {
	s := newClocked(t, &page{})
	at := anyDay
	step := func(ahead, want int64) {
		t.Helper()
		at += 15_000
		if off := s.next(at, ahead, 10) + 10; off != want {
			t.Errorf("clock ahead by %d: stored %d off, want %d", ahead, off, want)
		}
	}
	step(0, 0)
	step(hour, 0)
	step(hour, 0)
	if off := s.frame(1000, at+15_000+hour, at+15_000); off != 0 {
		t.Errorf("a gap in the sequence: stored %d off", off)
	}
	s.seq = 1000
	step(-hour, 0)
	if off := s.frame(999, at+hour, at+10_000) + 10_000; off != 0 { // sent before the jump, repaired after it
		t.Errorf("a late frame from before the jump: stored %d off, want 0", off)
	}
	step(0, 0)
	step(-5000, -5000)
	step(-5000, -5000)
	step(-5000, 0)
	step(-5000, 0)
	if want := []string{"web1 3600", "web1 -3600", "web1 0", "web1 -5"}; !slices.Equal(s.told, want) {
		t.Errorf("told %q, want %q", s.told, want)
	}
}

func TestDelayIsNoSkew(t *testing.T) {
	s := newClocked(t, &page{})
	for i, delay := range []int64{30, 25_000, 40, 9_000, 9_000, 30, 1_900, 1_900, 1_900, 1_900} {
		if off := s.next(anyDay+int64(i)*30_000, 0, delay) + delay; off != 0 {
			t.Errorf("frame %d, %d ms late: stored %d off", i, delay, off)
		}
	}
	if s.told != nil {
		t.Errorf("told %q", s.told)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := newClocked(t, &page{})
		ahead := rapid.Int64Range(-100_000, 100_000).Draw(rt, "seconds ahead") * 1000
		first := s.next(anyDay, ahead, 10)
		for i := range rapid.Int64Range(1, 30).Draw(rt, "frames") {
			delay := rapid.Int64Range(10, 2000).Draw(rt, "delay")
			if off := s.next(anyDay+i*15_000, ahead, delay) + delay; off != first+10 {
				rt.Fatalf("frame %d, %d ms late: stored %d off, the first %d", i, delay, off, first+10)
			}
		}
	})
}

// A restart, and another aggregator with another clock, correct what they pull again as the first run did.
// A first frame that came late makes a clock look slow; the next one that was not puts it right.
func TestFirstFrameThatCameLate(t *testing.T) {
	for _, late := range []int64{1_400, 1_900, 5_000, 13_000} {
		c := newClocked(t, &page{})
		c.next(0, 0, late)
		for i := range int64(3) {
			if off := c.next((i+1)*15_000, 0, 3); off < -600 || off > 600 {
				t.Errorf("%d ms late: frame %d is off by %d ms", late, i+2, off)
			}
		}
	}
}

func TestCorrectionIsRemembered(t *testing.T) {
	p := &page{}
	s := newClocked(t, p)
	s.next(anyDay, 0, 10)
	s.next(anyDay+15_000, 60_000, 10)
	s.next(anyDay+30_000, 60_000, 10)
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for name, ahead := range map[string]int64{"a restart": 0, "another aggregator": 7_000} {
		var again page
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		n := newClocked(t, &again)
		if ahead != 0 {
			n.meets("10.0.0.9:8660", ahead)
		}
		for i, clock := range []int64{0, 60_000, 60_000} {
			sent := anyDay + int64(i)*15_000
			if off := n.frame(uint64(i+1), sent+clock, sent+ahead+15) + ahead + 15; off != 0 {
				t.Errorf("%s: frame %d is stored %d off", name, i+1, off)
			}
		}
		want := []string(nil)
		if ahead != 0 {
			want = []string{"10.0.0.9 7"}
		}
		if !slices.Equal(n.told, want) {
			t.Errorf("%s: told %q, want %q", name, n.told, want)
		}
	}
}

// The next start of a host whose clock was set is told of, too.
func TestClockThatIsRightAfterARestart(t *testing.T) {
	s := newClocked(t, &page{})
	s.next(anyDay, hour, 10)
	s.boot, s.seq = frame.Boot{Start: anyDay + 1, Random: 8}, 0
	if off := s.next(anyDay+60_000, 0, 10) + 10; off != 0 {
		t.Errorf("stored %d off", off)
	}
	if want := []string{"web1 3600", "web1 0"}; !slices.Equal(s.told, want) {
		t.Errorf("told %q, want %q", s.told, want)
	}
}

// What an aggregator made has its times, by the clock as it was then. Of gmond samples that is exact: by it they are known.
func TestWhatAnAggregatorMade(t *testing.T) {
	for flag, off := range map[string]struct{ little, much int64 }{"gmond": {0, -7000}, "derived": {1500, -7030}} {
		s := newClocked(t, &page{})
		if got := s.frame(1, anyDay+1500, anyDay, flag); got != off.little {
			t.Errorf("%s: stored %d off, want %d", flag, got, off.little)
		}
		s.meets("b:1", 7000)
		if got := s.frame(2, anyDay+7000, anyDay+7000, flag); got != -7000 {
			t.Errorf("%s of a wrong aggregator: stored %d off its time, want -7000", flag, got)
		}
		if got := s.frame(3, anyDay+hour+7970, anyDay+7000, flag); got != off.much {
			t.Errorf("%s before the aggregator's clock was set: stored %d off its time, want %d", flag, got, off.much)
		}
	}
}

// By a clock that may be wrong nobody is judged.
func TestUnknownAggregatorJudgesNobody(t *testing.T) {
	s := newClocked(t, &page{})
	s.take.connected("b:1")
	if off := s.frame(1, anyDay, anyDay+7000); off != -7000 {
		t.Errorf("stored %d off: want as it was sent", off)
	}
	now := time.UnixMilli(anyDay)
	for i, here := range []time.Duration{0, 500, 500, 500, 1500, 1, 1, 500} { // ms between reads; heartbeats that lay about count not
		now = now.Add(here * time.Millisecond)
		l := &load{}
		s.take.arrive(&frame.Record{Received: anyDay + 7000 + int64(i)*500, Heartbeat: true}, now, l)
		s.note(l)
	}
	if s.take.page.Aggregators["b:1"].Offset != -7000 {
		t.Errorf("the aggregator's offset is %d, want -7000", s.take.page.Aggregators["b:1"].Offset)
	}
	if off := s.frame(2, anyDay+15_000, anyDay+22_000); off != -7000 || len(s.told) != 1 || !strings.HasSuffix(s.told[0], " 7") {
		t.Errorf("stored %d off, told %q; want what the sender said, and that the aggregator is 7 s ahead", off, s.told)
	}
}

func TestClocksAreForgotten(t *testing.T) {
	s := newClocked(t, &page{})
	s.next(anyDay, hour, 10)
	s.take.sweep(anyDay + forgetClock + 60_000)
	if p := s.take.page; len(p.Clocks) != 0 || len(s.take.clocks.boots) != 0 {
		t.Errorf("%d and %d clocks are left", len(p.Clocks), len(s.take.clocks.boots))
	}
	s.take.page.Clocks = map[string]*clock{s.boot.String(): nil} // as a damaged file has it
	s.next(anyDay+forgetClock+70_000, hour, 10)
}
