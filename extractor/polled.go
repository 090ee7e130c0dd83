package extractor

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"keepwatch/bus"
	"keepwatch/collector/frame"
	"keepwatch/extractor/ganglia"
	"keepwatch/extractor/normalize"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
)

// maxPolled bounds the clusters that polled gmonds and gmetads may name.
const maxPolled = 10_000

// polled publishes what extractor/ganglia polls, under the names of the vocabulary and of the hosts.
type polled struct {
	bus  Bus
	book *book
	log  *slog.Logger

	mu       sync.Mutex // one document at a time
	rules    *normalize.Names
	clusters map[string]*polledCluster
}

// newPoller makes the poller of the configuration and what publishes for it.
func newPoller(opt *Options, clusters []string, b *book) (*ganglia.Poller, *polled, error) {
	rules, err := normalize.NewNames(opt.Config.Hosts)
	if err != nil {
		return nil, nil, err
	}
	out := &polled{bus: opt.Bus, book: b, log: opt.Log, rules: rules, clusters: make(map[string]*polledCluster)}
	poller, err := ganglia.New(ganglia.Options{
		Config: opt.Config.Ganglia, Authority: opt.Authority, Local: opt.LocalXML, Clusters: clusters,
		HostDmax: opt.HostDmax, Sink: out.take, Log: opt.Log,
	})
	return poller, out, err
}

// setRules puts other rules in force by which names are one host.
func (p *polled) setRules(rules *normalize.Names) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = rules
	for _, c := range p.clusters {
		c.names.Sweep()
	}
}

// take is a ganglia.Sink.
func (p *polled) take(ctx context.Context, cluster string, b *batch.Batch) error {
	p.mu.Lock()
	err := p.normalize(cluster, b)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	if len(b.Samples) > 0 {
		if err := p.bus.Publish(ctx, bus.Samples, cluster, &batch.Batch{Samples: b.Samples}); err != nil {
			return err
		}
		samplesPublished.Add(len(b.Samples))
	}
	if len(b.Events) > 0 {
		if err := p.bus.Publish(ctx, bus.Events, cluster, &batch.Batch{Events: b.Events}); err != nil {
			return err
		}
		eventsPublished.Add(len(b.Events))
	}
	return nil
}

// normalize gives all that b holds the names of the vocabulary. The page is touched for samples alone: those are of
// clusters that are only polled, while events may be of one that a taker pulls, whose page is the taker's.
func (p *polled) normalize(cluster string, b *batch.Batch) error {
	c := p.clusters[cluster]
	if len(b.Samples) == 0 {
		c.parts(b)
		for i := range b.Events {
			e := &b.Events[i]
			e.Host = p.keptAs(e.Cluster, e.Host)
		}
		return nil
	}
	page := p.book.page(cluster)
	if c == nil {
		n, err := normalize.New()
		if err != nil {
			return err
		}
		if len(p.clusters) >= maxPolled { // what is forgotten is told anew
			p.log.Warn("the polled gmonds and gmetads name more clusters than are remembered", "clusters", len(p.clusters))
			clear(p.clusters)
		}
		n.Restore(page.wraps())
		c = &polledCluster{names: n, rules: p.rules, hosts: make(map[string]string), told: make(map[string]int)}
		p.clusters[cluster] = c
	}
	farewells := c.follow(cluster, p.rules, p.log)
	c.meets(b)
	c.parts(b)
	c.names.Batch(b, p.keptAs)
	c.join(b)
	b.Events = append(b.Events, farewells...) // of names that were kept, whoever has them now
	page.wrapped(c.names.Wraps())
	return nil
}

func (p *polled) keptAs(_, host string) string {
	kept, _ := p.rules.Host(host)
	return kept
}

// clusterNames are those that are pulled.
func (e *Extractor) clusterNames() []string {
	names := make(map[string]struct{})
	for _, p := range e.pulls {
		names[p.cluster.Name] = struct{}{}
	}
	return slices.Sorted(maps.Keys(names))
}

// Prepare checks another configuration: extractor.hosts, extractor.ganglia.accept_from and the keys; the rest is read at
// start. The error says what is wrong with it. use puts it in force, whole; until then nothing has changed.
func (e *Extractor) Prepare(c conf.Extractor, keys *frame.Keyring) (use func(), err error) {
	rules, err := normalize.NewNames(c.Hosts)
	if err != nil {
		return nil, err
	}
	access, err := e.poller.Access(c.Ganglia.AcceptFrom)
	if err != nil {
		return nil, err
	}
	return func() {
		e.setRules(rules)
		access()
		e.SetKeys(keys)
	}, nil
}
