package gmondconf

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"keepwatch/internal/report"
)

// Deaf reports whether gmond hears and serves nothing: it is told so, or has nothing to do it on.
func (c *Config) Deaf() bool { return c.Globals.Deaf || len(c.Receive)+len(c.Accept) == 0 }

// Mute reports whether gmond collects and sends nothing: it is told so, or has no channel to send on.
func (c *Config) Mute() bool { return c.Globals.Mute || len(c.Send) == 0 }

// Check finds what gmond takes as a configuration and yet does not start with.
func (c *Config) Check() (faults report.Faults) {
	add := func(at report.Place, format string, args ...any) {
		faults = append(faults, report.Fault{At: at, Text: fmt.Sprintf(format, args...)})
	}
	if c.Deaf() && c.Mute() {
		add(c.nothingAt(), "%s: gmond has nothing to do and ends at once", c.nothing())
	}
	for _, s := range c.Send {
		if _, bound := s.Set["bind"]; bound && s.BindHostname {
			add(s.Set["bind_hostname"], "bind and bind_hostname exclude each other")
		}
	}
	if !c.Deaf() {
		for _, r := range c.Receive {
			family(add, r.Set, r.Family)
			r.ACL.check(add)
		}
		for _, a := range c.Accept {
			family(add, a.Set, a.Family)
			a.ACL.check(add)
		}
	}
	return faults
}

// nothing says why gmond has nothing to do.
func (c *Config) nothing() string {
	switch g := &c.Globals; {
	case g.Deaf && g.Mute:
		return "deaf and mute"
	case g.Deaf:
		return "deaf, and no channel to send on"
	case g.Mute:
		return "mute, and no channel to hear or serve on"
	}
	return "no channel to hear, serve or send on"
}

// nothingAt is the place of the modes, and the file where it does not set any.
func (c *Config) nothingAt() report.Place {
	if g := &c.Globals; (g.Deaf || g.Mute) && g.At.Line > 0 || len(c.Files) == 0 {
		return g.At
	}
	return report.Place{File: c.Files[0]}
}

func family(add func(report.Place, string, ...any), set Keys, name string) {
	if name != "inet4" && name != "inet6" {
		add(set["family"], "family: %.60q: want inet4 or inet6", name)
	}
}

func (a *ACL) check(add func(report.Place, string, ...any)) {
	if len(a.Access) == 0 {
		return // gmond does not look at it
	}
	if !strings.EqualFold(a.Default, "allow") && !strings.EqualFold(a.Default, "deny") {
		add(a.Set["default"], "default: %.60q: want allow or deny", a.Default)
	}
	for _, e := range a.Access {
		_, ip := e.Set["ip"]
		_, action := e.Set["action"]
		if !ip || !action {
			add(e.At, "want ip, mask and action")
			continue
		}
		if !strings.EqualFold(e.Action, "allow") && !strings.EqualFold(e.Action, "deny") {
			add(e.Set["action"], "action: %.60q: want allow or deny", e.Action)
		}
		if _, _, err := e.network(); err != nil {
			add(e.Set["ip"], "%v", err)
		}
	}
}

// Written reports whether there is an acl section.
func (a *ACL) Written() bool { return a.At.Line > 0 }

// Rules is an ACL as an ordered list: networks that are let in, with ! before those that are refused; the first that
// names an address decides, and who is named by none is refused. Without an access entry gmond lets everybody in, even
// when the default is deny. What cannot be said so is in faults with what became
// of it, and so is an entry that gmond does not start with.
func (a *ACL) Rules() (rules []string, faults report.Faults) {
	everybody := []string{"0.0.0.0/0", "::/0"}
	if len(a.Access) == 0 {
		return everybody, nil
	}
	for _, e := range a.Access {
		network, whole, err := e.network()
		deny := !strings.EqualFold(e.Action, "allow")
		switch {
		case err != nil:
			faults = append(faults, report.Fault{At: e.At, Text: err.Error() + ": the entry is left out"})
			continue
		case !whole && !deny:
			text := fmt.Sprintf("mask %.60q has gaps, no network is written so: the entry is left out, and nobody let in by it", e.Mask)
			faults = append(faults, report.Fault{At: e.At, Text: text})
			continue
		case !whole:
			text := fmt.Sprintf("mask %.60q has gaps, no network is written so: all of %v is refused", e.Mask, network)
			faults = append(faults, report.Fault{At: e.At, Text: text})
		}
		if deny {
			rules = append(rules, "!"+network.String())
			continue
		}
		rules = append(rules, network.String())
	}
	if strings.EqualFold(a.Default, "allow") {
		return append(rules, everybody...), faults
	}
	return rules, faults
}

// network is what ip and mask mean. It is whole unless the mask has gaps: then it holds more than the entry means.
func (e *Access) network() (network netip.Prefix, whole bool, err error) {
	bad := fmt.Errorf("ip %.60q with mask %.60q: want an address, and a mask as 24 or 255.255.255.0", e.IP, e.Mask)
	if _, given := e.Set["mask"]; !given {
		return partial(e.IP)
	}
	ip, err := netip.ParseAddr(e.IP)
	if err != nil || ip.Zone() != "" {
		return network, false, bad
	}
	if n, err := strconv.Atoi(e.Mask); err == nil {
		if n < 1 || n > ip.BitLen() {
			return network, false, bad
		}
		return netip.PrefixFrom(ip, n).Masked(), true, nil
	}
	mask, err := netip.ParseAddr(e.Mask)
	if err != nil || !mask.Is4() || !ip.Is4() {
		return network, false, bad
	}
	b := mask.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := bits.LeadingZeros32(^m)
	return netip.PrefixFrom(ip, n).Masked(), m<<n == 0, nil
}

// partial is an ip without a mask: one address, or the beginning of one, as 10.1 for 10.1.0.0/16.
func partial(text string) (network netip.Prefix, whole bool, err error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip, ip.BitLen()), true, nil
	}
	n := len(strings.Split(strings.TrimSuffix(text, "."), "."))
	ip, err := netip.ParseAddr(strings.TrimSuffix(text, ".") + strings.Repeat(".0", max(0, 4-n)))
	if err != nil || !ip.Is4() {
		return network, false, fmt.Errorf("ip %.60q: want an address", text)
	}
	return netip.PrefixFrom(ip, 8*n).Masked(), true, nil
}
