package bfd

import (
	"testing"
	"time"
)

// The lines of RFC 5880 section 6.8.6 that need a session, in their order.
func TestReceiveRules(t *testing.T) {
	t.Run("your discriminator of no session: discard", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.hear(Packet{Phase: Down, Your: 77})
		c.phase(Up, DiagNone)
		if c.s.Counters.Dropped[DropYours] != 1 {
			t.Errorf("refused packets: %v", c.s.Counters.Dropped)
		}
	})
	t.Run("authenticated: discard", func(t *testing.T) {
		c := newScript(t, usual)
		b := append((&Packet{Phase: Down, Multiplier: 3, My: yours}).Append(nil), 1, 8, 1, 's', 'e', 'c', 'r', 'e')
		b[1] |= bitAuth
		b[3] = byte(len(b))
		c.step(Received{&Heard{TTL: 255, Payload: b}})
		c.phase(Down, DiagNone)
		if c.s.Counters.Dropped[DropAuth] != 1 || c.s.Counters.Received != 0 {
			t.Errorf("refused packets: %v", c.s.Counters.Dropped)
		}
	})
	t.Run("remote variables are set", func(t *testing.T) {
		c := newScript(t, usual)
		c.hear(Packet{Phase: Down, Diag: 5, My: 9, Multiplier: 7, DesiredMinTx: 2 * time.Second, RequiredMinRx: 3 * time.Second, Demand: true})
		want := Remote{Discriminator: 9, Phase: Down, Diag: 5, Multiplier: 7, DesiredMinTx: 2 * time.Second, RequiredMinRx: 3 * time.Second, Demand: true, Heard: epoch}
		if c.s.Remote != want {
			t.Errorf("the peer is %+v, want %+v", c.s.Remote, want)
		}
		if c.sent[0].Your != 9 {
			t.Errorf("the answer is for %d", c.sent[0].Your)
		}
	})
	t.Run("final ends the poll sequence", func(t *testing.T) {
		c := newScript(t, usual)
		c.hear(Packet{Phase: Down})
		c.hear(Packet{Phase: Up})
		c.says("init", "up poll")
		c.wait(50 * ms)
		c.says("up poll")
		c.hear(Packet{Phase: Up, Final: true})
		c.wait(50 * ms)
		c.says("up")
	})
	t.Run("the transmit interval follows the peer", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.hear(Packet{Phase: Up, RequiredMinRx: 400 * ms})
		if got := c.s.TransmitInterval(); got != 400*ms {
			t.Errorf("the interval is %s", got)
		}
	})
	t.Run("the detection time follows the peer", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.hear(Packet{Phase: Up, DesiredMinTx: 70 * ms, Multiplier: 4})
		if got := c.s.DetectionTime(); got != 280*ms {
			t.Errorf("the detection time is %s", got)
		}
	})
	t.Run("held down: discard", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.step(Stop{})
		c.hear(Packet{Phase: Up, Poll: true})
		c.says("admin_down")
		c.phase(AdminDown, DiagAdminDown)
	})
	t.Run("demand mode of the peer: periodic packets cease, polls do not", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.hear(Packet{Phase: Up, Demand: true, DesiredMinTx: 10 * time.Second})
		c.wait(5 * time.Second)
		c.says()
		c.step(Reconfigure{Config{Interval: 60 * ms, Multiplier: 3}})
		c.wait(60 * ms)
		c.says("up poll", "up poll")
		c.hear(Packet{Phase: Up, Demand: true, Final: true, DesiredMinTx: 10 * time.Second})
		c.wait(5 * time.Second)
		c.says()
		c.hear(Packet{Phase: Up, DesiredMinTx: 10 * time.Second})
		c.wait(0)
		c.says("up")
	})
	t.Run("poll is answered at once, without a poll of ours", func(t *testing.T) {
		c := newScript(t, usual)
		c.hear(Packet{Phase: Down})
		c.hear(Packet{Phase: Init, Poll: true})
		c.phase(Up, DiagNone)
		c.says("init", "up final")
		if !c.s.Polling {
			t.Error("the own poll sequence is lost")
		}
	})
	t.Run("only packets that were not discarded keep the session up", func(t *testing.T) {
		c := newScript(t, usual).up()
		for range 20 {
			c.wait(10 * ms)
			c.step(Received{&Heard{TTL: 254, Payload: (&Packet{Phase: Up, Multiplier: 3, My: yours, Your: mine}).Append(nil)}})
		}
		c.phase(Down, DiagSilent)
	})
}
