package keepalived

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// globals are the defaults that global_defs set for instances.
type globals struct {
	version       int
	announce      conf.Announce
	spacing       map[string]time.Duration // of a garp_group, by interface
	downIntervals int
	group4        netip.Addr
	group6        netip.Addr
	firstOnly     bool
	strict        bool
	device        string
}

func newGlobals() globals {
	v := conf.NewItem[conf.Instance]()
	return globals{version: 2, announce: v.Announce, downIntervals: v.DownIntervals, device: "eth0", spacing: make(map[string]time.Duration)}
}

func keys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (t *translator) globals(s *statement) {
	for _, g := range s.block {
		if text, ok := globalMissing[g.keyword()]; ok {
			t.notes.Add(g.at, report.Missing, "%s: %s", g.keyword(), text)
			continue
		}
		if slices.Contains(globalSame, g.keyword()) || t.globalAnnounce(g, g.keyword()) {
			continue
		}
		t.globalKey(g)
	}
}

func (t *translator) globalKey(g *statement) {
	switch g.keyword() {
	case "vrrp_version":
		if n, ok := t.number(g, 2, 3); ok {
			t.global.version = n
		}
	case "vrrp_strict":
		t.global.strict = t.yes(g)
	case "vrrp_skip_check_adv_addr":
		t.global.firstOnly = t.yes(g)
	case "vrrp_mcast_group4", "vrrp_mcast_group6":
		t.globalGroup(g)
	case "default_interface":
		if t.needs(g) {
			t.global.device = g.arg()
		}
	case "script_user":
		if t.needs(g) {
			t.out.ScriptUser = g.arg()
			t.noGroup(g, g.words[2:])
		}
	case "vrrp_startup_delay":
		if d, ok := t.duration(g, 0, 10*time.Minute); ok {
			t.out.StartDelay = d
		}
	case "vrrp_down_timer_adverts":
		if n, ok := t.number(g, 1, 100); ok {
			t.global.downIntervals = n
		}
	case "notify_fifo", "vrrp_notify_fifo":
		t.fifo(g)
	default:
		t.unknown(g, append(append(keys(globalMissing), globalKnown...), globalSame...))
	}
}

func (t *translator) globalGroup(g *statement) {
	six := g.keyword() == "vrrp_mcast_group6"
	a, ok := t.address(g, g.arg())
	if !ok {
		return
	}
	if !a.IsMulticast() || a.Is6() != six {
		t.notes.Add(g.at, report.Mistake, "%s %s is no multicast group of its family: the line is ignored", g.keyword(), a)
		return
	}
	if six {
		t.global.group6 = a
	} else {
		t.global.group4 = a
	}
}

func (t *translator) fifo(g *statement) {
	if !t.needs(g) {
		return
	}
	if t.out.Notify.FIFO != "" {
		t.notes.Add(g.at, report.Missing, "%s: there is one pipe for all, %s", g.keyword(), t.out.Notify.FIFO)
		return
	}
	t.out.Notify.FIFO = g.arg()
	if len(g.words) > 2 {
		t.notes.Add(g.at, report.Missing, "%s: user and group of the pipe: make the pipe before the start, as whom you want", g.keyword())
	}
}

// globalAnnounce reads the settings of gratuitous ARP under their global names.
func (t *translator) globalAnnounce(g *statement, keyword string) bool {
	switch keyword {
	case "vrrp_garp_master_delay", "vrrp_garp_master_repeat", "vrrp_garp_master_refresh", "vrrp_garp_interval", "vrrp_gna_interval":
		t.announce(g, &t.global.announce)
	case "vrrp_min_garp":
		if t.yes(g) {
			t.global.announce.Count, t.global.announce.Delay = 1, 0
		}
	default:
		return false
	}
	return true
}

// announce reads one setting of gratuitous ARP, global or of an instance.
func (t *translator) announce(s *statement, a *conf.Announce) {
	switch s.keyword() {
	case "vrrp_garp_master_delay", "garp_master_delay":
		if n, ok := t.number(s, 0, 300); ok {
			a.Delay = time.Duration(n) * time.Second
		}
	case "vrrp_garp_master_repeat", "garp_master_repeat":
		if n, ok := t.number(s, 1, 100); ok {
			a.Count = n
		}
	case "vrrp_garp_master_refresh", "garp_master_refresh":
		if n, ok := t.number(s, 0, 86400); ok {
			a.Refresh = time.Duration(n) * time.Second
		}
	default: // the intervals: 0 is what keepalived refuses and has as its default
		if s.arg() == "0" {
			t.notes.Add(s.at, report.Mistake, "%s 0: keepalived refuses 0, and means it by default: no pause", s.keyword())
		} else if d, ok := t.duration(s, time.Microsecond, time.Second); ok {
			a.Spacing = max(a.Spacing, d)
		}
	}
}

// garpGroup is the pause between announcements on some interfaces.
func (t *translator) garpGroup(s *statement) {
	var a conf.Announce
	var names []string
	for _, g := range s.block {
		switch g.keyword() {
		case "garp_interval", "gna_interval":
			t.announce(g, &a)
		case "interface":
			names = append(names, g.args()...)
		case "interfaces":
			for _, one := range g.block {
				names = append(names, one.words...)
			}
			t.notes.Add(g.at, report.Changed, "interfaces: the pause is kept on each interface by itself")
		default:
			t.unknown(g, []string{"garp_interval", "gna_interval", "interface", "interfaces"})
		}
	}
	for _, name := range names {
		t.global.spacing[name] = a.Spacing
	}
}
