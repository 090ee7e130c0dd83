package bfd

import (
	"strings"
	"testing"
	"time"
)

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
			s.wait(0)
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
