package frame

import (
	"cmp"
	"errors"
	"reflect"
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

// After a boot took the place of one that claims a later start, records of that one are not taken, now or after a restart:
// they would keep the host itself out.
func TestDisplacedBootIsRefused(t *testing.T) {
	ring := testRing(t)
	wrong := start.Add(time.Hour)
	before := sealAll(t, testSealer(t, ring, "web1", Boot{wrong.UnixMilli(), 1}), samples(800), wrong)
	after := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli() + 1000, 2}), samples(800), start.Add(2*time.Minute))
	o := testOpener(t, ring)
	open := func(o *Opener, what string, d []byte, at time.Duration, want error) {
		t.Helper()
		if _, err := o.Open(d, start.Add(at)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	open(o, "clock an hour ahead", before[0], 0, nil)
	open(o, "clock set right", after[0], 2*time.Minute, nil)
	again := testOpener(t, ring)
	again.Remember(o.Senders(nil))
	for name, o := range map[string]*Opener{"": o, "after a restart, ": again} {
		open(o, name+"played at once", before[1], 2*time.Minute, ErrStale)
		open(o, name+"played after a silence", before[1], 10*time.Minute, ErrStale)
		open(o, name+"the host itself", after[1], 11*time.Minute, nil)
		// It is the host that was displaced, if what it sends is new: as of two with one name, of which one has gone.
		open(o, name+"what was had", before[0], time.Hour, ErrReplay)
		open(o, name+"the displaced one lives", before[1], time.Hour, nil)
		open(o, name+"and goes on", before[2], time.Hour, nil)
		open(o, name+"the other one is over", after[2], time.Hour, ErrStale)
	}
}

// One process may seal with two boots, which it draws at one time.
func TestTwoBootsOfOneStart(t *testing.T) {
	ring, o := testRing(t), testOpener(t, testRing(t))
	a := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli(), 1}), samples(800), start)
	b := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli(), 2}), samples(800), start)
	for i, d := range [][]byte{a[0], b[0], a[1], b[1]} {
		if _, err := o.Open(d, start); err != nil {
			t.Errorf("frame %d: %v", i, err)
		}
	}
}

func TestEndedBootsAreBounded(t *testing.T) {
	ring := testRing(t)
	o := testOpener(t, ring)
	for i := range int64(7) {
		d := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli() + i, 1}), samples(1), start)[0]
		if _, err := o.Open(d, start); err != nil {
			t.Fatal(err)
		}
	}
	var got []int64
	for _, e := range o.Senders(nil)[0].Ended {
		got = append(got, e.Boot.Start-start.UnixMilli())
	}
	if want := []int64{2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("boots that ended: got %v, want the last four, %v", got, want)
	}
}

// The receiver was killed after it had saved what it knew, and heard more between the two: what it hears after the
// restart is after all of that.
func TestRecordsOfTheTimeBeforeAKillAreRefused(t *testing.T) {
	ring := testRing(t)
	old, young := testSealer(t, ring, "old", Boot{start.UnixMilli(), 1}), testSealer(t, ring, "young", Boot{start.UnixMilli(), 2})
	o := testOpener(t, ring)
	var frames [][]byte
	for range 30 {
		frames = append(frames, sealAll(t, old, samples(1), start)...)
	}
	begun := sealAll(t, young, samples(800), start)
	anew := sealAll(t, testSealer(t, ring, "old", Boot{start.UnixMilli() + 1, 3}), samples(1), start)
	for _, d := range [][]byte{frames[0], begun[0]} {
		if _, err := o.Open(d, start); err != nil {
			t.Fatal(err)
		}
	}
	again := testOpener(t, ring)
	again.Remember(o.Senders(nil))
	for _, c := range []struct {
		what string
		d    []byte
		want error
	}{
		{"the first that is heard of a host that has long been there", frames[19], nil},
		{"what it may have heard before the restart", frames[18], ErrReplay},
		{"the same, much earlier", frames[1], ErrReplay},
		{"what comes then", frames[21], nil},
		{"what was missing between", frames[20], nil},
		{"the third of a host that has just started", begun[2], nil},
		{"the second, which is asked for", begun[1], nil},
		{"the first", begun[0], ErrReplay},
		{"the host's next start", anew[0], nil},
	} {
		if _, err := again.Open(c.d, start); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, err, c.want)
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
	if len(got) != 2 || got[0].Host != "b" || !reflect.DeepEqual(got[1], Sender{Cluster: "lab", Host: "d", Boot: Boot{start.UnixMilli(), 1}, Top: 1, Heard: start.UnixMilli()}) {
		t.Errorf("got %+v, want b and d: a was silent for longest", got)
	}
	if cluster, host, ok := o.SenderOf(Boot{start.UnixMilli(), 1}); cluster != "lab" || host != "d" || !ok {
		t.Errorf("got %q %q %v", cluster, host, ok)
	}
	if _, _, ok := o.SenderOf(Boot{1, 1}); ok {
		t.Error("a boot that was never heard has a sender")
	}
}
