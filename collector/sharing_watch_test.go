package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/share"
	"keepwatch/collector/state"
	"keepwatch/internal/batch"
	"keepwatch/internal/netnstest"
	"keepwatch/metric"
)

// watcher follows the history of a collector that lists no check itself.
type watcher struct {
	mu     sync.Mutex
	ran    map[string]map[string]int // runs by check and host that ran it
	looked map[string]int64          // ms: the last run of a host, of whatever check
	up     map[string][]float64      // what was said of a check since clear
	left   map[string][]string       // hosts that took their word on a check back
	events []string
	told   map[string]bool // IDs of events: each goes out more than once
}

func watchChecks(t *testing.T, c *Collector) *watcher {
	t.Helper()
	w := &watcher{looked: make(map[string]int64), told: make(map[string]bool)}
	w.clear()
	ring, err := LoadKeys(c.opt.Config.Keys, "")
	if err != nil {
		t.Fatal(err)
	}
	opener, err := frame.NewOpener(frame.OpenerOptions{Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		var dec batch.Decoder
		cursor := c.state.History().Find(0, time.Now().UnixMilli())
		for ctx.Err() == nil {
			entries, changed, _ := c.state.History().Read(&cursor, make([]state.Entry, 0, 100), time.Now().UnixMilli())
			for _, e := range entries {
				var b batch.Batch
				f, err := opener.Open(e.Datagram, time.UnixMilli(e.At))
				if err == nil {
					err = dec.Decode(f.Payload, &b)
				}
				if err != nil {
					t.Error(err)
				}
				w.take(&b, &f)
			}
			if len(entries) == 0 {
				select {
				case <-changed:
				case <-ctx.Done():
				}
			}
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return w
}

func (w *watcher) take(b *batch.Batch, f *frame.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	note := func(check string) {
		if w.ran[check] == nil {
			w.ran[check] = make(map[string]int)
		}
		w.ran[check][f.Host]++
	}
	for _, s := range b.Samples {
		switch {
		case s.Series.Name == share.View && s.Series.Label("vantage") == f.Host:
			note("tcp/" + s.Series.Label("check"))
			w.looked[f.Host] = s.Time
		case s.Series.Name == share.Interval && s.Value == 0:
			name := "tcp/" + s.Series.Label("check")
			w.left[name] = append(w.left[name], s.Series.Label("vantage"))
		case s.Series.Name == "snmp_up" && s.Value == 1:
			note("snmp/" + s.Series.Host)
		case s.Series.Name == share.Up:
			name := s.Series.Label("check")
			w.up[name] = append(w.up[name], s.Value)
		}
	}
	for _, e := range b.Events {
		if e.Kind == metric.EventCheckDown && !w.told[e.ID] {
			w.told[e.ID] = true
			w.events = append(w.events, e.Host+": "+e.Text)
		}
	}
}

func (w *watcher) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ran, w.up, w.left, w.events = make(map[string]map[string]int), make(map[string][]float64), make(map[string][]string), nil
}

// settled waits until each check was run by exactly as many hosts as it wants, three times by each of them, with no
// run by others meanwhile.
func (w *watcher) settled(t *testing.T, what string, want map[string]int) (by map[string][]string) {
	t.Helper()
	w.mu.Lock()
	w.ran = make(map[string]map[string]int)
	w.mu.Unlock()
	netnstest.Await(t, what, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		by = make(map[string][]string)
		most := 0
		for check, n := range want {
			for host, runs := range w.ran[check] {
				most = max(most, runs)
				by[check] = append(by[check], fmt.Sprintf("%s×%d", host, runs))
				if runs < 3 {
					n = -1
				}
			}
			if len(by[check]) != n {
				if most > 6 { // what ran before is over: look anew
					w.ran = make(map[string]map[string]int)
				}
				return fmt.Errorf("%s is run by %q, want %d hosts", check, by[check], want[check])
			}
		}
		return nil
	})
	for check, of := range by {
		for i := range of {
			of[i], _, _ = strings.Cut(of[i], "×")
		}
		slices.Sort(of)
		by[check] = of
	}
	return by
}

// says waits until that is what is said of a check.
func (w *watcher) says(t *testing.T, check string, value float64) {
	t.Helper()
	w.clear()
	netnstest.Await(t, fmt.Sprintf("%s being %v", check, value), func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if said := w.up[check]; len(said) == 0 || said[len(said)-1] != value {
			return fmt.Errorf("said were %v", said)
		}
		return nil
	})
}

// sinceClear waits until something is said of a check, and gives all that was said of it since clear.
func (w *watcher) sinceClear(t *testing.T, check string) (said []float64) {
	t.Helper()
	netnstest.Await(t, "a word on "+check, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if said = slices.Clone(w.up[check]); len(said) == 0 {
			return errors.New("nothing is said")
		}
		return nil
	})
	return said
}

func (w *watcher) awaitEvent(t *testing.T, text string) {
	t.Helper()
	netnstest.Await(t, text, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !slices.Contains(w.events, text) {
			return fmt.Errorf("events are %q", w.events)
		}
		return nil
	})
}

// takenOver waits until every check of a host that is gone was run by as many others as are wanted.
func (w *watcher) takenOver(t *testing.T, before map[string][]string, gone string, want map[string]int) {
	t.Helper()
	netnstest.Await(t, "others in the place of "+gone, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for check, of := range before {
			others := len(w.ran[check])
			if w.ran[check][gone] > 0 {
				others--
			}
			if slices.Contains(of, gone) && others < want[check] {
				return fmt.Errorf("%s is run by %v", check, w.ran[check])
			}
		}
		return nil
	})
}
