package extractor

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"keepwatch/collector/frame"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// beats gives a taker a heartbeat a second and hands over what it holds as the publisher does, unless the bus is away.
// It returns the farewells that were published as "second cluster/host".
func (s *stream) beats(from, to int64, away bool) string {
	var out strings.Builder
	for sec := from; sec < to; sec++ {
		l := &load{}
		s.take.record(&frame.Record{Received: sec * 1000, Heartbeat: true}, l)
		s.take.normalize(l)
		if away {
			continue
		}
		for _, e := range l.b.Events {
			if err := e.Check(); err != nil || e.Kind != metric.EventHostForgotten {
				s.t.Errorf("event %+v, %v", e, err)
			}
			fmt.Fprintf(&out, "%d %s/%s %s\n", e.Time/1000, e.Cluster, e.Host, e.ID)
		}
		s.take.page.parted(l.farewells)
	}
	return out.String()
}

func TestForgottenHostIsToldOnce(t *testing.T) {
	s := newStream(t, &page{})
	s.take.hostDmax = 100_000
	s.until(1000, 1010, "a", "b")
	check(t, s.beats(1010, 1300, false), "1110 c/a forgotten-1110000\n1110 c/b forgotten-1110000\n")
	s.until(1300, 1310, "a")
	check(t, s.beats(1310, 1600, false), "1410 c/a forgotten-1410000\n")
	if n := len(s.take.page.Forgotten) + len(s.take.parting); n > 0 {
		t.Errorf("%d farewells are remembered", n)
	}
}

// What was forgotten and not published before a crash is told, as the same event, by the next run.
func TestFarewellSurvivesACrash(t *testing.T) {
	p := &page{}
	s := newStream(t, p)
	s.take.hostDmax = 100_000
	s.until(1000, 1010, "a")
	check(t, s.beats(1010, 1200, true), "")
	text, err := (&book{pages: map[string]*page{"c": p}}).encode()
	if err != nil {
		t.Fatal(err)
	}
	var pages map[string]*page
	if err := json.Unmarshal(text, &pages); err != nil {
		t.Fatal(err)
	}
	pages["c"].Forgotten["junk"] = farewell{At: 5}
	next := newStream(t, pages["c"])
	check(t, next.beats(1200, 1300, false), "1110 c/a forgotten-1110000\n")
	if left := maps.Clone(next.take.page.Forgotten); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// A host that is kept under another name is said farewell to under the one it had, though that is an alias now.
func TestRenamedHostIsForgottenUnderItsOldName(t *testing.T) {
	s := newStream(t, &page{})
	s.until(1000, 1010, "a.example.com", "b")
	l := &load{}
	s.take.setRules(rules(t, conf.HostNames{StripDomains: []string{"example.com"}}), l)
	s.take.normalize(l)
	if len(l.b.Events) != 1 || l.b.Events[0].Host != "a.example.com" || l.b.Events[0].Label("as") != "a" ||
		l.b.Events[0].Text != "a.example.com is kept as a from now on: nothing more is said of it under this name" {
		t.Errorf("got %+v", l.b.Events)
	}
}

// After an hour in which nothing could be pulled, each host may speak first.
func TestHoleForgetsNobody(t *testing.T) {
	s := newStream(t, &page{})
	s.take.hostDmax = 100_000
	s.until(1000, 1010, "a", "b")
	check(t, s.beats(4600, 4604, false), "")
	s.until(4604, 4630, "a")
	check(t, s.beats(4630, 4700, false), "4665 c/b forgotten-4665000\n")
}
