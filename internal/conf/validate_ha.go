package conf

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// trackProxy is the track that needs no entry under tracks: the health of the agent's own proxy.
const trackProxy = "proxy"

func (k *checker) haagent(h *HAAgent) {
	named := haNames{tracks: map[string]string{}, bfd: map[string]string{}, instances: map[string]int{}}
	for i := range h.BFD {
		k.bfd(fmt.Sprintf("haagent.bfd[%d]", i), &h.BFD[i], named.bfd)
	}
	for i := range h.Tracks {
		k.track(fmt.Sprintf("haagent.tracks[%d]", i), &h.Tracks[i], named)
	}
	if h.Proxy.ConfigFile != "" || len(h.Proxy.Frontends) > 0 {
		named.tracks[trackProxy] = "haagent.proxy"
	}
	seen := instancesSeen{names: map[string]string{}, routers: map[string]string{}, addresses: map[string]string{}}
	for i := range h.Instances {
		named.instances[h.Instances[i].Name] = i
		k.instance(fmt.Sprintf("haagent.instances[%d]", i), &h.Instances[i], named, seen)
	}
	member := make(map[string]string)
	for i := range h.Groups {
		k.group(fmt.Sprintf("haagent.groups[%d]", i), h, &h.Groups[i], named, member)
	}
	for i, a := range h.Static.Addresses {
		if at := fmt.Sprintf("haagent.static.addresses[%d]", i); k.hostAddress(at, a) && a.Device == "" {
			k.add(at, "%s: want its interface, as %s dev eth1", a, a)
		}
	}
	k.notify("haagent.notify", &h.Notify)
	k.user("haagent.script_user", h.ScriptUser)
	k.duration("haagent.start_delay", h.StartDelay, 0, 10*time.Minute)
	k.duration("haagent.lease.lifetime", h.Lease.Lifetime, 2*time.Second, time.Minute)
	k.proxy(&h.Proxy)
}

// haNames are what instances and groups refer to, with where each stands.
type haNames struct {
	tracks, bfd map[string]string
	instances   map[string]int
}

func (k *checker) bfd(at string, s *BFDSession, seen map[string]string) {
	k.name(at+".name", s.Name)
	k.unique(at+".name", s.Name, seen)
	if !s.Peer.IsValid() || s.Peer.IsUnspecified() || s.Peer.IsMulticast() {
		k.add(at+".peer", "%q: want the other node's address", s.Peer)
	}
	if s.Source.IsValid() && s.Source.Is4() != s.Peer.Is4() {
		k.add(at+".source", "%s: want an address of the peer's family", s.Source)
	}
	k.duration(at+".interval", s.Interval, 5*time.Millisecond, 10*time.Second)
	k.number(at+".multiplier", s.Multiplier, 1, 255)
}

func (k *checker) track(at string, t *Track, named haNames) {
	k.name(at+".name", t.Name)
	k.unique(at+".name", t.Name, named.tracks)
	if t.Name == trackProxy {
		k.add(at+".name", `"proxy": want another name, this one is the agent's own proxy`)
	}
	var kinds []string
	kind := func(name string, there bool, check func(at string)) {
		if there {
			kinds = append(kinds, name)
			check(at + "." + name)
		}
	}
	kind("process", t.Process != "", func(at string) {
		if strings.ContainsRune(t.Process, '/') || strings.ContainsFunc(t.Process, control) {
			k.add(at, "%.60q: want the name of an executable without its folder, as haproxy", t.Process)
		}
	})
	kind("script", len(t.Script) > 0, func(at string) { k.command(at, t.Script) })
	kind("interface", t.Interface != "", func(at string) { k.iface(at, t.Interface) })
	kind("route", t.Route != "", func(at string) {
		if _, err := parsePrefix(t.Route); err != nil && t.Route != "default" {
			k.add(at, "%.60q: want a destination, as default or 10.0.0.0/8", t.Route)
		}
	})
	kind("file", t.File != "", func(at string) { k.absolute(at, t.File) })
	kind("ping", len(t.Ping) > 0, func(at string) {
		for i, p := range t.Ping {
			if a, err := netip.ParseAddr(p); err != nil || a.IsUnspecified() {
				k.add(fmt.Sprintf("%s[%d]", at, i), "%.60q: want an address, as 10.0.0.1", p)
			}
		}
		if t.AtLeast > len(t.Ping) {
			k.add(strings.TrimSuffix(at, "ping")+"at_least", "%d: want at most the %d addresses of ping", t.AtLeast, len(t.Ping))
		}
	})
	kind("http", t.HTTP != "", func(at string) {
		if u, err := url.Parse(t.HTTP); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			k.add(at, "%.120q: want a URL, as http://127.0.0.1:80/health", t.HTTP)
		} else if u.User != nil {
			k.add(at, "(not shown): want no password in it")
		}
	})
	kind("tcp", t.TCP != "", func(at string) { k.endpoint(at, t.TCP) })
	kind("bfd", t.BFD != "", func(at string) {
		if named.bfd[t.BFD] == "" {
			k.add(at, "%.60q: want the name of one of haagent.bfd", t.BFD)
		}
	})
	if len(kinds) != 1 {
		found := "none"
		if len(kinds) > 1 {
			found = strings.Join(kinds, ", ")
		}
		k.add(at, "%s: want exactly one of process, script, interface, route, file, ping, http, tcp, bfd", found)
	}
	if t.User != "" && len(t.Script) == 0 {
		k.add(at+".user", "%.60q: has an effect on a script only", t.User)
	}
	k.user(at+".user", t.User)
	k.number(at+".at_least", t.AtLeast, 1, 1000)
	k.duration(at+".interval", t.Interval, 50*time.Millisecond, time.Hour)
	k.durationOrZero(at+".timeout", t.Timeout, 10*time.Millisecond, time.Hour, "as long as interval")
	k.number(at+".rise", t.Rise, 1, 1000)
	k.number(at+".fall", t.Fall, 1, 1000)
	k.duration(at+".delay", t.Delay, 0, time.Hour)
}

// endpoint checks address:port of something to connect to.
func (k *checker) endpoint(at, v string) {
	if host, port, ok := splitHostPort(v); !ok || host == "" || port == 0 {
		k.add(at, "%.60q: want address:port, as 127.0.0.1:80", v)
	}
}

var userForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`) // as useradd takes them

func (k *checker) user(at, v string) {
	if v != "" && !userForm.MatchString(v) {
		k.add(at, "%.60q: want the name of a user", v)
	}
}

// command checks a program with its arguments.
func (k *checker) command(at string, argv []string) {
	if len(argv) == 0 {
		return
	}
	k.absolute(at+"[0]", argv[0])
	for i, a := range argv {
		if strings.ContainsRune(a, 0) || len(a) > 4096 {
			k.add(fmt.Sprintf("%s[%d]", at, i), "want at most 4096 bytes without NUL")
		}
	}
	if len(argv) > 64 {
		k.add(at, "%d words: want at most 64", len(argv))
	}
}

func (k *checker) notify(at string, n *Notify) {
	k.command(at+".master", n.Master)
	k.command(at+".backup", n.Backup)
	k.command(at+".fault", n.Fault)
	k.command(at+".stop", n.Stop)
	k.command(at+".any", n.Any)
	if n.FIFO != "" {
		k.absolute(at+".fifo", n.FIFO)
	}
}

// group checks a sync group. Its members have one priority: with different ones the group would pull itself apart.
func (k *checker) group(at string, h *HAAgent, g *SyncGroup, named haNames, member map[string]string) {
	k.name(at+".name", g.Name)
	if len(g.Members) < 2 {
		k.add(at+".members", "%d: want at least two instances", len(g.Members))
	}
	first := -1
	for i, name := range g.Members {
		one := fmt.Sprintf("%s.members[%d]", at, i)
		n, known := named.instances[name]
		if !known {
			k.add(one, "%.60q: want the name of one of haagent.instances", name)
			continue
		}
		k.unique(one, name, member)
		if first < 0 {
			first = n
		}
		if v := &h.Instances[n]; v.Priority != h.Instances[first].Priority || v.Degraded != h.Instances[first].Degraded {
			k.add(one, "%.60q: want priority %d and degraded %s as %q of the same group", name, h.Instances[first].Priority, h.Instances[first].Degraded, g.Members[0])
		}
	}
	k.tracksOf(at, g.Track, named.tracks)
	k.notify(at+".notify", &g.Notify)
}

// instancesSeen maps what instances must not share to where it was met first.
type instancesSeen struct {
	names, routers, addresses map[string]string
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
	if v.VirtualMACName != "" {
		k.iface(at+".virtual_mac_name", v.VirtualMACName)
	}
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

// protocol checks what the version and the way of sending allow.
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
	mine := func(one string, a netip.Addr, what string, multicast bool) {
		if a.IsUnspecified() || a.IsMulticast() != multicast || family != "" && a.Is4() != (family == "IPv4") {
			k.add(one, "%s: want %s of the family of addresses", a, what)
		}
	}
	if v.Source.IsValid() {
		mine(at+".source", v.Source, "an address of this host", false)
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
	}
	if len(v.Peers) > 100 {
		k.add(at+".peers", "%d: want at most 100", len(v.Peers))
	}
	k.number(at+".min_ttl", v.MinTTL, 0, 255)
	if v.MinTTL > 0 && len(v.Peers) == 0 {
		k.add(at+".min_ttl", "%d: has an effect with peers only, multicast is always checked for 255", v.MinTTL)
	}
	if v.Strict && (len(v.Peers) > 0 || v.Password != "" || v.DownIntervals != 3) {
		k.add(at+".strict", "true: want neither peers nor a password, and down_intervals: 3")
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
