package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Address is an address with prefix length and where it is put, written as ip-address and keepalived do:
// 10.0.0.100/24 dev eth1 scope link label eth1:1.
type Address struct {
	netip.Prefix
	Device string // empty: the instance's interface
	Scope  string // empty: global
	Label  string // IPv4 only
}

// Route is a route, written as ip-route does: default via 10.0.0.1 dev eth0 metric 10.
type Route struct {
	Type   string       // empty: unicast; blackhole, unreachable, prohibit
	Dest   netip.Prefix // default is 0.0.0.0/0 or ::/0
	Via    netip.Addr
	Device string
	Source netip.Addr
	Scope  string
	Table  int // 0: main
	Metric int
	MTU    int
	OnLink bool
}

// Rule is a routing rule, written as ip-rule does: from 10.0.0.100 lookup 100 priority 1000.
type Rule struct {
	IPv6     bool
	From, To netip.Prefix
	InDev    string
	OutDev   string
	Mark     uint32
	Table    int
	Priority int // 0: the kernel's choice
}

// The scopes that an address or a route may have, with the kernel's numbers (rtnetlink(7)).
var scopes = map[string]uint8{"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}

// ScopeNumber is the kernel's number of a scope; empty is global.
func ScopeNumber(scope string) uint8 { return scopes[scope] }

// words takes a line of iproute2's kind apart: flags stand alone, all other words come with a value.
func words(fields []string, flags string, take func(key, value string) error) error {
	for i := 0; i < len(fields); i++ {
		key, value := fields[i], ""
		if !strings.Contains(" "+flags+" ", " "+key+" ") {
			if i+1 == len(fields) {
				return fmt.Errorf("%.20q: want a value after it", key)
			}
			i++
			value = fields[i]
		}
		if err := take(key, value); err != nil {
			return fmt.Errorf("%.20s: %w", key, err)
		}
	}
	return nil
}

func parseAddr(to *netip.Addr, text string) (err error) {
	if *to, err = netip.ParseAddr(text); err != nil || to.Zone() != "" || to.Is4In6() {
		return fmt.Errorf("%.60q: want an address, as 10.0.0.1", text)
	}
	return nil
}

// parsePrefix reads an address with or without a prefix length; without, it is one host.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" && !a.Is4In6() {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%.60q: want an address with prefix length, as 10.0.0.100/24", text)
	}
	return p, nil
}

func parseNumber(to *int, text string, high int) error {
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil || n > uint64(high) {
		return fmt.Errorf("%.20q: want a number up to %d", text, high)
	}
	*to = int(n)
	return nil
}

func parseDevice(to *string, text string) error {
	if !interfaceForm.MatchString(text) || text == "." || text == ".." {
		return fmt.Errorf("%.60q: want the name of an interface, as eth0", text)
	}
	*to = text
	return nil
}

func parseScope(to *string, text string) error {
	if _, known := scopes[text]; !known {
		return fmt.Errorf("%.20q: want global, site, link, host or nowhere", text)
	}
	*to = text
	return nil
}

// UnmarshalText reads an address.
func (a *Address) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		return errors.New(`"": want an address with prefix length, as 10.0.0.100/24`)
	}
	var out Address
	var err error
	if out.Prefix, err = netip.ParsePrefix(fields[0]); err != nil {
		return fmt.Errorf("%.60q: want an address with prefix length, as 10.0.0.100/24", fields[0])
	}
	err = words(fields[1:], "", func(key, value string) error {
		switch key {
		case "dev":
			return parseDevice(&out.Device, value)
		case "scope":
			return parseScope(&out.Scope, value)
		case "label":
			if !out.Addr().Is4() {
				return errors.New("only an IPv4 address has one")
			}
			return parseDevice(&out.Label, value)
		}
		return errors.New("unknown: want dev, scope or label")
	})
	if err != nil {
		return err
	}
	*a = out
	return nil
}

// String writes the address as UnmarshalText reads it.
func (a Address) String() string {
	out := "invalid"
	if a.IsValid() {
		out = a.Prefix.String()
	}
	for _, w := range [][2]string{{"dev", a.Device}, {"scope", a.Scope}, {"label", a.Label}} {
		if w[1] != "" {
			out += " " + w[0] + " " + w[1]
		}
	}
	return out
}

// MarshalText is String.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads a route.
func (r *Route) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	var out Route
	if len(fields) > 0 {
		switch fields[0] {
		case "blackhole", "unreachable", "prohibit":
			out.Type, fields = fields[0], fields[1:]
		case "unicast":
			fields = fields[1:]
		}
	}
	if len(fields) == 0 {
		return errors.New("want a destination first, as default or 10.0.0.0/8")
	}
	dest, six := fields[0], false
	if err := words(fields[1:], "onlink", out.word(&six)); err != nil {
		return err
	}
	switch dest {
	case "default":
		out.Dest = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if six || out.Via.Is6() || out.Source.Is6() {
			out.Dest = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	default:
		var err error
		if out.Dest, err = parsePrefix(dest); err != nil {
			return err
		}
		out.Dest = out.Dest.Masked()
	}
	is4 := out.Dest.Addr().Is4()
	if out.Via.IsValid() && out.Via.Is4() != is4 || out.Source.IsValid() && out.Source.Is4() != is4 {
		return fmt.Errorf("%.60q: want via and src of the destination's family", text)
	}
	if out.Type == "" && !out.Via.IsValid() && out.Device == "" {
		return fmt.Errorf("%.60q: want via ADDRESS or dev INTERFACE", text)
	}
	if out.Type != "" && (out.Via.IsValid() || out.Device != "" || out.OnLink) {
		return fmt.Errorf("%.60q: want neither via nor dev behind %s", text, out.Type)
	}
	*r = out
	return nil
}

func (r *Route) word(six *bool) func(key, value string) error {
	return func(key, value string) error {
		switch key {
		case "via":
			if value == "inet6" {
				*six = true
				return errors.New("inet6: want the address right after via")
			}
			return parseAddr(&r.Via, value)
		case "dev", "oif":
			return parseDevice(&r.Device, value)
		case "src":
			return parseAddr(&r.Source, value)
		case "scope":
			return parseScope(&r.Scope, value)
		case "table":
			return parseTable(&r.Table, value)
		case "metric", "priority", "preference":
			return parseNumber(&r.Metric, value, 1<<31-1)
		case "mtu":
			return parseNumber(&r.MTU, value, 1<<16)
		case "onlink":
			r.OnLink = true
			return nil
		}
		return errors.New("unknown: want via, dev, src, scope, table, metric, mtu or onlink")
	}
}

func parseTable(to *int, text string) error {
	for name, n := range map[string]int{"main": 254, "local": 255, "default": 253} {
		if text == name {
			*to = n
			return nil
		}
	}
	return parseNumber(to, text, 1<<31-1)
}

// String writes the route as UnmarshalText reads it.
func (r Route) String() string {
	dest := r.Dest.String()
	if r.Dest.Bits() == 0 {
		dest = "default"
		if r.Dest.Addr().Is6() && !r.Via.IsValid() && !r.Source.IsValid() {
			dest = "::/0"
		}
	}
	out := strings.TrimSpace(r.Type + " " + dest)
	add := func(key, value string, set bool) {
		if set {
			out += " " + key + " " + value
		}
	}
	add("via", r.Via.String(), r.Via.IsValid())
	add("dev", r.Device, r.Device != "")
	add("src", r.Source.String(), r.Source.IsValid())
	add("scope", r.Scope, r.Scope != "")
	add("table", strconv.Itoa(r.Table), r.Table != 0)
	add("metric", strconv.Itoa(r.Metric), r.Metric != 0)
	add("mtu", strconv.Itoa(r.MTU), r.MTU != 0)
	if r.OnLink {
		out += " onlink"
	}
	return out
}

// MarshalText is String.
func (r Route) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a rule.
func (r *Rule) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	var out Rule
	family := ""
	if len(fields) > 0 && (fields[0] == "inet" || fields[0] == "inet6") {
		family, fields = fields[0], fields[1:]
	}
	if err := words(fields, "", out.word); err != nil {
		return err
	}
	if out.From.IsValid() && out.To.IsValid() && out.From.Addr().Is4() != out.To.Addr().Is4() {
		return fmt.Errorf("%.60q: want from and to of one family", text)
	}
	out.IPv6 = family == "inet6" || out.From.Addr().Is6() || out.To.Addr().Is6()
	if out.IPv6 && (family == "inet" || out.From.Addr().Is4() || out.To.Addr().Is4()) {
		return fmt.Errorf("%.60q: want from and to of one family, that of %s", text, family)
	}
	if out.Table == 0 {
		return fmt.Errorf("%.60q: want lookup TABLE", text)
	}
	*r = out
	return nil
}

func (r *Rule) word(key, value string) (err error) {
	switch key {
	case "from", "to":
		if value == "all" {
			return nil
		}
		to := &r.From
		if key == "to" {
			to = &r.To
		}
		*to, err = parsePrefix(value)
		return err
	case "iif", "dev":
		return parseDevice(&r.InDev, value)
	case "oif":
		return parseDevice(&r.OutDev, value)
	case "fwmark":
		var n int
		err = parseNumber(&n, value, 1<<32-1)
		r.Mark = uint32(n)
		return err
	case "lookup", "table":
		return parseTable(&r.Table, value)
	case "priority", "preference", "pref", "order":
		return parseNumber(&r.Priority, value, 32765)
	}
	return errors.New("unknown: want from, to, iif, oif, fwmark, lookup or priority")
}

// String writes the rule as UnmarshalText reads it.
func (r Rule) String() string {
	var out []string
	if r.IPv6 && !r.From.IsValid() && !r.To.IsValid() {
		out = append(out, "inet6")
	}
	if r.From.IsValid() {
		out = append(out, "from", r.From.String())
	}
	if r.To.IsValid() {
		out = append(out, "to", r.To.String())
	}
	for _, w := range [][2]string{{"iif", r.InDev}, {"oif", r.OutDev}} {
		if w[1] != "" {
			out = append(out, w[0], w[1])
		}
	}
	if r.Mark != 0 {
		out = append(out, "fwmark", fmt.Sprintf("%#x", r.Mark))
	}
	out = append(out, "lookup", strconv.Itoa(r.Table))
	if r.Priority != 0 {
		out = append(out, "priority", strconv.Itoa(r.Priority))
	}
	return strings.Join(out, " ")
}

// MarshalText is String.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
