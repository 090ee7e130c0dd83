package bfd

import (
	"fmt"
	"slices"
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
