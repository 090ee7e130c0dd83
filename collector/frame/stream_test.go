package frame

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

type recording struct {
	hello  *Hello
	server []byte // all that the server sent
	frames [][]byte
}

func record(t testing.TB, ring *Keyring) recording {
	t.Helper()
	hello, err := NewHello(ring, Nonce{1}, 42, start)
	if err != nil {
		t.Fatal(err)
	}
	w, since, err := NewGreeter(ring).Accept(hello.Bytes[:], Nonce{2}, start)
	if err != nil {
		t.Fatal(err)
	}
	if since != 42 {
		t.Fatalf("since: got %d, want 42", since)
	}
	r := recording{hello: hello, server: w.AppendGreeting(nil)}
	r.frames = sealAll(t, testSealer(t, ring, "web1", Boot{start.UnixMilli(), 1}), samples(100), start)
	for _, d := range r.frames {
		r.server = w.AppendFrame(r.server, start.UnixMilli()+5, d)
	}
	r.server = w.AppendHeartbeat(r.server, start.UnixMilli()+9, start.UnixMilli()-9)
	return r
}

func TestStreamCarriesFramesAndHeartbeats(t *testing.T) {
	rec := record(t, testRing(t))
	sr := NewStreamReader(bytes.NewReader(rec.server), rec.hello)
	for i := range rec.frames {
		r, err := sr.Next()
		if err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
		if r.Heartbeat || r.Received != start.UnixMilli()+5 || r.Frame.Origin != (Origin{Boot{start.UnixMilli(), 1}, uint64(i + 1)}) || r.Frame.Host != "web1" || len(r.Frame.Payload) == 0 {
			t.Fatalf("record %d: got %+v", i, r)
		}
	}
	r, err := sr.Next()
	if err != nil || !r.Heartbeat || r.Received != start.UnixMilli()+9 || r.Oldest != start.UnixMilli()-9 {
		t.Fatalf("heartbeat: got %+v, %v", r, err)
	}
	if _, err := sr.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: got %v, want EOF", err)
	}
}

func TestOneBadFrameDoesNotEndTheStream(t *testing.T) {
	ring := testRing(t)
	rec := record(t, ring)
	w, _, err := NewGreeter(ring).Accept(rec.hello.Bytes[:], Nonce{3}, start)
	if err != nil {
		t.Fatal(err)
	}
	out := w.AppendGreeting(nil)
	bad := bytes.Clone(rec.frames[0])
	bad[40] ^= 1
	out = w.AppendFrame(out, start.UnixMilli(), bad)
	out = w.AppendFrame(out, start.Add(MaxSkew+time.Second).UnixMilli(), rec.frames[0])
	out = w.AppendFrame(out, start.UnixMilli(), rec.frames[0])
	sr := NewStreamReader(bytes.NewReader(out), rec.hello)
	for i, want := range []error{ErrSeal, nil, nil} {
		r, err := sr.Next()
		if err != nil || !errors.Is(r.Err, want) {
			t.Errorf("record %d: got %v, %v; want %v inside", i, err, r.Err, want)
		}
	}
}

// Whatever byte of the stream is changed, the reader gets no record that the server did not send.
func TestChangedStreamIsBroken(t *testing.T) {
	rec := record(t, testRing(t))
	for at := range rec.server {
		b := bytes.Clone(rec.server)
		b[at] ^= 0x20
		sr := NewStreamReader(bytes.NewReader(b), rec.hello)
		n := 0
		var err error
		for err == nil {
			if _, err = sr.Next(); err == nil {
				n++
			}
		}
		if n > len(rec.frames) {
			t.Fatalf("byte %d changed: %d records were read, the last ended with %v", at, n, err)
		}
	}
}

func TestAcceptRefuses(t *testing.T) {
	ring := testRing(t)
	hello, err := NewHello(ring, Nonce{1}, 0, start)
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int) []byte {
		b := bytes.Clone(hello.Bytes[:])
		b[at] ^= 1
		return b
	}
	foreign, err := NewHello(testRing(t, testKey(t, 1, "b")), Nonce{1}, 0, start)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGreeter(ring)
	for _, c := range []struct {
		name string
		in   []byte
		now  time.Time
		want error
	}{
		{"empty", nil, start, ErrNotFrame},
		{"plain text", bytes.Repeat([]byte("GET / HTTP/1.1"), 4)[:HelloSize], start, ErrNotFrame},
		{"other key id", change(4), start, ErrUnknownKey},
		{"changed nonce", change(10), start, ErrSeal},
		{"changed body", change(30), start, ErrSeal},
		{"other secret", foreign.Bytes[:], start, ErrSeal},
		{"late", hello.Bytes[:], start.Add(MaxSkew + time.Second), ErrStale},
		{"right", hello.Bytes[:], start, nil},
		{"again", hello.Bytes[:], start, ErrReplay},
	} {
		if _, _, err := g.Accept(c.in, Nonce{9}, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestReaderSaysRefused(t *testing.T) {
	hello, err := NewHello(testRing(t), Nonce{1}, 0, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewStreamReader(bytes.NewReader(nil), hello).Next(); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

func FuzzStreamReader(f *testing.F) {
	rec := record(f, testRing(f))
	f.Add(rec.server)
	f.Add(rec.server[:30])
	f.Fuzz(func(t *testing.T, b []byte) {
		sr := NewStreamReader(bytes.NewReader(b), rec.hello)
		for {
			if _, err := sr.Next(); err != nil {
				return
			}
		}
	})
}

func FuzzAccept(f *testing.F) {
	ring := testRing(f)
	rec := record(f, ring)
	f.Add(rec.hello.Bytes[:])
	f.Add([]byte("KWS"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := NewGreeter(ring).Accept(b, Nonce{4}, start)
		if err == nil && !bytes.Equal(b, rec.hello.Bytes[:]) {
			t.Fatalf("accepted what nobody sealed: %x", b)
		}
	})
}

// A server tells what its clock says before all records; the reader takes it out of them.
func TestStreamTellsTheServersClock(t *testing.T) {
	ring := testRing(t)
	rec := record(t, ring)
	w, _, err := NewGreeter(ring).Accept(rec.hello.Bytes[:], Nonce{3}, start)
	if err != nil {
		t.Fatal(err)
	}
	out := w.AppendClock(w.AppendGreeting(nil), start.UnixMilli()+7)
	out = w.AppendHeartbeat(out, start.UnixMilli()+8, 1)
	sr := NewStreamReader(bytes.NewReader(out), rec.hello)
	if sr.Clock() != 0 {
		t.Error("the clock is known before it was read")
	}
	if r, err := sr.Next(); err != nil || !r.Heartbeat || sr.Clock() != start.UnixMilli()+7 {
		t.Errorf("got %+v, %v, clock %d", r, err, sr.Clock())
	}
}
