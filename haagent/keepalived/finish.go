package keepalived

import (
	"net/netip"
	"slices"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// finish decides what depends on several keys, in the way that keepalived does, and reports whether the instance can
// be run.
func (t *translator) finish(v *instance) bool {
	if v.value.VRID == 0 {
		t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q has no virtual_router_id: it is left out", v.name)
		return false
	}
	if len(v.value.Addresses) == 0 {
		t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q has no virtual_ipaddress: it is left out", v.name)
		return false
	}
	if !t.finishInterface(v) {
		return false
	}
	t.finishFamily(v)
	t.finishVersion(v)
	t.finishPriority(v)
	t.finishTracks(v)
	t.finishPreemption(v)
	t.finishPassword(v)
	t.finishStrict(v)
	t.finishSending(v)
	if spacing, ok := t.global.spacing[v.value.Interface]; ok {
		v.value.Announce.Spacing = spacing
	}
	return true
}

func (t *translator) finishInterface(v *instance) bool {
	if v.value.Interface != "" {
		return true
	}
	if len(v.value.Peers) == 0 {
		t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q has no interface: it is left out", v.name)
		return false
	}
	v.value.Interface = t.global.device
	t.notes.Add(v.at, report.Changed, "vrrp_instance %.80q has no interface, only peers: %s is written, make sure that it is the one that leads to them", v.name, t.global.device)
	return true
}

// finishFamily keeps the addresses of the first one's family, and no more of them than an advertisement can hold.
func (t *translator) finishFamily(v *instance) {
	v.six = v.value.Addresses[0].Addr().Is6()
	v.value.Addresses = slices.DeleteFunc(v.value.Addresses, func(a conf.Address) bool {
		other := a.Addr().Is6() != v.six
		if other {
			t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q: %s is not of the family of the first address: it is left out, as keepalived does; put it under excluded, or make a second instance", v.name, a.Addr())
		}
		return other
	})
	most := conf.MaxAddresses(v.six)
	if len(v.value.Addresses) > most {
		t.notes.Add(v.at, report.Changed, "vrrp_instance %.80q: an advertisement holds %d addresses: the other %d are excluded ones, as keepalived does", v.name, most, len(v.value.Addresses)-most)
		v.value.Excluded = append(v.value.Addresses[most:len(v.value.Addresses):len(v.value.Addresses)], v.value.Excluded...)
		v.value.Addresses = v.value.Addresses[:most]
	}
	held := make(map[netip.Addr]bool)
	for _, a := range v.value.Addresses {
		held[a.Addr()] = true
	}
	v.value.Excluded = slices.DeleteFunc(v.value.Excluded, func(a conf.Address) bool {
		twice := held[a.Addr()]
		if twice {
			t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q: %s stands twice: the first one counts", v.name, a.Addr())
		}
		held[a.Addr()] = true
		return twice
	})
}

func (t *translator) finishVersion(v *instance) {
	v.value.Version = v.version
	if v.version == 0 {
		v.value.Version = t.global.version
	}
	if v.six {
		if v.version == 2 {
			t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q: version 2 is for IPv4 only: 3 is used, as keepalived does", v.name)
		}
		v.value.Version = 3
	}
	if v.interval != nil {
		v.value.Interval = t.intervalOf(v.interval, v.value.Version)
	}
}

// finishPriority: without a priority keepalived takes 100, with state MASTER the owner's 255.
func (t *translator) finishPriority(v *instance) {
	switch {
	case v.priority != nil:
		if v.value.Priority == 255 && v.master == nil && !v.strict {
			t.notes.Add(v.priority.at, report.Remark, "vrrp_instance %.80q: priority 255 is the owner of the addresses: master at once, and moved by no weight", v.name)
		}
	case v.master != nil:
		v.value.Priority = 255
		t.notes.Add(v.master.at, report.Changed, "vrrp_instance %.80q: state MASTER without priority means 255, the owner of the addresses, for keepalived: 255 is written. A priority of 254 can be tracked", v.name)
		v.comment("priority", comment(v.master.at, "state MASTER without priority"))
	default:
		v.value.Priority = 100
		t.notes.Add(v.at, report.Changed, "vrrp_instance %.80q has no priority: 100 is written, keepalived's default", v.name)
	}
}

// finishTracks: a weight does not move the owner of the addresses. keepalived ignores such a track, and takes a file as
// if its weight were 0.
func (t *translator) finishTracks(v *instance) {
	if v.value.Priority != 255 {
		return
	}
	v.value.Track = slices.DeleteFunc(v.value.Track, func(u conf.TrackUse) bool { return u.Weight != 0 && t.noteOwner(v, u) })
	for i := range v.value.Track {
		v.value.Track[i].Weight = 0
	}
}

// noteOwner reports whether the track is left out.
func (t *translator) noteOwner(v *instance, u conf.TrackUse) bool {
	if slices.ContainsFunc(t.tracks, func(k track) bool { return k.value.Name == u.Name && k.value.File != "" }) {
		t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q: track %s: no weight moves priority 255: its weight is 0, as for keepalived", v.name, u.Name)
		return false
	}
	t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q: track %s: no weight moves priority 255: it is left out, as keepalived does", v.name, u.Name)
	return true
}

func (t *translator) finishPreemption(v *instance) {
	n := &v.value
	switch {
	case v.master != nil && n.NoPreempt:
		t.notes.Add(v.master.at, report.Mistake, "vrrp_instance %.80q: nopreempt has no effect with state MASTER: it is left out, as keepalived does; write state BACKUP on both", v.name)
		n.NoPreempt = false
	case n.NoPreempt && n.Priority == 255:
		t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q: nopreempt has no effect with priority 255: it is left out, as keepalived does", v.name)
		n.NoPreempt = false
	}
	if n.PreemptDelay == 0 {
		return
	}
	why := ""
	switch {
	case v.master != nil:
		why = "state MASTER"
	case n.NoPreempt:
		why = "nopreempt"
	case v.strict:
		why = "strict mode"
	}
	if why != "" {
		t.notes.Add(v.preemptWait.at, report.Mistake, "preempt_delay has no effect with %s: it is left out, as keepalived does", why)
		n.PreemptDelay = 0
	}
}

func (t *translator) finishPassword(v *instance) {
	if v.authType == nil {
		if v.password != "" {
			t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q: auth_pass without auth_type: there is no authentication, as for keepalived", v.name)
		}
		return
	}
	at := v.authType.at
	switch kind := v.authType.arg(); {
	case v.value.Version == 3:
		t.notes.Add(at, report.Mistake, "version 3 has no authentication: it is left out, as keepalived does")
	case v.strict:
		t.notes.Add(at, report.Mistake, "strict mode has no authentication: the password is left out, as keepalived does")
	case kind == "AH":
		t.notes.Add(at, report.Missing, "auth_type AH is refused: nothing is authenticated, and a peer with AH is not heard: set every router to PASS or to nothing first")
	case kind != "PASS":
		t.notes.Add(at, report.Mistake, "auth_type %.20q is unknown: nothing is authenticated, as for keepalived", kind)
	case v.password == "":
		t.notes.Add(at, report.Mistake, "auth_type PASS without auth_pass: nothing is authenticated")
	default:
		v.value.Password = v.password
	}
}

// finishStrict: strict mode takes packets for the addresses away from a master that does not own them, unless version 3
// says accept.
func (t *translator) finishStrict(v *instance) {
	n := &v.value
	if v.accept != nil {
		n.Accept = v.accept.keyword() == "accept"
	}
	if !v.strict {
		return
	}
	n.Strict = true
	if v.master != nil && n.Priority != 255 {
		t.notes.Add(v.master.at, report.Mistake, "strict mode allows state MASTER with priority 255 only: it is read as BACKUP, as keepalived does")
	}
	asked := v.accept != nil && n.Accept && n.Version == 3
	n.Accept = asked || n.Priority == 255
	if !n.Accept {
		t.notes.Add(v.at, report.Changed, "vrrp_instance %.80q: strict mode: a master that is not the owner takes no packets for the addresses: nobody can ping them or connect to them. Few want that: write neither vrrp_strict nor accept: false", v.name)
		v.comment("accept", "keepalived.conf has strict mode, which means this")
	}
	if len(n.Peers) > 0 || n.DownIntervals != 3 {
		t.notes.Add(v.at, report.Changed, "vrrp_instance %.80q: strict mode has no peers and three intervals: it is left out, but for accept", v.name)
		n.Strict = false
	}
}

// finishSending settles source, group and peers.
func (t *translator) finishSending(v *instance) {
	n := &v.value
	ours := func(a netip.Addr, what string) bool {
		if a.Is6() == v.six {
			return true
		}
		t.notes.Add(v.at, report.Mistake, "vrrp_instance %.80q: %s %s is not of the family of the addresses: it is left out", v.name, what, a)
		return false
	}
	n.Peers = slices.DeleteFunc(n.Peers, func(a netip.Addr) bool { return !ours(a, "unicast_peer") })
	if n.Source.IsValid() && !ours(n.Source, "source address") {
		n.Source = netip.Addr{}
	}
	if !n.MulticastGroup.IsValid() {
		n.MulticastGroup = t.global.group4
		if v.six {
			n.MulticastGroup = t.global.group6
		}
	} else if !ours(n.MulticastGroup, "mcast_dst_ip") {
		n.MulticastGroup = netip.Addr{}
	}
	if len(n.Peers) == 0 {
		return
	}
	n.MulticastGroup = netip.Addr{}
	least := 256
	for _, p := range n.Peers {
		least = min(least, v.minTTL[p])
	}
	n.MinTTL = least
	if most := len(v.minTTL); most > 0 && least == 0 {
		t.notes.Add(v.peersAt, report.Changed, "unicast_peer: min_ttl is one for all peers here, and not all have one: it is left out")
	}
	if t.once("peers") {
		t.notes.Add(v.peersAt, report.Remark, "unicast_peer: advertisements of others than the peers are refused: each router lists all others")
	}
}
