package collector

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// here waits until each check runs at exactly one of the collectors, who all know each other, and gives those of the
// first.
func here(t *testing.T, collectors ...*Collector) (first []string) {
	t.Helper()
	netnstest.Await(t, "each check at one collector", func() error {
		first = nil
		at := make(map[string]int)
		for i, c := range collectors {
			for _, s := range c.Status().Checks {
				if s.Ready != len(collectors) {
					return fmt.Errorf("%s: %d stand ready", s.Name, s.Ready)
				}
				if !s.Here || s.Ran.IsZero() {
					continue
				}
				at[s.Name]++
				if i == 0 {
					first = append(first, s.Name)
				}
			}
		}
		for _, s := range collectors[0].Status().Checks {
			if at[s.Name] != 1 {
				return fmt.Errorf("%s runs at %d", s.Name, at[s.Name])
			}
		}
		return nil
	})
	return first
}

// The goodbye of a collector that is stopped leaves it: others take its checks over without waiting for its silence to
// be long enough, which here takes longer than Await has patience. What it heard until the end is in its file.
func TestStoppedCollectorSaysGoodbye(t *testing.T) {
	nodes := hosts(t, 2)
	cfg := quiet(t)
	for i := range 8 {
		cfg.Checks.TCP = append(cfg.Checks.TCP, conf.TCPCheck{
			Name: fmt.Sprintf("web%d", i+1), Host: "vip", Target: "127.0.0.1:1", Interval: time.Minute, Timeout: 10 * time.Second, Vantage: 1, Quorum: 1,
		})
	}
	h1, stop := start(t, nodes[0], "h1", cfg)
	h2, _ := start(t, nodes[1], "h2", cfg)
	w := watchChecks(t, h2)
	before := here(t, h1, h2)
	if len(before) == 0 {
		t.Fatal("h1 runs no check: choose other names")
	}
	stopped := time.Now()
	stop()
	after := here(t, h2)
	t.Logf("h2 ran the %d checks of h1 too %v after it was stopped", len(before), time.Since(stopped).Round(time.Millisecond))
	if len(after) != len(cfg.Checks.TCP) {
		t.Errorf("h2 runs %q", after)
	}
	netnstest.Await(t, "h1 to take its words back", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, check := range before {
			if !slices.Contains(w.left[check], "h1") {
				return errors.New(check + " is not taken back")
			}
		}
		return nil
	})
	saved, err := readSenders(filepath.Join(h1.opt.DataDir, sendersFile))
	byHost := func(a, b frame.Sender) int { return cmp.Compare(a.Host, b.Host) }
	slices.SortFunc(saved, byHost)
	heard := h1.state.Senders(nil)
	slices.SortFunc(heard, byHost)
	if err != nil || !reflect.DeepEqual(saved, heard) {
		t.Errorf("the file has %+v, %v; heard were %+v", saved, err, heard)
	}
}
