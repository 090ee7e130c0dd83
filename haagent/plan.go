package haagent

import (
	"slices"
	"time"

	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

func keyOf(c conf.Instance) portKey {
	family := vrrp.FamilyOf(c.Addresses[0].Addr())
	key := portKey{c.Interface, family, family.Group()}
	if c.MulticastGroup.IsValid() {
		key.group = c.MulticastGroup.WithZone("")
	}
	return key
}

// sameRouter reports whether an instance can go from one configuration to the other without leaving its phase.
func sameRouter(a, b conf.Instance) bool {
	return keyOf(a) == keyOf(b) && a.VRID == b.VRID && a.VirtualMAC == b.VirtualMAC && a.VirtualMACName == b.VirtualMACName
}

// plan is a unit as a configuration wants it.
type plan struct {
	group   *conf.SyncGroup // nil: a single router
	members []conf.Instance
}

func plans(c conf.HAAgent) (all []plan) {
	grouped := make(map[string]bool)
	for i := range c.Groups {
		p := plan{group: &c.Groups[i]}
		for _, n := range c.Instances {
			if slices.Contains(c.Groups[i].Members, n.Name) {
				grouped[n.Name] = true
				p.members = append(p.members, n)
			}
		}
		all = append(all, p)
	}
	for _, n := range c.Instances {
		if !grouped[n.Name] {
			all = append(all, plan{members: []conf.Instance{n}})
		}
	}
	return all
}

func (p *plan) name() string {
	if p.group == nil {
		return ""
	}
	return p.group.Name
}

// uses are the tracks that move a member: in a group every member's and the group's own move all.
func (p *plan) uses(n *conf.Instance) []conf.TrackUse {
	if p.group == nil {
		return n.Track
	}
	all := slices.Clone(p.group.Track)
	for _, m := range p.members {
		for _, u := range m.Track {
			if !slices.ContainsFunc(all, func(x conf.TrackUse) bool { return x.Name == u.Name }) {
				all = append(all, u)
			}
		}
	}
	return all
}

// continues tells whether a unit can go on as planned.
func (p *plan) continues(u *unit) bool {
	return u.name == p.name() && slices.EqualFunc(u.members, p.members, func(m *instance, n conf.Instance) bool {
		return m.name == n.Name && sameRouter(m.asked(), n)
	})
}

// vrrpConfig turns the file's words into the protocol's. tracks are as they are at the moment.
func vrrpConfig(c conf.Instance, start time.Duration, tracks []vrrp.Track, quorum *vrrp.Track) vrrp.Config {
	out := vrrp.Config{
		Interface: c.Interface, Family: vrrp.FamilyOf(c.Addresses[0].Addr()), Version: uint8(c.Version), VRID: uint8(c.VRID), Priority: uint8(c.Priority),
		Interval: c.Interval, DownAfter: c.DownIntervals, NoPreempt: c.NoPreempt, PreemptDelay: c.PreemptDelay, StartDelay: start,
		Pair: c.Pair || len(c.Peers) == 1, Handover: c.Degraded == "handover", Strict: c.Strict, MinTTL: c.MinTTL, Group: c.MulticastGroup.WithZone(""), Tracks: tracks, Quorum: quorum,
		Fence:    len(c.Fence.Command) > 0,
		Announce: vrrp.Announcing{Count: c.Announce.Count, Delay: c.Announce.Delay, Refresh: c.Announce.Refresh},
	}
	if c.Checksum == "rfc9568" {
		out.Checksum = vrrp.MessageOnly
	}
	switch c.CheckAddresses {
	case "first":
		out.Compare = vrrp.CompareFirst
	case "never":
		out.Compare = vrrp.CompareNever
	}
	if c.Password != "" {
		p := vrrp.NewPassword(c.Password)
		out.Password = &p
	}
	for _, a := range c.Addresses {
		out.Addresses = append(out.Addresses, a.Addr())
	}
	for _, p := range c.Peers {
		out.Peers = append(out.Peers, p.WithZone(""))
	}
	return out
}
