// Package haagent is the high-availability agent of one host: it joins the protocol (haagent/vrrp), the kernel
// (haagent/link), what is tracked (haagent/track) and the managed proxy (haagent/proxy). It never needs Postgres,
// the bus or another host of the pipeline to fail over, and nothing on the way from a timer to a socket waits for a
// log, a reader of its status or a script. cmd/keepwatch runs it.
package haagent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/haagent/link"
	"keepwatch/haagent/proxy"
	"keepwatch/haagent/status"
	"keepwatch/haagent/track"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// trackProxy is the name under which instances track the managed proxy.
const trackProxy = "proxy"

// Options say what to run.
type Options struct {
	Config  conf.HAAgent
	Host    string
	DataDir string // absolute; the sockets lie in it
	Log     *slog.Logger
}

// Agent is the running agent.
type Agent struct {
	opt     Options
	boot    string
	started time.Time
	journal *journal
	addrs   *link.Addresses
	proxy   *proxy.Proxy  // nil: none is managed
	serves  chan struct{} // closed when the proxy has come up once
	cameUp  sync.Once
	reloads chan reloading

	mu        sync.Mutex
	ctx       context.Context // of Run, for what is started by a reload
	tracks    map[string]*tracked
	ports     map[portKey]*port
	instances map[string]*running
	links     map[string]link.Status
	stopWatch context.CancelFunc
	watching  []string
	group     *errgroup.Group
}

// tracked is a track with what is known of it.
type tracked struct {
	status.Track
	process string
	stop    context.CancelFunc
}

// running is an instance with the way to end it.
type running struct {
	*instance
	config conf.Instance
	ctx    context.Context
	stop   context.CancelFunc
	ended  chan struct{}
}

type reloading struct {
	config conf.HAAgent
	done   chan error
}

// Configured reports whether the configuration asks for an agent.
func Configured(c conf.HAAgent) bool { return len(c.Instances) > 0 || proxy.Enabled(c.Proxy) }

// New checks that the host can run the configuration: interfaces, privileges, the proxy's own check. It changes
// nothing on the host.
func New(opt Options) (*Agent, error) {
	if !Configured(opt.Config) {
		return nil, fmt.Errorf("%w: there are neither instances nor a proxy; name some under haagent in the configuration file", ErrConfig)
	}
	a := &Agent{
		opt: opt, boot: rand.Text(), started: time.Now(), reloads: make(chan reloading), serves: make(chan struct{}),
		tracks: make(map[string]*tracked), ports: make(map[portKey]*port), instances: make(map[string]*running), links: make(map[string]link.Status),
	}
	a.journal = newJournal(a.boot)
	for _, c := range opt.Config.Instances {
		if err := try(c); err != nil {
			return nil, err
		}
	}
	var err error
	if a.addrs, err = link.NewAddresses(opt.Config.Lease.Lifetime); err != nil {
		return nil, err
	}
	if proxy.Enabled(opt.Config.Proxy) {
		a.proxy, err = proxy.New(context.Background(), proxy.Options{Config: opt.Config.Proxy, Dir: opt.DataDir, Log: opt.Log, Changed: a.proxyChanged})
		if err != nil {
			a.addrs.Close()
			return nil, err
		}
	}
	return a, nil
}

// try opens what an instance needs and closes it again, so that what is missing shows in one sentence at the start.
func try(c conf.Instance) error {
	if len(c.Addresses) == 0 {
		return fmt.Errorf("%w: instance %q has no addresses", ErrConfig, c.Name)
	}
	conn, err := link.Open(c.Interface, vrrp.FamilyOf(c.Addresses[0].Addr()))
	if err != nil {
		return fmt.Errorf("instance %q: %w", c.Name, err)
	}
	return conn.Close()
}

// Run runs the agent until ctx ends: a master then says so and releases its addresses.
func (a *Agent) Run(ctx context.Context) error {
	defer a.addrs.Close()
	locked, err := lock(a.opt.DataDir)
	if err != nil {
		return err
	}
	defer locked.Close()
	group, ctx := errgroup.WithContext(ctx)
	// The instances end before what they depend on: a proxy that stops first would be a failure to report.
	base, endBase := context.WithCancel(context.WithoutCancel(ctx))
	defer endBase()
	a.mu.Lock()
	a.ctx, a.group = base, group
	a.mu.Unlock()
	group.Go(func() error { return a.serve(base) })
	group.Go(func() error { return a.logEvents(base) })
	a.startProxy(ctx, base)
	if err := a.apply(a.opt.Config); err != nil {
		a.endInstances()
		endBase()
		return errors.Join(err, group.Wait())
	}
	group.Go(func() error {
		defer endBase()
		for {
			select {
			case <-ctx.Done():
				a.endInstances()
				return nil
			case r := <-a.reloads:
				r.done <- a.reload(ctx, r.config)
			}
		}
	})
	return group.Wait()
}

// proxyPatience is how long the instances wait at the start for the proxy that they may depend on.
const proxyPatience = 3 * time.Second

// startProxy starts the proxy and waits until it serves, so that an instance that tracks it begins as backup and not
// with a fault of a moment. A proxy that does not come up does not keep the agent from starting.
func (a *Agent) startProxy(ctx, base context.Context) {
	if a.proxy == nil {
		return
	}
	a.group.Go(func() error { return a.proxy.Run(base) })
	select {
	case <-a.serves:
	case <-time.After(proxyPatience):
	case <-ctx.Done():
	}
}

// keep runs what must not end, and runs it again when it did: a failure to watch is no reason to give up addresses.
func (a *Agent) keep(ctx context.Context, failed func(error), run func(context.Context) error) {
	a.group.Go(func() error {
		for {
			err := run(ctx)
			if ctx.Err() != nil {
				return nil
			}
			failed(err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
			}
		}
	})
}

// Reload changes what differs in next and nothing else: instances that stay the same are not touched.
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
	for _, c := range next.Instances {
		if err := try(c); err != nil {
			return err
		}
	}
	switch {
	case proxy.Enabled(next.Proxy) != (a.proxy != nil):
		return errors.New("a proxy cannot be added or removed while the agent runs: restart it")
	case next.Lease != a.opt.Config.Lease:
		return errors.New("haagent.lease cannot change while the agent runs: restart it")
	case a.proxy != nil && !reflect.DeepEqual(next.Proxy, a.opt.Config.Proxy):
		if err := a.proxy.Reload(ctx, next.Proxy); err != nil {
			return err
		}
	}
	if err := a.apply(next); err != nil {
		return err
	}
	a.opt.Config = next
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
		if p.idle() && !slices.ContainsFunc(c.Instances, func(n conf.Instance) bool { return keyOf(n) == key }) {
			p.close()
			delete(a.ports, key)
		}
	}
	a.watchLinks(c)
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

func linkInput(s link.Status, family vrrp.Family) vrrp.LinkChanged {
	in := vrrp.LinkChanged{Up: s.Up, Source: s.Source4, Detail: s.Detail}
	if family == vrrp.IPv6 {
		in.Source = s.Source6
	}
	return in
}

func virtual(all []conf.Instance) (addrs []netip.Addr) {
	for _, c := range all {
		if c.Priority == vrrp.PriorityOwner {
			continue
		}
		for _, p := range c.Addresses {
			addrs = append(addrs, p.Addr())
		}
	}
	return addrs
}

// watchLinks follows the interfaces of the instances; it starts anew when they are other ones.
func (a *Agent) watchLinks(c conf.HAAgent) {
	var names []string
	for _, n := range c.Instances {
		if !slices.Contains(names, n.Interface) {
			names = append(names, n.Interface)
		}
	}
	slices.Sort(names)
	if a.stopWatch != nil {
		if slices.Equal(names, a.watching) {
			return
		}
		a.stopWatch()
	}
	ctx, stop := context.WithCancel(a.ctx)
	a.stopWatch, a.watching = stop, names
	not := virtual(c.Instances)
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
	told := a.on(func(r *running) bool { return r.ifname == ifname })
	a.mu.Unlock()
	for _, p := range ports {
		p.follow(s)
	}
	for _, r := range told {
		r.tell(r.ctx, linkInput(s, r.port.key.family))
	}
}

// on lists instances. The caller holds mu.
func (a *Agent) on(which func(*running) bool) (out []*running) {
	for _, r := range a.instances {
		if which(r) {
			out = append(out, r)
		}
	}
	return out
}

// applyTracks starts and stops the watching of processes. The caller holds mu.
func (a *Agent) applyTracks(c conf.HAAgent) {
	if a.proxy != nil && a.tracks[trackProxy] == nil {
		s := a.proxy.State()
		a.tracks[trackProxy] = &tracked{Track: status.Track{Name: trackProxy, Up: s.Up, Since: s.Since, Detail: s.Reason}, stop: func() {}}
	}
	for name, t := range a.tracks {
		if name != trackProxy && !slices.ContainsFunc(c.Tracks, func(n conf.Track) bool { return n.Name == name && n.Process == t.process }) {
			t.stop()
			delete(a.tracks, name)
		}
	}
	for _, n := range c.Tracks {
		if a.tracks[n.Name] != nil {
			continue
		}
		ctx, stop := context.WithCancel(a.ctx)
		t := &tracked{Track: status.Track{Name: n.Name, Since: time.Now()}, process: n.Process, stop: stop}
		var err error
		if t.Up, err = track.Running(n.Process); err != nil {
			t.Detail = err.Error()
		} else if !t.Up {
			t.Detail = "no process " + n.Process + " runs"
		}
		a.tracks[n.Name] = t
		a.keep(ctx, func(err error) { a.trackChanged(n.Name, false, err.Error()) }, func(ctx context.Context) error {
			return track.Process(ctx, n.Process, func(up bool, reason string) { a.trackChanged(n.Name, up, reason) })
		})
	}
}

// tracksOf are an instance's tracks as they are now. The caller holds mu.
func (a *Agent) tracksOf(c conf.Instance) (tracks []vrrp.Track) {
	for _, u := range c.Track {
		t := vrrp.Track{Name: u.Name, Weight: u.Weight}
		if known := a.tracks[u.Name]; known != nil {
			t.Up, t.Detail = known.Up, known.Detail
		}
		tracks = append(tracks, t)
	}
	return tracks
}

func (a *Agent) trackChanged(name string, up bool, detail string) {
	now := time.Now()
	a.mu.Lock()
	t := a.tracks[name]
	if t == nil || t.Up == up {
		a.mu.Unlock()
		return
	}
	t.Up, t.Since, t.Detail = up, now, detail
	told := a.on(func(r *running) bool {
		return slices.ContainsFunc(r.config.Track, func(u conf.TrackUse) bool { return u.Name == name })
	})
	a.mu.Unlock()
	for _, r := range told {
		r.tell(r.ctx, vrrp.TrackChanged{Name: name, Up: up, Detail: detail})
	}
	word := "up"
	if !up {
		word = "down: " + detail
	}
	a.journal.add(now, metric.EventTrackChanged, fmt.Sprintf("track %s is %s", name, word), map[string]string{"track": name, "up": fmt.Sprint(up)})
}

func (a *Agent) proxyChanged(s proxy.State) {
	kind, text := metric.EventProxyStarted, fmt.Sprintf("haproxy serves (process %d)", s.PID)
	if !s.Up {
		kind, text = metric.EventProxyStopped, "haproxy does not serve: "+s.Reason
	}
	if s.Up {
		a.cameUp.Do(func() { close(a.serves) })
	}
	a.trackChanged(trackProxy, s.Up, s.Reason)
	a.journal.add(time.Now(), kind, text, map[string]string{"engine": "haproxy"})
}

// logEvents writes what happens to the log, behind the back of everything that must not wait for it.
func (a *Agent) logEvents(ctx context.Context) error {
	var seq uint64
	for ctx.Err() == nil {
		e := a.journal.await(ctx, a.boot, seq)
		for _, item := range e.Items {
			a.opt.Log.Info(item.Text, "kind", item.Kind)
		}
		seq = e.Last
	}
	return nil
}

// ProxySocket is the managed proxy's stats socket in a data folder.
func ProxySocket(dataDir string) string { return filepath.Join(dataDir, proxy.StatsSocket) }
