package haagent

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepwatch/haagent/bfd"
	"keepwatch/haagent/bfd/session"
	"keepwatch/haagent/script"
	"keepwatch/haagent/track"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// bfdChanged is called by BFD: a silent peer is a master's death for the instances that say so, and every change one
// of the tracks that look at it.
func (a *Agent) bfdChanged(e session.Event) {
	word := "up"
	if !e.Up {
		word = "down: " + e.Detail
	}
	a.journal.add(e.At, "bfd_changed", fmt.Sprintf("BFD session %s is %s", e.Name, word), map[string]string{"session": e.Name, "up": strconv.FormatBool(e.Up)})
	a.mu.Lock()
	var tracks []string
	for name, t := range a.tracks {
		if t.config.BFD == e.Name {
			tracks = append(tracks, name)
		}
	}
	var told []listener
	if !e.Up && !e.Admin && e.Diag == bfd.DiagSilent {
		told = a.on(func(i *instance) bool { return slices.Contains(i.asked().BFD, e.Name) })
	}
	var session conf.BFDSession
	for _, s := range a.config.BFD {
		if s.Name == e.Name {
			session = s
		}
	}
	a.mu.Unlock()
	for _, r := range told {
		r.tell(r.member, vrrp.PeerLost{Peer: session.Peer.WithZone(""), Skew: e.Detection / time.Duration(max(session.Multiplier, 1)), Detail: "BFD session " + e.Name + " is down (" + e.Detail + ")"})
	}
	for _, name := range tracks {
		a.trackChanged(name, track.Finding{Up: e.Up, Detail: e.Detail})
	}
}

func (a *Agent) sessionIsUp(name string) (up bool, detail string) {
	for _, s := range a.bfd.Status() {
		if s.Name == name {
			return s.Up, s.Reason
		}
	}
	return false, "no packet yet"
}

// fence runs the program that must confirm a master's death, beside the unit, which goes on hearing meanwhile.
func (a *Agent) fence(u *unit, m *instance, f vrrp.Fence) {
	c, labels := m.config.Fence, m.labels()
	a.group.Go(func() error {
		r, err := a.scripts.Run(u.ctx, script.Command{Argv: append(slices.Clone(c.Command), f.Master.String()), Timeout: c.Timeout, Env: []string{"KEEPWATCH_INSTANCE=" + m.name}})
		out, _, _ := strings.Cut(strings.TrimSpace(r.Output), "\n")
		answer := vrrp.Fenced{Dead: err == nil && !r.TimedOut && r.ExitCode == 0, Detail: cmp.Or(out, "exit status "+strconv.Itoa(r.ExitCode))}
		switch {
		case err != nil:
			answer.Detail = err.Error()
		case r.TimedOut:
			answer.Detail = fmt.Sprintf("no answer within %s", c.Timeout)
		}
		a.journal.add(time.Now(), "vrrp_fenced", fmt.Sprintf("%s: fencing %s: dead %t: %s", m.name, f.Master, answer.Dead, answer.Detail), labels)
		u.tell(m, answer)
		return nil
	})
}
