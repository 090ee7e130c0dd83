package extractor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/extractor/normalize"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

func rules(t *testing.T, c conf.HostNames) *normalize.Names {
	t.Helper()
	n, err := normalize.NewNames(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var domain = conf.HostNames{Lowercase: true, StripDomains: []string{"a.net", "b.net"}}

// voice is who speaks of a host in a frame.
type voice struct {
	host   string // whom it speaks of
	sender string
	gmond  bool
}

func own(host string) voice   { return voice{host, host, false} }
func gmond(host string) voice { return voice{host, "collector1", true} }

// say plays a frame of each voice at a second of the aggregator's time, then a heartbeat at the next tick of 15 s; it
// returns what came of it, as it is published.
func (s *stream) say(sec int64, voices ...voice) (out []string) {
	s.t.Helper()
	l := &load{}
	for _, v := range voices {
		s.seq++
		b := &batch.Batch{Samples: []metric.Sample{{Series: metric.MustSeries("c", v.host, "load", nil, "", metric.Gauge), Time: sec * 1000, Value: 7}}}
		rec := frame.Record{Received: sec * 1000, Frame: frame.Frame{
			Origin: frame.Origin{Seq: s.seq}, Interval: 15 * time.Second, Gmond: v.gmond, Cluster: "c", Host: v.sender, Payload: batch.Append(nil, b),
		}}
		s.take.record(&rec, l)
	}
	tick := frame.Record{Received: (sec/15 + 1) * 15_000, Heartbeat: true}
	for at := sec*1000 + 500; at < tick.Received; at += 500 {
		s.take.record(&frame.Record{Received: at, Heartbeat: true}, l)
	}
	s.take.record(&tick, l)
	s.take.normalize(l)
	for _, x := range l.b.Samples {
		line := fmt.Sprintf("%s %s %v", x.Series.Host, x.Series.Name, x.Value)
		if x.Series.Name == nameMetric {
			line = fmt.Sprintf("%s is also %s, from %s by %q", x.Series.Host, x.Series.Label("name"), x.Series.Label("from"), x.Series.Label("rule"))
		}
		out = append(out, line)
	}
	for _, e := range l.b.Events {
		out = append(out, fmt.Sprintf("%s %s: %s", e.Host, e.Kind, e.Text))
	}
	slices.Sort(out)
	return out
}

func (s *stream) under(c conf.HostNames) *stream {
	s.take.setRules(rules(s.t, c), &load{})
	return s
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}

// A host that its own collector names one way and gmond another is one host, up while either speaks of it.
func TestOneHostUnderTwoNames(t *testing.T) {
	s := newStream(t, &page{}).under(domain)
	s.say(900)
	same(t, s.say(1000, own("web1"), gmond("Web1.a.net")),
		"web1 load 7", "web1 load 7", "web1 keepwatch_host_up 1",
		`web1 is also web1, from collector by ""`, `web1 is also Web1.a.net, from gmond by "strip_domains a.net"`)
	for sec := int64(1015); sec < 1200; sec += 15 {
		same(t, s.say(sec, gmond("Web1.a.net")), "web1 load 7", "web1 keepwatch_host_up 1")
	}
	for sec := int64(1200); sec < 1245; sec += 15 {
		s.say(sec)
	}
	same(t, s.say(1245), "web1 keepwatch_host_up 0")
	want := []HostStatus{{Host: "web1", Names: []HostName{
		{Name: "Web1.a.net", Rule: "strip_domains a.net", From: "gmond"}, {Name: "web1", From: "collector"},
	}}}
	if got := s.take.page.names(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("status: got %v, want %v", got, want)
	}
	if hosts, up := s.take.page.count(); hosts != 1 || up != 0 {
		t.Errorf("%d hosts, %d up; want one, down", hosts, up)
	}
}

// Two collectors that the rules would make one host are two: this is told, and the second keeps its name.
func TestConflictIsToldAndNotMerged(t *testing.T) {
	s := newStream(t, &page{}).under(domain)
	s.say(900)
	s.say(1000, own("web1.a.net"))
	said := `web1.b.net host_conflict: web1.a.net and web1.b.net both run a collector and would both be kept as web1 (strip_domains b.net): they are two hosts, so web1.b.net keeps its own name; correct extractor.hosts`
	same(t, s.say(1015, own("web1.a.net"), own("web1.b.net")),
		"web1 load 7", "web1.b.net load 7", "web1 keepwatch_host_up 1", "web1.b.net keepwatch_host_up 1", said)
	// It stays so, over a restart too, and while the first is silent.
	s = again(t, s, domain)
	same(t, s.say(1030, own("web1.b.net")), "web1.b.net load 7", "web1 keepwatch_host_up 1", "web1.b.net keepwatch_host_up 1",
		`web1 is also web1.a.net, from collector by "strip_domains a.net"`)
	if got := s.take.page.names(); len(got) != 2 || !got[1].Names[0].Refused {
		t.Errorf("status: got %v, want the second refused", got)
	}
	// When the first is forgotten the name is free.
	s.take.hostDmax = 100_000
	for sec := int64(1036); sec <= 1096; sec += 15 {
		s.say(sec, own("web1.b.net"))
	}
	same(t, s.say(1111, own("web1.b.net")), "web1 load 7", "web1 keepwatch_host_up 1",
		`web1 is also web1.b.net, from collector by "strip_domains b.net"`,
		"web1.b.net host_forgotten: web1.b.net is kept as web1 from now on: nothing more is said of it under this name")
}

// again is the stream of an extractor that was restarted with what its file holds.
func again(t *testing.T, s *stream, c conf.HostNames) *stream {
	t.Helper()
	text, err := json.Marshal(s.take.page)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{}
	if err := json.Unmarshal(text, p); err != nil {
		t.Fatal(err)
	}
	p.Received = s.take.heardTo
	next := newStream(t, p).under(c)
	next.seq, next.take.tick = s.seq, s.take.tick
	return next
}

// A host that was renamed is no conflict: its old name is silent. When that comes back, it is.
func TestRenamedHost(t *testing.T) {
	s := newStream(t, &page{}).under(domain)
	s.say(900)
	s.say(1000, own("web1.a.net"))
	for sec := int64(1015); sec < 1090; sec += 15 {
		s.say(sec)
	}
	same(t, s.say(1090, own("web1.b.net")), "web1 load 7", "web1 keepwatch_host_up 1", `web1 is also web1.b.net, from collector by "strip_domains b.net"`)
	if got := s.say(1105, own("web1.a.net"), own("web1.b.net")); !strings.Contains(strings.Join(got, "\n"), "web1.a.net host_conflict") {
		t.Errorf("got %v, want a conflict", got)
	}
}

// A probe's word of a host under a name that is another's is no conflict: only a collector names its own host.
func TestProbesAreNoConflict(t *testing.T) {
	s := newStream(t, &page{}).under(domain)
	s.say(900)
	same(t, s.say(1000, own("web1"), voice{"web1.a.net", "prober", false}),
		"web1 load 7", "web1 load 7", "web1 keepwatch_host_up 1",
		`web1 is also web1, from collector by ""`, `web1 is also web1.a.net, from probe by "strip_domains a.net"`)
}

// Other rules hold from the next load on, for what is known too.
func TestOtherRules(t *testing.T) {
	s := newStream(t, &page{})
	s.say(900)
	same(t, s.say(1000, own("web1"), gmond("10.0.0.1")), "web1 load 7", "10.0.0.1 load 7", "web1 keepwatch_host_up 1", "10.0.0.1 keepwatch_host_up 1")
	s.under(conf.HostNames{Aliases: []conf.HostAlias{{Host: "www", Names: []string{"web1", "10.0.0.1"}}}})
	same(t, s.say(1015, own("web1"), gmond("10.0.0.1")), "www load 7", "www load 7", "www keepwatch_host_up 1",
		`www is also web1, from collector by "aliases"`, `www is also 10.0.0.1, from gmond by "aliases"`)
	s.under(conf.HostNames{})
	same(t, s.say(1030, own("web1")), "web1 load 7", "web1 keepwatch_host_up 1", "10.0.0.1 keepwatch_host_up 1")
}

// Counters that have wrapped go on over a restart of the extractor.
func TestWrapsOutliveARestart(t *testing.T) {
	count := func(s *stream, sec int64, v float64) float64 {
		l := &load{}
		series := metric.MustSeries("c", "web1", "gmond_requests", []metric.Label{{Name: "source", Value: "gmond"}}, "", metric.Counter)
		s.seq++
		b := &batch.Batch{Samples: []metric.Sample{{Series: series, Time: sec * 1000, Value: v}}}
		rec := frame.Record{Received: sec * 1000, Frame: frame.Frame{Origin: frame.Origin{Seq: s.seq}, Gmond: true, Payload: batch.Append(nil, b)}}
		s.take.record(&rec, l)
		s.take.normalize(l)
		for _, x := range l.b.Samples {
			if x.Series.Name == "gmond_requests" {
				return x.Value
			}
		}
		t.Fatal("no sample")
		return 0
	}
	const edge = float64(1 << 32)
	s := newStream(t, &page{})
	count(s, 1000, edge-10)
	if got := count(s, 1010, 5); got != edge+5 {
		t.Fatalf("over the edge: got %v", got)
	}
	s = again(t, s, conf.HostNames{})
	if got := count(s, 1020, 9); got != edge+9 {
		t.Errorf("after a restart: got %v, want %v", got, edge+9)
	}
}

func TestPrepareRefuses(t *testing.T) {
	e := &Extractor{}
	var c conf.Extractor
	c.Hosts = conf.HostNames{Aliases: []conf.HostAlias{{Host: "a", Names: []string{"x"}}, {Host: "b", Names: []string{"x"}}}}
	if _, err := e.Prepare(c, keyring(t)); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("got %v", err)
	}
}
