package rule_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keepwatch/alerter/rule"
	"keepwatch/metric/threshold"
)

func mustRange(t testing.TB, text string) threshold.Range {
	t.Helper()
	r, err := threshold.ParseRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Scenarios: "time value" a step, times in seconds; "time tick" is the passing of time; "time value @arrival" a
// sample that arrived at another time. After the arrow the state, with ! when it changed in this step.
var scenarios = []struct {
	name                string
	warning, critical   string
	transform           string
	hold, clear, nodata int // seconds
	steps               []string
}{
	{"without for the first sample decides", "80", "90", "value", 0, 0, 0, []string{
		"1 50 → ok", "2 81 → !warning", "3 95 → !critical", "4 85 → !warning", "5 10 → !ok", "6 99 → !critical", "7 0 → !ok"}},
	{"for: outside continuously", "80", "", "value", 60, 0, 0, []string{
		"1 90 → ok", "31 90 → ok", "60 90 → ok", "61 90 → !warning"}},
	{"for: one sample inside starts anew", "80", "", "value", 60, 0, 0, []string{
		"1 90 → ok", "50 10 → ok", "61 90 → ok", "120 90 → ok", "121 90 → !warning"}},
	{"for: critical counts as warning too, but not the other way round", "80", "90", "value", 60, 0, 0, []string{
		"1 95 → ok", "31 85 → ok", "61 95 → !warning", "91 95 → warning", "121 95 → !critical"}},
	{"for: escalation at once when critical held", "80", "90", "value", 30, 0, 0, []string{
		"1 85 → ok", "11 95 → ok", "31 95 → !warning", "41 95 → !critical"}},
	{"critical at once from ok", "80", "90", "value", 30, 0, 0, []string{
		"1 95 → ok", "31 95 → !critical"}},
	{"clear: inside continuously", "80", "", "value", 0, 60, 0, []string{
		"1 90 → !warning", "2 10 → warning", "32 10 → warning", "40 90 → warning", "41 10 → warning", "100 10 → warning", "101 10 → !ok"}},
	{"clear: critical falls to warning, then to ok", "80", "90", "value", 0, 60, 0, []string{
		"1 95 → !critical", "10 85 → critical", "60 10 → critical", "70 10 → !warning", "119 10 → warning", "120 10 → !ok"}},
	{"clear: critical to ok directly", "80", "90", "value", 0, 60, 0, []string{
		"1 95 → !critical", "10 10 → critical", "70 10 → !ok"}},
	{"clear: only critical set", "", "1:", "value", 0, 5, 0, []string{
		"1 0 → !critical", "2 1 → critical", "7 1 → !ok"}},
	{"bounds belong to the range", "10:20", "", "value", 0, 0, 0, []string{
		"1 10 → ok", "2 20 → ok", "3 20.5 → !warning", "4 9.5 → warning", "5 15 → !ok"}},
	{"inside range", "@2:3", "", "value", 0, 0, 0, []string{
		"1 1 → ok", "2 2 → !warning", "3 3 → warning", "4 4 → !ok"}},
	{"old and equal times are ignored", "80", "", "value", 0, 0, 0, []string{
		"10 50 → ok", "10 90 → ok", "9 90 → ok", "11 90 → !warning", "5 10 → warning", "11 10 → warning", "12 10 → !ok"}},
	{"from the far future: ignored", "80", "", "value", 0, 0, 0, []string{
		"10 50 → ok", "1000 90 @11 → ok", "12 90 → !warning", "300 10 @13 → !ok"}},
	{"our clock was hours ahead: what comes when it is right counts", "80", "", "value", 0, 0, 0, []string{
		"30000 10 → ok", "30010 10 → ok", "10 90 → !warning", "20 10 → !ok"}},
	{"our clock was hours ahead: silence is heard", "80", "", "value", 0, 0, 60, []string{
		"30000 90 → !warning", "100 tick → warning", "160 tick → warning", "161 tick → !unknown"}},
	{"nan says nothing", "80", "", "value", 0, 0, 60, []string{
		"1 90 → !warning", "2 NaN → warning", "3 10 → !ok", "4 NaN → ok", "60 NaN → ok", "63 tick → ok", "64 tick → !unknown", "65 NaN → unknown", "66 1 → !ok"}},
	{"infinity is a value", "80", "", "value", 0, 0, 0, []string{
		"1 +Inf → !warning", "2 1 → !ok", "3 -Inf → !warning"}},
	{"silence is unknown, data again ends it", "80", "", "value", 0, 0, 60, []string{
		"1 10 → ok", "61 tick → ok", "62 tick → !unknown", "63 tick → unknown", "100 10 → !ok"}},
	{"silence without no_data means nothing", "80", "", "value", 0, 0, 0, []string{
		"1 10 → ok", "100000 tick → ok"}},
	{"a series never seen is not silent", "80", "", "value", 0, 0, 60, []string{
		"1000 tick → ok"}},
	{"silence interrupts a problem, which goes on at once", "80", "90", "value", 60, 60, 60, []string{
		"1 95 → ok", "61 95 → !critical", "122 tick → !unknown", "200 95 → !critical"}},
	{"silence interrupts a critical, which goes on as warning", "80", "90", "value", 60, 60, 60, []string{
		"1 95 → ok", "61 95 → !critical", "122 tick → !unknown", "200 85 → !warning"}},
	{"silence interrupts a warning, which goes on as warning first", "80", "90", "value", 10, 0, 60, []string{
		"1 85 → ok", "11 85 → !warning", "122 tick → !unknown", "200 95 → !warning", "210 95 → !critical"}},
	{"silence interrupts a problem, which is over", "80", "90", "value", 60, 60, 60, []string{
		"1 95 → ok", "61 95 → !critical", "122 tick → !unknown", "200 10 → !ok"}},
	{"outside after silence: for holds as usual", "80", "", "value", 60, 0, 60, []string{
		"1 10 → ok", "62 tick → !unknown", "100 90 → unknown", "130 90 → unknown", "160 90 → !warning"}},
	{"silence between two ticks starts for anew", "80", "", "value", 60, 0, 60, []string{
		"1 90 → ok", "100 90 → ok", "160 90 → !warning"}},
	{"silence counts arrival, not the sender's clock", "80", "", "value", 0, 0, 60, []string{
		"1 10 @1000 → ok", "1060 tick → ok", "2 10 @1061 → ok", "1121 tick → ok", "1122 tick → !unknown"}},
	{"rate of a counter", "10", "", "rate", 0, 0, 0, []string{
		"10 1000 → ok", "20 1050 → ok", "30 1250 → !warning", "40 1250 → !ok"}},
	{"rate over a reset counts from zero", "10", "", "rate", 0, 0, 0, []string{
		"10 100000 → ok", "20 50 → ok", "30 60 → ok", "40 0 → ok", "50 200 → !warning"}},
	{"rate after silence", "10", "", "rate", 0, 0, 60, []string{
		"10 0 → ok", "20 10 → ok", "100 tick → !unknown", "120 110 → !ok"}},
	{"rate of infinity is nothing", "10", "", "rate", 0, 0, 0, []string{
		"10 +Inf → ok", "20 +Inf → ok", "30 5 → ok", "40 10 → ok"}},
}

func TestScenarios(t *testing.T) {
	for _, sc := range scenarios {
		l := rule.Limits{Transform: sc.transform, Warning: mustRange(t, sc.warning), Critical: mustRange(t, sc.critical),
			For: time.Duration(sc.hold) * time.Second, Clear: time.Duration(sc.clear) * time.Second, NoData: time.Duration(sc.nodata) * time.Second}
		var m rule.Machine
		for _, step := range sc.steps {
			do, want, _ := strings.Cut(step, " → ")
			in, now := parseStep(t, do)
			before := m.State
			var tr *rule.Transition
			m, tr = l.Step(m, in, now)
			got := string(m.State)
			if tr != nil {
				got = "!" + got
				if tr.To != m.State || tr.From != before && before != "" || tr.Time != m.Since {
					t.Errorf("%s: at %q: transition %+v does not tell of %s since %d", sc.name, do, *tr, m.State, m.Since)
				}
			}
			if got != want {
				t.Errorf("%s: at %q: got %s, want %s", sc.name, do, got, want)
			}
			// A restart between any two samples changes nothing.
			m = throughJSON(t, m)
		}
	}
}

func parseStep(t *testing.T, do string) (rule.Input, int64) {
	t.Helper()
	var at int64
	var what string
	if _, err := fmt.Sscanf(do, "%d %s", &at, &what); err != nil {
		t.Fatalf("step %q: %v", do, err)
	}
	in, now := rule.Input{Time: at * 1000}, at*1000
	if _, arrival, ok := strings.Cut(do, "@"); ok {
		if _, err := fmt.Sscan(arrival, &now); err != nil {
			t.Fatalf("step %q: %v", do, err)
		}
		now *= 1000
	}
	if what == "tick" {
		in.Tick = true
		return in, now
	}
	if _, err := fmt.Sscan(what, &in.Value); err != nil {
		t.Fatalf("step %q: %v", do, err)
	}
	return in, now
}

func throughJSON(t rapid.TB, m rule.Machine) rule.Machine {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := rule.Parse(b)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if !reflect.DeepEqual(again, m) {
		t.Fatalf("%s: read back as %+v, was %+v", b, again, m)
	}
	return again
}

func TestTransitionTellsSinceWhenAndWhat(t *testing.T) {
	l := rule.Limits{Critical: mustRange(t, "90"), NoData: time.Minute}
	m, _ := l.Step(rule.Machine{}, rule.Input{Time: 1000, Value: 95}, 1000)
	m, tr := l.Step(m, rule.Input{Tick: true}, 62_000)
	if want := (rule.Transition{From: rule.Critical, To: rule.Unknown, Time: 62_000, Began: 1000, Value: 95, HasValue: true}); *tr != want {
		t.Errorf("got %+v, want %+v", *tr, want)
	}
	_, tr = l.Step(m, rule.Input{Time: 70_000, Value: 5}, 70_000)
	if want := (rule.Transition{From: rule.Unknown, To: rule.OK, Time: 70_000, Began: 1000, Value: 5, HasValue: true}); *tr != want {
		t.Errorf("got %+v, want %+v", *tr, want)
	}
}

func TestRestartedKeepsTheState(t *testing.T) {
	old := rule.Limits{Critical: mustRange(t, "90"), Clear: time.Hour}
	m, _ := old.Step(rule.Machine{}, rule.Input{Time: 1000, Value: 95}, 1000)
	m = m.Restarted()
	if m.State != rule.Critical {
		t.Fatalf("got %s, want critical", m.State)
	}
	higher := rule.Limits{Critical: mustRange(t, "99")}
	if m, tr := higher.Step(m, rule.Input{Time: 2000, Value: 95}, 2000); tr == nil || m.State != rule.OK {
		t.Errorf("under the new limit: got %s, want ok", m.State)
	}
}

func TestClose(t *testing.T) {
	l := rule.Limits{Critical: mustRange(t, "90")}
	m, _ := l.Step(rule.Machine{}, rule.Input{Time: 1000, Value: 95}, 1000)
	m, tr := rule.Close(m, 5000)
	if want := (rule.Transition{From: rule.Critical, To: rule.OK, Time: 5000, Began: 1000, Value: 95, HasValue: true}); tr == nil || *tr != want || m.State != rule.OK {
		t.Errorf("got %+v in state %s, want %+v", tr, m.State, want)
	}
	if _, tr := rule.Close(m, 6000); tr != nil {
		t.Errorf("closed twice: %+v", *tr)
	}
}

var ranges = []string{"", "80", "90", "10:", "~:50", "20:60", "@30:40"}

func drawLimits(t *rapid.T) rule.Limits {
	seconds := func(name string) time.Duration {
		return time.Duration(rapid.SampledFrom([]int{0, 10, 60}).Draw(t, name)) * time.Second
	}
	r := func(name string) threshold.Range {
		parsed, err := threshold.ParseRange(rapid.SampledFrom(ranges).Draw(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	return rule.Limits{Transform: rapid.SampledFrom([]string{threshold.Value, threshold.Rate}).Draw(t, "transform"),
		Warning: r("warning"), Critical: r("critical"), For: seconds("for"), Clear: seconds("clear"), NoData: seconds("nodata")}
}

type arrival struct {
	in  rule.Input
	now int64
}

func drawInputs(t *rapid.T) []arrival {
	now := int64(1_000_000)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) arrival {
		now += int64(rapid.IntRange(0, 90).Draw(t, "step")) * 1000
		in := rule.Input{Tick: rapid.IntRange(0, 3).Draw(t, "tick") == 0}
		if !in.Tick {
			in.Time = now + int64(rapid.IntRange(-20, 20).Draw(t, "skew"))*1000
			in.Value = rapid.OneOf(rapid.Float64Range(0, 100), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 80, 90})).Draw(t, "value")
		}
		return arrival{in, now}
	}), 1, 60).Draw(t, "inputs")
}

// Each transition leaves the state in which the last one ended, and never stays in it.
func TestTransitionsAreAChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, m, last := drawLimits(t), rule.Machine{}, rule.OK
		for _, a := range drawInputs(t) {
			var tr *rule.Transition
			m, tr = l.Step(m, a.in, a.now)
			m = throughJSON(t, m)
			if tr == nil {
				if m.State != last {
					t.Fatalf("state went from %s to %s without a transition", last, m.State)
				}
				continue
			}
			if tr.From == tr.To || tr.From != last || tr.To != m.State || tr.Began == 0 {
				t.Fatalf("transition %+v after %s, machine in %s", *tr, last, m.State)
			}
			last = tr.To
		}
	})
}

// What is delivered again, in whole or in part, changes nothing: the bus may redeliver.
func TestReplayIsSilent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, m := drawLimits(t), rule.Machine{}
		l.NoData = 0 // a tick is no message of the bus
		inputs := drawInputs(t)
		for i, a := range inputs {
			m, _ = l.Step(m, a.in, a.now)
			for _, again := range inputs[:i+1] {
				if again.in.Time > m.Time {
					continue // was refused, as it came from too far ahead; its time may have come
				}
				after, tr := l.Step(m, again.in, a.now)
				if tr != nil || !reflect.DeepEqual(after, m) {
					t.Fatalf("input %d again: %+v, machine %+v, was %+v", i, tr, after, m)
				}
			}
		}
	})
}

// Without for and clear the state is what the newest sample alone says.
func TestWithoutWaitingTheSampleDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, m := drawLimits(t), rule.Machine{}
		l.For, l.Clear, l.NoData, l.Transform = 0, 0, 0, threshold.Value
		for _, a := range drawInputs(t) {
			if m, _ = l.Step(m, a.in, a.now); m.Level != "" && m.State != m.Level {
				t.Fatalf("state %s at level %s", m.State, m.Level)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"state":"ok","since":0,"time":1,"seen":1,"value":1.5,"alarm_since":1,"critical_since":1,"writes":1}`))
	f.Add([]byte(`{"state":"unknown","before":"critical","value":"+Inf","raw":"-Inf","level":"warning"}`))
	f.Add([]byte(`{"state":"maybe"}`))
	f.Add([]byte(`{"state":"ok","time":-1}`))
	l := rule.Limits{Warning: mustRange(f, "80"), NoData: time.Second}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := rule.Parse(b)
		if err != nil {
			return
		}
		m, _ = l.Step(m, rule.Input{Time: 2000, Value: 90}, 2000)
		m, _ = l.Step(m, rule.Input{Tick: true}, 1<<40)
		throughJSON(t, m)
	})
}

func BenchmarkStep(b *testing.B) {
	l := rule.Limits{Warning: mustRange(b, "80"), Critical: mustRange(b, "90"), For: time.Minute, NoData: time.Minute}
	var m rule.Machine
	b.ReportAllocs()
	for i := range b.N {
		now := int64(i+1) * 1000
		m, _ = l.Step(m, rule.Input{Time: now, Value: 50}, now)
	}
}
