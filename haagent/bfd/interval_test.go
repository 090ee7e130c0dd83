package bfd

import (
	"slices"
	"testing"
	"time"
)

// RFC 5880 section 6.8.3: intervals that change.
func TestIntervals(t *testing.T) {
	t.Run("slow until up", func(t *testing.T) {
		c := newScript(t, usual)
		c.wait(10 * time.Second)
		if n := len(c.sent); n < 10 || n > 14 {
			t.Errorf("%d packets in 10 s", n)
		}
		for _, p := range c.sent {
			if p.DesiredMinTx != time.Second || p.RequiredMinRx != 50*ms || p.Your != 0 || p.Phase != Down {
				t.Errorf("sent %+v", p)
			}
		}
		slow := newScript(t, Config{Interval: 3 * time.Second, Multiplier: 3})
		slow.wait(0)
		if p := slow.sent[0]; p.DesiredMinTx != 3*time.Second {
			t.Errorf("sent %+v", p)
		}
	})
	t.Run("fast at once when up, with a poll", func(t *testing.T) {
		c := newScript(t, usual)
		c.wait(0)
		c.hear(Packet{Phase: Down})
		c.hear(Packet{Phase: Init})
		if got := c.s.TransmitInterval(); got != 50*ms || !c.s.Polling {
			t.Errorf("interval %s, polling %t", got, c.s.Polling)
		}
		if p := c.sent[2]; p.DesiredMinTx != 50*ms || !p.Poll {
			t.Errorf("sent %+v", p)
		}
	})
	t.Run("a longer interval waits for the peer's word, a longer detection time does not", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.step(Reconfigure{Config{Interval: 200 * ms, Multiplier: 3}})
		if c.s.TransmitInterval() != 50*ms || c.s.DetectionTime() != 600*ms {
			t.Errorf("before: %s, %s", c.s.TransmitInterval(), c.s.DetectionTime())
		}
		c.wait(50 * ms)
		if p := c.sent[0]; !p.Poll || p.DesiredMinTx != 200*ms || p.RequiredMinRx != 200*ms {
			t.Errorf("sent %+v", p)
		}
		c.hear(Packet{Phase: Up, Final: true})
		if c.s.TransmitInterval() != 200*ms || c.s.DetectionTime() != 600*ms {
			t.Errorf("after: %s, %s", c.s.TransmitInterval(), c.s.DetectionTime())
		}
	})
	t.Run("a shorter interval is used at once, a shorter detection time waits for the peer's word", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.hear(Packet{Phase: Up, DesiredMinTx: 10 * ms, RequiredMinRx: 10 * ms})
		c.step(Reconfigure{Config{Interval: 20 * ms, Multiplier: 3}})
		if c.s.TransmitInterval() != 20*ms || c.s.DetectionTime() != 150*ms {
			t.Errorf("before: %s, %s", c.s.TransmitInterval(), c.s.DetectionTime())
		}
		c.hear(Packet{Phase: Up, Final: true, DesiredMinTx: 10 * ms})
		if c.s.DetectionTime() != 60*ms {
			t.Errorf("after: %s", c.s.DetectionTime())
		}
	})
	t.Run("a change during a poll sequence is polled for itself", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.step(Reconfigure{Config{Interval: 200 * ms, Multiplier: 3}})
		c.step(Reconfigure{Config{Interval: 300 * ms, Multiplier: 3}})
		c.hear(Packet{Phase: Up, Final: true})
		if !c.s.Polling || c.s.TransmitInterval() != 50*ms {
			t.Errorf("after the first answer: polling %t, %s", c.s.Polling, c.s.TransmitInterval())
		}
		c.hear(Packet{Phase: Up, Final: true})
		if c.s.Polling || c.s.TransmitInterval() != 300*ms {
			t.Errorf("after the second answer: polling %t, %s", c.s.Polling, c.s.TransmitInterval())
		}
	})
	t.Run("no poll when nothing but the multiplier changes", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.step(Reconfigure{Config{Interval: 50 * ms, Multiplier: 5}})
		c.wait(50 * ms)
		if p := c.sent[0]; p.Poll || p.Multiplier != 5 {
			t.Errorf("sent %+v", p)
		}
	})
	t.Run("a shorter interval that the peer wants is honoured from the last packet on", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.hear(Packet{Phase: Up, RequiredMinRx: 10 * time.Second, DesiredMinTx: 10 * time.Second})
		c.wait(2 * time.Second)
		c.sent = nil
		c.hear(Packet{Phase: Up, RequiredMinRx: 50 * ms})
		c.wait(0)
		c.says("up")
	})
	t.Run("a peer that wants no packets gets none", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.step(Received{&Heard{TTL: 255, Payload: (&Packet{Phase: Up, Multiplier: 255, My: yours, Your: mine, DesiredMinTx: time.Second}).Append(nil)}})
		c.wait(time.Minute)
		c.says()
		if got := c.s.TransmitInterval(); got != 0 {
			t.Errorf("the interval is %s", got)
		}
	})
}

// RFC 5880 section 6.8.7: jitter.
func TestJitter(t *testing.T) {
	for _, x := range []struct {
		multiplier  uint8
		least, most time.Duration
	}{{3, 75 * ms, 100 * ms}, {1, 75 * ms, 90 * ms}} {
		c := newScript(t, Config{Interval: 100 * ms, Multiplier: x.multiplier}).up()
		c.hear(Packet{Phase: Up, DesiredMinTx: time.Hour})
		var gaps []time.Duration
		for last := c.s.sentAt; len(gaps) < 2000; last = c.s.sentAt {
			at, _ := c.s.Deadline()
			c.wait(at.Sub(c.now))
			gaps = append(gaps, c.s.sentAt.Sub(last))
		}
		gaps = gaps[1:] // the first counts from before the session was up
		least, most := slices.Min(gaps), slices.Max(gaps)
		if least < x.least || most > x.most || least > x.least+ms || most < x.most-ms {
			t.Errorf("multiplier %d: gaps from %s to %s, want them spread over %s to %s", x.multiplier, least, most, x.least, x.most)
		}
	}
}

// A packet that may leave already does so when the peer's comes, so that one wake-up serves both.
func TestRipe(t *testing.T) {
	for _, x := range []struct {
		after time.Duration
		want  int
	}{{37 * ms, 0}, {37500 * time.Microsecond, 1}} {
		c := newScript(t, usual).up()
		for c.s.sentAt != c.now { // the jitter of the first may be small
			at, _ := c.s.Deadline()
			c.wait(at.Sub(c.now))
		}
		c.sent = nil
		c.now = c.now.Add(x.after)
		c.hear(Packet{Phase: Up})
		if len(c.sent) != x.want {
			t.Errorf("%s after its last packet it sent %d", x.after, len(c.sent))
		}
	}
}
