package collector

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"

	"keepwatch/metric"
)

const (
	peerWorkers = 8
	peerQueue   = 1000
	maxPeers    = 100_000 // addresses

	peerTime   = 5 * time.Second // of one lookup
	peerFor    = 6 * time.Hour   // a name holds, or that there is none
	peerRetry  = 5 * time.Second // after a lookup that failed
	peerTries  = 3               // then the address must do
	peerLater  = 10 * time.Minute
	peerForget = time.Hour // nobody spoke from it
	peerTick   = time.Second
)

var (
	peersNamed    = metrics.GetOrCreateCounter(`keepwatch_collector_gmond_xml_lookups_total{result="name"}`)
	peersNameless = metrics.GetOrCreateCounter(`keepwatch_collector_gmond_xml_lookups_total{result="none"}`)
	peersFailed   = metrics.GetOrCreateCounter(`keepwatch_collector_gmond_xml_lookups_total{result="error"}`)
)

// peers finds the names that the addresses of hosts have, beside everything else: nobody waits for a lookup.
type peers struct {
	lookup func(ctx context.Context, addr string) (names []string, err error)
	log    *slog.Logger
	queue  chan netip.Addr

	mu    sync.Mutex
	known map[netip.Addr]*peer
}

// peer is one address.
type peer struct {
	name   string // empty: it is not known yet
	due    time.Time
	wanted time.Time // last
	busy   bool      // in the queue, or being looked up
	failed int       // lookups in a row
}

func newPeers(lookup func(context.Context, string) ([]string, error), log *slog.Logger) *peers {
	return &peers{lookup: lookup, log: log, queue: make(chan netip.Addr, peerQueue), known: make(map[netip.Addr]*peer)}
}

// name gives the name of an address, which is the address itself where it has none; empty while it is not known. It
// is looked up when that is due.
func (p *peers) name(addr netip.Addr, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.known[addr]
	if k == nil {
		if len(p.known) >= maxPeers {
			return ""
		}
		k = &peer{}
		p.known[addr] = k
	}
	k.wanted = now
	if !k.busy && !now.Before(k.due) {
		select {
		case p.queue <- addr:
			k.busy = true
		default: // next time
		}
	}
	return k.name
}

// run looks up who speaks, from the moment at which they do, until ctx ends.
func (p *peers) run(ctx context.Context, speakers func() []netip.Addr) error {
	g, ctx := errgroup.WithContext(ctx)
	for range peerWorkers {
		g.Go(func() error { return p.work(ctx) })
	}
	g.Go(func() error {
		tick := time.NewTicker(peerTick)
		defer tick.Stop()
		for {
			now := time.Now()
			for _, addr := range speakers() {
				p.name(addr, now)
			}
			p.sweep(now)
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
	return g.Wait()
}

func (p *peers) work(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case addr := <-p.queue:
			within, cancel := context.WithTimeout(ctx, peerTime)
			names, err := p.lookup(within, addr.String())
			cancel()
			if ctx.Err() == nil {
				p.found(addr, names, err, time.Now())
			}
		}
	}
}

// found notes the outcome of a lookup. A name that was known stays when there is none now: gmond never asks again.
func (p *peers) found(addr netip.Addr, names []string, err error, now time.Time) {
	name := firstOf(names)
	var dns *net.DNSError
	none := name == "" && (err == nil || errors.As(err, &dns) && dns.IsNotFound)
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.known[addr]
	if k == nil {
		return
	}
	k.busy = false
	switch {
	case name != "":
		peersNamed.Inc()
		k.name, k.failed, k.due = name, 0, now.Add(peerFor)
	case none:
		peersNameless.Inc()
		k.failed, k.due = 0, now.Add(peerFor)
	default:
		peersFailed.Inc()
		k.failed++
		k.due = now.Add(peerRetry)
		if k.failed < peerTries {
			return
		}
		k.due = now.Add(peerLater)
	}
	if k.name == "" {
		k.name = addr.String()
		p.log.Info("a gmond's address has no name; gmond's XML shows the address", "address", k.name, "err", err)
	}
}

// firstOf is the first name that a host may have, as the system gives it: without the dot at the end.
func firstOf(names []string) string {
	for _, name := range names {
		if name = strings.TrimSuffix(name, "."); metric.CheckHost("host", name) == nil {
			return name
		}
	}
	return ""
}

// sweep forgets the addresses from which nobody has spoken for long.
func (p *peers) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for addr, k := range p.known {
		if !k.busy && now.Sub(k.wanted) > peerForget {
			delete(p.known, addr)
		}
	}
}
