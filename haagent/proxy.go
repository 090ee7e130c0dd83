package haagent

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"keepwatch/haagent/proxy"
	"keepwatch/haagent/status"
	"keepwatch/haagent/track"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// trackProxy is the name under which instances track the managed proxy.
const trackProxy = "proxy"

// proxyPatience is how long the instances wait at the start for the proxy that they may depend on.
const proxyPatience = 3 * time.Second

// managed is the proxy that the agent runs, with the way to end it.
type managed struct {
	*proxy.Proxy
	config conf.Proxy
	stop   context.CancelFunc
	ended  chan struct{}
	serves chan struct{} // closed when it has come up once
}

// applyProxy brings the proxy to what c says. HAProxy keeps its command line over a reload, so another program or
// another file of the operator's needs a new process, and connections end; everything else is a reload, which keeps
// them. What the operator's own file holds is not known here: it is loaded anew each time.
func (a *Agent) applyProxy(ctx context.Context, c conf.Proxy) error {
	a.mu.Lock()
	now := a.proxy
	a.mu.Unlock()
	switch {
	case now == nil && !c.Enabled():
		return nil
	case now == nil:
		return a.startProxy(ctx, c)
	case !c.Enabled():
		a.endProxy(now)
		return nil
	case c.Binary != now.config.Binary || c.ConfigFile != now.config.ConfigFile:
		a.endProxy(now)
		return a.startProxy(ctx, c)
	case c.ConfigFile == "" && reflect.DeepEqual(c, now.config):
		return nil
	}
	if err := now.Reload(ctx, c); err != nil {
		return err
	}
	now.config = c
	return nil
}

func (a *Agent) startProxy(ctx context.Context, c conf.Proxy) error {
	var came sync.Once
	m := &managed{config: c, ended: make(chan struct{}), serves: make(chan struct{})}
	var err error
	m.Proxy, err = proxy.New(ctx, proxy.Options{Config: c, Dir: a.opt.DataDir, Log: a.opt.Log, Changed: func(s proxy.State) {
		if s.Up {
			came.Do(func() { close(m.serves) })
		}
		a.proxyChanged(s)
	}})
	if err != nil {
		return err
	}
	s := m.State()
	a.mu.Lock()
	a.proxy = m
	a.tracks[trackProxy] = &tracked{Track: status.Track{Name: trackProxy, Kind: "proxy", Target: "haproxy", Up: s.Up, Since: s.Since, Detail: s.Reason}, stop: func() {}}
	a.mu.Unlock()
	base, stop := context.WithCancel(a.ctx)
	m.stop = stop
	a.group.Go(func() error {
		defer close(m.ended)
		return m.Run(base)
	})
	return nil
}

// awaitProxy waits until the proxy serves, so that an instance that tracks it begins as backup and not with a fault
// of a moment. A proxy that does not come up does not keep the agent from starting.
func (a *Agent) awaitProxy(ctx context.Context) {
	a.mu.Lock()
	m := a.proxy
	a.mu.Unlock()
	if m == nil {
		return
	}
	select {
	case <-m.serves:
	case <-m.ended:
	case <-time.After(proxyPatience):
	case <-ctx.Done():
	}
}

func (a *Agent) endProxy(m *managed) {
	m.stop()
	<-m.ended
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proxy = nil
	delete(a.tracks, trackProxy)
}

func (a *Agent) proxyChanged(s proxy.State) {
	kind, text := metric.EventProxyStarted, fmt.Sprintf("haproxy serves (process %d)", s.PID)
	if !s.Up {
		kind, text = metric.EventProxyStopped, "haproxy does not serve: "+s.Reason
	}
	a.trackChanged(trackProxy, track.Finding{Up: s.Up, Detail: s.Reason})
	a.journal.add(time.Now(), kind, text, map[string]string{"engine": "haproxy"})
}
