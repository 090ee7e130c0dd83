package collector

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime/debug"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/metric"
	"keepwatch/probes"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"
)

// firstWithin bounds the wait before a probe's first run, so that a fresh start shows something soon.
const firstWithin = time.Second

// watchPause is the first pause before a Watcher that failed is called again; it doubles up to one interval.
const watchPause = 500 * time.Millisecond

var (
	probeRuns   = metrics.GetOrCreateCounter(`keepwatch_collector_probe_runs_total`)
	probeErrors = metrics.GetOrCreateCounter(`keepwatch_collector_probe_errors_total`)
)

// runProbes runs the probes of the set in force, and of the next one after a Reload, until ctx ends.
func (c *Collector) runProbes(ctx context.Context) (err error) {
	ended := &probeSet{}
	for ctx.Err() == nil && err == nil {
		c.mu.Lock()
		set, changed := c.set, c.changed
		c.mu.Unlock()
		c.leave(ended, set)
		err = c.runSet(ctx, set, changed)
		ended = set
	}
	c.leave(ended, &probeSet{})
	return err
}

func (c *Collector) runSet(ctx context.Context, set *probeSet, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-changed:
			cancel(errReloaded)
		}
		return nil
	})
	for _, p := range set.probes {
		g.Go(func() error { return c.schedule(ctx, p) })
		if w, ok := p.probe.(probes.Watcher); ok {
			g.Go(func() error { return c.watch(ctx, p, w) })
		}
	}
	g.Go(func() error { return c.runShared(ctx, set) })
	return g.Wait()
}

// schedule runs one probe: once within a second of the start, then at each interval at a phase that hangs on host and
// probe. So the hosts of a cluster spread over the interval, and each keeps its place when it starts again.
func (c *Collector) schedule(ctx context.Context, p *scheduled) error {
	phase := phaseOf(c.opt.Host + "/" + p.name)
	first, next := delays(time.Now(), p.interval, phase)
	timer := time.NewTimer(first)
	defer timer.Stop()
	due := time.Now().Add(next)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-p.now:
		}
		c.runOnce(ctx, p)
		for !due.After(time.Now()) { // a run that took longer than its interval skips what it missed
			due = due.Add(p.interval)
		}
		timer.Reset(time.Until(due))
	}
}

// delays gives the waits from now until the first run and until the first one in phase, which is at least a second
// and at least half an interval after the first.
func delays(now time.Time, interval time.Duration, phase uint64) (first, next time.Duration) {
	first = time.Duration(phase % uint64(min(interval, firstWithin)))
	offset := time.Duration(phase % uint64(interval))
	next = offset - time.Duration(now.UnixNano())%interval
	for next < first+interval/2 {
		next += interval
	}
	return first, next
}

func phaseOf(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// runOnce collects one probe and publishes what it gave, together with how the run went.
func (c *Collector) runOnce(ctx context.Context, p *scheduled) {
	out := &p.out
	out.Reset()
	start := time.Now()
	err := collect(ctx, p, start, out)
	took := time.Since(start)
	if ctx.Err() != nil && err != nil {
		return // ended while it ran: that is not the source's fault
	}
	probeRuns.Inc()
	up := 1.0
	if err != nil {
		up = 0
		probeErrors.Inc()
	}
	p.report(c.log, start, took, err)
	if _, ok := p.probe.(outsider); ok {
		c.observe(out, p.interval)
	}
	ms := start.UnixMilli()
	out.Samples = append(out.Samples,
		metric.Sample{Series: p.up, Time: ms, Value: up},
		metric.Sample{Series: p.duration, Time: ms, Value: took.Seconds()})
	c.publish(out, p.interval, true)
}

// collect calls the probe with its timeout. A panic is a failed run.
func collect(ctx context.Context, p *scheduled, now time.Time, out *batch.Batch) (err error) {
	ctx, cancel := context.WithTimeout(ctx, p.interval)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("probe %q panicked: %v\n%s", p.name, r, debug.Stack())
		}
	}()
	return p.probe.Collect(ctx, now, out)
}

// watch calls a Watcher until ctx ends, again after a pause when it fails.
func (c *Collector) watch(ctx context.Context, p *scheduled, w probes.Watcher) error {
	pause := min(watchPause, p.interval)
	for {
		start := time.Now()
		err := watchOnce(ctx, p.name, w, func(b *batch.Batch) { c.publish(b, p.interval, false) })
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(start) > p.interval {
			pause = min(watchPause, p.interval)
		}
		c.log.Warn("probe stopped watching; it starts again after a pause", "probe", p.name, "pause", pause, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, p.interval)
	}
}

func watchOnce(ctx context.Context, name string, w probes.Watcher, emit func(*batch.Batch)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("probe %q panicked: %v\n%s", name, r, debug.Stack())
		}
	}()
	if err := w.Watch(ctx, emit); err != nil {
		return err
	}
	return errors.New("it returned without being asked to")
}
