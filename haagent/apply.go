package haagent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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

func (a *Agent) takeReloads(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-a.reloads:
			r.done <- a.reload(ctx, r.config)
		}
	}
}

func (a *Agent) reload(ctx context.Context, next conf.HAAgent) error {
	if next.Lease != a.config.Lease || next.ScriptUser != a.config.ScriptUser {
		return errors.New("haagent.lease and haagent.script_user cannot change while the agent runs: restart it")
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

// sweep removes what a killed predecessor left. It is not ours before we are master.
func (a *Agent) sweep(c conf.HAAgent) error {
	static := func(ifname string, p netip.Prefix) bool {
		return slices.ContainsFunc(c.Static.Addresses, func(s conf.Address) bool { return s.Prefix == p && s.Device == ifname })
	}
	removed, err := a.addrs.Sweep(static)
	if len(removed) > 0 {
		a.journal.add(time.Now(), metric.EventVIPReleased, fmt.Sprintf("removed what an agent that was killed had left: %s", removed), nil)
	}
	return err
}

// apply brings everything to what c says.
func (a *Agent) apply(c conf.HAAgent) error {
	if err := a.applyStatic(c.Static); err != nil {
		return err
	}
	if err := a.bfd.Apply(c.BFD); err != nil {
		return err
	}
	a.global.Store(&c.Notify)
	a.applyTracks(c)
	if err := a.applyUnits(c); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, p := range a.ports {
		if !slices.ContainsFunc(c.Instances, func(n conf.Instance) bool { return keyOf(n) == key }) {
			p.close()
			delete(a.ports, key)
		}
	}
	a.watchLinks(c)
	a.askDuplicates()
	a.config = c
	return nil
}

// applyStatic adds what is new before it removes what is no longer wanted.
func (a *Agent) applyStatic(next conf.Static) error {
	if err := a.addrs.EnsureStatic(next); err != nil {
		return err
	}
	old := a.config.Static
	return a.addrs.DropStatic(conf.Static{Addresses: minus(old.Addresses, next.Addresses), Routes: minus(old.Routes, next.Routes), Rules: minus(old.Rules, next.Rules)})
}

func minus[T comparable](all, some []T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(t T) bool { return slices.Contains(some, t) })
}

// applyUnits keeps the units that can go on, and takes those apart whose members go other ways: a router that stays
// goes on in its new unit with its state and its addresses, one that does not leaves with a word.
func (a *Agent) applyUnits(c conf.HAAgent) error {
	planned := plans(c)
	var kept, apart []*unit
	for _, u := range a.units {
		if i := slices.IndexFunc(planned, func(p plan) bool { return p.continues(u) }); i >= 0 {
			kept = append(kept, u)
		} else {
			apart = append(apart, u)
		}
	}
	loose := make(map[string]moving)
	for _, u := range apart {
		close(u.freeze)
		<-u.ended
		for n, m := range u.members {
			if i := slices.IndexFunc(c.Instances, func(x conf.Instance) bool { return x.Name == m.name }); i >= 0 && sameRouter(m.asked(), c.Instances[i]) {
				loose[m.name] = moving{m, u.states[n]}
				continue
			}
			a.retire(u, m, u.states[n])
		}
	}
	var units []*unit
	var failed error
	for _, p := range planned {
		if i := slices.IndexFunc(kept, func(u *unit) bool { return p.continues(u) }); i >= 0 {
			a.reconfigure(kept[i], p, c)
			units = append(units, kept[i])
			continue
		}
		u, err := a.startUnit(p, c, loose)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		units = append(units, u)
	}
	a.mu.Lock()
	a.units = units
	a.mu.Unlock()
	for _, u := range apart {
		u.addrs.Close()
	}
	return failed
}

// moving is a router between two units.
type moving struct {
	*instance
	state vrrp.State
}

// retire lets a router leave that is no longer configured.
func (a *Agent) retire(old *unit, m *instance, s vrrp.State) {
	last := a.newUnit("", old.addrs, old.lifetime)
	last.add(m, s)
	m.port.listen(last, m)
	last.stop()
	last.run()
	last.retired(m)
}

// reconfigure tells a unit what changed of its members.
func (a *Agent) reconfigure(u *unit, p plan, c conf.HAAgent) {
	if p.group != nil {
		u.notify.Store(&p.group.Notify)
	}
	for n, m := range u.members {
		next := p.members[n]
		if reflect.DeepEqual(m.asked(), next) && c.StartDelay == a.config.StartDelay && slices.Equal(m.uses, p.uses(&next)) {
			continue
		}
		a.change(u, m, p, next, c)
	}
}

// configOf is an instance's configuration for the protocol, with the tracks as they are now.
func (a *Agent) configOf(m *instance, start time.Duration) vrrp.Config {
	tracks, quorum := a.tracksOf(m)
	c := vrrpConfig(m.config, start, tracks, quorum)
	c.Beat = a.started
	return c
}

func (a *Agent) newUnit(name string, addrs *link.Addresses, lifetime time.Duration) *unit {
	u := &unit{
		shared: &a.shared, fencer: a.fence, name: name, lifetime: lifetime, addrs: addrs,
		in: make(chan input, 16), freeze: make(chan struct{}), ended: make(chan struct{}), timer: time.NewTimer(0),
	}
	u.ctx, u.stop = context.WithCancel(a.ctx)
	return u
}

func (u *unit) add(m *instance, s vrrp.State) {
	m.addrs = u.addrs
	u.members = append(u.members, m)
	u.names = append(u.names, m.name)
	u.states = append(u.states, s)
}

func (a *Agent) startUnit(p plan, c conf.HAAgent, loose map[string]moving) (*unit, error) {
	addrs, err := link.NewAddresses(c.Lease.Lifetime)
	if err != nil {
		return nil, err
	}
	u := a.newUnit(p.name(), addrs, c.Lease.Lifetime)
	u.notify.Store(&conf.Notify{})
	if p.group != nil {
		u.notify.Store(&p.group.Notify)
	}
	for _, n := range p.members {
		if was, ok := loose[n.Name]; ok {
			was.setGroup(u.name)
			u.add(was.instance, was.state)
			continue
		}
		m, err := a.newInstance(n, p.uses(&n), addrs)
		if err != nil {
			return nil, errors.Join(err, u.discard())
		}
		m.setGroup(u.name)
		s := vrrp.New(a.configOf(m, c.StartDelay), time.Now())
		s, _ = vrrp.Step(s, linkInput(m, link.Look(n.Interface, virtual(c.Instances))), time.Now())
		u.add(m, s)
	}
	for _, m := range u.members {
		m.port.listen(u, m)
		a.start(u, m)
	}
	u.alive.Store(time.Now().UnixNano())
	a.group.Go(func() error { u.run(); return nil })
	for n, m := range u.members {
		if _, ok := loose[m.name]; ok { // it has not been told of what changed, nor of its link meanwhile
			a.change(u, m, p, p.members[n], c)
			u.tell(m, linkInput(m, link.Look(p.members[n].Interface, virtual(c.Instances))))
		}
	}
	return u, nil
}

// change tells a router its new configuration. What is known of the tracks is looked up when the unit is at it, so that
// no news of one is overtaken by an older look.
func (a *Agent) change(u *unit, m *instance, p plan, next conf.Instance, c conf.HAAgent) {
	m.setUses(p.uses(&next))
	u.tellMade(m, func() vrrp.Input {
		m.configure(next)
		return vrrp.Reconfigure{Config: a.configOf(m, c.StartDelay)}
	})
}
