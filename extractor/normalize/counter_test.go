package normalize

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

func requests() *metric.Series {
	return metric.MustSeries("web", "web1", "gmond_requests", []metric.Label{{Name: "source", Value: "gmond"}}, "", metric.Counter)
}

// increase is what PromQL counts over stored values: of a drop, the value after it.
func increase(stored []float64) (sum float64) {
	for i := 1; i < len(stored); i++ {
		if d := stored[i] - stored[i-1]; d >= 0 {
			sum += d
		} else {
			sum += stored[i]
		}
	}
	return sum
}

// Property: whatever steps a counter of 32 bits takes, of less than a quarter of its range, and wherever it is reset,
// and whenever the extractor is restarted, PromQL counts over the stored series what happened.
func TestWrapsAreUnwound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := normalizer(t)
		raw := rapid.Uint32().Draw(t, "first value")
		var truth float64
		stored := []float64{n.one(requests(), 1000, float64(raw))[0].Value}
		steps := rapid.SliceOfN(rapid.Uint32Range(0, 1<<30-1), 1, 60).Draw(t, "steps")
		for i, step := range steps {
			at := int64(i+2) * 1000
			switch what := rapid.IntRange(0, 19).Draw(t, "what"); {
			case what == 0 && raw > 0:
				// A reset: to below what it was, and no step over the edge would explain it.
				top := raw - 1
				if raw >= nearEdge {
					top = nearEdge - 1
				}
				to := rapid.Uint32Range(0, top).Draw(t, "reset to")
				if float64(raw) >= nearEdge && float64(to)+wrapAt-float64(raw) < maxStep {
					break // it looks like a wrap, to anybody
				}
				raw, truth = to, truth+float64(to)
				stored = append(stored, n.one(requests(), at, float64(raw))[0].Value)
				continue
			case what == 1:
				n = restarted(t, n)
			}
			raw, truth = raw+step, truth+float64(step) // wraps by itself
			stored = append(stored, n.one(requests(), at, float64(raw))[0].Value)
		}
		if got := increase(stored); got != truth {
			t.Fatalf("PromQL counts %v, want %v; stored %v", got, truth, stored)
		}
	})
}

// restarted is a normalizer that knows what the file of an extractor keeps.
func restarted(t test, n *Normalizer) *Normalizer {
	text, err := json.Marshal(n.Wraps())
	if err != nil {
		t.Fatal(err)
	}
	var wraps map[string]Wrap
	if err := json.Unmarshal(text, &wraps); err != nil {
		t.Fatal(err)
	}
	last := n.counters.m[requests().Key()]
	next := normalizer(t)
	next.Restore(wraps)
	if len(wraps) == 0 {
		// Without a wrap nothing is kept: the stream goes on a little before where it ended.
		next.one(requests(), last.At, last.Last)
	}
	return next
}

func TestCounterCases(t *testing.T) {
	f := func(name string, raw []float64, want ...float64) {
		t.Helper()
		n := normalizer(t)
		for i, v := range raw {
			if got := n.one(requests(), int64(i+1)*1000, v)[0].Value; got != want[i] {
				t.Errorf("%s: value %d of %v is stored as %v, want %v", name, i, raw, got, want[i])
			}
		}
	}
	const top = wrapAt - 1
	f("a wrap", []float64{top, 5}, top, wrapAt+5)
	f("two wraps", []float64{top, 5, nearEdge + 10, 3, 4}, top, wrapAt+5, wrapAt+nearEdge+10, 2*wrapAt+3, 2*wrapAt+4)
	f("a reset from low", []float64{1e9, 5}, 1e9, 5)
	f("a reset from high, too far for a wrap", []float64{nearEdge, maxStep + 1}, nearEdge, maxStep+1)
	f("a reset after a wrap", []float64{top, 1e9, 5, 7}, top, wrapAt+1e9, 5, 7)
	f("a counter of 64 bits", []float64{wrapAt + 1, top, 5}, wrapAt+1, top, 5)
}

// After a restart a little comes again: it gets what it got the first time, and changes nothing.
func TestOldValuesAfterARestart(t *testing.T) {
	n := normalizer(t)
	raw := []float64{wrapAt - 20, wrapAt - 10, 5, 15}
	var first []float64
	for i, v := range raw {
		first = append(first, n.one(requests(), int64(i+1)*1000, v)[0].Value)
	}
	n = restarted(t, n)
	for i, v := range append(raw, 25) {
		want := float64(wrapAt + 25)
		if i < len(first) {
			want = first[i]
		}
		if got := n.one(requests(), int64(i+1)*1000, v)[0].Value; got != want {
			t.Errorf("value %v came again as %v, want %v", v, got, want)
		}
	}
}

// The clock by which a counter came was ahead for a while.
func TestWrapAfterAClockWasAhead(t *testing.T) {
	n := normalizer(t)
	var got []float64
	for _, x := range []struct {
		sec int64
		raw float64
	}{{30_000, wrapAt - 20}, {30_010, 5}, {1000, 15}, {1010, wrapAt - 5}, {1020, 25}} {
		got = append(got, n.one(requests(), x.sec*1000, x.raw)[0].Value)
	}
	if want := []float64{wrapAt - 20, wrapAt + 5, wrapAt + 15, 2*wrapAt - 5, 2*wrapAt + 25}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCountersAreBounded(t *testing.T) {
	cs := newCounters()
	for i := range maxWrapped + 10 {
		c := cs.of(fmt.Sprint(i))
		cs.unwind(c, 1000, wrapAt-1)
		got := cs.unwind(c, 2000, 1)
		if want := float64(wrapAt + 1); i < maxWrapped && got != want || i >= maxWrapped && got != 1 {
			t.Fatalf("counter %d gives %v", i, got)
		}
	}
	if n := len(cs.wraps()); n != maxWrapped {
		t.Errorf("%d are kept over a restart, want %d", n, maxWrapped)
	}
	c := cs.of("0")
	for i := int64(2); i < 10_000; i++ { // up and over the edge, once a second
		cs.unwind(c, i*2000, wrapAt-1)
		cs.unwind(c, i*2000+1000, 1)
	}
	if len(c.Steps) > maxSteps+1 {
		t.Errorf("%d steps are held", len(c.Steps))
	}
	cs.sweep()
	if len(cs.m) != maxWrapped {
		t.Errorf("after a sweep there are %d counters, want those that wrapped", len(cs.m))
	}
	cs.newest += 25 * forgetAfter
	cs.sweep()
	if len(cs.m) != 0 || cs.wrapped != 0 {
		t.Errorf("after a day of silence there are %d counters, %d wrapped", len(cs.m), cs.wrapped)
	}
}

func TestRestoreRefusesNonsense(t *testing.T) {
	cs := newCounters()
	cs.restore(map[string]Wrap{"a": {Last: 1}, "b": {Steps: make([]Step, maxSteps+1)}})
	if len(cs.m) != 0 || cs.wrapped != 0 {
		t.Errorf("got %v", cs.m)
	}
	if v := cs.unwind(cs.of("a"), 1, math.MaxFloat64); v != math.MaxFloat64 {
		t.Errorf("got %v", v)
	}
}

func TestNumbersStayNumbers(t *testing.T) {
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s := metric.MustSeries("c", "web1", "gmond_cpu_speed", nil, "MHz", metric.Gauge)
	for _, v := range []float64{math.MaxFloat64, -math.MaxFloat64} {
		b := &batch.Batch{Samples: []metric.Sample{{Series: s, Time: 1, Value: v}}}
		n.Batch(b, nil)
		if got := b.Samples[0].Value; got != v {
			t.Errorf("%v MHz became %v %s, want the largest number there is", v, got, b.Samples[0].Series.Unit)
		}
	}
}
