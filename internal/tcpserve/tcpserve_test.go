package tcpserve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"keepwatch/internal/acl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server on a free port of loopback until the test ends, and gives its address.
func serve(t *testing.T, opt Options, h Handler) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(opt)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr().String()
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// A client that said something nobody reads gets the answer whole and a clean end, no reset.
func TestEndsWithoutReset(t *testing.T) {
	answer := bytes.Repeat([]byte("x"), 1<<20)
	_, addr := serve(t, Options{Name: "test"}, func(_ context.Context, c net.Conn) error {
		_, err := c.Write(answer)
		return err
	})
	c := dial(t, addr)
	if _, err := c.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || len(got) != len(answer) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestAccess(t *testing.T) {
	list, err := acl.Parse([]string{"!127.0.0.0/8", "local"})
	if err != nil {
		t.Fatal(err)
	}
	_, addr := serve(t, Options{Name: "test", Access: func() *acl.List { return list }}, func(_ context.Context, c net.Conn) error {
		_, err := c.Write([]byte("secret"))
		return err
	})
	if got, _ := io.ReadAll(dial(t, addr)); len(got) > 0 {
		t.Errorf("a refused client got %q", got)
	}
}

// A client that is being served leaves others from its address no place beyond their share.
func TestShareOfAnAddress(t *testing.T) {
	enough := make(chan struct{})
	s, addr := serve(t, Options{Name: "test", PerAddress: 1}, func(ctx context.Context, c net.Conn) error {
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		select {
		case <-enough:
		case <-ctx.Done():
		}
		return nil
	})
	first := dial(t, addr)
	if _, err := io.ReadFull(first, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if s.Clients() != 1 {
		t.Errorf("%d clients", s.Clients())
	}
	if got, _ := io.ReadAll(dial(t, addr)); len(got) > 0 {
		t.Errorf("a second client got %d bytes", len(got))
	}
	close(enough)
	if _, err := io.ReadAll(first); err != nil {
		t.Errorf("the first client was ended by %v", err)
	}
}

// A client that does not read is given up after the write's deadline, and its place is free again.
func TestSlowReader(t *testing.T) {
	cut := make(chan error, 1)
	s, addr := serve(t, Options{Name: "test", Write: 50 * time.Millisecond}, func(_ context.Context, c net.Conn) error {
		_, err := c.Write(make([]byte, 64<<20))
		cut <- err
		return err
	})
	dial(t, addr)
	if err := <-cut; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the slow reader was ended by %v", err)
	}
	for s.Clients() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// A port that another program has is told and tried again each minute.
func TestTakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Name: "test", Listen: taken.Addr().String(), Log: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx, func(context.Context, net.Conn) error { return nil }) }()
		time.Sleep(2*retryEvery + time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	taken.Close()
	if n := strings.Count(log.String(), "cannot serve this port"); n != 3 {
		t.Errorf("told %d times in two minutes, want 3:\n%s", n, log.String())
	}
}

func TestLocalAddrs(t *testing.T) {
	local := LocalAddrs()
	if !local(netip.MustParseAddr("127.0.0.1")) || local(netip.MustParseAddr("192.0.2.1")) {
		t.Error("127.0.0.1 is ours, 192.0.2.1 is not")
	}
}
