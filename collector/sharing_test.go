package collector

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/share"
	"keepwatch/collector/state"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
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
}

type simulated struct {
	c      *Collector
	cancel context.CancelFunc
	ended  sync.WaitGroup
	cursor state.Cursor
}

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
			if boot, ok := frame.HeaderBoot(e.Datagram); !ok || boot != from.c.boot || cl.apart[name] {
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
		p := &fake{name: name, interval: cl.interval, collect: func(context.Context, time.Time, *batch.Batch) error {
			cl.mu.Lock()
			defer cl.mu.Unlock()
			cl.runs = append(cl.runs, ran{time.Now(), name, c.opt.Host})
			return nil
		}}
		if err := set.share(c.opt, p, cl.interval, &sharedCheck{check: share.Check{Vantage: cl.vantage}}); err != nil {
			cl.t.Fatal(err)
		}
	}
	return set
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

// inBubble runs f on a clock that jumps. What compresses frames is made before: it is one for all tests, and what is made
// inside of a bubble may not be used in the next one.
func inBubble(t *testing.T, f func(t *testing.T)) {
	if _, err := batch.Decompress(nil, batch.Compress(nil, []byte("anything"))); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, f)
}

func TestDeadMembersChecksAreTakenOverWithinTwoIntervals(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 3 * time.Second, 15 * time.Second, time.Minute} {
		for _, vantage := range []int{1, 2} {
			t.Run(fmt.Sprintf("%v, %d vantage points", interval, vantage), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					cl := newCluster(t, interval, 12, vantage)
					for _, name := range []string{"h1", "h2", "h3", "h4"} {
						cl.join(name)
					}
					cl.runners(interval + 2*maxBeat)
					before := cl.settled("four members", vantage)
					died := time.Now()
					cl.die("h1")
					cl.runners(2 * interval)
					took := cl.takeover(t, died, before, "h1")
					after := cl.settled("one is dead", vantage)
					for check, of := range before {
						if !slices.Contains(of, "h1") && !slices.Equal(of, after[check]) {
							t.Errorf("%s was not of h1: it moved from %q to %q", check, of, after[check])
						}
					}
					t.Logf("taken over within %v, %.2f intervals", took, took.Seconds()/interval.Seconds())
				})
			})
		}
	}
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

func TestMembersComeGoAndAreCutOff(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const interval = 10 * time.Second
		cl := newCluster(t, interval, 20, 1)
		cl.join("h1")
		cl.runners(interval + 2*maxBeat)
		cl.settled("alone", 1)
		since := time.Now()
		cl.join("h2")
		cl.join("h3")
		cl.runners(2 * interval)
		before := cl.settled("two more", 1)
		if got := strings.Join(slices.Compact(slices.Sorted(maps.Values(flat(before)))), " "); got != "h1 h2 h3" {
			t.Errorf("the checks are of %q", got)
		}
		cl.leave("h2")
		goodbye := cl.runners(2 * time.Second) // others hear that it leaves
		for check, of := range before {
			if of[0] == "h2" && len(goodbye[check]) == 0 {
				t.Errorf("%s was of h2, which said that it leaves, and is not run at once", check)
			}
		}
		cl.settled("one left", 1)
		cl.mu.Lock()
		cl.apart["h3"] = true
		cl.mu.Unlock()
		cl.runners(2 * interval)
		cl.settled("cut in two, each side runs all", 2)
		cl.mu.Lock()
		cl.apart["h3"] = false
		cl.mu.Unlock()
		cl.runners(interval)
		cl.settled("together again", 1)
		if gap := cl.gap(since); gap > 2*interval {
			t.Errorf("some check did not run for %v", gap)
		}
	})
}

func flat(by map[string][]string) map[string]string {
	out := make(map[string]string)
	for check, of := range by {
		if len(of) > 0 {
			out[check] = of[0]
		}
	}
	return out
}

// A reload that keeps a check does not give it away.
func TestReloadKeepsChecks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cl := newCluster(t, 10*time.Second, 8, 1)
		cl.join("h1")
		cl.join("h2")
		cl.runners(30 * time.Second)
		before := cl.settled("before", 1)
		c := cl.members["h1"].c
		next := cl.set(c)
		c.mu.Lock()
		gone := next.shared[0].name
		next.shared = next.shared[1:]
		c.set = next
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		after := cl.settled("after", 1)
		for check, of := range before {
			if want := of[0]; check != gone && after[check][0] != want {
				t.Errorf("%s moved from %s to %s", check, want, after[check][0])
			}
		}
		if got := after[gone]; !slices.Equal(got, []string{"h2"}) {
			t.Errorf("%s, which h1 lists no more, is run by %q", gone, got)
		}
	})
}

func TestSharedChecksAreMadeOfTheConfiguration(t *testing.T) {
	c := newQuiet(t, nil)
	defer c.Close()
	full := c.conf
	full.Checks = conf.Checks{
		TCP:  []conf.TCPCheck{{Name: "web", Host: "vip", Target: "192.0.2.1:80", Interval: 5 * time.Second, Timeout: time.Second, Vantage: 3, Quorum: 2}},
		SNMP: []conf.SNMPProbe{{Host: "switch1", Target: "192.0.2.2", Version: "2c", Timeout: time.Second}},
	}
	set, err := c.buildProbes(full)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.sharedStatus(set, time.Now()) {
		got = append(got, fmt.Sprintf("%s of %s each %v at %d, quorum %d: %q of %d, here %v", s.Name, s.Target, s.Interval, s.Vantage, s.Quorum, s.Runners, s.Ready, s.Here))
	}
	want := `snmp/switch1 of 192.0.2.2 each 15s at 1, quorum 0: ["web1"] of 1, here false
tcp/web of 192.0.2.1:80 each 5s at 3, quorum 2: ["web1"] of 1, here false`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	f := func(want string, change func(*conf.Collector)) {
		t.Helper()
		bad := full
		bad.Checks.TCP = slices.Clone(full.Checks.TCP)
		change(&bad)
		if _, err := c.buildProbes(bad); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("collector.checks.tcp[0]: target", func(c *conf.Collector) { c.Checks.TCP[0].Target = "nowhere" })
	f("collector.checks.snmp[0]: ", func(c *conf.Collector) { c.Probes.SNMP = c.Checks.SNMP })
	f("collector.checks: 1001 checks", func(c *conf.Collector) { c.Checks.TCP = make([]conf.TCPCheck, 1000) })
}
