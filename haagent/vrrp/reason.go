package vrrp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// unfit says why this router cannot take part, "" when it can.
func (m *machine) unfit() string {
	var why []string
	switch {
	case !m.LinkUp && m.linkDetail != "":
		why = append(why, m.linkDetail)
	case !m.LinkUp:
		why = append(why, fmt.Sprintf("interface %s is down", m.Config.Interface))
	case !m.Source.IsValid():
		why = append(why, fmt.Sprintf("interface %s has no %s address to advertise from", m.Config.Interface, m.Config.Family))
	}
	for i := range m.Config.Tracks {
		if t := &m.Config.Tracks[i]; t.Weight == 0 && !t.Up {
			why = append(why, t.text())
		}
	}
	return strings.Join(why, "; ")
}

// text tells a track's health in a few words.
func (t *Track) text() string {
	word := "down"
	if t.Up {
		word = "up"
	}
	if t.Detail == "" {
		return fmt.Sprintf("track %s is %s", t.Name, word)
	}
	return fmt.Sprintf("track %s is %s (%s)", t.Name, word, t.Detail)
}

// whyTakeOver is the reason of a backup whose timer ended.
func (m *machine) whyTakeOver() string {
	silent := func(p Peer) bool { return m.now.Sub(p.Heard) > 3*p.Interval }
	switch {
	case m.lower.Address.IsValid() && !silent(m.lower) && m.lowered != 0:
		return fmt.Sprintf("%s lowered its priority from %d to %d, ours is %d", m.lower.Address, m.lowered, m.lower.Priority, m.Priority)
	case m.lower.Address.IsValid() && !silent(m.lower):
		return m.because(fmt.Sprintf("our priority %d is higher than %d of master %s (preemption)", m.Priority, m.lower.Priority, m.lower.Address))
	case m.left:
		return fmt.Sprintf("%s gave the addresses up (priority 0)", m.Master.Address)
	case m.Master.Address.IsValid():
		return fmt.Sprintf("heard no advertisement from %s (priority %d) for %s", m.Master.Address, m.Master.Priority, seconds(m.now.Sub(m.Master.Heard)))
	}
	return fmt.Sprintf("heard no advertisement for %s", seconds(m.now.Sub(m.Since)))
}

func (m *machine) whyYield(src netip.Addr, a *Advert) string {
	if a.Priority == m.Priority {
		return m.because(fmt.Sprintf("%s advertises the same priority %d and its address is higher than ours, %s", src, a.Priority, m.Source))
	}
	return m.because(fmt.Sprintf("%s advertises priority %d, ours is %d", src, a.Priority, m.Priority))
}

// because adds what last moved our own priority, when it is not the configured one or came back to it.
func (m *machine) because(reason string) string {
	if m.change == "" {
		return reason
	}
	return reason + ", " + m.change
}

// seconds writes a duration as people say it: 3.61 s, 0.312 s.
func seconds(d time.Duration) string {
	places := 2
	if d < time.Second {
		places = 3
	}
	return strconv.FormatFloat(d.Seconds(), 'f', places, 64) + " s"
}
