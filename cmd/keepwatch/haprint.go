package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"keepwatch/haagent/status"
)

// printHA writes the agent's state for a person at a terminal.
func printHA(w io.Writer, s *status.Status, transitions []status.Event) error {
	parent := "no parent stands by"
	if s.Parent {
		parent = "a parent stands by"
	}
	text := fmt.Sprintf("HA agent of %s, up %s, %s\n", plain(s.Host), age(s.Started, s.Now), parent)
	if s.Drained {
		text += "DRAINED: it takes nothing over until 'keepwatch ha drain --off'\n"
	}
	for _, t := range []grid{
		instanceGrid(s), conflictGrid(s), peerGrid(s), groupGrid(s), bfdGrid(s), trackGrid(s), proxyGrid(s), transitionGrid(s, transitions),
	} {
		text += t.String()
	}
	_, err := io.WriteString(w, text)
	return err
}

func instanceGrid(s *status.Status) grid {
	t := newGrid("INSTANCE", "STATE", "SINCE", "PRIORITY", "INTERFACE", "VRID", "VERSION", "HOLDS")
	for n := range s.Instances {
		i := &s.Instances[n]
		priority, tracks := priorityWord(i)
		t.add(i.Name, i.State, age(i.Since, s.Now), priority, i.Interface, strconv.Itoa(i.VRID), versionWord(i),
			fmt.Sprintf("%d of %d", len(i.Held), len(i.Addresses)+len(i.Excluded)))
		for _, n := range append([]string{tracks}, instanceNotes(i)...) {
			if n != "" {
				t.note(n)
			}
		}
	}
	return t
}

// instanceNotes are the sentences under an instance: what it holds, why it is what it is, and what is wrong.
func instanceNotes(i *status.Instance) (notes []string) {
	if len(i.Held) > 0 {
		notes = append(notes, "holds "+strings.Join(i.Held, ", "))
	}
	notes = append(notes, i.Reason)
	if i.Leaving {
		notes = append(notes, "hands over: it serves its addresses until the successor is heard")
	}
	if i.Paused != "" {
		notes = append(notes, "does not take over: "+i.Paused)
	}
	if i.LastError != "" {
		notes = append(notes, "the kernel refused: "+i.LastError)
	}
	if n := i.LateStepdowns; n > 0 {
		notes = append(notes, fmt.Sprintf("gave up being master %d times because it was late: this host starves the agent of processor time", n))
	}
	return notes
}

// longestPriority is how many columns the explained priority may take in its cell.
const longestPriority = 28

// priorityWord tells the effective priority and why it is not the configured one: "140 (200, chk_fs −60)". What does
// not fit into the cell comes as a note.
func priorityWord(i *status.Instance) (cell, note string) {
	var why []string
	for _, t := range i.Tracks {
		switch {
		case t.Fault:
			why = append(why, t.Name+" fault")
		case t.Effect > 0:
			why = append(why, fmt.Sprintf("%s +%d", t.Name, t.Effect))
		case t.Effect < 0:
			why = append(why, fmt.Sprintf("%s −%d", t.Name, -t.Effect))
		}
	}
	if i.Priority == i.PriorityConfigured && len(why) == 0 {
		return strconv.Itoa(i.Priority), ""
	}
	cell = fmt.Sprintf("%d (%s)", i.Priority, strings.Join(append([]string{strconv.Itoa(i.PriorityConfigured)}, why...), ", "))
	if utf8.RuneCountInString(cell) > longestPriority {
		return fmt.Sprintf("%d (%d)", i.Priority, i.PriorityConfigured), "tracks: " + strings.Join(why, ", ")
	}
	return cell, ""
}

func versionWord(i *status.Instance) string {
	return fmt.Sprintf("%d, %s", i.Version, strings.Replace(i.Family, "ip", "IP", 1))
}

func conflictGrid(s *status.Status) grid {
	t := newGrid("CONFLICT", "INSTANCE", "ALSO HELD BY", "SEEN BY", "SEEN")
	for n := range s.Instances {
		for _, c := range s.Instances[n].Conflicts {
			t.add(c.Address, s.Instances[n].Name, or(c.MAC, "another host"), c.Source, age(c.Seen, s.Now)+" ago")
		}
	}
	return t
}

func peerGrid(s *status.Status) grid {
	t := newGrid("ROUTER", "INSTANCE", "PRIORITY", "INTERVAL", "HEARD", "NOTES")
	for n := range s.Instances {
		i := &s.Instances[n]
		seen := i.PeersSeen
		for _, p := range seen {
			interval := (time.Duration(p.IntervalMS) * time.Millisecond).String()
			t.add(p.Address, i.Name, strconv.Itoa(p.Priority), interval, age(p.Heard, s.Now)+" ago", strings.Join(p.Notes, "; "))
		}
		for _, p := range i.Peers {
			if !heard(seen, p) {
				t.add(p, i.Name, "–", "–", "never", "configured as a peer")
			}
		}
	}
	return t
}

func heard(seen []status.Peer, address string) bool {
	for _, p := range seen {
		if p.Address == address {
			return true
		}
	}
	return false
}

func groupGrid(s *status.Status) grid {
	t := newGrid("GROUP", "STATE", "MEMBERS", "REASON")
	for _, g := range s.Groups {
		t.add(g.Name, g.State, strings.Join(g.Members, ", "), g.Reason)
	}
	return t
}

func bfdGrid(s *status.Status) grid {
	t := newGrid("BFD", "STATE", "SINCE", "PEER", "DETECTS IN", "SENT", "RECEIVED", "PEER SAYS")
	for _, b := range s.BFD {
		t.add(b.Name, b.State, age(b.Since, s.Now), b.Peer, strconv.FormatFloat(b.DetectionMS, 'f', -1, 64)+" ms",
			strconv.FormatUint(b.Sent, 10), strconv.FormatUint(b.Received, 10), or(b.RemoteDiag, "–"))
	}
	return t
}

func trackGrid(s *status.Status) grid {
	t := newGrid("TRACK", "STATE", "SINCE", "WHAT", "DETAIL")
	for _, k := range s.Tracks {
		word := "down"
		if k.Up {
			word = "up"
		}
		t.add(k.Name, word, age(k.Since, s.Now), strings.TrimSpace(k.Kind+" "+k.Target), k.Detail)
	}
	return t
}

func proxyGrid(s *status.Status) grid {
	t := newGrid("PROXY", "STATE", "SINCE", "PROCESS", "RESTARTS", "REASON")
	if p := s.Proxy; p != nil {
		word := "down"
		if p.Up {
			word = "up"
		}
		t.add(p.Engine, word, age(p.Since, s.Now), strconv.Itoa(p.PID), strconv.Itoa(p.Restarts), p.Reason)
	}
	return t
}

func transitionGrid(s *status.Status, events []status.Event) grid {
	t := newGrid("TRANSITION", "INSTANCE", "FROM", "TO", "PRIORITY", "REASON")
	for _, e := range events {
		l := e.Labels
		t.add(age(e.Time, s.Now)+" ago", l["instance"], l["from"], l["to"], l["priority"], or(l["reason"], e.Text))
	}
	return t
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// age is how long something is ago, in the two largest units.
func age(t, now time.Time) string {
	d := max(now.Sub(t), 0)
	const day = 24 * time.Hour
	switch {
	case t.IsZero():
		return "–"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}
