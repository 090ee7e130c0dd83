package collector

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"keepwatch/collector/share"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
	"keepwatch/probes"
	"keepwatch/probes/snmp"
	"keepwatch/probes/tcp"
)

// sharedCheck is a probe that runs while this collector is one of those that run it.
type sharedCheck struct {
	*scheduled
	check   share.Check
	target  string
	quorum  int
	member  *metric.Series
	running atomic.Bool

	stop   context.CancelFunc // of the loop that runs the check; runShared alone uses it, and ended
	ended  chan struct{}      // closed when the last run is over
	stands bool               // what was seen last has not been taken back; it belongs to the loop while that runs
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
// life of the target's host.
type outsider interface {
	// Leave takes back what was seen last: this collector looks no more.
	Leave(now time.Time, out *batch.Batch)
	// Follow goes on where before ended, the probe of the same check until a reload. It reports whether what before saw
	// last stands until this one looks: not when it is of other series.
	Follow(before probes.Probe) bool
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
