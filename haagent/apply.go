package haagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"time"

	"keepwatch/haagent/link"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

type reloading struct {
	config conf.HAAgent
	done   chan error
}

// Reload changes what differs in next and nothing else: instances that stay the same are not touched, and one whose
// interface, family and VRID stay keeps its addresses. What can fail is tried first. On an error that says otherwise
// the old configuration stays in force.
func (a *Agent) Reload(next conf.HAAgent) error {
	r := reloading{config: next, done: make(chan error, 1)}
	select {
	case a.reloads <- r:
		return <-r.done
	case <-time.After(10 * time.Second):
		return errors.New("the agent does not take a new configuration: it is starting or ending")
	}
}

func (a *Agent) reload(ctx context.Context, next conf.HAAgent) error {
	if next.Lease != a.config.Lease {
		return errors.New("haagent.lease cannot change while the agent runs: restart it")
	}
	if err := try(next.Instances); err != nil {
		return err
	}
	if err := a.applyProxy(ctx, next.Proxy); err != nil {
		return err
	}
	if err := a.apply(next); err != nil {
		return err
	}
	a.journal.add(time.Now(), metric.EventConfigReloaded, "the HA agent has a new configuration", nil)
	return nil
}

// apply brings tracks, ports and instances to what c says.
func (a *Agent) apply(c conf.HAAgent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.applyTracks(c)
	for name, r := range a.instances {
		i := slices.IndexFunc(c.Instances, func(n conf.Instance) bool { return n.Name == name })
		if i < 0 || !sameRouter(r.config, c.Instances[i]) {
			r.stop()
			<-r.ended
			delete(a.instances, name)
		}
	}
	for _, n := range c.Instances {
		r := a.instances[n.Name]
		if r == nil {
			if err := a.startInstance(n, c.Lease); err != nil {
				return err
			}
			continue
		}
		if !reflect.DeepEqual(r.config, n) {
			r.config = n
			r.tell(r.ctx, vrrp.Reconfigure{Config: vrrpConfig(n, a.tracksOf(n))})
		}
	}
	for key, p := range a.ports {
		if !slices.ContainsFunc(c.Instances, func(n conf.Instance) bool { return keyOf(n) == key }) {
			p.close()
			delete(a.ports, key)
		}
	}
	a.watchLinks(c)
	a.config = c
	return nil
}

func keyOf(c conf.Instance) portKey {
	return portKey{c.Interface, vrrp.FamilyOf(c.Addresses[0].Addr())}
}

// sameRouter reports whether an instance can go from one configuration to the other without leaving its phase.
func sameRouter(a, b conf.Instance) bool { return keyOf(a) == keyOf(b) && a.VRID == b.VRID }

func (a *Agent) startInstance(c conf.Instance, lease conf.Lease) error {
	key := keyOf(c)
	p := a.ports[key]
	if p == nil {
		p = newPort(key, a.opt.Log)
		ifi, err := net.InterfaceByName(c.Interface)
		if err != nil {
			return fmt.Errorf("there is no interface %q: %w", c.Interface, err)
		}
		if err := p.open(ifi.Index); err != nil {
			return err
		}
		a.ports[key] = p
	}
	// What a killed predecessor left is not ours before we are master. The owner's are its own.
	if c.Priority != vrrp.PriorityOwner {
		if err := a.addrs.Release(c.Interface, c.Addresses); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(a.ctx)
	r := &running{config: c, ctx: ctx, stop: stop, ended: make(chan struct{}), instance: &instance{
		name: c.Name, ifname: c.Interface, vrid: uint8(c.VRID), port: p, addrs: a.addrs, lifetime: lease.Lifetime, journal: a.journal,
		in: make(chan vrrp.Input, 16), packets: make(chan *vrrp.Packet, inputs),
		state: vrrp.New(vrrpConfig(c, a.tracksOf(c)), time.Now()),
	}}
	r.state, _ = vrrp.Step(r.state, linkInput(link.Look(c.Interface, virtual([]conf.Instance{c})), key.family), time.Now())
	r.publish()
	r.port.listen(r.instance)
	a.instances[c.Name] = r
	a.group.Go(func() error { defer close(r.ended); r.run(ctx); return nil })
	return nil
}

func (a *Agent) endInstances() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.instances {
		r.stop()
	}
	for _, r := range a.instances {
		<-r.ended
	}
	for _, p := range a.ports {
		p.close()
	}
}
