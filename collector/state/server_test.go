package state

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"keepwatch/collector/frame"
)

// serve runs a server on loopback until the test ends.
func serve(t *testing.T, s *State) (address string) {
	t.Helper()
	address, _ = run(t, NewServer(s, ring(t), quiet))
	return address
}

// run runs a server on loopback until stop or the end of the test.
func run(t *testing.T, server *Server) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Run(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func connect(t *testing.T, address string, keys *frame.Keyring, since int64) (*frame.StreamReader, net.Conn) {
	t.Helper()
	return connectBy(t, &net.Dialer{}, address, keys, since)
}

func connectBy(t *testing.T, by *net.Dialer, address string, keys *frame.Keyring, since int64) (*frame.StreamReader, net.Conn) {
	t.Helper()
	conn, err := by.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var nonce frame.Nonce
	if _, err := rand.Read(nonce[:]); err != nil {
		t.Fatal(err)
	}
	hello, err := frame.NewHello(keys, nonce, since, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(hello.Bytes[:]); err != nil {
		t.Fatal(err)
	}
	return frame.NewStreamReader(bufio.NewReader(conn), hello), conn
}

func next(t *testing.T, r *frame.StreamReader) frame.Record {
	t.Helper()
	for {
		rec, err := r.Next()
		if err != nil || rec.Err != nil {
			t.Fatal(err, rec.Err)
		}
		if !rec.Heartbeat {
			return rec
		}
	}
}

func TestStreamServesHistoryThenWhatComes(t *testing.T) {
	s := newState(t, nil)
	now := time.Now()
	web := newSender(t, "web1", frame.Boot{Start: now.UnixMilli(), Random: 1})
	send := func(at time.Time) {
		t.Helper()
		if err := s.Native(web.frame(at, "web1", "load"), from, at); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		send(now.Add(time.Duration(i-3) * time.Second))
	}
	address := serve(t, s)
	all, _ := connect(t, address, ring(t), 0)
	late, conn := connect(t, address, ring(t), now.Add(-time.Second).UnixMilli())
	for i := range 3 {
		if rec := next(t, all); rec.Frame.Seq != uint64(i+1) || rec.Frame.Host != "web1" {
			t.Errorf("got frame %d, want %d", rec.Frame.Seq, i+1)
		}
	}
	if rec := next(t, late); rec.Frame.Seq != 3 {
		t.Errorf("since the last second: got frame %d, want 3", rec.Frame.Seq)
	}
	send(now)
	for _, r := range []*frame.StreamReader{all, late} {
		if rec := next(t, r); rec.Frame.Seq != 4 || rec.Received < now.UnixMilli() {
			t.Errorf("live: got frame %d received %d, want 4", rec.Frame.Seq, rec.Received)
		}
	}
	beat, err := all.Next()
	if err != nil || !beat.Heartbeat || beat.Oldest != now.Add(-3*time.Second).UnixMilli() {
		t.Errorf("heartbeat: got %+v, %v", beat, err)
	}
	// Resume: a client that comes back asks from the last frame it has and gets what it missed.
	conn.Close()
	send(now.Add(time.Second))
	again, _ := connect(t, address, ring(t), beat.Received)
	rec := next(t, again)
	if rec.Frame.Seq == 4 { // it came in the very millisecond of the heartbeat
		rec = next(t, again)
	}
	if rec.Frame.Seq != 5 {
		t.Errorf("after resuming: got frame %d, want 5", rec.Frame.Seq)
	}
}

func TestStreamRefusesWithoutTheKey(t *testing.T) {
	address := serve(t, newState(t, nil))
	k, err := frame.ParseKey(1, "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0")
	if err != nil {
		t.Fatal(err)
	}
	other, err := frame.NewKeyring(k)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := connect(t, address, other, 0)
	if _, err := r.Next(); !errors.Is(err, frame.ErrRefused) {
		t.Errorf("other key: got %v, want ErrRefused", err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(make([]byte, frame.HelloSize)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); len(got) != 0 || err != nil {
		t.Errorf("plain bytes were answered with %x, %v; want a closed connection", got, err)
	}
}

// Who reaches the port and has no key takes no place from others, and is told of once.
func TestStrangersKeepNobodyOut(t *testing.T) {
	s := newState(t, nil)
	var told bytes.Buffer
	server := NewServer(s, ring(t), slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelWarn})))
	address, stop := run(t, server)
	const strangers = greetingFrom + 4
	refused := make(chan error, strangers)
	var conns []net.Conn
	for range strangers {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			refused <- err
		}()
	}
	for range strangers - greetingFrom { // the others wait for their hello
		if err := <-refused; !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want a closed connection", err)
		}
	}
	other := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range greetingFrom + 2 { // who has said hello is counted apart
		r, _ := connectBy(t, other, address, ring(t), 0)
		if rec, err := r.Next(); err != nil || !rec.Heartbeat {
			t.Fatalf("a client with the key: %+v, %v", rec, err)
		}
	}
	if n := server.Clients(); n != greetingFrom+2 {
		t.Errorf("%d streams, want %d", n, greetingFrom+2)
	}
	for _, conn := range conns {
		conn.Close()
	}
	for range greetingFrom {
		<-refused
	}
	stop()
	if n := strings.Count(told.String(), "stream client refused"); n != 1 {
		t.Errorf("%d lines in the log, want 1:\n%s", n, &told)
	}
}

// There are 64 streams, and no more.
func TestStreamsAreBounded(t *testing.T) {
	server := NewServer(newState(t, nil), ring(t), quiet)
	address, _ := run(t, server)
	for i := range maxClients + 1 {
		r, _ := connect(t, address, ring(t), 0)
		if _, err := r.Next(); i < maxClients && err != nil || i == maxClients && !errors.Is(err, frame.ErrRefused) {
			t.Fatalf("client %d: %v", i, err)
		}
	}
}

// A client that does not read is cut off, and the intake never waits for it.
func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	s := newState(t, func(o *Options) { o.MaxBytes = 2 << 20 })
	address := serve(t, s)
	r, conn := connect(t, address, ring(t), 0)
	if rec, err := r.Next(); err != nil || !rec.Heartbeat { // connected
		t.Fatal(rec, err)
	}
	datagram := make([]byte, 1200)
	before := streamSlow.Get()
	for streamSlow.Get() == before {
		for range 5000 { // 6 MB: three times what the log holds
			s.History().Append(time.Now().UnixMilli(), datagram)
		}
		if _, err := conn.Read(make([]byte, 1<<20)); err != nil {
			break // it has been cut off; what was in the kernel's buffers is read
		}
	}
	for {
		if _, err := conn.Read(make([]byte, 1<<20)); err != nil {
			break
		}
	}
}
