package extractor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/bus"
	"keepwatch/collector/frame"
	"keepwatch/extractor/normalize"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

const (
	silence = 2 * frame.Heartbeat // without a record for so long the aggregator is dead

	flushEvery   = 200 * time.Millisecond
	flushSamples = 10_000
	loads        = 2 // one fills while the other is published

	minPause = 100 * time.Millisecond // after all aggregators have failed in a row
	maxPause = 2 * time.Second
)

// load is what is published at once.
type load struct {
	b        batch.Batch
	received int64     // everything heard before it is in this load or an earlier one
	began    time.Time // of the first item; zero while empty

	farewells []metric.Event // of hosts, by the names under which they were kept
}

// pull is the stream of one cluster. The reader fills loads, the publisher empties them, in order.
type pull struct {
	cluster conf.Cluster
	keys    atomic.Pointer[frame.Keyring]
	rules   atomic.Pointer[normalize.Names]
	bus     Bus
	log     *slog.Logger
	take    *taker
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	started int64 // makes the IDs of our events unique over restarts

	full, free chan *load
	current    *load // the reader's; nil before the first
	begun      bool  // a stream of this run has been asked for
	heard      int64 // time of the last record of the collector that is followed, ms of its clock
	follows    bool  // a collector
	reopen     bool  // the next stream is of the same collector, which goes on living
	debts      debts
	events     int // made so far
	connected  atomic.Pointer[string]
}

func (p *pull) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.publish(ctx) })
	g.Go(func() error { return p.read(ctx) })
	return g.Wait()
}

func (p *pull) publish(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-p.full:
			if err := p.publishLoad(ctx, l); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			p.take.page.published(min(l.received, time.Now().UnixMilli())) // our clock may have been set back meanwhile
			l.received = 0
			p.take.page.parted(l.farewells)
			l.b.Reset()
			l.farewells = nil
			l.began = time.Time{}
			p.free <- l
		}
	}
}

func (p *pull) publishLoad(ctx context.Context, l *load) error {
	if len(l.b.Samples) > 0 {
		if err := p.bus.Publish(ctx, bus.Samples, p.cluster.Name, &batch.Batch{Samples: l.b.Samples}); err != nil {
			return err
		}
		samplesPublished.Add(len(l.b.Samples))
	}
	if len(l.b.Events) > 0 {
		if err := p.bus.Publish(ctx, bus.Events, p.cluster.Name, &batch.Batch{Events: l.b.Events}); err != nil {
			return err
		}
		eventsPublished.Add(len(l.b.Events))
	}
	return nil
}

// errNewKeys ends a stream that was opened with keys no longer in force.
var errNewKeys = errors.New("other keys are in force")

// read goes from one aggregator to the next as they break, and stays with one for as long as it serves.
func (p *pull) read(ctx context.Context) error {
	if !p.fresh(ctx) {
		return nil
	}
	wait := minPause
	for i, failed := p.firstCollector(), 0; ctx.Err() == nil; i = (i + 1) % len(p.cluster.Collectors) {
		addr := p.cluster.Collectors[i]
		served, err := p.stream(ctx, addr)
		p.connected.Store(nil)
		p.reopen = false
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errNewKeys):
			i += len(p.cluster.Collectors) - 1 // the same again
			p.reopen = true
			continue
		case served:
			failed, wait = 0, minPause
			streamsLost.Inc()
			p.log.Warn("the collector's stream broke; going on with the next collector", "collector", addr, "err", err)
			p.tell(addr, err)
		default:
			failed++
			p.log.Debug("cannot pull", "collector", addr, "err", err)
		}
		if !p.flush(ctx) {
			return nil
		}
		if failed < len(p.cluster.Collectors) {
			continue
		}
		failed = 0
		p.log.Warn("no collector of the cluster can be pulled; trying again", "collectors", p.cluster.Collectors, "err", err, "again_in", wait)
		if !pause(ctx, wait) {
			return nil
		}
		wait = min(2*wait, maxPause)
	}
	return nil
}

// firstCollector is the one that an earlier run followed last, if it is still listed: gmond samples have the time of the
// collector that took them, so those of another one are other samples.
func (p *pull) firstCollector() int {
	return max(slices.Index(p.cluster.Collectors, p.take.page.follows()), 0)
}

// tell puts the loss of an aggregator among the events.
func (p *pull) tell(addr string, err error) {
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil || metric.CheckHost("host", host) != nil {
		host = p.cluster.Name
	}
	p.events++
	e := metric.Event{
		ID: fmt.Sprintf("extractor-%d-%d", p.started, p.events), Cluster: p.cluster.Name, Host: host, Time: time.Now().UnixMilli(),
		Kind: metric.EventAggregatorLost, Text: fmt.Sprintf("the stream of collector %.60s broke: %.200v", addr, err),
		Labels: []metric.Label{{Name: "collector", Value: addr}},
	}
	if e.Check() == nil {
		p.current.b.Events = append(p.current.b.Events, e)
	}
}

// fresh takes an empty load; false: ctx has ended.
func (p *pull) fresh(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case p.current = <-p.free:
		return true
	}
}

// flush hands the current load to the publisher. It waits while the bus is away: the aggregator's history bridges that.
func (p *pull) flush(ctx context.Context) bool {
	p.take.normalize(p.current)
	select {
	case <-ctx.Done():
		return false
	case p.full <- p.current:
		return p.fresh(ctx)
	}
}

// stream follows one collector until its stream breaks; served says whether it had answered.
func (p *pull) stream(ctx context.Context, addr string) (served bool, err error) {
	ring, goesOn := p.keys.Load(), p.reopen
	c, err := p.open(ctx, addr, p.since(addr, time.Now()))
	if err != nil {
		return false, err
	}
	defer c.close()
	p.take.connected(addr)
	for {
		rec, err := c.r.Next()
		if err != nil {
			return served, err
		}
		if !served {
			served = true
			p.connected.Store(&addr)
			p.take.greeted(c.r.Clock(), c.asked, time.Now(), p.current)
			p.log.Info("pulling", "collector", addr)
			p.followed(addr)
		}
		p.heard = rec.Received
		p.take.arrive(&rec, time.Now(), p.current)
		if !goesOn {
			goesOn = true
			p.begins(ctx, addr, &rec)
		}
		p.take.setRules(p.rules.Load(), p.current)
		p.take.record(&rec, p.current)
		p.tells(ctx, &rec)
		if p.keys.Load() != ring {
			return served, errNewKeys
		}
		if err := p.await(ctx, c.conn, c.br); err != nil {
			return served, err
		}
	}
}

// followed notes whom this run follows. What an earlier one had from another aggregator is not taken again from this one,
// whose gmond samples have other times.
func (p *pull) followed(addr string) {
	if was := p.take.page.follows(); !p.follows && was != "" && was != addr {
		p.take.elsewhere = p.debts.had - gmondPending
	}
	p.follows = true
	p.take.page.follow(addr)
}

// await flushes the current load when its time has come and returns when there is something to read, or its time to
// wait for that is over.
func (p *pull) await(ctx context.Context, conn net.Conn, br *bufio.Reader) error {
	now := time.Now()
	l := p.current
	if l.began.IsZero() {
		l.began = now
	}
	due := l.began.Add(flushEvery)
	if len(l.b.Samples) >= flushSamples || !now.Before(due) {
		if !p.flush(ctx) {
			return ctx.Err()
		}
		now = time.Now() // the bus may have made us wait
	} else if br.Buffered() == 0 {
		if err := conn.SetReadDeadline(due); err != nil {
			return err
		}
		if _, err := br.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
			if !p.flush(ctx) {
				return ctx.Err()
			}
			now = time.Now()
		}
	}
	return conn.SetReadDeadline(now.Add(silence))
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
