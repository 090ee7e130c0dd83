package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// instancesSeen maps what instances must not share to where it was met first.
type instancesSeen struct {
	names, routers, addresses, macvlans map[string]string
}

// Bounds of the protocol's intervals (RFC 9568, 5.2.7: 12 bits of centiseconds; RFC 3768, 5.3.7: 8 bits of seconds).
const (
	intervalStep = 10 * time.Millisecond
	maxInterval  = 4095 * intervalStep
	maxInterval2 = 255 * time.Second
)

func (k *checker) instance(at string, v *Instance, named haNames, seen instancesSeen) {
	k.name(at+".name", v.Name)
	k.unique(at+".name", v.Name, seen.names)
	k.iface(at+".interface", v.Interface)
	k.number(at+".vrid", v.VRID, 1, 255)
	k.number(at+".priority", v.Priority, 1, 255)
	k.number(at+".down_intervals", v.DownIntervals, 1, 100)
	k.duration(at+".preempt_delay", v.PreemptDelay, 0, time.Hour)
	if v.NoPreempt && v.PreemptDelay > 0 {
		k.add(at+".preempt_delay", "%s: has no effect with nopreempt, want one of them", short(v.PreemptDelay))
	}
	k.oneOf(at+".degraded", v.Degraded, "advertise", "handover")
	k.oneOf(at+".checksum", v.Checksum, "keepalived", "rfc9568")
	k.oneOf(at+".check_addresses", v.CheckAddresses, "each", "first", "never")
	family := k.addresses(at+".addresses", v.Addresses, seen)
	router := fmt.Sprintf("%s %s vrid %d", v.Interface, family, v.VRID)
	if first, twice := seen.routers[router]; twice && family != "" {
		k.add(at+".vrid", "%d: is taken on %s for %s by %s", v.VRID, v.Interface, family, first)
	} else {
		seen.routers[router] = at
	}
	for i, a := range v.Excluded {
		if one := fmt.Sprintf("%s.excluded[%d]", at, i); k.hostAddress(one, a) {
			k.unique(one, a.Addr().String(), seen.addresses)
		}
	}
	k.protocol(at, v, family)
	k.sending(at, v, family)
	k.virtualMAC(at, v, family, seen)
	k.announce(at+".announce", &v.Announce)
	k.tracksOf(at, v.Track, named.tracks)
	for i, name := range v.BFD {
		if named.bfd[name] == "" {
			k.add(fmt.Sprintf("%s.bfd[%d]", at, i), "%.60q: want the name of one of haagent.bfd", name)
		}
	}
	if v.Quorum != "" && named.tracks[v.Quorum] == "" {
		k.add(at+".quorum", "%.60q: want the name of one of haagent.tracks", v.Quorum)
	}
	k.command(at+".fence.command", v.Fence.Command)
	k.duration(at+".fence.timeout", v.Fence.Timeout, 100*time.Millisecond, 10*time.Minute)
	k.durationOrZero(at+".duplicates", v.Duplicates, 100*time.Millisecond, time.Hour, "never")
	k.notify(at+".notify", &v.Notify)
}

// virtualMAC checks the name of the macvlan interface, which is of the whole host: two instances with one VRID on two
// interfaces need names.
func (k *checker) virtualMAC(at string, v *Instance, family string, seen instancesSeen) {
	name := v.VirtualMACName
	if name != "" {
		k.iface(at+".virtual_mac_name", name)
	} else {
		name = fmt.Sprintf("vrrp%s.%d", strings.TrimPrefix(family, "IPv"), v.VRID)
	}
	if !v.VirtualMAC {
		return
	}
	if first, twice := seen.macvlans[name]; twice {
		k.add(at+".virtual_mac_name", "%s: is taken by %s, want a name of its own", name, first)
		return
	}
	seen.macvlans[name] = at
}

// protocol checks what the version allows.
func (k *checker) protocol(at string, v *Instance, family string) {
	switch v.Version {
	case 3:
		if v.Interval < intervalStep || v.Interval > maxInterval || v.Interval%intervalStep != 0 {
			k.add(at+".interval", "%s: want 10ms to 40.95s in steps of 10ms", short(v.Interval))
		}
		if v.Password != "" {
			k.add(at+".password", "(not shown): version 3 has no authentication, want none or version: 2")
		}
	case 2:
		if v.Interval < time.Second || v.Interval > maxInterval2 || v.Interval%time.Second != 0 {
			k.add(at+".interval", "%s: want 1s to 255s in whole seconds with version 2", short(v.Interval))
		}
		if family == "IPv6" {
			k.add(at+".version", "2: is for IPv4 only, want 3")
		}
	default:
		k.add(at+".version", "%d: want 2 or 3", v.Version)
	}
	if v.Strict && (len(v.Peers) > 0 || v.Password != "" || v.DownIntervals != 3) {
		k.add(at+".strict", "true: want neither peers nor a password, and down_intervals: 3")
	}
}

// sending checks where advertisements leave from and go to.
func (k *checker) sending(at string, v *Instance, family string) {
	mine := func(one string, a netip.Addr, what string, multicast bool) {
		if a.IsUnspecified() || a.IsMulticast() != multicast || family != "" && a.Is4() != (family == "IPv4") {
			k.add(one, "%s: want %s of the family of addresses", a, what)
		}
	}
	if v.Source.IsValid() {
		mine(at+".source", v.Source, "an address of this host", false)
		if v.Priority != 255 && slices.ContainsFunc(v.Addresses, func(a Address) bool { return a.Addr() == v.Source }) {
			k.add(at+".source", "%s: is virtual, want an address that this host always has", v.Source)
		}
	}
	if v.MulticastGroup.IsValid() {
		mine(at+".multicast_group", v.MulticastGroup, "a multicast group", true)
		if len(v.Peers) > 0 {
			k.add(at+".multicast_group", "%s: has no effect with peers, want one of them", v.MulticastGroup)
		}
	}
	peers := make(map[string]string)
	for i, p := range v.Peers {
		one := fmt.Sprintf("%s.peers[%d]", at, i)
		mine(one, p, "another router's address", false)
		k.unique(one, p.String(), peers)
		if p == v.Source {
			k.add(one, "%s: is source, want the other routers' addresses only", p)
		}
	}
	if len(v.Peers) > 100 {
		k.add(at+".peers", "%d: want at most 100", len(v.Peers))
	}
	k.number(at+".min_ttl", v.MinTTL, 0, 255)
	if v.MinTTL > 0 && len(v.Peers) == 0 {
		k.add(at+".min_ttl", "%d: has an effect with peers only, multicast is always checked for 255", v.MinTTL)
	}
}

func (k *checker) announce(at string, a *Announce) {
	k.number(at+".count", a.Count, 1, 100)
	k.duration(at+".delay", a.Delay, 0, 5*time.Minute)
	k.durationOrZero(at+".refresh", a.Refresh, time.Second, 24*time.Hour, "none")
	k.duration(at+".spacing", a.Spacing, 0, time.Second)
}

// MaxAddresses is how many addresses an advertisement holds within 1,500 bytes: 8 of VRRP after the IP header. The
// count is one byte besides.
func MaxAddresses(ipv6 bool) int {
	if ipv6 {
		return (1500 - 40 - 8) / 16
	}
	return 255
}

// addresses returns the family of all, "" when there is none or they differ.
func (k *checker) addresses(at string, addresses []Address, seen instancesSeen) (family string) {
	if len(addresses) == 0 {
		k.add(at, "none: want at least one address with prefix length, as 10.0.0.100/24")
		return ""
	}
	mixed := false
	for i, p := range addresses {
		a, one := p.Addr(), fmt.Sprintf("%s[%d]", at, i)
		if !k.hostAddress(one, p) {
			continue
		}
		k.unique(one, a.String(), seen.addresses)
		f := "IPv6"
		if a.Is4() {
			f = "IPv4"
		}
		if family == "" {
			family = f
		}
		if f != family {
			k.add(one, "%s: want %s as the first one, make a second instance for %s", p, family, f)
			mixed = true
		}
	}
	if most := MaxAddresses(family == "IPv6"); family != "" && len(addresses) > most {
		k.add(at, "%d: want at most %d %s addresses in one instance", len(addresses), most, family)
	}
	if mixed {
		return ""
	}
	return family
}

func (k *checker) hostAddress(at string, p Address) bool {
	a := p.Addr()
	ok := p.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.Is4In6()
	if !ok {
		k.add(at, "%s: want the address of a host with prefix length, as 10.0.0.100/24", p)
	}
	return ok
}

func (k *checker) tracksOf(at string, uses []TrackUse, tracks map[string]string) {
	names := make(map[string]string)
	for i, u := range uses {
		one := fmt.Sprintf("%s.track[%d]", at, i)
		if _, ok := tracks[u.Name]; !ok {
			if u.Name == trackProxy {
				k.add(one+".name", `"proxy": want haagent.proxy with frontends or config_file, it is off`)
			} else {
				k.add(one+".name", "%.60q: want the name of one of haagent.tracks, or proxy", u.Name)
			}
		}
		k.unique(one+".name", u.Name, names)
		k.number(one+".weight", u.Weight, -253, 253)
	}
}
