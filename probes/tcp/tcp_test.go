package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProbe(t *testing.T, change func(*conf.TCPCheck)) *Probe {
	t.Helper()
	c := conf.TCPCheck{Name: "web", Host: "vip", Target: "127.0.0.1:1", Interval: 10 * time.Second, Timeout: 5 * time.Second, Vantage: 3, Quorum: 2}
	change(&c)
	p, err := New(Options{Cluster: "lab", Vantage: "lb1", Config: c, Every: 15 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// look collects once and gives values by metric name, and the events' texts.
func look(t *testing.T, p *Probe) (values map[string]float64, events []string) {
	t.Helper()
	var b batch.Batch
	if err := p.Collect(t.Context(), time.UnixMilli(1000), &b); err != nil {
		t.Fatal(err)
	}
	values = make(map[string]float64)
	for _, s := range b.Samples {
		values[s.Series.Name] = s.Value
	}
	for _, e := range b.Events {
		if err := e.Check(); err != nil {
			t.Error(err)
		}
		events = append(events, fmt.Sprintf("%s %s %s", e.Kind, e.Host, e.Text))
	}
	return values, events
}

// server accepts connections and greets, and gives how each of them ended.
func server(t *testing.T) (address string, ends chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ends = make(chan error)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, err = conn.Write([]byte("220 mail.example.com ready\r\n"))
			if err == nil {
				_, err = io.ReadAll(conn)
			}
			conn.Close()
			ends <- err
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), ends
}

func TestTargetThatTakesConnections(t *testing.T) {
	address, ends := server(t)
	p := newProbe(t, func(c *conf.TCPCheck) { c.Target = address })
	end := make(chan error, 1)
	go func() { end <- <-ends }()
	values, events := look(t, p)
	if err := <-end; err != nil {
		t.Errorf("the server, which greets, saw the connection end with %v, want an orderly end", err)
	}
	took, there := values[metricSeconds]
	if values[metricUp] != 1 || !there || took <= 0 || values[metricInterval] != 10 || values[metricQuorum] != 2 || len(values) != 4 {
		t.Errorf("got %v", values)
	}
	if len(events) != 0 {
		t.Errorf("got events %q", events)
	}
}

func TestChangesOfViewAreEvents(t *testing.T) {
	address, ends := server(t)
	go func() { <-ends }()
	p := newProbe(t, func(c *conf.TCPCheck) { c.Target = address })
	look(t, p)
	closed := newProbe(t, func(*conf.TCPCheck) {})
	values, events := look(t, closed)
	want := "check_down vip check web of 127.0.0.1:1, seen from lb1: connection refused: nothing listens there"
	if len(events) != 1 || events[0] != want {
		t.Errorf("got %q, want %q", events, want)
	}
	if _, there := values[metricSeconds]; there || values[metricUp] != 0 || len(values) != 3 {
		t.Errorf("got %v", values)
	}
	if _, events = look(t, closed); len(events) != 0 {
		t.Errorf("the same again: got %q", events)
	}
	closed.opt.Config.Target = address
	go func() { <-ends }()
	if _, events = look(t, closed); len(events) != 1 || !strings.HasSuffix(events[0], "takes connections again") {
		t.Errorf("got %q", events)
	}
	var b batch.Batch
	closed.Leave(time.UnixMilli(2000), &b)
	if len(b.Samples) != 1 || b.Samples[0].Series.Name != metricInterval || b.Samples[0].Value != 0 {
		t.Errorf("leaving: got %v", b.Samples)
	}
}

// What the same check saw before a reload is known to the probe that follows: nothing that has not changed is told again.
func TestFollow(t *testing.T) {
	before := newProbe(t, func(*conf.TCPCheck) {})
	if _, events := look(t, before); len(events) != 1 {
		t.Fatalf("got events %q", events)
	}
	after := newProbe(t, func(c *conf.TCPCheck) { c.Interval, c.Quorum = time.Minute, 1 })
	if !after.Follow(before) {
		t.Error("another interval and quorum: does not follow")
	}
	if _, events := look(t, after); len(events) != 0 {
		t.Errorf("told again: %q", events)
	}
	for what, change := range map[string]func(*conf.TCPCheck){
		"another target": func(c *conf.TCPCheck) { c.Target = "127.0.0.1:2" },
		"another host":   func(c *conf.TCPCheck) { c.Host = "vip2" },
	} {
		other := newProbe(t, change)
		if other.Follow(before) {
			t.Errorf("%s: follows", what)
		}
		if _, events := look(t, other); len(events) != 1 {
			t.Errorf("%s: got events %q", what, events)
		}
	}
}

// deafPort is one at which connections wait for ever: its queue is full.
func deafPort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return address
}

func TestReasons(t *testing.T) {
	f := func(want, target string) {
		t.Helper()
		p := newProbe(t, func(c *conf.TCPCheck) { c.Target, c.Timeout = target, 300*time.Millisecond })
		_, events := look(t, p)
		if len(events) != 1 || !strings.Contains(events[0], want) {
			t.Errorf("%s: got %q, want %q", target, events, want)
		}
	}
	f("connection refused", "127.0.0.1:1")
	f("no answer within 300ms", deafPort(t))
	f("the name no-such-host.invalid ", "no-such-host.invalid:80")
}

// A check that is taken away while it runs says nothing: that it was broken off is not the target's fault.
func TestCheckThatIsTakenAwaySaysNothing(t *testing.T) {
	p := newProbe(t, func(c *conf.TCPCheck) { c.Target = deafPort(t) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b batch.Batch
	if err := p.Collect(ctx, time.UnixMilli(0), &b); !errors.Is(err, context.Canceled) || len(b.Samples)+len(b.Events) > 0 {
		t.Errorf("got %v, %d samples, %d events", err, len(b.Samples), len(b.Events))
	}
}

func TestNames(t *testing.T) {
	p := newProbe(t, func(c *conf.TCPCheck) { c.Host, c.Target, c.Interval = "", "10.0.0.100:443", 0 })
	if p.Name() != "tcp/web" || p.Host() != "10.0.0.100" || p.Interval() != 15*time.Second {
		t.Errorf("got %q, %q, %v", p.Name(), p.Host(), p.Interval())
	}
	for _, c := range []conf.TCPCheck{{Name: "web", Target: "10.0.0.1"}, {Name: "web", Host: "a\nb", Target: "10.0.0.1:80"}} {
		if _, err := New(Options{Cluster: "lab", Vantage: "lb1", Config: c}); err == nil {
			t.Errorf("%+v: taken", c)
		}
	}
}
