package collector

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
)

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

// A reload that keeps a check neither gives it away nor takes back what was said of it.
func TestReloadKeepsChecks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cl := newCluster(t, 10*time.Second, 8, 1)
		cl.join("h1")
		cl.join("h2")
		cl.runners(30 * time.Second)
		before := cl.settled("before", 1)
		var gone string
		for check, of := range before {
			if of[0] == "h1" {
				gone = check
			}
		}
		reloaded := time.Now()
		cl.reload("h1", func(next *probeSet) {
			next.shared = slices.DeleteFunc(next.shared, func(s *sharedCheck) bool { return s.name == gone })
		})
		after := cl.settled("after", 1)
		for check, of := range before {
			if want := of[0]; check != gone && after[check][0] != want {
				t.Errorf("%s moved from %s to %s", check, want, after[check][0])
			}
		}
		if got := after[gone]; !slices.Equal(got, []string{"h2"}) {
			t.Errorf("%s, which h1 lists no more, is run by %q", gone, got)
		}
		if got := cl.takenBack("h1", reloaded); !slices.Equal(got, []string{gone}) {
			t.Errorf("h1 took its word on %q back, want %s", got, gone)
		}
		stopped := time.Now()
		cl.leave("h1")
		var want []string
		for check, of := range after {
			if of[0] == "h1" {
				want = append(want, check)
			}
		}
		slices.Sort(want)
		if got := cl.takenBack("h1", stopped); !slices.Equal(got, want) {
			t.Errorf("at its end h1 took its word on %q back, want %q", got, want)
		}
	})
}

// What was said of a check that a reload keeps, but gives to others, is taken back; so is that of checks whose next set
// never came to run.
func TestReloadGivesChecksAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cl := newCluster(t, 10*time.Second, 8, 2)
		cl.join("h1")
		cl.join("h2")
		cl.runners(30 * time.Second)
		cl.settled("before", 2)
		reloaded := time.Now()
		cl.reload("h1", func(next *probeSet) {
			for _, s := range next.shared {
				s.check.Vantage = 1
			}
		})
		after := cl.runners(20 * time.Second)
		var want []string
		for check, of := range after {
			if !slices.Contains(of, "h1") {
				want = append(want, check)
			}
		}
		slices.Sort(want)
		if got := cl.takenBack("h1", reloaded); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("h1 took its word on %q back, want %q", got, want)
		}

		stopped := time.Now()
		cl.reload("h2", func(next *probeSet) { next.shared = next.shared[:4] })
		cl.leave("h2")
		if got := cl.takenBack("h2", stopped); len(got) != 8 {
			t.Errorf("at its end, amid a reload, h2 took its word on %q back, want all", got)
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
