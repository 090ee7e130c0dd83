package collector

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// reloaded puts a configuration in force and waits until the one check in it has run by it, and w knows.
func reloaded(t *testing.T, c *Collector, w *watcher, cfg conf.Collector) {
	t.Helper()
	if err := c.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	netnstest.Await(t, "a run of the new configuration", func() error {
		ran := c.Status().Checks[0].Ran
		w.mu.Lock()
		defer w.mu.Unlock()
		if ran.IsZero() || w.looked[c.opt.Host] < ran.UnixMilli() {
			return fmt.Errorf("it ran at %v, seen was a run at %v", ran, time.UnixMilli(w.looked[c.opt.Host]))
		}
		return nil
	})
}

// A reload changes nothing of what is said of a check that it keeps: what was down stays so without a moment of up, and
// is no event again. A check of another target is another one: what was said of the old target is taken back.
func TestReloadKeepsWhatWasSaid(t *testing.T) {
	nodes := hosts(t, 2)
	cfg := quiet(t)
	cfg.Checks.TCP = []conf.TCPCheck{{
		Name: "web", Host: "vip", Target: "127.0.0.1:1", Interval: 10 * time.Second, Timeout: 5 * time.Second, Vantage: 2, Quorum: 2,
	}}
	h1, _ := start(t, nodes[0], "h1", cfg)
	start(t, nodes[1], "h2", cfg)
	w := watchChecks(t, h1)
	w.awaitEvent(t, "vip: check web of 127.0.0.1:1, seen from h1: connection refused: nothing listens there")
	w.awaitEvent(t, "vip: check web of 127.0.0.1:1, seen from h2: connection refused: nothing listens there")
	w.says(t, "web", 0)
	w.clear()
	for range 2 { // the events of the first have come when the second has run
		cfg.HostDmax += time.Minute
		reloaded(t, h1, w, cfg)
	}
	w.mu.Lock()
	if up, left := w.up["web"], w.left["tcp/web"]; slices.Contains(up, 1) || len(left) > 0 || len(w.events) > 0 {
		t.Errorf("said to be up: %v; taken back by %q; told again: %q", up, left, w.events)
	}
	w.mu.Unlock()

	cfg.Checks.TCP = slices.Clone(cfg.Checks.TCP)
	cfg.Checks.TCP[0].Target = "127.0.0.2:1"
	reloaded(t, h1, w, cfg)
	w.awaitEvent(t, "vip: check web of 127.0.0.2:1, seen from h1: connection refused: nothing listens there")
	w.mu.Lock()
	defer w.mu.Unlock()
	if left := w.left["tcp/web"]; !slices.Equal(left, []string{"h1"}) {
		t.Errorf("the word on the old target was taken back by %q, want h1", left)
	}
}
