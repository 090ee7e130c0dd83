package db_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

// wire is the network between a client and the server; once cut, it says nothing to either.
type wire struct {
	l   net.Listener
	cut atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

// throughWire opens a database again over TCP by way of a wire.
func throughWire(t *testing.T, d *db.DB) (*db.DB, *wire) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := d.Pool.Config().ConnConfig
	w := &wire{l: l}
	t.Cleanup(w.close)
	go w.serve(fmt.Sprintf("%s/.s.PGSQL.%d", c.Host, c.Port))
	u := url.URL{Scheme: "postgres", User: url.User(c.User), Host: l.Addr().String(), Path: c.Database, RawQuery: "sslmode=disable"}
	far, err := db.Open(t.Context(), u.String(), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.close(); far.Close() })
	return far, w
}

func (w *wire) serve(server string) {
	for {
		client, err := w.l.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("unix", server)
		if err != nil {
			client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, to)
		w.mu.Unlock()
		go w.pass(to, client)
		go w.pass(client, to)
	}
}

// pass carries one direction. A cut wire takes what is sent and drops it, and hides that an end was closed.
func (w *wire) pass(to io.WriteCloser, from io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if w.cut.Load() {
			if err != nil {
				return
			}
			continue
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			to.Close()
			return
		}
	}
}

func (w *wire) close() {
	w.l.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
}

// A leader whose host is cut off, with no word to the server, stops by itself, and only then does another one lead.
func TestLeaderIsCutOff(t *testing.T) {
	t.Parallel()
	near := pgtest.New(t)
	far, wire := throughWire(t, near)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	leads, stopped := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- far.Lead(ctx, "alerter", 10*time.Millisecond, func(ctx context.Context) error {
			close(leads)
			<-ctx.Done()
			close(stopped)
			return ctx.Err()
		})
	}()
	select {
	case <-leads:
	case err := <-done:
		t.Fatalf("it never leads: %v", err)
	}
	wire.cut.Store(true)
	err := near.Lead(ctx, "alerter", 10*time.Millisecond, func(context.Context) error {
		select {
		case <-stopped:
		default:
			t.Error("two lead at once")
		}
		return nil
	})
	if err != nil {
		t.Errorf("the next one: %v", err)
	}
	if err := <-done; !errors.Is(err, db.ErrLeadLost) {
		t.Errorf("the one that was cut off: got %v, want ErrLeadLost", err)
	}
}

// The server does not wait for ever for a client that has died amid a transaction, with its locks.
func TestTransactionsOfTheDeadEnd(t *testing.T) {
	d := pgtest.New(t)
	var got string
	if err := d.Pool.QueryRow(t.Context(), "SELECT current_setting('idle_in_transaction_session_timeout')").Scan(&got); err != nil || got != "1min" {
		t.Errorf("the server waits for %s, %v; want 1min", got, err)
	}
}
