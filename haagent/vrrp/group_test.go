package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// pair drives a sync group of two routers, "in" with VRID 51 and "out" with VRID 52.
type pair struct {
	t      *testing.T
	states []State
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t}
	for _, vrid := range []uint8{51, 52} {
		s := New(config(200, func(c *Config) { c.VRID, c.Interface = vrid, map[uint8]string{51: "eth0", 52: "eth1"}[vrid] }), epoch)
		s, _ = Step(s, LinkChanged{Up: true, Source: netip.MustParseAddr("10.0.0.5")}, epoch)
		p.states = append(p.states, s)
	}
	for i := range p.states {
		p.at(0, i, Start{}, "backup", "")
	}
	return p
}

// at feeds an input to a member and checks both phases and the actions of the other one.
func (p *pair) at(offset time.Duration, member int, in Input, phase, others string) {
	p.t.Helper()
	out := StepGroup(p.states, []string{"in", "out"}, member, in, epoch.Add(offset), nil)
	var theirs []Action
	for _, a := range out {
		if a.Member != member {
			theirs = append(theirs, a.Action)
		}
	}
	if got := describe(theirs); got != others {
		p.t.Errorf("at %s: the other one does %q, want %q", offset, got, others)
	}
	if _, started := in.(Start); started {
		return
	}
	for i, s := range p.states {
		if s.Phase.String() != phase {
			p.t.Errorf("at %s: member %d is %s, want %s", offset, i, s.Phase, phase)
		}
	}
}

func TestGroup(t *testing.T) {
	p := newPair(t)
	p.at(down200, 0, Tick{}, "master", "advert 200, take, announce, backup→master (with in of the same group: heard no advertisement for 3.22 s)")
	const m = down200
	p.at(m+ms, 1, LinkChanged{Detail: "interface eth1 is down"}, "fault", "advert 0, advert 0, master→fault (out of the same group: interface eth1 is down)")
	p.at(m+2*ms, 0, LinkChanged{Detail: "interface eth0 is down"}, "fault", "")
	p.at(m+3*ms, 1, LinkChanged{Up: true, Source: netip.MustParseAddr("10.0.0.5"), Detail: "interface eth1 is up"}, "fault", "")
	p.at(m+4*ms, 0, LinkChanged{Up: true, Source: netip.MustParseAddr("10.0.0.5"), Detail: "interface eth0 is up"}, "backup", "fault→backup (the sync group is fit again)")
	p.at(2*m+5*ms, 1, Tick{}, "master", "advert 200, take, announce, backup→master (with out of the same group: heard no advertisement for 3.22 s)")
	p.at(2*m+6*ms, 0, heard(9, 250), "backup", "advert 0, advert 0, master→backup (with in of the same group: 10.0.0.9 advertises priority 250, ours is 200)")
}

// A member that finds its peers gone takes the addresses of all, so the others' peers are told by the next advertisement.
func TestGroupSwitchover(t *testing.T) {
	p := newPair(t)
	StepGroup(p.states, []string{"in", "out"}, 0, Tick{}, epoch.Add(down200), nil)
	p.at(down200+ms, 0, StepAside{"asked"}, "backup", "advert 0, advert 0, master→backup (with in of the same group: asked)")
	for i := range p.states {
		if !p.states[i].Leaving() {
			t.Errorf("member %d let go before anybody took over", i)
		}
	}
	StepGroup(p.states, []string{"in", "out"}, 0, Shutdown{}, epoch.Add(down200+2*ms), nil)
	if !strings.Contains(p.states[1].Phase.String(), "backup") {
		t.Errorf("one member's stop stopped the other: %s", p.states[1].Phase)
	}
}
