package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sync"
	"time"

	"keepwatch/internal/conf"
)

// State is what the proxy is like now.
type State struct {
	Up       bool      // it runs and answers on its socket
	PID      int       // of the master process, 0 while none runs
	Since    time.Time // of Up's value
	Restarts int       // since the agent started
	Reason   string    // why it is down; empty while up
}

// Options say what to run and where.
type Options struct {
	Config conf.Proxy
	Dir    string // absolute; the haproxy probe finds haproxy.sock in it
	Log    *slog.Logger
	// Changed is called on each change of Up, from the goroutine of Run. It must return at once.
	Changed func(State)
}

// Proxy runs one HAProxy.
type Proxy struct {
	opt    Options
	binary string
	drop   string
	files  Files

	mu     sync.Mutex
	config conf.Proxy
	state  State
}

// StatsSocket is the name of the stats socket in the data folder.
const StatsSocket = "haproxy.sock"

// New finds the program and has the configuration checked, so that a mistake shows before anything runs.
func New(ctx context.Context, opt Options) (*Proxy, error) {
	name := opt.Config.Binary
	if name == "" {
		name = "haproxy"
	}
	binary, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("cannot find %s: install Debian's package haproxy, or set haagent.proxy.binary", name)
	}
	p := &Proxy{opt: opt, binary: binary, config: opt.Config, state: State{Since: time.Now(), Reason: "not started"}}
	p.files = Files{
		Stats: filepath.Join(opt.Dir, StatsSocket), Master: filepath.Join(opt.Dir, "haproxy-master.sock"),
		Config: filepath.Join(opt.Dir, "haproxy.cfg"), PID: filepath.Join(opt.Dir, "haproxy.pid"),
	}
	if len(p.files.Master) > 97 { // HAProxy adds a suffix while it binds, and a socket's path ends at 107 bytes
		return nil, fmt.Errorf("the data folder's path %s is too long for HAProxy's sockets: name a shorter one with --data", opt.Dir)
	}
	if os.Geteuid() == 0 {
		if _, err := user.Lookup("haproxy"); err == nil {
			p.drop = "haproxy"
		}
	}
	if err := p.install(ctx, opt.Config); err != nil {
		return nil, err
	}
	return p, nil
}

// State is the present one.
func (p *Proxy) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// install checks a configuration and puts it in the place from which HAProxy reads it. What runs is not touched.
func (p *Proxy) install(ctx context.Context, c conf.Proxy) error {
	next := p.files.Config + ".next"
	if err := os.WriteFile(next, Render(c, p.files, p.drop), 0o600); err != nil {
		return fmt.Errorf("cannot write the proxy's configuration: %w", err)
	}
	if err := p.check(ctx, c, next); err != nil {
		return err
	}
	if err := os.Rename(next, p.files.Config); err != nil {
		return fmt.Errorf("cannot put the proxy's configuration in its place: %w", err)
	}
	return nil
}

// sources are the -f arguments: the operator's own file first, ours last.
func sources(c conf.Proxy, ours string) []string {
	if c.ConfigFile != "" {
		return []string{"-f", c.ConfigFile, "-f", ours}
	}
	return []string{"-f", ours}
}

func (p *Proxy) check(ctx context.Context, c conf.Proxy, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, p.binary, append([]string{"-c"}, sources(c, file)...)...).CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("haproxy did not finish checking its configuration: %w", ctx.Err())
	}
	return fmt.Errorf("haproxy refuses its configuration: %s", firstAlert(out, err))
}

// Run keeps the proxy running until ctx ends, then stops it.
func (p *Proxy) Run(ctx context.Context) error {
	wait := minWait
	for {
		started := time.Now()
		err := p.once(ctx)
		if ctx.Err() != nil {
			p.set(State{Since: time.Now(), Reason: "stopped"})
			return nil
		}
		if time.Since(started) > stable {
			wait = minWait
		}
		p.opt.Log.Error("the proxy is down", "err", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, maxWait)
	}
}

// Back-off between starts of a proxy that does not stay up.
const (
	minWait = 500 * time.Millisecond
	maxWait = 30 * time.Second
	stable  = time.Minute // up for so long, the next wait is minWait again
)

// once runs the program until it ends. The error says why.
func (p *Proxy) once(ctx context.Context) error {
	if err := p.endLeftOver(ctx); err != nil {
		p.down(err.Error())
		return err
	}
	p.mu.Lock()
	c := p.config
	p.mu.Unlock()
	args := append([]string{"-W", "-S", p.files.Master + ",level,admin", "-p", p.files.PID}, sources(c, p.files.Config)...)
	child, err := start(p.binary, args)
	if err != nil {
		err = fmt.Errorf("cannot start haproxy: %w", err)
		p.down(err.Error())
		return err
	}
	ready, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- p.awaitAnswer(ready, child) }()
	var ended error
	select {
	case err := <-answered:
		if err == nil {
			p.up(child.pid())
			ended = child.await(ctx)
		} else {
			ended = errors.Join(err, child.stop())
		}
	case <-child.exited:
		cancel()
		<-answered
		ended = child.result()
	}
	if ctx.Err() != nil {
		return child.stop()
	}
	p.down(ended.Error())
	return ended
}

const readyWithin = 20 * time.Second

func (p *Proxy) up(pid int) {
	p.mu.Lock()
	restarts := p.state.Restarts
	p.mu.Unlock()
	p.set(State{Up: true, PID: pid, Since: time.Now(), Restarts: restarts})
}

func (p *Proxy) down(reason string) {
	p.mu.Lock()
	restarts := p.state.Restarts + 1
	p.mu.Unlock()
	p.set(State{Since: time.Now(), Restarts: restarts, Reason: reason})
}

func (p *Proxy) set(s State) {
	p.mu.Lock()
	changed := p.state.Up != s.Up
	if !changed {
		s.Since = p.state.Since
	}
	p.state = s
	p.mu.Unlock()
	if changed && p.opt.Changed != nil {
		p.opt.Changed(s)
	}
}

// Reload brings another configuration into force without losing a connection. When HAProxy refuses it, what runs
// stays as it is.
func (p *Proxy) Reload(ctx context.Context, c conf.Proxy) error {
	if err := p.install(ctx, c); err != nil {
		return err
	}
	p.mu.Lock()
	p.config = c
	up := p.state.Up
	p.mu.Unlock()
	if !up {
		return nil // the next start reads it
	}
	return p.reloadMaster(ctx)
}
