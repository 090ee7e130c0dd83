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
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/haagent/link"
	"keepwatch/haagent/proxy"
	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// ErrConfig is what a configuration that cannot be run wraps.
var ErrConfig = errors.New("haagent cannot run this configuration")

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
	reloads chan reloading

	ctx   context.Context // of Run, for what is started by a reload
	group *errgroup.Group // of Run
	addrs *link.Addresses

	mu        sync.Mutex
	config    conf.HAAgent // in force
	proxy     *managed     // nil: none
	tracks    map[string]*tracked
	ports     map[portKey]*port
	instances map[string]*running
	stopWatch context.CancelFunc
	watching  []string
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

// Configured reports whether the configuration asks for an agent.
func Configured(c conf.HAAgent) bool { return len(c.Instances) > 0 || proxy.Enabled(c.Proxy) }

// New checks that the host can run the configuration: privileges and interfaces. It changes nothing on the host.
func New(opt Options) (*Agent, error) {
	if !Configured(opt.Config) {
		return nil, fmt.Errorf("%w: there are neither instances nor a proxy; name some under haagent in the configuration file", ErrConfig)
	}
	if err := try(opt.Config.Instances); err != nil {
		return nil, err
	}
	boot := rand.Text()
	return &Agent{
		opt: opt, boot: boot, started: time.Now(), journal: newJournal(boot), reloads: make(chan reloading),
		tracks: make(map[string]*tracked), ports: make(map[portKey]*port), instances: make(map[string]*running),
	}, nil
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
		conn, err := link.Open(c.Interface, vrrp.FamilyOf(c.Addresses[0].Addr()))
		if err != nil {
			return fmt.Errorf("instance %q: %w", c.Name, err)
		}
		if err := conn.Close(); err != nil {
			return fmt.Errorf("instance %q: %w", c.Name, err)
		}
	}
	return nil
}

// Run runs the agent until ctx ends: a master then says so and releases its addresses. It fails at once where the
// configuration cannot be run, as when the proxy refuses its own.
func (a *Agent) Run(ctx context.Context) error {
	locked, err := lock(a.opt.DataDir)
	if err != nil {
		return err
	}
	defer locked.Close()
	if a.addrs, err = link.NewAddresses(a.opt.Config.Lease.Lifetime); err != nil {
		return err
	}
	defer a.addrs.Close()
	group, ctx := errgroup.WithContext(ctx)
	// The instances end before what they depend on: a proxy that stops first would be a failure to report.
	base, endBase := context.WithCancel(context.WithoutCancel(ctx))
	defer endBase()
	a.ctx, a.group = base, group
	group.Go(func() error { return a.serve(base) })
	group.Go(func() error { return a.logEvents(base) })
	if err := a.begin(ctx); err != nil {
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

// begin starts what the first configuration wants: the proxy first, which instances may depend on.
func (a *Agent) begin(ctx context.Context) error {
	if err := a.applyProxy(ctx, a.opt.Config.Proxy); err != nil {
		return err
	}
	a.awaitProxy(ctx)
	return a.apply(a.opt.Config)
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
