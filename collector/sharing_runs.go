package collector

import (
	"context"
	"errors"
	"sync"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// How often a member says that it is there, a third of its shortest interval, lies between these.
const (
	minBeat = 500 * time.Millisecond
	maxBeat = 5 * time.Second
	maxStep = time.Second // between two looks at who else is there
)

// rhythm is how often a member of these checks says that it is there, and how often it looks at who else is.
func rhythm(shared []*sharedCheck) (beat, step time.Duration) {
	shortest := shared[0].interval
	for _, s := range shared {
		shortest = min(shortest, s.interval)
	}
	beat = min(max(shortest/3, minBeat), maxBeat)
	return beat, min(beat/2, maxStep)
}

// errReloaded is the cause of the end of a set that another one follows.
var errReloaded = errors.New("another configuration is in force")

// runShared runs the shared checks that are this collector's by what it hears of the others, until ctx ends. After the
// start it listens for a beat first, so that it does not run what others do. It says when it leaves, while its runs
// still end: others take over at once. What it saw last is left to leave.
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
			if !errors.Is(context.Cause(ctx), errReloaded) {
				c.announce(set.shared, 0)
			}
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
		run, stop := context.WithCancel(ctx)
		s.stop, s.ended, s.stands = stop, make(chan struct{}), true
		s.wake()
		s.running.Store(true)
		runs.Go(func() { c.runCheck(ctx, run, s) })
	case !mine && s.stop != nil:
		s.stop()
		s.stop = nil
	case !mine && s.ended == nil && s.stands: // it ran here until a reload
		c.takeBack(s)
	}
}

// runCheck runs a check until run ends. What it saw last it takes back, unless its set has ended too.
func (c *Collector) runCheck(set, run context.Context, s *sharedCheck) {
	defer close(s.ended)
	defer s.running.Store(false)
	_ = c.schedule(run, s.scheduled) // ends with run alone
	if set.Err() == nil {
		c.takeBack(s)
	}
}

// takeBack says that what was seen last of a check from here counts no more.
func (c *Collector) takeBack(s *sharedCheck) {
	s.stands = false
	if o, ok := s.probe.(outsider); ok {
		var b batch.Batch
		o.Leave(time.Now(), &b)
		c.observe(&b, s.interval)
	}
}

// leave hands what a set of probes that has ended said of its checks to the next set, and takes back what that does
// not go on with.
func (c *Collector) leave(set, next *probeSet) {
	var gone []*sharedCheck
	heirs := make([]*sharedCheck, len(set.shared))
	for i, s := range set.shared {
		if heirs[i] = next.same(s); heirs[i] == nil {
			gone = append(gone, s)
		}
	}
	if len(gone) > 0 {
		c.announce(gone, 0)
	}
	for i, s := range set.shared {
		if s.stands && !heirs[i].follow(s) {
			c.takeBack(s)
		}
	}
}

// same finds the check of another set that has the name of s; nil: there is none.
func (set *probeSet) same(s *sharedCheck) *sharedCheck {
	for _, x := range set.shared {
		if x.name == s.name {
			return x
		}
	}
	return nil
}

// follow reports whether what the same check saw last before a reload stands; s may be nil.
func (s *sharedCheck) follow(before *sharedCheck) bool {
	if s == nil {
		return false
	}
	o, ok := s.probe.(outsider)
	s.stands = ok && o.Follow(before.probe)
	return s.stands
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
