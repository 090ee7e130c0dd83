package vrrp

import "time"

// MemberAction is an action of one member of a sync group.
type MemberAction struct {
	Member int
	Action
}

// StepGroup is Step for the members of a sync group, which are master, backup or in fault together: one input to
// one member, and all that follows for the others. names are the members', for texts; a single router is a group
// of one. Members have one priority and the same tracks, so that no two pull in different directions.
//
// The states are changed in place, and the actions appended to out: it is called for every packet.
func StepGroup(states []State, names []string, member int, in Input, now time.Time, out []MemberAction) []MemberAction {
	g := group{states: states, names: names, now: now, out: out}
	g.step(member, in)
	return g.out
}

type group struct {
	states []State
	names  []string
	now    time.Time
	out    []MemberAction
}

func (g *group) step(i int, in Input) {
	before := g.states[i].Phase
	next, actions := Step(g.states[i], in, g.now)
	g.states[i] = next
	for _, a := range actions {
		g.out = append(g.out, MemberAction{i, a})
	}
	g.align(i, before)
}

// align takes the other members along with one that has changed.
func (g *group) align(i int, before Phase) {
	for j := range g.states {
		if why := g.heldBy(j); why != g.states[j].groupWhy && g.states[j].Phase != Init {
			g.step(j, groupHold{why})
		}
	}
	after := g.states[i].Phase
	if after == before || g.states[i].Phase != after {
		return
	}
	for j := range g.states {
		switch {
		case j == i:
		case after == Master && g.states[j].Phase == Backup:
			g.step(j, groupMaster{"with " + g.names[i] + " of the same group: " + g.states[i].Reason})
		case after == Backup && before == Master && g.states[j].Phase == Master:
			g.step(j, groupBackup{"with " + g.names[i] + " of the same group: " + g.states[i].Reason})
		}
	}
}

// heldBy says which other member's own fault keeps a member in fault.
func (g *group) heldBy(j int) string {
	for k := range g.states {
		if s := &g.states[k]; k != j && s.Phase != Init {
			if why := s.ownFault(); why != "" {
				return g.names[k] + " of the same group: " + why
			}
		}
	}
	return ""
}
