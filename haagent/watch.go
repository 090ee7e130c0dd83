package haagent

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"keepwatch/haagent/link"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// watchLinks follows the interfaces of the instances; it starts anew when they or the virtual addresses are other
// ones. The caller holds mu.
func (a *Agent) watchLinks(c conf.HAAgent) {
	var names []string
	for _, n := range c.Instances {
		if !slices.Contains(names, n.Interface) {
			names = append(names, n.Interface)
		}
	}
	slices.Sort(names)
	not := virtual(c.Instances)
	if a.stopWatch != nil {
		if slices.Equal(names, a.watching) && slices.Equal(not, virtual(a.config.Instances)) {
			return
		}
		a.stopWatch()
	}
	ctx, stop := context.WithCancel(a.ctx)
	a.stopWatch, a.watching = stop, names
	a.keep(ctx, func(err error) { a.opt.Log.Error("interfaces are not watched for a second", "err", err) },
		func(ctx context.Context) error { return link.Watch(ctx, names, not, a.linkChanged) })
}

func (a *Agent) linkChanged(ifname string, s link.Status) {
	a.mu.Lock()
	var ports []*port
	for key, p := range a.ports {
		if key.ifname == ifname {
			ports = append(ports, p)
		}
	}
	told := a.on(func(i *instance) bool { return i.port.key.ifname == ifname })
	a.mu.Unlock()
	for _, p := range ports {
		p.follow(s)
	}
	for _, r := range told {
		r.tellMade(r.member, func() vrrp.Input {
			r.member.remakeVMAC()
			return linkInput(r.member, s)
		})
	}
}

// addressRemoved has instances look whether it was one of theirs that somebody took off: it comes back at once. An
// invalid address may be any.
func (a *Agent) addressRemoved(addr netip.Addr) {
	a.mu.Lock()
	told := a.on(func(i *instance) bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return !addr.IsValid() && len(i.held) > 0 || slices.ContainsFunc(i.held, func(p conf.Address) bool { return p.Addr() == addr })
	})
	a.mu.Unlock()
	for _, r := range told {
		r.tellMade(r.member, func() vrrp.Input {
			r.member.restore(time.Now())
			return nil
		})
	}
}

// on lists instances with their units. The caller holds mu.
func (a *Agent) on(which func(*instance) bool) (out []listener) {
	for _, u := range a.units {
		for _, m := range u.members {
			if which(m) {
				out = append(out, listener{u, m})
			}
		}
	}
	return out
}
