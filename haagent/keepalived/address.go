package keepalived

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// addressList translates the lines of virtual_ipaddress and its like. device is written where an address
// names none.
func (t *translator) addressList(s *statement, device string) (all []item[conf.Address]) {
	for _, k := range s.block {
		if t.tooMany(k, len(all)) {
			break
		}
		a, ok := t.addressLine(s, k)
		if !ok {
			continue
		}
		if a.Device == "" {
			a.Device = device
		}
		one := item[conf.Address]{value: a, at: k.at}
		if slices.ContainsFunc(all, func(o item[conf.Address]) bool { return o.value.Addr() == a.Addr() }) {
			t.notes.Add(k.at, report.Mistake, "%s: %s stands twice: the first one counts", s.keyword(), a.Addr())
			continue
		}
		all = append(all, one)
	}
	return all
}

// prefix reads ADDRESS[/LENGTH]. Without a length it is one host, as keepalived does.
func (t *translator) prefix(k *statement, text string) (netip.Prefix, bool) {
	host, length, given := strings.Cut(text, "/")
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		t.notes.Add(k.at, report.Mistake, "%.60q is no address: it is left out", text)
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	bits := a.BitLen()
	if given {
		digits := length[:len(length)-len(strings.TrimLeft(length, "0123456789"))]
		most := bits
		if n, err := strconv.Atoi(digits); err == nil && n <= bits {
			bits = n
		}
		if digits != length || strconv.Itoa(bits) != digits {
			t.notes.Add(k.at, report.Mistake, "%.60q: want a prefix length up to %d: /%d is used, as keepalived does", text, most, bits)
		}
	} else {
		t.notes.Add(k.at, report.Changed, "%s has no prefix length: /%d is written, as keepalived takes it", a, bits)
	}
	return netip.PrefixFrom(a, bits), true
}

func (t *translator) addressLine(s, k *statement) (a conf.Address, ok bool) {
	if a.Prefix, ok = t.prefix(k, k.keyword()); !ok {
		return a, false
	}
	args := k.args()
	for i := 0; i < len(args); i++ {
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		switch args[i] {
		case "dev":
			a.Device = value
		case "scope":
			a.Scope = t.scope(k, value)
		case "label":
			a.Label = t.label(k, a, value)
		case "brd", "broadcast":
			t.notes.Add(k.at, report.Missing, "%s: brd: the address has no broadcast address of its own", a.Addr())
		case "peer", "preferred_lft", "track_group":
			t.notes.Add(k.at, report.Missing, "%s: %s %.40q is left out", a.Addr(), args[i], value)
		case "home", "-nodad", "mngtmpaddr", "noprefixroute", "autojoin", "use_vmac", "no_track":
			t.notes.Add(k.at, report.Missing, "%s: %s is left out", a.Addr(), args[i])
			continue
		default:
			t.notes.Add(k.at, report.Mistake, "%s %s: %.40q is unknown: it is ignored. One address stands on each line", s.keyword(), a.Addr(), args[i])
			continue
		}
		if value == "" {
			t.notes.Add(k.at, report.Mistake, "%s: %s wants a word behind it: it is ignored", a.Addr(), args[i])
		}
		i++
	}
	return a, true
}

func (t *translator) scope(k *statement, text string) string {
	switch text {
	case "", "global":
		return ""
	case "site", "link", "host", "nowhere":
		return text
	}
	t.notes.Add(k.at, report.Missing, "scope %.20q: only global, site, link, host and nowhere: it is left out", text)
	return ""
}

func (t *translator) label(k *statement, a conf.Address, text string) string {
	switch {
	case len(text) > 15:
		t.notes.Add(k.at, report.Mistake, "label %.40q is longer than 15 bytes: it is left out, keepalived leaves out the address", text)
	case !a.Addr().Is4():
		t.notes.Add(k.at, report.Mistake, "label %.40q: only an IPv4 address has one: it is left out", text)
	default:
		return text
	}
	return ""
}

// staticAddresses translates static_ipaddress.
func (t *translator) staticAddresses(s *statement) {
	t.addresses = append(t.addresses, t.addressList(s, t.global.device)...)
}
