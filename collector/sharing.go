package collector

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/share"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
	"keepwatch/probes"
	"keepwatch/probes/snmp"
	"keepwatch/probes/tcp"
)

// How often a member says that it is there, a third of its shortest interval, lies between these.
const (
	minBeat = 500 * time.Millisecond
	maxBeat = 5 * time.Second
	maxStep = time.Second // between two looks at who else is there
)

// sharedCheck is a probe that runs while this collector is one of those that run it.
type sharedCheck struct {
	*scheduled
	check   share.Check
	target  string
	quorum  int
	member  *metric.Series
	running atomic.Bool

	stop  context.CancelFunc // of the loop that runs the check; runShared alone uses it, and ended
	ended chan struct{}      // closed when the last run is over
}

// CheckStatus is a shared check as this collector sees it.
type CheckStatus struct {
	ProbeStatus          // of its runs here
	Target      string   `json:"target"`
	Vantage     int      `json:"vantage"`
	Quorum      int      `json:"quorum,omitempty"` // 0: the check has no quorum
	Ready       int      `json:"ready"`            // collectors that are there and list it
	Runners     []string `json:"runners"`          // hosts whose collectors run it
	Here        bool     `json:"here"`             // it runs here
}

// outsider is a probe that sees its target from outside, as one of several vantage points: what it says is no sign of
// life of the target's host, and is taken back when it looks no more.
type outsider interface {
	Leave(now time.Time, out *batch.Batch)
}

// addShared makes the checks that a configuration shares.
func (c *Collector) addShared(set *probeSet, cfg *conf.Collector) error {
	if n := len(cfg.Checks.TCP) + len(cfg.Checks.SNMP); n > share.MaxChecks {
		return fmt.Errorf("collector.checks: %d checks: want at most %d", n, share.MaxChecks)
	}
	for i, t := range cfg.Checks.TCP {
		p, err := tcp.New(tcp.Options{Cluster: c.opt.Cluster, Vantage: c.opt.Host, Config: t, Every: cfg.Interval})
		if err == nil {
			err = set.share(c.opt, p, cfg.Interval, &sharedCheck{target: t.Target, quorum: t.Quorum, check: share.Check{Vantage: t.Vantage}})
		}
		if err != nil {
			return fmt.Errorf("collector.checks.tcp[%d]: %w", i, err)
		}
	}
	for i, s := range cfg.Checks.SNMP {
		p, err := snmp.New(snmp.Options{Cluster: c.opt.Cluster, Config: s})
		if err == nil {
			err = set.share(c.opt, p, cfg.Interval, &sharedCheck{target: s.Target, check: share.Check{Vantage: 1}})
		}
		if err != nil {
			return fmt.Errorf("collector.checks.snmp[%d]: %w", i, err)
		}
	}
	return nil
}

// share adds a check whose probe is named KIND/NAME.
func (set *probeSet) share(opt Options, p probes.Probe, interval time.Duration, s *sharedCheck) (err error) {
	if s.scheduled, err = set.schedule(opt, p, interval); err != nil {
		return err
	}
	s.check.Cluster, s.check.Interval = opt.Cluster, s.interval
	s.check.Kind, s.check.Name, _ = strings.Cut(s.name, "/")
	labels := []metric.Label{{Name: "kind", Value: s.check.Kind}, {Name: "check", Value: s.check.Name}}
	if s.member, err = metric.NewSeries(opt.Cluster, opt.Host, share.Member, labels, metric.NoUnit, metric.State); err != nil {
		return err
	}
	set.shared = append(set.shared, s)
	return nil
}

// rhythm is how often a member of these checks says that it is there, and how often it looks at who else is.
func rhythm(shared []*sharedCheck) (beat, step time.Duration) {
	shortest := shared[0].interval
	for _, s := range shared {
		shortest = min(shortest, s.interval)
	}
	beat = min(max(shortest/3, minBeat), maxBeat)
	return beat, min(beat/2, maxStep)
}

// runShared runs the shared checks that are this collector's by what it hears of the others, until ctx ends. After the
// start it listens for a beat first, so that it does not run what others do. It says when it leaves: others take over
// at once.
func (c *Collector) runShared(ctx context.Context, set *probeSet) error {
	if len(set.shared) == 0 {
		return nil
	}
	var runs sync.WaitGroup
	defer runs.Wait()
	beat, step := rhythm(set.shared)
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	var told time.Time
	for {
		if now := time.Now(); now.Sub(c.started) >= beat+step {
			if now.Sub(told) > beat-step/2 {
				c.announce(set.shared, 1)
				told = now
			}
			for _, s := range set.shared {
				c.assign(ctx, &runs, s, now)
			}
		}
		select {
		case <-ctx.Done():
			c.leave(set)
			return nil
		case <-ticker.C:
		}
	}
}

// assign starts a check that has become this collector's, at once, and stops one that is not any more.
func (c *Collector) assign(ctx context.Context, runs *sync.WaitGroup, s *sharedCheck, now time.Time) {
	mine := c.state.Runs(&s.check, now)
	switch {
	case mine && s.stop == nil:
		if s.ended != nil {
			select {
			case <-s.ended:
			default:
				return // its last run here still ends
			}
		}
		ctx, s.stop = context.WithCancel(ctx)
		s.ended = make(chan struct{})
		s.wake()
		s.running.Store(true)
		runs.Go(func() { c.runCheck(ctx, s) })
	case !mine && s.stop != nil:
		s.stop()
		s.stop = nil
	}
}

func (c *Collector) runCheck(ctx context.Context, s *sharedCheck) {
	defer close(s.ended)
	defer s.running.Store(false)
	_ = c.schedule(ctx, s.scheduled) // ends with ctx alone
	if o, ok := s.probe.(outsider); ok {
		var b batch.Batch
		o.Leave(time.Now(), &b)
		c.observe(&b, s.interval)
	}
}

// leave ends the checks of a set. Those that the set now in force has too go on being this collector's.
func (c *Collector) leave(set *probeSet) {
	c.mu.Lock()
	next := c.set
	c.mu.Unlock()
	var gone []*sharedCheck
	for _, s := range set.shared {
		if s.stop != nil {
			s.stop()
		}
		if next == set || !slices.ContainsFunc(next.shared, func(n *sharedCheck) bool { return n.check.Kind == s.check.Kind && n.check.Name == s.check.Name }) {
			gone = append(gone, s)
		}
	}
	if len(gone) > 0 {
		c.announce(gone, 0)
		c.announce(gone, 0) // once more: a datagram may be lost
	}
}

// announce says that this collector stands ready for checks, or that it does no more.
func (c *Collector) announce(checks []*sharedCheck, value float64) {
	var b batch.Batch
	ms := time.Now().UnixMilli()
	for _, s := range checks {
		b.Samples = append(b.Samples, metric.Sample{Series: s.member, Time: ms, Value: value})
	}
	c.publish(&b, maxBeat, false)
}

// observe publishes the samples of a probe that sees its target from outside, and takes them from b.
func (c *Collector) observe(b *batch.Batch, interval time.Duration) {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	c.seal(&batch.Batch{Samples: b.Samples}, frame.Stamp{Now: time.Now(), Interval: interval, Derived: true})
	clear(b.Samples)
	b.Samples = b.Samples[:0]
}

// sharedStatus is the shared checks by name.
func (c *Collector) sharedStatus(set *probeSet, now time.Time) []CheckStatus {
	out := make([]CheckStatus, 0, len(set.shared))
	for _, s := range set.shared {
		st := CheckStatus{Target: s.target, Vantage: s.check.Vantage, Quorum: s.quorum, Here: s.running.Load()}
		s.mu.Lock()
		st.ProbeStatus = s.last
		s.mu.Unlock()
		st.Runners, st.Ready = c.state.Runners(&s.check, now)
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b CheckStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
