package state

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/share"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// looks is a frame in which a collector says what it sees of a check's target on the host vip.
func (s sender) looks(at time.Duration, up float64) (out []byte) {
	labels := []metric.Label{{Name: "check", Value: "web"}, {Name: "target", Value: "10.0.0.9:80"}, {Name: "vantage", Value: s.name}}
	b := &batch.Batch{}
	for _, x := range []struct {
		name  string
		value float64
	}{{share.Interval, 10}, {share.Quorum, 2}, {share.View, up}} {
		b.Samples = append(b.Samples, metric.Sample{Series: metric.MustSeries("lab", "vip", x.name, labels, "", metric.State), Time: start.Add(at).UnixMilli(), Value: x.value})
	}
	s.Seal(b, frame.Stamp{Now: start.Add(at), Interval: 10 * time.Second, Derived: true}, func(d []byte) { out = bytes.Clone(d) })
	return out
}

// What vantage points say together is published at once when it changes, and is no sign of life of the checked host.
func TestCheckIsPublished(t *testing.T) {
	s := newState(t, nil)
	a, b := newSender(t, "a", frame.Boot{Start: start.UnixMilli(), Random: 1}), newSender(t, "b", frame.Boot{Start: start.UnixMilli(), Random: 2})
	hear := func(datagram []byte, at time.Duration) {
		t.Helper()
		if err := s.Native(datagram, from, start.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	s.Tick(start.Add(-time.Minute)) // it has listened for longer than an interval, and may say up
	hear(a.looks(time.Second, 1), time.Second)
	hear(b.looks(time.Second, 0), time.Second)
	s.Tick(start.Add(10 * time.Second))
	hear(a.looks(11*time.Second, 0), 11*time.Second)
	hear(b.looks(21*time.Second, 1), 21*time.Second)
	s.Tick(start.Add(21 * time.Second))
	var got []string
	for _, x := range opened(t, s) {
		for _, sample := range x.Samples {
			if sample.Series.Name == share.Up {
				got = append(got, fmt.Sprintf("%v %s %g", time.Duration(sample.Time-start.UnixMilli())*time.Millisecond, sample.Series.Host, sample.Value))
			}
		}
	}
	if want := []string{"1s vip 1", "10s vip 1", "11s vip 0", "21s vip 1"}; !slices.Equal(got, want) {
		t.Errorf("got samples\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	wantEvents(t, s)
	if hosts := s.Status(start.Add(21 * time.Second)).Hosts; len(hosts) != 0 {
		t.Errorf("hosts of which others alone speak count as heard: %+v", hosts)
	}
}

func TestMembersAreHeard(t *testing.T) {
	s := newState(t, nil)
	a := newSender(t, "a", frame.Boot{Start: start.UnixMilli(), Random: 1})
	labels := []metric.Label{{Name: "kind", Value: "tcp"}, {Name: "check", Value: "web"}}
	say := func(at time.Duration, value float64) {
		t.Helper()
		b := &batch.Batch{Samples: []metric.Sample{{Series: metric.MustSeries("lab", "a", share.Member, labels, "", metric.State), Time: start.Add(at).UnixMilli(), Value: value}}}
		a.Seal(b, frame.Stamp{Now: start.Add(at), Interval: 10 * time.Second}, func(d []byte) {
			if err := s.Native(d, from, start.Add(at)); err != nil {
				t.Error(err)
			}
		})
	}
	c := &share.Check{Cluster: "lab", Kind: "tcp", Name: "web", Interval: 10 * time.Second, Vantage: 2}
	f := func(at time.Duration, want int) {
		t.Helper()
		if runners, ready := s.Runners(c, start.Add(at)); len(runners) != want || ready != want || !s.Runs(c, start.Add(at)) {
			t.Errorf("at %v: %q of %d, want %d", at, runners, ready, want)
		}
	}
	f(0, 1)
	say(time.Second, 1)
	f(16*time.Second, 2)
	f(17*time.Second, 1)
	say(20*time.Second, 1)
	f(21*time.Second, 2)
	say(22*time.Second, 0)
	f(22*time.Second, 1)
}
