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
	pairs := make(map[string]string)
	for i := range h.BFD {
		k.bfd(fmt.Sprintf("haagent.bfd[%d]", i), &h.BFD[i], named.bfd, pairs)
	}
	for i := range h.Tracks {
		k.track(fmt.Sprintf("haagent.tracks[%d]", i), &h.Tracks[i], named)
	}
	if h.Proxy.ConfigFile != "" || len(h.Proxy.Frontends) > 0 {
		named.tracks[trackProxy] = "haagent.proxy"
	}
	seen := instancesSeen{names: map[string]string{}, routers: map[string]string{}, addresses: map[string]string{}, macvlans: map[string]string{}}
	for i := range h.Instances {
		named.instances[h.Instances[i].Name] = i
		k.instance(fmt.Sprintf("haagent.instances[%d]", i), &h.Instances[i], named, seen)
	}
	member := make(map[string]string)
	for i := range h.Groups {
		k.group(fmt.Sprintf("haagent.groups[%d]", i), h, &h.Groups[i], named, member)
	}
	for i, a := range h.Static.Addresses {
		at := fmt.Sprintf("haagent.static.addresses[%d]", i)
		if k.hostAddress(at, a) && a.Device == "" {
			k.add(at, "%s: want its interface, as %s dev eth1", a, a)
		}
		k.unique(at, a.Addr().String(), seen.addresses) // one that is always there is not virtual
	}
	k.notify("haagent.notify", &h.Notify)
	k.user("haagent.script_user", h.ScriptUser)
	k.duration("haagent.start_delay", h.StartDelay, 0, 10*time.Minute)
	k.number("haagent.realtime", h.Realtime, 0, 49)
	k.duration("haagent.lease.lifetime", h.Lease.Lifetime, 2*time.Second, time.Minute)
	k.proxy(&h.Proxy)
}

// haNames are what instances and groups refer to, with where each stands.
type haNames struct {
	tracks, bfd map[string]string
	instances   map[string]int
}

// bfd checks a session. One peer has one session on an address of ours: the packets of two could not be told apart
// before both ends know their numbers (RFC 5881, section 3).
func (k *checker) bfd(at string, s *BFDSession, seen, pairs map[string]string) {
	k.name(at+".name", s.Name)
	k.unique(at+".name", s.Name, seen)
	switch {
	case !s.Peer.IsValid():
		k.add(at+".peer", "none: want the other node's address")
	case s.Peer.IsUnspecified() || s.Peer.IsMulticast():
		k.add(at+".peer", "%s: want the other node's address", s.Peer)
	}
	if s.Source.IsValid() && (s.Source.Is4() != s.Peer.Is4() || s.Source.IsUnspecified() || s.Source.IsMulticast()) {
		k.add(at+".source", "%s: want an address of this host, of the peer's family", s.Source)
	}
	if first, twice := pairs[s.Peer.String()+s.Source.String()]; twice && s.Peer.IsValid() {
		k.add(at+".peer", "%s: has a session already, %s", s.Peer, first)
	} else {
		pairs[s.Peer.String()+s.Source.String()] = at
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
	kinds := k.trackKinds(at, t, named)
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

// trackKinds checks what a track looks at, and returns the keys that say it.
func (k *checker) trackKinds(at string, t *Track, named haNames) (kinds []string) {
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
	return kinds
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
