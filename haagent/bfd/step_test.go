package bfd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

var epoch = time.Unix(1_700_000_000, 0)

// mine and yours are the discriminators of this node and of the peer.
const (
	mine  = 0x0a
	yours = 0x0b
)

func started(c Config) State {
	s, _ := Step(New(c, mine, 1, epoch), Start{}, epoch)
	return s
}

// script drives one state by hand.
type script struct {
	t    testing.TB
	s    State
	now  time.Time
	sent []Packet // since the last look
	told []Changed
}

func newScript(t testing.TB, c Config) *script {
	return &script{t: t, s: started(c), now: epoch}
}

func (c *script) step(in Input) {
	before := c.s
	next, actions := Step(c.s, in, c.now)
	if again, same := Step(before, in, c.now); again != next || fmt.Sprint(same) != fmt.Sprint(actions) {
		c.t.Fatalf("Step does not give the same twice for %T", in)
	}
	c.s = next
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			c.sent = append(c.sent, a.Packet)
		case Changed:
			c.told = append(c.told, a)
		}
	}
}

// wait lets time pass, with a Tick whenever one is wanted.
func (c *script) wait(d time.Duration) {
	end := c.now.Add(d)
	for range 100_000 {
		at, ok := c.s.Deadline()
		if !ok || at.After(end) {
			c.now = end
			return
		}
		if at.After(c.now) {
			c.now = at
		}
		c.step(Tick{})
	}
	c.t.Fatalf("Ticks do not move the deadline: %+v", c.s)
}

// hear gives the session a packet of the peer; zero fields become those of an ordinary one.
func (c *script) hear(p Packet) {
	if p.My == 0 {
		p.My = yours
	}
	if p.Your == 0 && p.Phase >= Init {
		p.Your = mine
	}
	if p.Multiplier == 0 {
		p.Multiplier = 3
	}
	if p.DesiredMinTx == 0 {
		p.DesiredMinTx = 50 * ms
	}
	if p.RequiredMinRx == 0 {
		p.RequiredMinRx = 50 * ms
	}
	c.step(Received{&Heard{TTL: 255, Payload: p.Append(nil)}})
}

func (c *script) up() *script {
	c.t.Helper()
	c.hear(Packet{Phase: Down})
	c.hear(Packet{Phase: Up, Final: true})
	c.hear(Packet{Phase: Up, Final: true})
	if c.s.Phase != Up || c.s.Polling {
		c.t.Fatalf("the session did not come up: %+v", c.s)
	}
	c.sent, c.told = nil, nil
	return c
}

func (c *script) phase(want Phase, diag Diag) {
	c.t.Helper()
	if c.s.Phase != want || c.s.Diag != diag {
		c.t.Errorf("the session is %s (%s), want %s (%s)", c.s.Phase, c.s.Diag, want, diag)
	}
}

// says checks the packets sent since the last look, each as "up poll", "down final".
func (c *script) says(want ...string) {
	c.t.Helper()
	var got []string
	for _, p := range c.sent {
		text := p.Phase.String()
		if p.Poll {
			text += " poll"
		}
		if p.Final {
			text += " final"
		}
		if p.Poll && p.Final {
			c.t.Errorf("a packet has both poll and final set")
		}
		got = append(got, text)
	}
	c.sent = nil
	if !slices.Equal(got, want) {
		c.t.Errorf("sent %q, want %q", got, want)
	}
}

var usual = Config{Interval: 50 * ms, Multiplier: 3}

// Figure of RFC 5880 section 6.2, and what 6.8.6 says of the peer's phase: every phase here with every phase there.
func TestPhases(t *testing.T) {
	for _, c := range []struct {
		from, heard, want Phase
		diag              Diag
	}{
		{Down, AdminDown, Down, DiagNone},
		{Down, Down, Init, DiagNone},
		{Down, Init, Up, DiagNone},
		{Down, Up, Down, DiagNone},
		{Init, AdminDown, Down, DiagPeerDown},
		{Init, Down, Init, DiagNone},
		{Init, Init, Up, DiagNone},
		{Init, Up, Up, DiagNone},
		{Up, AdminDown, Down, DiagPeerDown},
		{Up, Down, Down, DiagPeerDown},
		{Up, Init, Up, DiagNone},
		{Up, Up, Up, DiagNone},
		{AdminDown, AdminDown, AdminDown, DiagAdminDown},
		{AdminDown, Down, AdminDown, DiagAdminDown},
		{AdminDown, Init, AdminDown, DiagAdminDown},
		{AdminDown, Up, AdminDown, DiagAdminDown},
	} {
		t.Run(c.from.String()+" hears "+c.heard.String(), func(t *testing.T) {
			s := newScript(t, usual)
			switch c.from {
			case Init:
				s.hear(Packet{Phase: Down})
			case Up:
				s.up()
			case AdminDown:
				s.step(Stop{})
			}
			s.sent, s.told = nil, nil
			s.hear(Packet{Phase: c.heard})
			s.phase(c.want, c.diag)
			wantSent, wantTold := 0, 0
			if c.from != c.want {
				wantSent = 1
			}
			if (c.from == Up) != (c.want == Up) {
				wantTold = 1
			}
			if len(s.sent) != wantSent || len(s.told) != wantTold {
				t.Errorf("sent %d, told %d; want %d and %d", len(s.sent), len(s.told), wantSent, wantTold)
			}
			if wantTold == 1 && (s.told[0].Up != (c.want == Up) || s.told[0].Admin != (c.heard == AdminDown) || s.told[0].Text == "") {
				t.Errorf("told %+v", s.told[0])
			}
			if (c.from == AdminDown) != (s.s.Counters.Dropped[DropAdminDown] == 1) {
				t.Errorf("refused packets: %v", s.s.Counters.Dropped)
			}
		})
	}
}

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

// RFC 5880 sections 6.8.4 and 6.8.1: what silence does.
func TestSilence(t *testing.T) {
	t.Run("up goes down at the end of the detection time", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.wait(150*ms - time.Nanosecond)
		c.phase(Up, DiagNone)
		c.wait(time.Nanosecond)
		c.phase(Down, DiagSilent)
		if len(c.told) != 1 || c.told[0].Up || c.told[0].Diag != DiagSilent || c.told[0].Silence != 150*ms || c.told[0].Admin {
			t.Errorf("told %+v", c.told)
		}
		if last := c.sent[len(c.sent)-1]; last.Phase != Down || last.Diag != DiagSilent || last.Your != 0 || last.DesiredMinTx != time.Second {
			t.Errorf("the last packet is %+v", last)
		}
	})
	t.Run("init goes down too, without a word", func(t *testing.T) {
		c := newScript(t, usual)
		c.hear(Packet{Phase: Down, DesiredMinTx: time.Second})
		c.told = nil
		c.wait(3*time.Second - 1)
		c.phase(Init, DiagNone)
		c.wait(1)
		c.phase(Down, DiagSilent)
		if len(c.told) != 0 {
			t.Errorf("told %+v", c.told)
		}
	})
	t.Run("a session that is down forgets the peer", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.hear(Packet{Phase: AdminDown})
		c.wait(150*ms - 1)
		if c.s.Remote.Discriminator != yours {
			t.Error("the peer is forgotten too early")
		}
		c.wait(1)
		if c.s.Remote != unheard {
			t.Errorf("the peer is %+v", c.s.Remote)
		}
		c.phase(Down, DiagPeerDown)
	})
	t.Run("the peer's intervals and multiplier count, and the own receive interval", func(t *testing.T) {
		for _, x := range []struct {
			own, theirs time.Duration
			multiplier  uint8
			want        time.Duration
		}{{50 * ms, 10 * ms, 3, 150 * ms}, {10 * ms, 50 * ms, 4, 200 * ms}, {20 * ms, 20 * ms, 1, 20 * ms}, {5 * ms, 4294967295 * time.Microsecond, 255, 255 * 4294967295 * time.Microsecond}} {
			c := newScript(t, Config{Interval: x.own, Multiplier: 200})
			c.hear(Packet{Phase: Down})
			c.hear(Packet{Phase: Up, Final: true, DesiredMinTx: x.theirs, Multiplier: x.multiplier})
			if got := c.s.DetectionTime(); got != x.want || !c.s.Silent(c.now.Add(x.want)) || c.s.Silent(c.now.Add(x.want-1)) {
				t.Errorf("%+v: detection time %s", x, got)
			}
		}
	})
}

// A Tick that comes late says that this process stood still: the peer is asked once more before it is given up.
func TestLateness(t *testing.T) {
	c := newScript(t, usual).up()
	c.wait(100 * ms)
	c.sent = nil
	c.now = c.now.Add(5 * time.Second)
	c.step(Tick{})
	c.phase(Up, DiagNone)
	c.says("up poll")
	if c.s.Counters.Late != 1 {
		t.Errorf("late %d times", c.s.Counters.Late)
	}
	t.Run("the peer lives", func(t *testing.T) {
		alive := *c
		alive.t, alive.now = t, c.now.Add(ms)
		alive.hear(Packet{Phase: Up, Final: true})
		alive.wait(100 * ms)
		alive.phase(Up, DiagNone)
	})
	t.Run("the peer lives and has given this node up", func(t *testing.T) {
		alive := *c
		alive.t, alive.now = t, c.now.Add(ms)
		alive.hear(Packet{Phase: Down, Final: true, Diag: DiagSilent})
		alive.phase(Down, DiagPeerDown)
	})
	t.Run("the peer is dead", func(t *testing.T) {
		dead := *c
		dead.t = t
		dead.wait(150*ms - 1)
		dead.phase(Up, DiagNone)
		dead.now = dead.now.Add(time.Second) // late again: no third chance
		dead.step(Tick{})
		dead.phase(Down, DiagSilent)
		if len(dead.told) != 1 || dead.told[0].Silence < 5*time.Second || !strings.Contains(dead.told[0].Text, "standing still") {
			t.Errorf("told %+v", dead.told)
		}
	})
	t.Run("a little late is not standing still", func(t *testing.T) {
		c := newScript(t, usual).up()
		c.now = c.now.Add(199 * ms)
		c.step(Tick{})
		c.phase(Down, DiagSilent)
	})
}

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

func TestPassive(t *testing.T) {
	c := newScript(t, Config{Interval: 50 * ms, Multiplier: 3, Passive: true})
	c.wait(time.Minute)
	c.says()
	if _, ok := c.s.Deadline(); ok {
		t.Error("a passive session waits for a time")
	}
	c.hear(Packet{Phase: Down, DesiredMinTx: time.Second})
	c.says("init")
	c.hear(Packet{Phase: Up, DesiredMinTx: time.Second})
	c.phase(Up, DiagNone)
	c.wait(3 * time.Second)
	c.phase(Down, DiagSilent)
	c.sent = nil
	c.wait(time.Minute)
	c.says()
	c.step(Stop{})
	c.wait(time.Second)
	c.says()
}

func TestStartAndStop(t *testing.T) {
	s := New(usual, mine, 1, epoch)
	if _, ok := s.Deadline(); ok {
		t.Error("a session that has not started waits for a time")
	}
	c := &script{t: t, s: s, now: epoch}
	c.step(Stop{})
	c.says()
	c.step(Start{})
	if len(c.told) != 1 || c.told[0] != (Changed{Text: "no packet yet"}) || c.s.Reason != "no packet yet" {
		t.Errorf("told %+v", c.told)
	}
	c.step(Start{})
	if len(c.told) != 1 {
		t.Error("started twice")
	}
	c.up()
	c.step(Stop{})
	c.wait(time.Second)
	c.says("admin_down", "admin_down", "admin_down")
	c.phase(AdminDown, DiagAdminDown)
	if _, ok := c.s.Deadline(); ok || len(c.told) != 0 {
		t.Errorf("after the farewells: waits %t, told %+v", ok, c.told)
	}
	c.step(Start{})
	c.up()
}

func TestWhyDown(t *testing.T) {
	for _, x := range []struct {
		heard Packet
		want  string
	}{
		{Packet{Phase: Down, Diag: DiagSilent}, "does not hear this node"},
		{Packet{Phase: Down, My: 99}, "started anew"},
		{Packet{Phase: Down, Diag: 5}, "path down"},
		{Packet{Phase: AdminDown}, "peer is administratively down"},
	} {
		c := newScript(t, usual).up()
		c.hear(x.heard)
		if len(c.told) != 1 || !strings.Contains(c.told[0].Text, x.want) || c.told[0].Diag != DiagPeerDown || c.told[0].Silence != 0 {
			t.Errorf("%s: told %+v", x.want, c.told)
		}
	}
}
