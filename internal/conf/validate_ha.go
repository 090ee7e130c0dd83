package conf

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// trackProxy is the track that needs no entry under tracks: the health of the agent's own proxy.
const trackProxy = "proxy"

func (k *checker) haagent(h *HAAgent) {
	tracks := make(map[string]string)
	for i, t := range h.Tracks {
		at := fmt.Sprintf("haagent.tracks[%d]", i)
		k.name(at+".name", t.Name)
		k.unique(at+".name", t.Name, tracks)
		if t.Name == trackProxy {
			k.add(at+".name", `"proxy": want another name, this one is the agent's own proxy`)
		}
		if t.Process == "" || strings.ContainsRune(t.Process, '/') || strings.ContainsFunc(t.Process, control) {
			k.add(at+".process", "%.60q: want the name of an executable without its folder, as haproxy", t.Process)
		}
	}
	if h.Proxy.ConfigFile != "" || len(h.Proxy.Frontends) > 0 {
		tracks[trackProxy] = "haagent.proxy"
	}
	seen := instancesSeen{names: map[string]string{}, routers: map[string]string{}, addresses: map[string]string{}}
	for i := range h.Instances {
		k.instance(fmt.Sprintf("haagent.instances[%d]", i), &h.Instances[i], tracks, seen)
	}
	k.duration("haagent.lease.lifetime", h.Lease.Lifetime, 2*time.Second, time.Minute)
	k.proxy(&h.Proxy)
}

// instancesSeen maps what instances must not share to where it was met first.
type instancesSeen struct {
	names, routers, addresses map[string]string
}

// Bounds of VRRPv3 (RFC 9568, 5.2.7: 12 bits of centiseconds).
const (
	intervalStep = 10 * time.Millisecond
	maxInterval  = 4095 * intervalStep
)

func (k *checker) instance(at string, v *Instance, tracks map[string]string, seen instancesSeen) {
	k.name(at+".name", v.Name)
	k.unique(at+".name", v.Name, seen.names)
	k.iface(at+".interface", v.Interface)
	k.number(at+".vrid", v.VRID, 1, 255)
	if v.Version != 3 {
		k.add(at+".version", "%d: want 3", v.Version)
	}
	k.number(at+".priority", v.Priority, 1, 255)
	if v.Interval < intervalStep || v.Interval > maxInterval || v.Interval%intervalStep != 0 {
		k.add(at+".interval", "%s: want 10ms to 40.95s in steps of 10ms", short(v.Interval))
	}
	k.duration(at+".preempt_delay", v.PreemptDelay, 0, time.Hour)
	if v.NoPreempt && v.PreemptDelay > 0 {
		k.add(at+".preempt_delay", "%s: has no effect with nopreempt, want one of them", short(v.PreemptDelay))
	}
	k.oneOf(at+".checksum", v.Checksum, "keepalived", "rfc9568")
	family := k.addresses(at+".addresses", v.Addresses, seen)
	router := fmt.Sprintf("%s %s vrid %d", v.Interface, family, v.VRID)
	if first, twice := seen.routers[router]; twice && family != "" {
		k.add(at+".vrid", "%d: is taken on %s for %s by %s", v.VRID, v.Interface, family, first)
	} else {
		seen.routers[router] = at
	}
	k.tracksOf(at, v.Track, tracks)
}

// maxAddresses is how many addresses an advertisement holds within 1,500 bytes: 8 of VRRP after the IP header. The
// count is one byte besides.
var maxAddresses = map[string]int{"IPv4": 255, "IPv6": (1500 - 40 - 8) / 16}

// addresses returns the family of all, "" when there is none or they differ.
func (k *checker) addresses(at string, addresses []netip.Prefix, seen instancesSeen) (family string) {
	if len(addresses) == 0 {
		k.add(at, "none: want at least one address with prefix length, as 10.0.0.100/24")
		return ""
	}
	mixed := false
	for i, p := range addresses {
		a, one := p.Addr(), fmt.Sprintf("%s[%d]", at, i)
		if !p.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6() {
			k.add(one, "%s: want the address of a host with prefix length, as 10.0.0.100/24", p)
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
	if family != "" && len(addresses) > maxAddresses[family] {
		k.add(at, "%d: want at most %d %s addresses in one instance", len(addresses), maxAddresses[family], family)
	}
	if mixed {
		return ""
	}
	return family
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
