package extractor

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"keepwatch/bus"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// written is what came to a bus.
type written struct {
	*sink
	out []string
}

func (w *written) Publish(_ context.Context, _ bus.Kind, _ string, b *batch.Batch) error {
	for _, s := range b.Samples {
		w.out = append(w.out, fmt.Sprintf("%s %g", s.Series.Host, s.Value))
	}
	for _, e := range b.Events {
		w.out = append(w.out, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Kind, e.Host, e.Label("as"))))
	}
	return nil
}

// told is a poller's sink whose cluster tells of hosts, "name up" or "name down" each, or of names forgotten, "name gone".
type told struct {
	t   *testing.T
	p   *polled
	bus *written
}

func newTold(t *testing.T, c conf.HostNames) *told {
	t.Helper()
	b, err := openBook(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &written{sink: newSink()}
	p := newPolled(t, b, w.sink, c)
	p.bus = w
	return &told{t, p, w}
}

func (x *told) want(says, want string) {
	x.t.Helper()
	b := &batch.Batch{}
	for text := range strings.SplitSeq(says, ", ") {
		host, state, _ := strings.Cut(text, " ")
		if state == "gone" {
			b.Events = append(b.Events, metric.Event{ID: "gone", Cluster: "lab", Host: host, Time: 1, Kind: metric.EventHostForgotten})
			continue
		}
		s := metric.MustSeries("lab", host, hostUpMetric, nil, metric.NoUnit, metric.State)
		v := 0.0
		if state == "up" {
			v = 1
		}
		b.Samples = append(b.Samples, metric.Sample{Series: s, Time: 1, Value: v})
	}
	if err := x.p.take(x.t.Context(), "lab", b); err != nil {
		x.t.Fatal(err)
	}
	if got := strings.Join(x.bus.out, ", "); got != want {
		x.t.Errorf("%s: got %q, want %q", says, got, want)
	}
	x.bus.out = nil
}

// A host that is told of under two names, one of which is an old one that nobody speaks under, is up, once.
func TestPolledHostOfTwoNames(t *testing.T) {
	x := newTold(t, conf.HostNames{StripDomains: []string{"example.com"}})
	x.want("web1 down, db up, web1.example.com up", "web1 1, db 1")
	x.want("web1.example.com up, web1 down, db down", "web1 1, db 0")
	x.want("web1 down, web1.example.com down, db up", "web1 0, db 1")
	x.want("web1.example.com up, db up, web1 gone", "web1 1, db 1")
	x.want("db up, web1.example.com gone", "db 1, host_forgotten web1")
	x.want("web1 up, web1.example.com up", "web1 1")
	x.want("web1 gone", "")
	x.want("web1.example.com gone", "host_forgotten web1")
}

// Other rules make other names: under those that are no more a farewell is said.
func TestPolledHostIsRenamed(t *testing.T) {
	x := newTold(t, conf.HostNames{})
	strip := conf.HostNames{StripDomains: []string{"example.com"}}
	x.want("web1.example.com down", "web1.example.com 0")
	x.p.setRules(rules(t, strip))
	x.want("web1.example.com down", "web1 0, host_forgotten web1.example.com web1")
	x.want("web1.example.com up", "web1 1")
	x.want("web1 up, web1.example.com down", "web1 1")
	x.p.setRules(rules(t, conf.HostNames{}))
	x.want("web1 up, web1.example.com down", "web1 1, web1.example.com 0")
	x.p.setRules(rules(t, strip))
	x.want("web1 up, web1.example.com down", "web1 1, host_forgotten web1.example.com web1")
}

// New rules are logged for each polled host that they name otherwise, and the status lists those of several names.
func TestPolledRenamesAreTold(t *testing.T) {
	x := newTold(t, conf.HostNames{})
	var log bytes.Buffer
	x.p.log = slog.New(slog.NewTextHandler(&log, nil))
	x.want("web1.example.com up, db up", "web1.example.com 1, db 1")
	if got := x.p.status(); len(got) != 0 {
		t.Errorf("nobody has another name: got %v", got)
	}
	x.p.setRules(rules(t, conf.HostNames{StripDomains: []string{"example.com"}}))
	x.want("web1.example.com up, web1 up, db up", "web1 1, db 1, host_forgotten web1.example.com web1")
	want := `msg="a host is kept under another name from now on" cluster=lab name=web1.example.com was=web1.example.com now=web1 rule="strip_domains example.com"`
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) {
		t.Errorf("got log\n%swant one line with\n%s", got, want)
	}
	names := []HostName{{Name: "web1", From: "xml"}, {Name: "web1.example.com", Rule: "strip_domains example.com", From: "xml"}}
	if got, want := x.p.status(), []PolledStatus{{"lab", []HostStatus{{Host: "web1", Names: names}}}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got status %+v, want %+v", got, want)
	}
}

// A log of many renamed hosts is bounded.
func TestManyRenamesAreCounted(t *testing.T) {
	var log bytes.Buffer
	r := renames{log: slog.New(slog.NewTextHandler(&log, nil))}
	for i := range maxRenamesLogged + 7 {
		r.host(fmt.Sprint(i), fmt.Sprint(i), "one", "aliases")
		r.host(fmt.Sprint(i), "one", "one", "aliases")
	}
	r.end()
	if got := log.String(); strings.Count(got, "\n") != maxRenamesLogged+1 || !strings.HasSuffix(got, "hosts=7\n") {
		t.Errorf("got %s", got)
	}
}
