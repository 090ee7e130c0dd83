package frame

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBeat(t *testing.T) {
	ring := testRing(t)
	boot := Boot{start.UnixMilli(), 7}
	s, o := testSealer(t, ring, "web1", boot), testOpener(t, ring)
	frames := sealAll(t, s, samples(500), start)
	early := bytes.Clone(s.Beat(1))
	if _, err := o.Beat(early); !errors.Is(err, ErrUnheard) {
		t.Errorf("before any frame: got %v, want ErrUnheard", err)
	}
	if _, err := o.Open(frames[0], start); err != nil {
		t.Fatal(err)
	}
	n := uint64(len(frames))
	if got, err := o.Beat(early); err != nil || got != (Beat{boot, 1, n}) {
		t.Errorf("got %+v, %v; want 1 to %d", got, err, n)
	}
	if got, err := o.Beat(s.Beat(1 << 40)); err != nil || got != (Beat{boot, n + 1, n}) {
		t.Errorf("nothing held: got %+v, %v", got, err)
	}
	for at := range early {
		d := bytes.Clone(early)
		d[at] ^= 1
		if _, err := o.Beat(d); err == nil {
			t.Errorf("byte %d changed: opened", at)
		}
	}
	if _, err := o.Beat(frames[0]); !errors.Is(err, ErrNotFrame) {
		t.Errorf("a frame is no beat: got %v", err)
	}
	if _, err := o.Open(frames[1], start); err != nil {
		t.Errorf("a frame after beats: %v", err)
	}
}

func TestLate(t *testing.T) {
	ring := testRing(t)
	s, o := testSealer(t, ring, "web1", Boot{start.UnixMilli(), 7}), testOpener(t, ring)
	var frames [][]byte
	late := func(i int) bool {
		t.Helper()
		f, err := o.Open(frames[i], start)
		if err != nil {
			t.Fatal(err)
		}
		return o.Late(f.Origin)
	}
	for range 6 {
		frames = append(frames, sealAll(t, s, samples(1), start)...)
	}
	for _, c := range []struct {
		frame int
		want  bool
	}{{0, false}, {2, false}, {1, true}, {3, false}} {
		if got := late(c.frame); got != c.want {
			t.Errorf("frame %d: got %v", c.frame, got)
		}
	}
	if _, err := o.Beat(s.Beat(1)); err != nil {
		t.Fatal(err)
	}
	if !late(4) || late(5) {
		t.Error("after a beat that told of frame 5: want frame 4 alone to be late")
	}
	if o.Late(Origin{Boot{1, 1}, 1}) {
		t.Error("a frame of a boot that was never heard is late")
	}
}

func TestRequest(t *testing.T) {
	a, b := testKey(t, 1, "a"), testKey(t, 2, "b")
	boot, now := Boot{start.UnixMilli(), 7}, start.UnixMilli()
	q := NewRequests(testRing(t, a, b), boot)
	want := []Range{{1, 1}, {3, 9}, {11, 11}, {1000, 1200}}
	ask := func(ring *Keyring, of Boot, nonce byte, ranges []Range) []byte {
		t.Helper()
		d, err := AppendRequest(nil, ring, of, RequestNonce{nonce}, ranges)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for i, ring := range []*Keyring{testRing(t, a), testRing(t, b)} {
		d := ask(ring, boot, byte(i), want)
		if got, err := q.Open(d, now); err != nil || !slices.Equal(got, want) {
			t.Errorf("key %d: got %v, %v; want %v", i, got, err, want)
		}
		if _, err := q.Open(d, now); !errors.Is(err, ErrReplay) {
			t.Errorf("the second time: got %v", err)
		}
	}
	good := ask(testRing(t, a), boot, 9, want)
	for at := range good {
		d := bytes.Clone(good)
		d[at] ^= 1
		if _, err := q.Open(d, now); err == nil {
			t.Errorf("byte %d changed: opened", at)
		}
	}
	for _, c := range []struct {
		name string
		d    []byte
		want error
	}{
		{"other boot", ask(testRing(t, a), Boot{1, 1}, 10, want), ErrStale},
		{"other key", ask(testRing(t, testKey(t, 3, "c")), boot, 11, want), ErrUnknownKey},
		{"other secret", ask(testRing(t, testKey(t, 1, "c")), boot, 12, want), ErrSeal},
		{"too much in a range", ask(testRing(t, a), boot, 13, []Range{{1, 10_000_000}}), ErrMalformed},
		{"too much in all", ask(testRing(t, a), boot, 14, []Range{{1, 200}, {300, 500}}), ErrMalformed},
		{"from the end of numbers", ask(testRing(t, a), boot, 15, []Range{{^uint64(0), ^uint64(0)}}), ErrMalformed},
		{"sequence 0", ask(testRing(t, a), boot, 16, []Range{{0, 1}}), ErrMalformed},
		{"backwards", ask(testRing(t, a), boot, 17, []Range{{9, 9}, {3, 3}}), ErrMalformed},
		{"too many ranges", ask(testRing(t, a), boot, 18, AppendRanges(nil, evens(MaxRanges+1))), ErrMalformed},
		{"short", good[:40], ErrNotFrame},
	} {
		if _, err := q.Open(c.d, now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	q.SetKeys(testRing(t, b))
	if _, err := q.Open(good, now); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a key that was taken out: got %v", err)
	}
}

func evens(n int) (out []uint64) {
	for i := range n {
		out = append(out, uint64(2*i+2))
	}
	return out
}

// Nonces are forgotten, but not while anybody holds what was asked for, and they do not grow without bound.
func TestRequestNoncesAreBounded(t *testing.T) {
	ring, boot := testRing(t), Boot{1, 1}
	q := NewRequests(ring, boot)
	first, err := AppendRequest(nil, ring, boot, RequestNonce{255}, []Range{{1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	for now := int64(0); now <= nonceAge; now += nonceAge / 2 {
		if _, err := q.Open(first, now); now > 0 && !errors.Is(err, ErrReplay) {
			t.Errorf("after %d ms: got %v, want ErrReplay", now, err)
		}
	}
	for i := range 3 * requestNonces {
		q.note(RequestNonce{byte(i), byte(i >> 8), byte(i >> 16)}, 0)
	}
	if n := len(q.young) + len(q.old); n > 2*requestNonces {
		t.Errorf("%d nonces are held", n)
	}
}

func TestRangesComeBack(t *testing.T) {
	ring, boot := testRing(t), Boot{1, 1}
	q, n := NewRequests(ring, boot), uint16(0)
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 300), 0, MaxRanges, rapid.ID).Draw(t, "sequences")
		slices.Sort(set)
		want := AppendRanges(nil, set)
		n++
		d, err := AppendRequest(nil, ring, boot, RequestNonce{byte(n), byte(n >> 8)}, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := q.Open(d, 0); err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	})
}

func FuzzRequestBody(f *testing.F) {
	f.Add([]byte{1, 1, 0})
	f.Add([]byte{2, 1, 200, 1, 1, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		q := NewRequests(testRing(t), Boot{1, 1})
		if err := q.parse(b); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		last, n := uint64(0), uint64(0)
		for _, r := range q.ranges {
			if r.First <= last || r.Last < r.First {
				t.Fatalf("ranges %v are not in order", q.ranges)
			}
			last = r.Last
			n += r.Last - r.First + 1
		}
		if n > MaxAsked || len(q.ranges) > MaxRanges {
			t.Fatalf("%d ranges of %d frames", len(q.ranges), n)
		}
	})
}

func FuzzRequest(f *testing.F) {
	ring, boot := testRing(f), Boot{1, 1}
	good, err := AppendRequest(nil, ring, boot, RequestNonce{1}, []Range{{1, 4}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, d []byte) {
		if _, err := NewRequests(ring, boot).Open(d, 0); err == nil && !bytes.Equal(d, good) {
			t.Fatalf("opened what nobody sealed: %x", d)
		}
	})
}
