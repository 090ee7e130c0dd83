package haagent

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"keepwatch/haagent/link"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// newInstance makes an instance that does nothing yet.
func (a *Agent) newInstance(c conf.Instance, uses []conf.TrackUse, addrs *link.Addresses) (*instance, error) {
	p, err := a.portOf(c)
	if err != nil {
		return nil, err
	}
	i := &instance{shared: &a.shared, name: c.Name, vrid: uint8(c.VRID), port: p, addrs: addrs, spacer: &spacer{next: make(chan announcement, 1)}}
	i.setUses(uses)
	i.configure(c)
	if err := addrs.Prepare(devices(&c)...); err != nil {
		return nil, err
	}
	if c.VirtualMAC {
		if i.vmac, err = openVMAC(addrs, &c, p.key.family, p.key.group, p.deliver); err != nil {
			return nil, err
		}
	}
	i.placed = i.place()
	// What was there before and is the owner's stays as it is; anybody else has no business with it, and what a
	// predecessor left that the sweep could not know for ours goes.
	if c.Priority == vrrp.PriorityOwner {
		i.native, err = addrs.Present(i.place(), wanted(&c))
	} else {
		err = addrs.Release(i.place(), wanted(&c))
	}
	return i, err
}

// devices are the interfaces that an instance puts addresses on.
func devices(c *conf.Instance) []string {
	all := []string{c.Interface}
	for _, p := range wanted(c) {
		if p.Device != "" && !slices.Contains(all, p.Device) {
			all = append(all, p.Device)
		}
	}
	return all
}

// configure takes a new configuration. The unit calls it, or nobody drives the instance.
func (i *instance) configure(c conf.Instance) {
	i.config = c
	i.mu.Lock()
	i.shown = c
	i.mu.Unlock()
}

// asked is the configuration in force, for who does not drive the instance.
func (i *instance) asked() conf.Instance {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.shown
}

func (i *instance) setUses(uses []conf.TrackUse) {
	i.mu.Lock()
	i.uses = uses
	i.mu.Unlock()
}

func (i *instance) setGroup(name string) {
	i.mu.Lock()
	i.group = name
	i.mu.Unlock()
}

// start starts what an instance has besides its unit.
func (a *Agent) start(u *unit, i *instance) {
	if i.stop != nil {
		return // it came from another unit
	}
	var ctx context.Context
	ctx, i.stop = context.WithCancel(a.ctx)
	a.group.Go(func() error { i.spacer.run(ctx, i); return nil })
}

// retired ends what start has started, when the instance itself has ended.
func (u *unit) retired(i *instance) {
	i.port.unlisten(u, i)
	if i.stop != nil {
		i.stop()
	}
	if i.vmac != nil {
		i.check("cannot remove the interface of the virtual MAC address", i.vmac.close(i.addrs))
	}
}

// close ends what the unit used.
func (u *unit) close() {
	for _, m := range u.members {
		u.retired(m)
	}
	u.addrs.Close()
}

// discard drops a unit that never ran.
func (u *unit) discard() error {
	u.stop()
	u.addrs.Close()
	return nil
}

// linkInput is what an interface's status means for an instance.
func linkInput(i *instance, s link.Status) vrrp.LinkChanged {
	source := i.asked().Source
	in := vrrp.LinkChanged{Up: s.Up, Source: s.Source4, Detail: s.Detail}
	if i.family() == vrrp.IPv6 {
		in.Source = s.Source6
	}
	if source.IsValid() {
		in.Source = netip.Addr{}
		if onThisHost(source.WithZone("")) {
			in.Source = source.WithZone("")
		}
	}
	return in
}

func onThisHost(addr netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(all, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr() == addr
	})
}

// virtual are the addresses that are never a source: another host may have them at any time.
func virtual(all []conf.Instance) (addrs []netip.Addr) {
	for _, c := range all {
		if c.Priority != vrrp.PriorityOwner {
			addrs = append(addrs, hostsOf(wanted(&c))...)
		}
	}
	return addrs
}
