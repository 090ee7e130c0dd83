package frame

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"
)

// What was recorded is refused after a long silence and after a restart too, whatever the clocks say.
func TestOldFramesAreRefusedForever(t *testing.T) {
	ring := testRing(t)
	frames := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli(), 1}), samples(500), start)
	earlier := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli() - 1, 1}), samples(1), start)[0]
	o := testOpener(t, ring)
	for _, d := range frames[:2] {
		if _, err := o.Open(d, start); err != nil {
			t.Fatal(err)
		}
	}
	o.Sweep(start.Add(rememberFor + time.Minute))
	again := testOpener(t, ring)
	again.Remember(o.Senders(nil))
	for name, o := range map[string]*Opener{"after a silence": o, "after a restart": again} {
		later := start.Add(24 * time.Hour)
		for i, want := range []error{ErrReplay, ErrReplay, nil} {
			if _, err := o.Open(frames[i], later); !errors.Is(err, want) {
				t.Errorf("%s, frame %d: got %v, want %v", name, i, err, want)
			}
		}
		if _, err := o.Open(earlier, later); !errors.Is(err, ErrStale) {
			t.Errorf("%s, an earlier boot: got %v, want ErrStale", name, err)
		}
	}
}

// A host whose clock was an hour ahead is set right and starts anew: its boot claims an earlier start.
func TestClockSetBackBetweenBoots(t *testing.T) {
	ring := testRing(t)
	o := testOpener(t, ring)
	wrong := start.Add(time.Hour)
	before := sealAll(t, testSealer(t, ring, "web1", Boot{wrong.UnixMilli(), 1}), samples(500), wrong)
	after := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli() + 1000, 2}), samples(500), start.Add(2*time.Minute))
	for i, c := range []struct {
		d    []byte
		at   time.Time
		want error
	}{
		{before[0], start, nil},
		{after[0], start.Add(59 * time.Second), ErrStale}, // two hosts with one name would look the same
		{after[0], start.Add(2 * time.Minute), nil},
		{after[0], start.Add(2 * time.Minute), ErrReplay},
		{before[0], start.Add(3 * time.Minute), ErrReplay},
		{after[1], start.Add(3 * time.Minute), nil},
		{sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli(), 3}), samples(1), start.Add(-time.Hour))[0], start.Add(9 * time.Minute), ErrStale}, // recorded an hour ago
	} {
		if _, err := o.Open(c.d, c.at); !errors.Is(err, c.want) {
			t.Errorf("step %d: got %v, want %v", i, err, c.want)
		}
	}
}

func TestSendersAreBounded(t *testing.T) {
	ring := testRing(t)
	o, err := NewOpener(OpenerOptions{Keys: ring, MaxBoots: 2})
	if err != nil {
		t.Fatal(err)
	}
	o.Remember([]Sender{{Cluster: "lab", Host: "a", Heard: 1}, {Cluster: "lab", Host: "b", Heard: 2}, {Cluster: "lab", Host: "c", Heard: 3}})
	if _, err := o.Open(sealAll(t, testSealer(t, ring, "d", Boot{start.UnixMilli(), 1}), samples(1), start)[0], start); err != nil {
		t.Fatal(err)
	}
	got := o.Senders(nil)
	slices.SortFunc(got, func(a, b Sender) int { return cmp.Compare(a.Host, b.Host) })
	if len(got) != 2 || got[0].Host != "b" || got[1] != (Sender{"lab", "d", Boot{start.UnixMilli(), 1}, 1, start.UnixMilli()}) {
		t.Errorf("got %+v, want b and d: a was silent for longest", got)
	}
	if cluster, host, ok := o.SenderOf(Boot{start.UnixMilli(), 1}); cluster != "lab" || host != "d" || !ok {
		t.Errorf("got %q %q %v", cluster, host, ok)
	}
	if _, _, ok := o.SenderOf(Boot{1, 1}); ok {
		t.Error("a boot that was never heard has a sender")
	}
}
