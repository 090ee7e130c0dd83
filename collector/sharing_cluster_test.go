package collector

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/share"
	"keepwatch/collector/state"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/probes"
)

// cluster is collectors that share checks, on a clock that jumps. What one publishes the others hear, without a
// network between them.
type cluster struct {
	t        *testing.T
	keys     []conf.Key
	interval time.Duration
	checks   int
	vantage  int

	mu      sync.Mutex
	members map[string]*simulated
	apart   map[string]bool // members that neither hear nor are heard
	runs    []ran
	left    []ran // words taken back
}

type simulated struct {
	c      *Collector
	cancel context.CancelFunc
	ended  sync.WaitGroup
	cursor state.Cursor
}

// fakeOutsider is a probe that follows any other of its name.
type fakeOutsider struct {
	fake
	left func()
}

func (f *fakeOutsider) Leave(time.Time, *batch.Batch) { f.left() }
func (f *fakeOutsider) Follow(probes.Probe) bool      { return true }

type ran struct {
	at            time.Time
	check, member string
}

func newCluster(t *testing.T, interval time.Duration, checks, vantage int) *cluster {
	cl := &cluster{
		t: t, keys: testConf(t).Keys, interval: interval, checks: checks, vantage: vantage,
		members: make(map[string]*simulated), apart: make(map[string]bool),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wires sync.WaitGroup
	wires.Go(func() {
		for ctx.Err() == nil {
			cl.carry()
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		for _, name := range slices.Collect(maps.Keys(cl.members)) {
			cl.leave(name)
		}
		cancel()
		wires.Wait()
	})
	return cl
}

// carry brings what each member has published since to all others.
func (cl *cluster) carry() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	now := time.Now()
	for name, from := range cl.members {
		entries, _, _ := from.c.state.History().Read(&from.cursor, make([]state.Entry, 0, 1000), now.UnixMilli())
		for _, e := range entries {
			if origin, ok := frame.HeaderOrigin(e.Datagram); !ok || origin.Boot != from.c.boot || cl.apart[name] {
				continue
			}
			for other, to := range cl.members {
				if other != name && !cl.apart[other] {
					if err := to.c.state.Native(e.Datagram, netip.Addr{}, now); err != nil {
						cl.t.Errorf("%s does not take what %s sent: %v", other, name, err)
					}
				}
			}
		}
	}
}

// join starts a member.
func (cl *cluster) join(name string) {
	cl.t.Helper()
	cfg := conf.Default().Collector
	cfg.Native.Group, cfg.Gmond.Receive, cfg.Probes.Host.Enabled, cfg.Keys = "", nil, false, cl.keys
	cfg.Gmond.XML.Listen = ""
	cfg.Serve.Listen = "127.0.0.1:0" // so that there is a history
	c, err := New(Options{Config: cfg, Cluster: "lab", Host: name, DataDir: cl.t.TempDir()})
	if err != nil {
		cl.t.Fatal(err)
	}
	c.set = cl.set(c)
	ctx, cancel := context.WithCancel(context.Background())
	m := &simulated{c: c, cancel: cancel, cursor: c.state.History().Find(0, time.Now().UnixMilli())}
	m.ended.Go(func() { _ = c.runProbes(ctx) })
	m.ended.Go(func() { _ = c.tick(ctx) })
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.members[name] = m
}

// set is the checks of the cluster, whose runs are noted.
func (cl *cluster) set(c *Collector) *probeSet {
	set := &probeSet{pulse: time.Minute}
	for i := range cl.checks {
		name := fmt.Sprintf("tcp/check%d", i+1)
		note := func(to *[]ran) {
			cl.mu.Lock()
			defer cl.mu.Unlock()
			*to = append(*to, ran{time.Now(), name, c.opt.Host})
		}
		collect := func(context.Context, time.Time, *batch.Batch) error { note(&cl.runs); return nil }
		p := &fakeOutsider{fake{name: name, interval: cl.interval, collect: collect}, func() { note(&cl.left) }}
		if err := set.share(c.opt, p, cl.interval, &sharedCheck{check: share.Check{Vantage: cl.vantage}}); err != nil {
			cl.t.Fatal(err)
		}
	}
	return set
}

// reload puts another set in force at a member.
func (cl *cluster) reload(name string, change func(*probeSet)) {
	c := cl.members[name].c
	next := cl.set(c)
	change(next)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = next
	close(c.changed)
	c.changed = make(chan struct{})
}

// takenBack is the checks of which a member has taken its word back since then, by name.
func (cl *cluster) takenBack(member string, since time.Time) (checks []string) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	for _, r := range cl.left {
		if r.member == member && !r.at.Before(since) {
			checks = append(checks, r.check)
		}
	}
	slices.Sort(checks)
	return checks
}

// die ends a member without a word to the others; leave ends it as a stopped service ends.
func (cl *cluster) die(name string) {
	cl.mu.Lock()
	cl.apart[name] = true
	cl.mu.Unlock()
	cl.leave(name)
	cl.mu.Lock()
	defer cl.mu.Unlock()
	delete(cl.apart, name)
}

func (cl *cluster) leave(name string) {
	m := cl.members[name]
	m.cancel()
	m.ended.Wait()
	cl.carry()
	cl.mu.Lock()
	delete(cl.members, name)
	cl.mu.Unlock()
	if err := m.c.Close(); err != nil {
		cl.t.Error(err)
	}
}

// runners lets that much time pass and gives who ran each check meanwhile.
func (cl *cluster) runners(d time.Duration) map[string][]string {
	start := time.Now()
	time.Sleep(d)
	synctest.Wait()
	cl.mu.Lock()
	defer cl.mu.Unlock()
	by := make(map[string][]string)
	for i := range cl.checks {
		by[fmt.Sprintf("tcp/check%d", i+1)] = nil
	}
	for _, r := range cl.runs {
		if r.at.After(start) && !slices.Contains(by[r.check], r.member) {
			by[r.check] = append(by[r.check], r.member)
		}
	}
	for _, of := range by {
		slices.Sort(of)
	}
	return by
}

// settled fails unless every check had exactly n runners in the next two intervals; it gives them.
func (cl *cluster) settled(what string, n int) map[string][]string {
	cl.t.Helper()
	by := cl.runners(2 * cl.interval)
	for check, of := range by {
		if len(of) != n {
			cl.t.Errorf("%s: %s is run by %q, want %d runners", what, check, of, n)
		}
	}
	return by
}

// gap is the longest time without a run that any check has had since then.
func (cl *cluster) gap(since time.Time) (longest time.Duration) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	last := make(map[string]time.Time)
	for _, r := range cl.runs {
		if before, ok := last[r.check]; ok && r.at.After(since) {
			longest = max(longest, r.at.Sub(before))
		}
		last[r.check] = r.at
	}
	for _, at := range last {
		longest = max(longest, time.Since(at))
	}
	return longest
}

// takeover is the longest time from a member's death until another one, who did not do so before, ran its check.
func (cl *cluster) takeover(t *testing.T, died time.Time, before map[string][]string, dead string) (longest time.Duration) {
	t.Helper()
	cl.mu.Lock()
	defer cl.mu.Unlock()
	lost := 0
	for check, of := range before {
		if !slices.Contains(of, dead) {
			continue
		}
		lost++
		i := slices.IndexFunc(cl.runs, func(r ran) bool { return r.check == check && r.at.After(died) && !slices.Contains(of, r.member) })
		if i < 0 {
			t.Errorf("%s of %s is not taken over after two intervals", check, dead)
			continue
		}
		longest = max(longest, cl.runs[i].at.Sub(died))
	}
	if lost == 0 {
		t.Fatalf("%s ran no check: choose other names", dead)
	}
	return longest
}
