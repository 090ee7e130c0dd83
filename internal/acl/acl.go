// Package acl owns the meaning of accept_from and spoof_from: an ordered list of networks that says whether an address
// counts. It never opens a socket or asks the system which addresses a host has: that answer is given to it. Everything
// that takes packets or connections from Ganglia's plain world asks it.
package acl

import (
	"fmt"
	"net/netip"
	"strings"
)

// Local is the entry that stands for this host's own addresses.
const Local = "local"

// List is an ordered access list. It does not change, so several goroutines may ask it. The zero List and a nil one
// refuse everybody.
type List struct {
	rules []rule
}

type rule struct {
	net    netip.Prefix
	local  bool // instead of net
	refuse bool
}

// Parse reads networks (10.0.0.0/8), addresses, and the word local; each may begin with '!', which refuses what it
// names. The error names the entry.
func Parse(entries []string) (*List, error) {
	l := &List{rules: make([]rule, 0, len(entries))}
	for _, entry := range entries {
		text, refuse := strings.CutPrefix(entry, "!")
		r := rule{refuse: refuse, local: text == Local}
		if !r.local {
			p, err := parseNet(text)
			if err != nil {
				return nil, fmt.Errorf("%q: want a network as 10.0.0.0/8, an address, or the word local; a leading ! refuses it", entry)
			}
			r.net = p
		}
		l.rules = append(l.rules, r)
	}
	return l, nil
}

func parseNet(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = plain(a)
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, err
	}
	if a := p.Addr(); a.Is4In6() { // ::ffff:10.0.0.0/104 is 10.0.0.0/8: addresses are compared unmapped
		if p.Bits() < 96 {
			return p, fmt.Errorf("network %v holds more than the IPv4 addresses", p)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Accepts reports whether addr counts: the first entry that names it decides, and who is named by none is refused.
// local tells of an address that is no loopback address whether this host has it; it is asked only when the word
// local is reached, and nil stands for a host that has none.
func (l *List) Accepts(addr netip.Addr, local func(netip.Addr) bool) bool {
	if l == nil || !addr.IsValid() {
		return false
	}
	addr = plain(addr)
	for i := range l.rules {
		r := &l.rules[i]
		fits := false
		if r.local {
			fits = addr.IsLoopback() || local != nil && local(addr)
		} else {
			fits = r.net.Contains(addr)
		}
		if fits {
			return !r.refuse
		}
	}
	return false
}
