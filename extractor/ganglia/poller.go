// Package ganglia is the extractor in gmetad's place: it polls gmonds and gmetads over XML, each source from the first
// of its addresses that answers, makes samples of what is new, keeps the newest tree of each source and answers
// gmetad's ports with it. It never stores, normalizes or publishes: samples and events go to a Sink. The extractor
// makes and runs it.
package ganglia

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/internal/acl"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	tree "keepwatch/internal/ganglia"
	"keepwatch/internal/tcpserve"
)

// Sink takes samples and events of one cluster. The batch is the Sink's to change until it returns. An error ends the
// Poller's Run.
type Sink func(ctx context.Context, cluster string, b *batch.Batch) error

// Options are what a Poller is made of.
type Options struct {
	Config    conf.Ganglia
	Authority string        // of the grid where Config has none
	Local     string        // conf.Collector.Gmond.XML.Listen of this host, polled for the XML alone when Config.Sources is empty; empty: nothing is
	Clusters  []string      // those that come over native streams: no source stores samples of them
	HostDmax  time.Duration // hosts and metrics that say DMAX 0 are forgotten after it; 0: 24 h
	Sink      Sink
	Log       *slog.Logger
}

// localInterval is how often this host's own collector is polled: gmetad's default.
const localInterval = 15 * time.Second

// Poller polls all sources and serves. Make it with New, then Run it once.
type Poller struct {
	opt     Options
	log     *slog.Logger
	sources []*source
	claims  claims
	access  atomic.Pointer[acl.List]
	dial    func(ctx context.Context, addr string) (net.Conn, error)

	mu         sync.Mutex
	converters map[string]*converter // by cluster
	swept      time.Time
}

// New checks the options.
func New(opt Options) (*Poller, error) {
	if opt.Sink == nil {
		return nil, errors.New("cannot poll ganglia: want a sink")
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Config.Authority == "" {
		opt.Config.Authority = opt.Authority
	}
	d := net.Dialer{Timeout: dialTimeout}
	p := &Poller{
		opt: opt, log: opt.Log, claims: claims{by: make(map[string][]int)}, converters: make(map[string]*converter),
		dial: func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) },
	}
	access, err := p.Access(opt.Config.AcceptFrom)
	if err != nil {
		return nil, err
	}
	access()
	sources := opt.Config.Sources
	if len(sources) == 0 && opt.Local != "" {
		addr, err := reachable(opt.Local)
		if err != nil {
			return nil, fmt.Errorf("cannot poll this host's own collector: %w", err)
		}
		sources = []conf.GangliaSource{{Name: "local", Interval: localInterval, Addresses: []string{addr}}}
	}
	for i, c := range sources {
		if len(c.Addresses) == 0 || c.Interval <= 0 {
			return nil, fmt.Errorf("cannot poll ganglia source %q: want an interval and at least one address", c.Name)
		}
		p.sources = append(p.sources, newSource(p, i, c))
	}
	return p, nil
}

// reachable makes of an address that is listened on one that can be connected to.
func reachable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}

// Access checks another accept_from; use puts it in force for clients to come.
func (p *Poller) Access(acceptFrom []string) (use func(), err error) {
	l, err := acl.Parse(acceptFrom)
	if err != nil {
		return nil, fmt.Errorf("extractor.ganglia.accept_from: %w", err)
	}
	return func() { p.access.Store(l) }, nil
}

// Run polls and serves until ctx ends and returns nil, or the error of the Sink.
func (p *Poller) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range p.sources {
		g.Go(func() error { return s.run(ctx) })
	}
	serve := func(name, listen string, h tcpserve.Handler) {
		if listen == "" {
			return
		}
		s := tcpserve.New(tcpserve.Options{Name: name, Listen: listen, Access: p.access.Load, Log: p.log})
		g.Go(func() error { return s.Run(ctx, h) })
	}
	serve("gmetad_xml", p.opt.Config.XML, p.dump)
	serve("gmetad_interactive", p.opt.Config.Interactive, p.interactive)
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Status is what `keepwatch status` shows of the sources.
type Status struct {
	Sources []SourceStatus `json:"sources"`
}

// SourceStatus is one source.
type SourceStatus struct {
	Name     string    `json:"name"`
	Address  string    `json:"address"`  // that answered last; empty: none did
	Polled   time.Time `json:"polled"`   // when it did
	Error    string    `json:"error"`    // why none answers now; empty: one does
	Degraded string    `json:"degraded"` // what of its last document was left out, and why
	Conflict string    `json:"conflict"` // a cluster's name that it may not use
	Clusters []string  `json:"clusters"`
	Hosts    int       `json:"hosts"`
	HostsUp  int       `json:"hosts_up"`
	Metrics  int       `json:"metrics"`
}

// Status takes a copy of what is known now.
func (p *Poller) Status() Status {
	var out Status
	for _, s := range p.sources {
		s.mu.Lock()
		out.Sources = append(out.Sources, s.status)
		s.mu.Unlock()
	}
	return out
}

// grid is the tree of all sources as of now. Of a cluster that two sources still tell of, that of the first is shown.
func (p *Poller) grid(now time.Time) *tree.Grid {
	g := &tree.Grid{Name: p.opt.Config.Grid, Authority: p.opt.Config.Authority, LocalTime: now.Unix()}
	shown := make(map[string]bool)
	for _, s := range p.sources {
		v := s.view.Load()
		if v == nil {
			continue
		}
		for _, c := range v.clusters {
			if !shown[c.Name] {
				shown[c.Name] = true
				g.Clusters = append(g.Clusters, c)
			}
		}
		g.Grids = append(g.Grids, v.grids...)
	}
	return g
}

// converter is that of a cluster, whichever source tells of it.
func (p *Poller) converter(cluster string) *converter {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.converters[cluster]
	if c == nil {
		c = newConverter(cluster)
		p.converters[cluster] = c
	}
	return c
}

// ended takes out the converters of clusters of which no source tells any more, since an hour. A source that is lost
// goes on claiming its own. It looks once a minute.
func (p *Poller) ended(now time.Time) (out []*converter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if since := now.Sub(p.swept); 0 <= since && since < time.Minute {
		return nil
	}
	p.swept = now
	claimed := p.claims.names()
	for name, c := range p.converters {
		if !claimed[name] && c.idle(now) {
			delete(p.converters, name)
			out = append(out, c)
		}
	}
	return out
}
