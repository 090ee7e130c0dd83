package state

import (
	"sync"
	"time"

	"keepwatch/collector/share"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// checks is what collectors say of the checks that they share. Its lock is its own: who asks which checks to run
// holds up no frame.
type checks struct {
	mu    sync.Mutex
	table *share.Table
}

func newChecks() *checks { return &checks{table: share.New(share.MaxMembers, share.MaxViews)} }

func isCheck(desc []byte) bool {
	return batch.Named(desc, share.Member) || batch.Named(desc, share.View) || batch.Named(desc, share.Interval) || batch.Named(desc, share.Quorum)
}

// hear takes the words of a frame and reports whether they changed the state of a check.
func (c *checks) hear(words []share.Word, now int64) bool {
	if len(words) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range words {
		c.table.Hear(w, now)
	}
	return c.table.Changed(now)
}

func (c *checks) tick(now int64) (dropped uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.Tick(now)
	return c.table.Dropped()
}

func (c *checks) samples(now, stamp int64, all bool, out []metric.Sample) []metric.Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.Samples(now, stamp, all, out)
}

func (c *checks) away(by, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.Away(by, now)
}

// Runs reports whether this host is to run a shared check now.
func (s *State) Runs(c *share.Check, now time.Time) bool {
	s.checks.mu.Lock()
	defer s.checks.mu.Unlock()
	return s.checks.table.Runs(c, s.opt.Host, now.UnixMilli())
}

// Runners is the hosts that run a shared check by what this one heard, best rank first, and how many stand ready for
// it, this host among them.
func (s *State) Runners(c *share.Check, now time.Time) (runners []string, ready int) {
	s.checks.mu.Lock()
	defer s.checks.mu.Unlock()
	return s.checks.table.Runners(c, s.opt.Host, now.UnixMilli())
}
