package state

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/gmond"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// A host whose frames are sealed takes the place of the gmond host that has been silent for longest, and never that of
// another one that frames speak of.
func TestNativeHostTakesThePlaceOfASilentGmondHost(t *testing.T) {
	s := newState(t, func(o *Options) { o.MaxHosts = 4 })
	w := newWire(t, s, "10.0.0.66:1")
	native := newSender(t, "web", frame.Boot{Start: start.UnixMilli(), Random: 1})
	full := func(err error) bool { return errors.Is(err, ErrTooManyHosts) || errors.Is(err, gmond.ErrTooManyHosts) }
	for _, c := range []struct {
		ms    time.Duration
		gmond string // who is heard, or
		frame string // of whom a frame speaks
		full  bool
		want  string // hosts that are known then
	}{
		{ms: 0, gmond: "g1", want: "g1"},
		{ms: 1000, gmond: "g2", want: "g1 g2"},
		{ms: 2000, gmond: "g3", want: "g1 g2 g3"},
		{ms: 2100, gmond: "g4", want: "g1 g2 g3 g4"},
		{ms: 2200, gmond: "g5", full: true, want: "g1 g2 g3 g4"},
		{ms: 3000, frame: "n1", want: "g2 g3 g4 n1"},
		{ms: 3100, gmond: "g2", want: "g2 g3 g4 n1"},
		{ms: 3150, frame: "g3", want: "g2 g3 g4 n1"},
		{ms: 3200, frame: "n2", want: "g2 g3 n1 n2"}, // g2 was heard after g4, and a frame has spoken of g3
		{ms: 3300, gmond: "g4", full: true, want: "g2 g3 n1 n2"},
		{ms: 3400, frame: "n3", full: true, want: "g2 g3 n1 n2"}, // room was looked for 400 ms before
		{ms: 4000, frame: "n3", want: "g3 n1 n2 n3"},
		{ms: 9000, frame: "n4", full: true, want: "g3 n1 n2 n3"},
	} {
		at, err := c.ms*time.Millisecond, error(nil)
		if c.gmond != "" {
			err = w.value(at, c.gmond, "load", 1)
		} else {
			err = s.Native(native.frame(start.Add(at), c.frame, "load"), from, start.Add(at))
		}
		var known []string
		for _, h := range s.hosts.m {
			known = append(known, h.name)
		}
		slices.Sort(known)
		if got := strings.Join(known, " "); got != c.want || full(err) != c.full || err != nil && !c.full {
			t.Errorf("%d ms, %s%s: got %v and hosts %q, want full %v and %q", c.ms, c.gmond, c.frame, err, got, c.full, c.want)
		}
	}
}

// A frame takes no place from a host that it speaks of itself.
func TestFrameTakesNoPlaceOfItsOwnHosts(t *testing.T) {
	s := newState(t, func(o *Options) { o.MaxHosts = 1 })
	must(t, newWire(t, s, "10.0.0.66:1").value(0, "switch1", "ports", 4))
	var b batch.Batch
	for _, host := range []string{"switch1", "web1"} {
		b.Samples = append(b.Samples, metric.Sample{Series: metric.MustSeries("lab", host, "load", nil, "", metric.Gauge), Time: start.UnixMilli(), Value: 1})
	}
	native := newSender(t, "web1", frame.Boot{Start: start.UnixMilli(), Random: 1})
	native.Seal(&b, frame.Stamp{Now: start, Interval: 10 * time.Second}, func(d []byte) {
		if err := s.Native(d, from, start); !errors.Is(err, ErrTooManyHosts) {
			t.Errorf("got %v", err)
		}
	})
	if h := s.hosts.find("lab", "switch1"); h == nil || h.forgotten {
		t.Error("its host is forgotten")
	}
}
