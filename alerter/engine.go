package alerter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/alerter/message"
	"keepwatch/alerter/rule"
	"keepwatch/bus"
	"keepwatch/metric"
)

const (
	maxLag     = 5 * time.Second // further behind, silence is the bus' and not the series'
	sweepEvery = time.Hour
	forget     = 24 * time.Hour // an unremarkable series that is silent for longer is forgotten
)

var (
	judged      = metrics.GetOrCreateCounter("keepwatch_alerter_samples_judged_total")
	dropped     = metrics.GetOrCreateCounter("keepwatch_alerter_dropped_writes_total")
	badRules    = metrics.GetOrCreateCounter("keepwatch_alerter_unusable_rules_total")
	transitions = map[rule.State]*metrics.Counter{
		rule.OK: transitionCounter(rule.OK), rule.Warning: transitionCounter(rule.Warning),
		rule.Critical: transitionCounter(rule.Critical), rule.Unknown: transitionCounter(rule.Unknown),
	}
)

func transitionCounter(s rule.State) *metrics.Counter {
	return metrics.GetOrCreateCounter(fmt.Sprintf("keepwatch_alerter_transitions_total{to=%q}", s))
}

// engine is what a leader knows: rules, series under them, and what is judged but not stored yet.
type engine struct {
	opt  Options
	fail func(error) // ends the term

	mu       sync.Mutex // held while judging and storing, so that what is stored has one order
	watches  map[int32]*watch
	byMetric map[string][]*watch
	cache    map[*metric.Series][]*track // which tracks a sample of this series is for; nil: none
	unsaved  []write
	held     bool  // the last flush failed
	awake    int64 // ms: silence is counted from then on, since before it nothing could be heard
	swept    int64 // ms
	unusable map[int32]int32
}

// write is a machine to be stored, with the change that it has gone through, if any.
type write struct {
	track   *track
	watch   *watch // as it was then
	machine rule.Machine
	change  *rule.Transition
	closed  message.Closed
}

func newEngine(opt Options, now int64, fail func(error)) *engine {
	return &engine{
		opt: opt, fail: fail, watches: make(map[int32]*watch), byMetric: make(map[string][]*watch),
		cache: make(map[*metric.Series][]*track), awake: now, swept: now, unusable: make(map[int32]int32),
	}
}

// take judges what the bus delivers and stores what came of it. When that fails the bus delivers the same again:
// the samples are old then, and what they have led to still waits to be stored.
func (e *engine) take(ctx context.Context, messages []bus.Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now().UnixMilli()
	for _, m := range messages {
		e.judge(m.Batch.Samples, now)
	}
	return e.flush(ctx)
}

// judge runs the machines of all samples that are watched. A sample that is not costs one look into a map.
func (e *engine) judge(samples []metric.Sample, now int64) {
	n := 0
	for i := range samples {
		s := &samples[i]
		tracks, known := e.cache[s.Series]
		if !known {
			tracks = e.find(s.Series)
			e.cache[s.Series] = tracks
		}
		for _, t := range tracks {
			n++
			m, change := t.watch.limits.Step(t.machine.Awake(e.awake), rule.Input{Time: s.Time, Value: s.Value}, now)
			t.machine = m
			if change != nil || t.waits() {
				e.note(t, change, "")
			}
		}
	}
	judged.Add(n)
}

// find makes or finds the tracks of a series.
func (e *engine) find(s *metric.Series) []*track {
	var tracks []*track
	for _, w := range e.byMetric[s.Name] {
		if w.selector.Matches(s) {
			tracks = append(tracks, w.track(s))
		}
	}
	return tracks
}

// note marks a machine as to be stored.
func (e *engine) note(t *track, change *rule.Transition, closed message.Closed) {
	t.machine.Writes = max(t.machine.Writes+1, time.Now().UnixMilli())
	t.stored = t.storable()
	e.unsaved = append(e.unsaved, write{track: t, watch: t.watch, machine: t.machine, change: change, closed: closed})
	if change != nil {
		transitions[change.To].Inc()
	}
}

// tick lets time pass: series that are silent become UNKNOWN. Unless the alerter is heard to be up with the bus,
// silence says nothing and is counted from now on.
func (e *engine) tick(ctx context.Context, now int64, upToDate bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.awake, e.swept = min(e.awake, now), min(e.swept, now) // our clock may have been ahead then
	if !upToDate || len(e.unsaved) > 0 {
		e.awake = now
		return e.flush(ctx)
	}
	for _, w := range e.watches {
		if w.limits.NoData == 0 {
			continue
		}
		for _, t := range w.tracks {
			m, change := w.limits.Step(t.machine.Awake(e.awake), rule.Input{Tick: true}, now)
			t.machine = m
			if change != nil || t.waits() {
				e.note(t, change, "")
			}
		}
	}
	if time.Duration(now-e.swept)*time.Millisecond > sweepEvery {
		e.sweep(now)
	}
	return e.flush(ctx)
}

// sweep forgets series that nothing is to be remembered of, so that memory follows what is there.
func (e *engine) sweep(now int64) {
	e.swept = now
	for _, w := range e.watches {
		for key, t := range w.tracks {
			if t.machine.Unremarkable() && now-t.machine.Seen > forget.Milliseconds() {
				delete(w.tracks, key)
			}
		}
	}
	clear(e.cache)
}
