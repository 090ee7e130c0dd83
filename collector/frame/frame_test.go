package frame

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/metric"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite golden files")

var start = time.UnixMilli(1_795_000_000_000)

func testKey(t testing.TB, id int, digit string) Key {
	t.Helper()
	k, err := ParseKey(id, strings.Repeat(digit, 64))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testRing(t testing.TB, keys ...Key) *Keyring {
	t.Helper()
	if len(keys) == 0 {
		keys = []Key{testKey(t, 1, "a")}
	}
	r, err := NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testSealer(t testing.TB, ring *Keyring, host string, boot Boot) *Sealer {
	t.Helper()
	s, err := NewSealer(SealerOptions{Keys: ring, Boot: boot, Cluster: "lab", Host: host, Payload: 1400})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testOpener(t testing.TB, ring *Keyring) *Opener {
	t.Helper()
	o, err := NewOpener(OpenerOptions{Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func samples(n int) *batch.Batch {
	b := &batch.Batch{}
	for i := range n {
		s := metric.MustSeries("lab", "web1", fmt.Sprintf("node_metric_number_%d", i), []metric.Label{{Name: "device", Value: "eth0"}}, metric.Bytes, metric.Counter)
		b.Samples = append(b.Samples, metric.Sample{Series: s, Time: start.UnixMilli(), Value: float64(i) * 1.25})
	}
	return b
}

func sealAll(t testing.TB, s *Sealer, b *batch.Batch, now time.Time) (out [][]byte) {
	t.Helper()
	lost := s.Seal(b, Stamp{Now: now, Interval: 15 * time.Second}, func(d []byte) { out = append(out, bytes.Clone(d)) })
	if lost != 0 {
		t.Fatalf("%d items were too large", lost)
	}
	return out
}

func TestBigBatchIsSplitAndComesBackWhole(t *testing.T) {
	ring := testRing(t)
	s, o := testSealer(t, ring, "web1", Boot{start.UnixMilli(), 7}), testOpener(t, ring)
	in := samples(3000)
	in.Events = []metric.Event{{ID: "1", Cluster: "lab", Host: "web1", Time: 5, Kind: metric.EventVIPTaken, Text: strings.Repeat("x", 2000)}}
	var got batch.Batch
	var dec batch.Decoder
	frames := sealAll(t, s, in, start)
	for _, d := range frames {
		if len(d) > 1400 {
			t.Fatalf("datagram of %d bytes, want at most 1400", len(d))
		}
		f, err := o.Open(d, start.Add(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if f.Cluster != "lab" || f.Host != "web1" || f.Interval != 15*time.Second || f.Gmond || f.Sent != start.UnixMilli() {
			t.Fatalf("got %+v", f)
		}
		if err := dec.Decode(f.Payload, &got); err != nil {
			t.Fatal(err)
		}
	}
	if len(got.Samples) != 3000 || len(got.Events) != 1 {
		t.Fatalf("got %d samples, %d events; want 3000, 1", len(got.Samples), len(got.Events))
	}
	for i, g := range got.Samples {
		if w := in.Samples[i]; g.Series.Key() != w.Series.Key() || g.Value != w.Value {
			t.Fatalf("sample %d: got %v, want %v", i, g, w)
		}
	}
	if fill := len(bytes.Join(frames, nil)) / len(frames); fill < 1000 {
		t.Errorf("frames hold %d bytes on average, want more than 1000 of 1400", fill)
	}
}

func TestWhatFitsNoFrameIsLeftOutAndCounted(t *testing.T) {
	ring := testRing(t)
	o := testOpener(t, ring)
	s, err := NewSealer(SealerOptions{Keys: ring, Boot: Boot{start.UnixMilli(), 7}, Cluster: "lab", Host: "web1", Payload: MinPayload})
	if err != nil {
		t.Fatal(err)
	}
	var noise []byte // which no compressor makes smaller
	for i := range byte(32) {
		sum := sha256.Sum256([]byte{i})
		noise = append(noise, sum[:]...)
	}
	in := samples(2)
	in.Events = []metric.Event{{ID: "big", Cluster: "lab", Host: "web1", Kind: "k", Text: base64.StdEncoding.EncodeToString(noise)[:1300]}}
	var n, got int
	lost := s.Seal(in, Stamp{Now: start}, func(d []byte) {
		n++
		f, err := o.Open(d, start)
		if err != nil {
			t.Fatal(err)
		}
		var b batch.Batch
		if err := new(batch.Decoder).Decode(f.Payload, &b); err != nil {
			t.Fatal(err)
		}
		got += len(b.Samples)
	})
	if lost != 1 || got != 2 {
		t.Errorf("lost %d, %d samples in %d frames; want 1 lost, 2 samples", lost, got, n)
	}
}

func TestOpenRefuses(t *testing.T) {
	ring := testRing(t)
	boot := Boot{start.UnixMilli(), 7}
	good := sealAll(t, testSealer(t, ring, "web1", boot), samples(1), start)[0]
	change := func(at int) []byte {
		d := bytes.Clone(good)
		d[at] ^= 1
		return d
	}
	otherSecret := sealAll(t, testSealer(t, testRing(t, testKey(t, 1, "b")), "web1", boot), samples(1), start)[0]
	otherID := sealAll(t, testSealer(t, testRing(t, testKey(t, 9, "a")), "web1", boot), samples(1), start)[0]
	for _, c := range []struct {
		name string
		in   []byte
		now  time.Time
		want error
	}{
		{"empty", nil, start, ErrNotFrame},
		{"gmond packet", bytes.Repeat([]byte{0, 0, 0, 128}, 20), start, ErrNotFrame},
		{"other version", change(3), start, ErrNotFrame},
		{"cut", good[:40], start, ErrNotFrame},
		{"cut tag", good[:len(good)-1], start, ErrSeal},
		{"changed key id", change(4), start, ErrUnknownKey},
		{"changed boot", change(12), start, ErrSeal},
		{"changed sequence", change(28), start, ErrNotFrame}, // 1 becomes 0
		{"changed sequence high", change(21), start, ErrSeal},
		{"changed body", change(35), start, ErrSeal},
		{"changed tag", change(len(good) - 1), start, ErrSeal},
		{"other secret", otherSecret, start, ErrSeal},
		{"other key id", otherID, start, ErrUnknownKey},
		{"a clock an hour behind ours", good, start.Add(time.Hour), nil},
		{"a clock an hour ahead of ours", good, start.Add(-time.Hour), nil},
	} {
		if _, err := testOpener(t, ring).Open(c.in, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestRotationHasNoGap(t *testing.T) {
	a, b := testKey(t, 1, "a"), testKey(t, 2, "b")
	o := testOpener(t, testRing(t, a, b))
	for i, ring := range []*Keyring{testRing(t, a), testRing(t, a, b), testRing(t, b, a), testRing(t, b)} {
		d := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli() + int64(i), 7}), samples(1), start)[0]
		if _, err := o.Open(d, start); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
	o.SetKeys(testRing(t, b))
	d := sealAll(t, testSealer(t, testRing(t, a), "web2", Boot{start.UnixMilli(), 7}), samples(1), start)[0]
	if _, err := o.Open(d, start); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("key taken out: got %v, want ErrUnknownKey", err)
	}
}

// A key file gets another secret under the same id, and sender and receiver reload: frames of the same start open with the
// new secret at once, and with the old one no more. A key that did not change keeps what is known of replays.
func TestKeyReplacedUnderItsID(t *testing.T) {
	kept, old, next := testKey(t, 1, "a"), testKey(t, 2, "b"), testKey(t, 2, "c")
	o := testOpener(t, testRing(t, kept, old))
	boot := Boot{start.UnixMilli(), 7}
	s, behind := testSealer(t, testRing(t, old), "web1", boot), testSealer(t, testRing(t, old), "web1", boot)
	other := sealAll(t, testSealer(t, testRing(t, kept), "web2", boot), samples(1), start)[0]
	first := sealAll(t, s, samples(1), start)[0]
	sealAll(t, behind, samples(1), start)
	open := func(what string, d []byte, want error) {
		t.Helper()
		if _, err := o.Open(d, start); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	open("old secret", first, nil)
	open("kept key", other, nil)
	if err := s.SetKeys(testRing(t, next)); err != nil {
		t.Fatal(err)
	}
	o.SetKeys(testRing(t, kept, next))
	open("old secret of a sender that did not reload", sealAll(t, behind, samples(1), start)[0], ErrSeal)
	open("recorded frame", first, ErrSeal)
	open("new secret", sealAll(t, s, samples(1), start)[0], nil)
	open("kept key again", other, ErrReplay)
}

func TestOlderBootOfTheSameHostIsRefused(t *testing.T) {
	ring := testRing(t)
	o := testOpener(t, ring)
	older := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli(), 1}), samples(200), start)
	newer := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli() + 1, 2}), samples(1), start)
	other := sealAll(t, testSealer(t, ring, "web2", Boot{start.UnixMilli() - 1, 3}), samples(1), start)
	for i, c := range []struct {
		d    []byte
		want error
	}{{older[0], nil}, {newer[0], nil}, {older[1], ErrStale}, {other[0], nil}, {newer[0], ErrReplay}} {
		if _, err := o.Open(c.d, start); !errors.Is(err, c.want) {
			t.Errorf("step %d: got %v, want %v", i, err, c.want)
		}
	}
	o.Sweep(start.Add(rememberFor + time.Minute))
	if len(o.boots) != 0 || len(o.senders) != 2 {
		t.Errorf("%d boots, %d senders left after the sweep, want 0 and 2", len(o.boots), len(o.senders))
	}
}

func TestBootsAreBounded(t *testing.T) {
	ring := testRing(t)
	o, err := NewOpener(OpenerOptions{Keys: ring, MaxBoots: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		d := sealAll(t, testSealer(t, ring, fmt.Sprintf("h%d", i), Boot{start.UnixMilli(), uint64(i)}), samples(1), start)[0]
		_, err := o.Open(d, start)
		if want := error(nil); i >= 3 && !errors.Is(err, ErrTooMany) || i < 3 && err != want {
			t.Errorf("boot %d: got %v", i, err)
		}
	}
	later := start.Add(rememberFor + time.Minute)
	d := sealAll(t, testSealer(t, ring, "h9", Boot{later.UnixMilli(), 9}), samples(1), later)[0]
	if _, err := o.Open(d, later); err != nil {
		t.Errorf("after the others fell silent: %v", err)
	}
}

// Whatever the order, a sequence within the window is accepted exactly once and one behind it never.
func TestWindowAcceptsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		seen := map[uint64]bool{}
		at := uint64(rapid.IntRange(1, 1<<40).Draw(t, "start"))
		for range rapid.IntRange(1, 400).Draw(t, "n") {
			seq := uint64(max(int64(at)+rapid.Int64Range(-windowBits-200, windowBits+200).Draw(t, "step"), 1))
			inside := seq > w.top || w.top-seq < windowSize
			if got, want := w.fresh(seq), inside && !seen[seq]; got != want {
				t.Fatalf("fresh(%d) with top %d: got %v, want %v", seq, w.top, got, want)
			}
			if w.fresh(seq) {
				w.mark(seq)
				seen[seq] = true
			}
			at = w.top
		}
	})
}

func TestReorderingIsAcceptedDuplicatesAreNot(t *testing.T) {
	ring := testRing(t)
	frames := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli(), 1}), samples(2000), start)
	rapid.Check(t, func(t *rapid.T) {
		o, err := NewOpener(OpenerOptions{Keys: ring})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]bool{}
		for range 3 {
			for _, i := range rapid.Permutation(indices(len(frames))).Draw(t, "order") {
				_, err := o.Open(frames[i], start)
				if seen[i] && !errors.Is(err, ErrReplay) || !seen[i] && err != nil {
					t.Fatalf("frame %d, seen %v: got %v", i, seen[i], err)
				}
				seen[i] = true
			}
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// A frame sealed by an earlier build must still open: the golden file is opened, not compared with a new sealing,
// which a newer zstd may pack differently.
func TestGoldenFrame(t *testing.T) {
	const file = "testdata/frame.hex"
	ring := testRing(t)
	if *update {
		d := sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli(), 0x0102030405060708}), samples(3), start)[0]
		if err := os.WriteFile(file, []byte(hex.EncodeToString(d)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(d[:headerLen]), "4b5746"+"01"+"01"+"000001a1ee565e00"+"0102030405060708"+"0000000000000001"; got != want {
		t.Errorf("header: got %s, want %s", got, want)
	}
	f, err := testOpener(t, ring).Open(d, start)
	if err != nil {
		t.Fatal(err)
	}
	var b batch.Batch
	if err := new(batch.Decoder).Decode(f.Payload, &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Samples) != 3 || b.Samples[2].Value != 2.5 || b.Samples[2].Series.Name != "node_metric_number_2" {
		t.Errorf("got %v", b.Samples)
	}
}

func TestParseKeyRefusesAndTellsNothing(t *testing.T) {
	secret := strings.Repeat("c", 64)
	for _, c := range []struct {
		id   int
		text string
	}{{0, secret}, {256, secret}, {1, secret[:63]}, {1, secret + "c"}, {1, secret[:63] + "x"}, {1, ""}, {1, strings.Repeat("0", 64)}} {
		_, err := ParseKey(c.id, c.text)
		if !errors.Is(err, ErrKey) {
			t.Errorf("id %d, %d digits: got %v, want ErrKey", c.id, len(c.text), err)
		} else if strings.Contains(err.Error(), "ccc") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	k := testKey(t, 3, "c")
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		if got := fmt.Sprintf(verb, k); got != "key 3" {
			t.Errorf("%s: got %q, want %q", verb, got, "key 3")
		}
	}
	if got, err := ParseKey(1, " "+secret+"\n"); err != nil || got.ID() != 1 {
		t.Errorf("white space around: %v", err)
	}
	if _, err := NewKeyring(k, k); !errors.Is(err, ErrKey) {
		t.Errorf("twice the same id: got %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	ring := testRing(f)
	good := sealAll(f, testSealer(f, ring, "web1", Boot{start.UnixMilli(), 1}), samples(3), start)[0]
	f.Add(good)
	f.Add([]byte("KWF"))
	f.Add(good[:50])
	f.Fuzz(func(t *testing.T, d []byte) {
		_, err := testOpener(t, ring).Open(d, start)
		if err == nil && !bytes.Equal(d, good) {
			t.Fatalf("opened what nobody sealed: %x", d)
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add(appendBodyHead(nil, &bodyHead{sent: 5, interval: 5, gmond: true, cluster: []byte("c"), host: []byte("h")}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseBodyHead(b); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("untyped error %v", err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s, in := testSealer(b, testRing(b), "web1", Boot{start.UnixMilli(), 1}), samples(1000)
	frames := 0
	b.ReportAllocs()
	for b.Loop() {
		s.Seal(in, Stamp{Now: start}, func([]byte) { frames++ })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
	b.ReportMetric(float64(b.N)*1000/float64(frames), "samples/frame")
}

// BenchmarkOpen opens frames and decodes what they hold, as an aggregator's and an extractor's intake do.
func BenchmarkOpen(b *testing.B) {
	ring := testRing(b)
	s := testSealer(b, ring, "web1", Boot{start.UnixMilli(), 1})
	frames := sealAll(b, s, samples(1000), start)
	u := unsealer{ring: ring}
	var c cached
	var dec batch.Decoder
	var out batch.Batch
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		for _, d := range frames {
			h, _ := parseHeader(d)
			head, err := u.open(d, h, &c)
			if err != nil {
				b.Fatal(err)
			}
			f, err := u.frame(h, head, &c)
			if err != nil {
				b.Fatal(err)
			}
			if err := dec.Decode(f.Payload, &out); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
}
