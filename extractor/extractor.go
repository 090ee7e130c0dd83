// Package extractor pulls each cluster's stream of frames from one of its aggregators, the next one when it breaks,
// drops what it has had already, gives everything the names of one vocabulary and publishes it on the bus. It also
// says for each host whether it lives (keepwatch_host_up), and runs the writer of extractor/store. It never judges a
// value or opens a UDP socket, and needs no Postgres to go on pulling. cmd/keepwatch makes and runs it.
package extractor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/bus"
	"keepwatch/collector/frame"
	"keepwatch/extractor/ganglia"
	"keepwatch/extractor/normalize"
	"keepwatch/extractor/store"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
	"keepwatch/schema/db"
)

// Bus is what an extractor needs of *bus.Bus.
type Bus interface {
	store.Bus
	Publish(ctx context.Context, kind bus.Kind, cluster string, b *batch.Batch) error
}

// Options are what an extractor is made of.
type Options struct {
	Config    conf.Extractor
	Cluster   string         // this host's own, pulled from Local when Config.Clusters is empty
	Local     string         // where this host's own collector serves its stream: conf.Collector.Serve.Listen
	LocalXML  string         // this host's own gmond XML, polled for gmetad's ports: conf.Collector.Gmond.XML.Listen
	Authority string         // address of the web pages, told in gmetad's XML where Config has none
	Interval  time.Duration  // of senders that promise none: conf.Collector.Interval; 0: 15 s
	HostDmax  time.Duration  // a host silent for longer is forgotten: conf.Collector.HostDmax; 0: 24 h
	Keys      *frame.Keyring // of the stream and of the frames in it: what collector.LoadKeys gives
	DataDir   string         // holds extractor.json: how far each cluster was read, and which hosts it has
	Bus       Bus
	DB        *db.DB
	Log       *slog.Logger
}

const (
	defaultHostDmax = 24 * time.Hour
	defaultInterval = 15 * time.Second
)

// Extractor pulls all clusters and writes. Make it with New, then Run it once.
type Extractor struct {
	pulls  []*pull
	poller *ganglia.Poller
	polled *polled
	book   *book
	writer *store.Writer
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
	if opt.Interval <= 0 {
		opt.Interval = defaultInterval
	}
	clusters, err := opt.clusters()
	if err != nil {
		return nil, err
	}
	writer, err := store.New(store.Options{DB: opt.DB, Bus: opt.Bus, Config: opt.Config.Storage, Log: opt.Log})
	if err != nil {
		return nil, err
	}
	b, err := openBook(opt.DataDir, opt.Log)
	if err != nil {
		return nil, err
	}
	e := &Extractor{book: b, writer: writer}
	for _, c := range clusters {
		p, err := newPull(c, &opt, b)
		if err != nil {
			return nil, err
		}
		e.pulls = append(e.pulls, p)
	}
	if e.poller, e.polled, err = newPoller(&opt, e.clusterNames(), b); err != nil {
		return nil, fmt.Errorf("cannot extract: %w", err)
	}
	return e, nil
}

// clusters are those of the configuration, else the one that this host's own collector serves.
func (o *Options) clusters() ([]conf.Cluster, error) {
	if len(o.Config.Clusters) > 0 {
		return o.Config.Clusters, nil
	}
	if o.Local == "" && len(o.Config.Ganglia.Sources) > 0 {
		return nil, nil // gmetad's work alone
	}
	host, port, err := net.SplitHostPort(o.Local)
	if err != nil {
		return nil, errors.New("cannot extract: nothing to pull from; list extractor.clusters or extractor.ganglia.sources, or set collector.serve.listen on this host")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return []conf.Cluster{{Name: o.Cluster, Collectors: []string{net.JoinHostPort(host, port)}}}, nil
}

func newPull(c conf.Cluster, opt *Options, b *book) (*pull, error) {
	if err := metric.CheckHost("cluster", c.Name); err != nil {
		return nil, fmt.Errorf("cannot extract: %w", err)
	}
	if len(c.Collectors) == 0 {
		return nil, fmt.Errorf("cannot extract cluster %q: no collector is listed", c.Name)
	}
	names, err := normalize.New()
	if err != nil {
		return nil, err
	}
	rules, err := normalize.NewNames(opt.Config.Hosts)
	if err != nil {
		return nil, fmt.Errorf("cannot extract: extractor.hosts: %w", err)
	}
	log := opt.Log.With("cluster", c.Name)
	b.page(c.Name).notAfter(time.Now().UnixMilli()) // the clock may have been ahead when it was written
	p := &pull{
		cluster: c, bus: opt.Bus, log: log, started: time.Now().UnixMilli(),
		take: newTaker(names, rules, b.page(c.Name), opt.HostDmax, opt.Interval, log), full: make(chan *load, 1), free: make(chan *load, loads),
		dial: new(net.Dialer).DialContext,
	}
	p.take.cluster = c.Name
	p.keys.Store(opt.Keys)
	p.rules.Store(rules)
	for range loads {
		p.free <- &load{}
	}
	return p, nil
}

// Run pulls and writes until ctx ends; then what was pulled and published is noted on disk and Run returns nil.
func (e *Extractor) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range e.pulls {
		g.Go(func() error { return p.run(ctx) })
	}
	g.Go(func() error { return e.poller.Run(ctx) })
	g.Go(func() error { return e.book.run(ctx) })
	g.Go(func() error { return e.writer.Run(ctx) })
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
	Clusters []ClusterStatus        `json:"clusters"`
	Ganglia  []ganglia.SourceStatus `json:"ganglia"` // what is polled over XML
	Polled   []PolledStatus         `json:"polled"`  // clusters that are, where hosts have several names
}

// ClusterStatus is one pull.
type ClusterStatus struct {
	Name      string    `json:"name"`
	Collector string    `json:"collector"` // the one connected to; empty: none
	Received  time.Time `json:"received"`  // by the aggregator's clock: all that it had heard until then is on the bus
	Hosts     int       `json:"hosts"`
	HostsUp   int       `json:"hosts_up"`

	// Names lists the hosts that are heard under other names than the one they are kept under, and by which rule.
	Names []HostStatus `json:"names"`
}

// Status takes a copy of what is known now.
func (e *Extractor) Status() Status {
	s := Status{Ganglia: e.poller.Status().Sources, Polled: e.polled.status()}
	for _, p := range e.pulls {
		page := p.take.page
		hosts, up := page.count()
		c := ClusterStatus{Name: p.cluster.Name, Received: time.UnixMilli(page.since()).UTC(), Hosts: hosts, HostsUp: up, Names: page.names()}
		if at := p.connected.Load(); at != nil {
			c.Collector = *at
		}
		s.Clusters = append(s.Clusters, c)
	}
	return s
}
