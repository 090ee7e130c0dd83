package metric

import (
	"errors"
	"strings"
	"testing"
)

func TestNewSeries(t *testing.T) {
	s, err := NewSeries("web", "lb1", "node_cpu_seconds_total", []Label{{"mode", "idle"}, {"cpu", "0"}, {"empty", ""}}, Seconds, Counter)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), `node_cpu_seconds_total{cluster="web",host="lb1",cpu="0",mode="idle"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	other := MustSeries("web", "lb1", "node_cpu_seconds_total", []Label{{"cpu", "0"}, {"mode", "idle"}}, NoUnit, Gauge)
	if s.Key() != other.Key() {
		t.Errorf("order of labels, unit and kind must not change the key: %q, %q", s.Key(), other.Key())
	}
	if got := s.Label("mode"); got != "idle" {
		t.Errorf("label mode: got %q", got)
	}
}

func TestOfHost(t *testing.T) {
	a := MustSeries("web", "lb1", "m", []Label{{"mode", "idle"}}, Seconds, Counter)
	b, err := a.OfHost("lb2")
	if err != nil {
		t.Fatal(err)
	}
	want := MustSeries("web", "lb2", "m", []Label{{"mode", "idle"}}, Seconds, Counter)
	if b.Key() != want.Key() || b.Host != "lb2" || b.Unit != want.Unit || b.Kind != want.Kind || b.Label("mode") != "idle" {
		t.Errorf("got %v, want %v", b, want)
	}
	if a.Host != "lb1" || a.Key() == b.Key() {
		t.Errorf("the first has become %v", a)
	}
	if _, err := a.OfHost(""); !errors.Is(err, ErrInvalid) {
		t.Errorf("no host: got %v, want a refusal", err)
	}
}

// A series is never longer than the database takes: that it is at the bound is held by the tests of schema/db.
func TestLongestSeries(t *testing.T) {
	labels := func(last int) []Label { // 5 labels
		return []Label{{"a", strings.Repeat("x", MaxLabelValue)}, {"b", strings.Repeat("x", MaxLabelValue)}, {"c", strings.Repeat("x", MaxLabelValue)},
			{"d", strings.Repeat("x", MaxLabelValue)}, {"e", strings.Repeat("x", last)}}
	}
	fits := MaxSeries - 6 - 5*(1+8) - 4*MaxLabelValue
	s, err := NewSeries("cl", "ho", "me", labels(fits), NoUnit, Gauge)
	if err != nil {
		t.Fatalf("at the bound: %v", err)
	}
	_, err = NewSeries("cl", "ho", "me", labels(fits+1), NoUnit, Gauge)
	if want := `invalid series of metric "me": cluster, host, name and labels are 2401 bytes, at most 2400`; err == nil || err.Error() != want || !errors.Is(err, ErrInvalid) {
		t.Errorf("past the bound: got %v, want %s", err, want)
	}
	if _, err := s.OfHost("h0"); err != nil {
		t.Errorf("another host: %v", err)
	}
	if _, err := s.OfHost("h00"); !errors.Is(err, ErrInvalid) {
		t.Errorf("a host with a longer name: got %v, want a refusal", err)
	}
}

// A value that holds another label's separator must never make two series one.
func TestKeysDoNotCollide(t *testing.T) {
	a := MustSeries("c", "h", "m", []Label{{"a", "1"}, {"b", "2"}}, NoUnit, Gauge)
	b := MustSeries("c", "h", "m", []Label{{"a", "1b2"}}, NoUnit, Gauge)
	c := MustSeries("ch", "m", "m", nil, NoUnit, Gauge)
	d := MustSeries("c", "hm", "m", nil, NoUnit, Gauge)
	if a.Key() == b.Key() || c.Key() == d.Key() {
		t.Error("different series share a key")
	}
}

func TestNewSeriesRefuses(t *testing.T) {
	long := strings.Repeat("x", 600)
	many := make([]Label, MaxLabels+1)
	for i := range many {
		many[i] = Label{"l" + string(rune('a'+i)), "v"}
	}
	f := func(field, cluster, host, name string, kind Kind, labels ...Label) {
		t.Helper()
		_, err := NewSeries(cluster, host, name, labels, NoUnit, kind)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want a refusal that names %q", err, field)
		}
	}
	f("cluster", "", "h", "m", Gauge)
	f("host", "c", "a\x00b", "m", Gauge)
	f("host", "c", long, "m", Gauge)
	f("host", "c", "\xff", "m", Gauge)
	f("metric name", "c", "h", "", Gauge)
	f("metric name", "c", "h", "0m", Gauge)
	f("metric name", "c", "h", "a-b", Gauge)
	f("metric name", "c", "h", long, Gauge)
	f("kind", "c", "h", "m", 0)
	f("kind", "c", "h", "m", 9)
	f("label name", "c", "h", "m", Gauge, Label{"host", "x"})
	f("label name", "c", "h", "m", Gauge, Label{"__name__", "x"})
	f("label name", "c", "h", "m", Gauge, Label{"a:b", "x"})
	f("of label", "c", "h", "m", Gauge, Label{"a", "x\x01"})
	f("of label", "c", "h", "m", Gauge, Label{"a", long})
	f("twice", "c", "h", "m", Gauge, Label{"a", "1"}, Label{"a", "2"})
	f("at most", "c", "h", "m", Gauge, many...)
}

func TestEventCheck(t *testing.T) {
	good := Event{ID: "b-1", Cluster: "web", Host: "lb1", Time: 1, Kind: EventVIPTaken, Text: "taken", Labels: []Label{{"vip", "10.0.0.1"}}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	f := func(change func(*Event)) {
		t.Helper()
		e := good
		change(&e)
		if err := e.Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("got %v, want a refusal", err)
		}
	}
	f(func(e *Event) { e.ID = "" })
	f(func(e *Event) { e.Host = "" })
	f(func(e *Event) { e.Cluster = "\n" })
	f(func(e *Event) { e.Kind = "" })
	f(func(e *Event) { e.Text = "a\x00" })
	f(func(e *Event) { e.Text = strings.Repeat("x", MaxEventText+1) })
	f(func(e *Event) { e.Labels = []Label{{"0", "x"}} })
	f(func(e *Event) { e.Labels = make([]Label, MaxLabels+1) })
}

func TestKindWords(t *testing.T) {
	for _, k := range []Kind{Gauge, Counter, State} {
		got, err := ParseKind(k.String())
		if err != nil || got != k {
			t.Errorf("%v: got %v, %v", k, got, err)
		}
	}
	if _, err := ParseKind("kind(7)"); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want a refusal", err)
	}
}
