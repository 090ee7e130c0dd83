package vrrp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/haagent/vrrp"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// ListenerOptions say whose series these are and where to listen.
type ListenerOptions struct {
	Cluster, Host string
	Interfaces    []string
	Interval      time.Duration // 0: the collector's own
}

// Listener is the probe that hears advertisements on interfaces of this host, those of IPv4 and of IPv6. It hears
// what others send to the multicast groups, not what this host sends, and needs CAP_NET_RAW. It is a probes.Probe
// and a probes.Watcher: Watch hears, Collect tells.
type Listener struct {
	opt ListenerOptions

	mu      sync.Mutex
	err     error // why nothing is heard
	series  *seriesCache
	sources map[sourceKey]*source
	invalid map[invalidKey]uint64
}

// sourceKey is one router of one virtual router, as one interface hears it.
type sourceKey struct {
	ifname  string
	vrid    uint8
	addr    netip.Addr
	version uint8
}

type source struct {
	priority uint8
	interval time.Duration
	heard    time.Time
	count    uint64
}

type invalidKey struct{ ifname, reason string }

const (
	// maxSources bounds what is remembered: 255 virtual routers of an interface have a few routers each, and who
	// forges more is counted under the reason too_many_sources.
	maxSources = 2048

	// forgetAfter is how long a source that is silent keeps its counter.
	forgetAfter = 10 * time.Minute

	tooManySources = "too_many_sources"
)

// NewListener makes the probe. It opens nothing yet; the error says which option is unfit.
func NewListener(o ListenerOptions) (*Listener, error) {
	if len(o.Interfaces) == 0 {
		return nil, errors.New("cannot make a vrrp listener: no interface is named")
	}
	if err := errors.Join(metric.CheckHost("cluster", o.Cluster), metric.CheckHost("host", o.Host)); err != nil {
		return nil, fmt.Errorf("cannot make a vrrp listener: %w", err)
	}
	return &Listener{
		opt: o, series: newSeriesCache(o.Cluster, o.Host),
		sources: make(map[sourceKey]*source), invalid: make(map[invalidKey]uint64),
	}, nil
}

// Name is "vrrp/listen".
func (p *Listener) Name() string { return "vrrp/listen" }

// Interval is the one of the options.
func (p *Listener) Interval() time.Duration { return p.opt.Interval }

// Collect tells what Watch has heard. A source's priority is told while it advertises: three and a half of its
// intervals and a second after its last word it is gone. The error is why Watch cannot hear.
func (p *Listener) Collect(_ context.Context, now time.Time, out *batch.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := writer{cache: p.series, out: out, ms: now.UnixMilli()}
	for key, s := range p.sources {
		silent := now.Sub(s.heard)
		if silent > forgetAfter {
			delete(p.sources, key)
			continue
		}
		labels := []string{"interface", key.ifname, "vrid", strconv.Itoa(int(key.vrid)), "source", key.addr.String(),
			"version", strconv.Itoa(int(key.version)), "family", vrrp.FamilyOf(key.addr).String()}
		if silent <= s.interval*7/2+time.Second {
			w.put("vrrp_heard_priority", metric.Gauge, float64(s.priority), labels...)
		}
		w.put("vrrp_heard_advertisements_total", metric.Counter, float64(s.count), labels...)
	}
	for key, n := range p.invalid {
		w.put("vrrp_heard_invalid_total", metric.Counter, float64(n), "interface", key.ifname, "reason", key.reason)
	}
	return errors.Join(append(w.errs, p.err)...)
}

// hear takes one packet.
func (p *Listener) hear(ifname string, packet *vrrp.Packet, now time.Time) {
	a, _, drop := vrrp.Decode(packet)
	p.mu.Lock()
	defer p.mu.Unlock()
	if drop != vrrp.Accepted {
		p.invalid[invalidKey{ifname, drop.String()}]++
		return
	}
	key := sourceKey{ifname, a.VRID, packet.Source, a.Version}
	s := p.sources[key]
	if s == nil {
		if len(p.sources) >= maxSources {
			p.invalid[invalidKey{ifname, tooManySources}]++
			return
		}
		s = &source{}
		p.sources[key] = s
	}
	s.priority, s.interval, s.heard = a.Priority, a.Interval, now
	s.count++
}

// checkInterfaces is how often Watch looks whether the interfaces are still the ones that it listens on.
const checkInterfaces = 5 * time.Second

// Watch listens until ctx ends. It never calls emit: what is heard is told by Collect. An interface that is missing,
// or was made anew, is an error; the next Watch listens on the new one.
func (p *Listener) Watch(ctx context.Context, _ func(*batch.Batch)) error {
	err := p.watch(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	p.fail(err)
	return err
}

func (p *Listener) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *Listener) watch(ctx context.Context) error {
	indexes := make(map[string]int)
	for _, name := range p.opt.Interfaces {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("cannot listen on interface %q: %w", name, err)
		}
		indexes[name] = ifi.Index
	}
	sockets, err := p.open()
	if err != nil {
		return err
	}
	p.fail(nil)
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { closeAll(sockets) })
	defer func() {
		if stop() {
			closeAll(sockets)
		}
	}()
	for _, s := range sockets {
		group.Go(func() error { return p.read(ctx, s) })
	}
	// The look is in this goroutine: it must see the network namespace in which the sockets were made.
	err = sameInterfaces(ctx, indexes)
	closeAll(sockets)
	return errors.Join(err, group.Wait())
}

// sameInterfaces returns an error when an interface is gone or another one, and nil when ctx ends.
func sameInterfaces(ctx context.Context, indexes map[string]int) error {
	for wait(ctx, checkInterfaces) {
		for name, index := range indexes {
			if ifi, err := net.InterfaceByName(name); err != nil || ifi.Index != index {
				return fmt.Errorf("interface %q is gone or was made anew: listening again", name)
			}
		}
	}
	return nil
}

func (p *Listener) read(ctx context.Context, s socket) error {
	var packet vrrp.Packet
	for {
		ok, err := s.read(&packet)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("cannot hear on %s: %w", s.name(), err)
		case ok:
			p.hear(s.name(), &packet, time.Now())
		}
	}
}
