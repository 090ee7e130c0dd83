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
	if own := m.ownFault(); own != "" {
		return own
	}
	return m.groupWhy
}

// ownFault is unfit without the sync group.
func (m *State) ownFault() string {
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
		if _, fault := m.Config.Tracks[i].Effect(); fault {
			why = append(why, m.Config.Tracks[i].text())
		}
	}
	return strings.Join(why, "; ")
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
