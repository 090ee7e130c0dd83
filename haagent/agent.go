// Package haagent is the high-availability agent of one host: it joins the protocol (haagent/vrrp), the kernel
// (haagent/link), what is tracked (haagent/track, haagent/bfd) and the managed proxy (haagent/proxy). It never needs
// Postgres, the bus or another host of the pipeline to fail over, and nothing on the way from a timer to a socket
// waits for a log, a reader of its status or a script. cmd/keepwatch-haagent runs it under haagent/supervise.
package haagent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/haagent/bfd/session"
	"keepwatch/haagent/link"
	"keepwatch/haagent/notify"
	"keepwatch/haagent/proxy"
	"keepwatch/haagent/script"
	"keepwatch/haagent/status"
	"keepwatch/haagent/testament"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// ErrConfig is what a configuration that cannot be run wraps.
var ErrConfig = errors.New("haagent cannot run this configuration")

// Options say what to run.
type Options struct {
	Config    conf.HAAgent
	Host      string
	DataDir   string // absolute; the sockets lie in it
	Log       *slog.Logger
	Testament *testament.Writer // nil: no parent stands by
}

// Agent is the running agent.
type Agent struct {
	opt     Options
	boot    string
	started time.Time
	shared
	reloads chan reloading

	ctx     context.Context // of Run, for what is started by a reload
	group   *errgroup.Group // of Run
	addrs   *link.Addresses
	scripts *script.Runner
	bfd     *session.Set
	drained atomic.Bool
	running atomic.Bool // units are in force, for the sign of life

	// These change in begin and reload alone; others that look at them hold mu.
	mu        sync.Mutex
	config    conf.HAAgent // in force
	proxy     *managed     // nil: none
	tracks    map[string]*tracked
	ports     map[portKey]*port
	units     []*unit
	stopWatch context.CancelFunc
	watching  []string
	asking    map[string]asking // by interface
}

// tracked is a track with what is known of it.
type tracked struct {
	status.Track
	config conf.Track
	stop   context.CancelFunc
}

// New checks that the host can run the configuration: privileges and interfaces. It changes nothing on the host.
func New(opt Options) (*Agent, error) {
	if !opt.Config.Configured() {
		return nil, fmt.Errorf("%w: there are neither instances nor a proxy; name some under haagent in the configuration file", ErrConfig)
	}
	if err := try(opt.Config.Instances); err != nil {
		return nil, err
	}
	boot := rand.Text()
	a := &Agent{
		opt: opt, boot: boot, started: time.Now(), reloads: make(chan reloading),
		shared: shared{journal: newJournal(boot), testament: opt.Testament},
		tracks: make(map[string]*tracked), ports: make(map[portKey]*port), asking: make(map[string]asking),
	}
	a.global.Store(&opt.Config.Notify)
	return a, nil
}

// try opens what the instances need and closes it again, so that what is missing shows in one sentence at the start.
func try(all []conf.Instance) error {
	if len(all) == 0 {
		return nil
	}
	if err := link.CheckPrivileges(); err != nil {
		return err
	}
	for _, c := range all {
		if len(c.Addresses) == 0 {
			return fmt.Errorf("%w: instance %q has no addresses", ErrConfig, c.Name)
		}
		key := keyOf(c)
		conn, err := link.Open(key.ifname, key.family, key.group)
		if err != nil {
			return fmt.Errorf("instance %q: %w", c.Name, err)
		}
		if err := conn.Close(); err != nil {
			return fmt.Errorf("instance %q: %w", c.Name, err)
		}
	}
	return nil
}

// Run runs the agent until ctx ends: a master then says so and serves until its successor does. It fails at once
// where the configuration cannot be run, as when the proxy refuses its own.
func (a *Agent) Run(ctx context.Context) error {
	locked, err := lock(a.opt.DataDir)
	if err != nil {
		return err
	}
	defer locked.Close()
	closeAll, err := a.open()
	defer closeAll()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// The instances end before what they depend on: a proxy that stops first would be a failure to report.
	base, endBase := context.WithCancel(context.WithoutCancel(ctx))
	defer endBase()
	a.ctx, a.group = base, group
	group.Go(func() error { return a.serve(base) })
	group.Go(func() error { return a.logEvents(base) })
	group.Go(func() error { return ended(base, a.notifier.Run(base)) })
	group.Go(func() error { return ended(base, a.testament.Run(base, a.alive)) })
	a.keep(base, func(err error) { a.opt.Log.Error("BFD does not run", "err", err) }, a.bfd.Run)
	a.keep(base, func(err error) { a.opt.Log.Error("addresses are not watched for a second", "err", err) },
		func(ctx context.Context) error { return link.WatchRemoved(ctx, a.addressRemoved) })
	if err := a.begin(ctx); err != nil {
		a.end()
		endBase()
		return errors.Join(err, group.Wait())
	}
	a.testament.Say(testament.Running)
	group.Go(func() error {
		defer endBase()
		a.takeReloads(ctx)
		a.testament.Say(testament.Stopping)
		a.end()
		return nil
	})
	err = group.Wait()
	if err == nil {
		a.testament.Say(testament.Gone)
	}
	return err
}

// ended is what a part's end means: nothing once it was told to.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// open makes what all instances share. What it returns closes what was made, also on an error.
func (a *Agent) open() (closeAll func(), err error) {
	var undo []func()
	closeAll = func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	if a.addrs, err = link.NewAddresses(a.opt.Config.Lease.Lifetime); err != nil {
		return closeAll, err
	}
	undo = append(undo, a.addrs.Close)
	if a.scripts, err = script.NewRunner(a.opt.Config.ScriptUser); err != nil {
		return closeAll, err
	}
	undo = append(undo, a.scripts.Close)
	if a.firewall, err = openFirewall(a.opt.Config.Instances); err != nil {
		if slices.ContainsFunc(a.opt.Config.Instances, func(c conf.Instance) bool { return !c.Accept }) {
			return closeAll, err
		}
		a.opt.Log.Warn("connections are not kept over a handover", "err", err)
	} else if a.firewall != nil {
		undo = append(undo, func() { _ = a.firewall.Close() })
	}
	a.notifier = notify.New(notify.Options{Scripts: a.scripts, Log: a.opt.Log})
	a.bfd, err = session.New(session.Options{Sessions: a.opt.Config.BFD, Changed: a.bfdChanged, Log: a.opt.Log})
	return closeAll, err
}

// openFirewall opens it where there is something to use it.
func openFirewall(all []conf.Instance) (*link.Firewall, error) {
	if len(all) == 0 {
		return nil, nil
	}
	return link.OpenFirewall()
}

// begin starts what the first configuration wants: the proxy first, which instances may depend on.
func (a *Agent) begin(ctx context.Context) error {
	a.loadDrained()
	if err := a.applyProxy(ctx, a.opt.Config.Proxy); err != nil {
		return err
	}
	a.awaitProxy(ctx)
	if err := a.sweep(a.opt.Config); err != nil {
		return err
	}
	if err := a.apply(a.opt.Config); err != nil {
		return err
	}
	a.running.Store(true)
	return nil
}

// end lets all instances go, each with a word, and then what they used.
func (a *Agent) end() {
	a.running.Store(false)
	for _, u := range a.units {
		u.stop()
	}
	for _, u := range a.units {
		<-u.ended
	}
	for _, u := range a.units {
		u.close()
	}
	for _, p := range a.ports {
		p.close()
	}
	if err := a.addrs.DropStatic(a.config.Static); err != nil {
		a.opt.Log.Error("cannot remove what is static", "err", err)
	}
}

// alive is the sign of life: every unit has gone round lately. The renewal of the leases takes it round.
func (a *Agent) alive() bool {
	if !a.running.Load() {
		return true // it starts or ends, which takes the time that it takes
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	oldest := time.Now().Add(-a.config.Lease.Lifetime).UnixNano()
	for _, u := range a.units {
		if u.alive.Load() < oldest && !u.hasEnded() {
			return false
		}
	}
	return true
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

// family is an instance's.
func (i *instance) family() vrrp.Family { return i.port.key.family }
