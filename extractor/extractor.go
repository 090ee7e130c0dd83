// Package extractor pulls each cluster's stream of frames from one of its aggregators, the next one when it breaks,
// drops what it has had already, gives everything the names of one vocabulary and publishes it on the bus. It also
// says for each host whether it lives (keepwatch_host_up). It never talks to Postgres, judges a value or opens a UDP
// socket. cmd/keepwatch makes and runs it; extractor/store writes what it published.
package extractor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/bus"
	"keepwatch/collector/frame"
	"keepwatch/extractor/normalize"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// Publisher is where batches go: *bus.Bus.
type Publisher interface {
	Publish(ctx context.Context, kind bus.Kind, cluster string, b *batch.Batch) error
}

// Options are what an extractor is made of.
type Options struct {
	Config   conf.Extractor
	Own      conf.Cluster   // pulled when Config.Clusters is empty: this host's own collector
	Keys     *frame.Keyring // of the stream and of the frames in it: what collector.LoadKeys gives
	DataDir  string         // holds extractor.json: how far each cluster was read, and which hosts it has
	HostDmax time.Duration  // a host silent for longer is forgotten; 0: 24 h
	Bus      Publisher
	Log      *slog.Logger
}

const defaultHostDmax = 24 * time.Hour

// Extractor pulls all clusters. Make it with New, then Run it once.
type Extractor struct {
	pulls []*pull
	book  *book
}

// New checks the options and reads how far an earlier run came.
func New(opt Options) (*Extractor, error) {
	if opt.Keys == nil || opt.Bus == nil {
		return nil, errors.New("cannot make an extractor: want keys and a bus")
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.HostDmax <= 0 {
		opt.HostDmax = defaultHostDmax
	}
	clusters := opt.Config.Clusters
	if len(clusters) == 0 {
		clusters = []conf.Cluster{opt.Own}
	}
	b, err := openBook(opt.DataDir, opt.Log)
	if err != nil {
		return nil, err
	}
	e := &Extractor{book: b}
	for _, c := range clusters {
		p, err := newPull(c, &opt, b)
		if err != nil {
			return nil, err
		}
		e.pulls = append(e.pulls, p)
	}
	return e, nil
}

func newPull(c conf.Cluster, opt *Options, b *book) (*pull, error) {
	if err := metric.CheckHost("cluster", c.Name); err != nil {
		return nil, fmt.Errorf("cannot extract: %w", err)
	}
	if len(c.Collectors) == 0 {
		return nil, fmt.Errorf("cannot extract cluster %q: no collector is listed; set extractor.clusters, or collector.serve.listen on this host", c.Name)
	}
	names, err := normalize.New()
	if err != nil {
		return nil, err
	}
	log := opt.Log.With("cluster", c.Name)
	p := &pull{
		cluster: c, bus: opt.Bus, log: log, started: time.Now().UnixMilli(),
		take: newTaker(names, b.page(c.Name), opt.HostDmax, log), full: make(chan *load, 1), free: make(chan *load, loads),
	}
	p.keys.Store(opt.Keys)
	for range loads {
		p.free <- &load{}
	}
	return p, nil
}

// Run pulls until ctx ends; then what was pulled and published is noted on disk and Run returns nil.
func (e *Extractor) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range e.pulls {
		g.Go(func() error { return p.run(ctx) })
	}
	g.Go(func() error { return e.book.run(ctx) })
	return errors.Join(g.Wait(), e.book.save())
}

// SetKeys puts another keyring in force: the streams are opened again with it, from where they are.
func (e *Extractor) SetKeys(ring *frame.Keyring) {
	for _, p := range e.pulls {
		p.keys.Store(ring)
	}
}

// Status is what `keepwatch status` shows of an extractor.
type Status struct {
	Clusters []ClusterStatus `json:"clusters"`
}

// ClusterStatus is one pull.
type ClusterStatus struct {
	Name      string    `json:"name"`
	Collector string    `json:"collector"` // the one connected to; empty: none
	Received  time.Time `json:"received"`  // by the aggregator's clock: all that it had heard until then is on the bus
	Hosts     int       `json:"hosts"`
	HostsUp   int       `json:"hosts_up"`
}

// Status takes a copy of what is known now.
func (e *Extractor) Status() Status {
	var s Status
	for _, p := range e.pulls {
		page := p.take.page
		hosts, up := page.count()
		c := ClusterStatus{Name: p.cluster.Name, Received: time.UnixMilli(page.since()).UTC(), Hosts: hosts, HostsUp: up}
		if at := p.connected.Load(); at != nil {
			c.Collector = *at
		}
		s.Clusters = append(s.Clusters, c)
	}
	return s
}
