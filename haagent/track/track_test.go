package track

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"keepwatch/haagent/script"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched is a track that runs.
type watched struct {
	t    *testing.T
	news chan Finding
	stop func()
}

// watch runs a track until the end of the test, in the node's namespace when there is one.
func watch(t *testing.T, c conf.Track, o Options, at *netnstest.Node) *watched {
	t.Helper()
	w := &watched{t: t, news: make(chan Finding, 1024)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	run := func() { ended <- Run(ctx, c, o, func(f Finding) { w.news <- f }) }
	if at == nil {
		go run()
	} else {
		go at.Do(run)
	}
	done := false
	w.stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("does not end")
		}
	}
	t.Cleanup(w.stop)
	return w
}

// next is the next finding, which must be as wanted.
func (w *watched) next(up bool, value int, detail string) {
	w.t.Helper()
	select {
	case f := <-w.news:
		if f.Up != up || f.Value != value || !strings.Contains(f.Detail, detail) {
			w.t.Fatalf("got %+v, want up %t, value %d and %q", f, up, value, detail)
		}
	case <-time.After(time.Minute):
		w.t.Fatalf("nothing is told, want up %t, value %d and %q", up, value, detail)
	}
}

func runner(t *testing.T) *script.Runner {
	t.Helper()
	r, err := script.NewRunner("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestWhatCannotBeWatched(t *testing.T) {
	for _, c := range []conf.Track{
		{Name: "nothing"}, {Script: []string{"/bin/true"}}, {Route: "nowhere"}, {Ping: []string{"10.0.0.1", "x"}}, {HTTP: "://"},
	} {
		if err := Run(t.Context(), c, Options{}, func(f Finding) { t.Errorf("%+v: told %+v", c, f) }); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func TestLook(t *testing.T) {
	f := func(c conf.Track, known, up bool, detail string) {
		t.Helper()
		got, ok := Look(c)
		if ok != known || got.Up != up || !strings.Contains(got.Detail, detail) {
			t.Errorf("got %+v, %t, want up %t, known %t and %q", got, ok, up, known, detail)
		}
	}
	f(conf.Track{Process: "kwtrack-none"}, true, false, "no process kwtrack-none runs")
	f(conf.Track{Interface: "lo"}, true, true, "")
	f(conf.Track{Interface: "kwnone"}, true, false, "there is no interface kwnone")
	f(conf.Track{Route: "203.0.113.0/24"}, true, false, "no route to 203.0.113.0/24")
	f(conf.Track{Route: "nowhere"}, true, false, "want a destination")
	f(conf.Track{File: "/no/such"}, true, false, "no such file")
	f(conf.Track{Script: []string{"/bin/true"}}, false, false, "")
	f(conf.Track{Ping: []string{"127.0.0.1"}}, false, false, "")
	f(conf.Track{HTTP: "http://127.0.0.1:1"}, false, false, "")
	f(conf.Track{TCP: "127.0.0.1:1"}, false, false, "")
}

func TestDestination(t *testing.T) {
	for text, want := range map[string]string{
		"default": "0.0.0.0/0", "::/0": "::/0", "10.1.2.3/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3/32", "fd00::1": "fd00::1/128",
		"fe80::1%eth0": "", "": "", "10.0.0.0/33": "",
	} {
		if got, err := destination(text); err == nil && got.String() != want || err != nil && want != "" {
			t.Errorf("%q: got %s, %v, want %q", text, got, err, want)
		}
	}
}

func TestInterface(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	w := watch(t, conf.Track{Interface: "eth0"}, Options{}, node)
	w.next(true, 0, "interface eth0 is up")
	node.SetPort(false)
	w.next(false, 0, "lost its carrier")
	node.SetPort(true)
	w.next(true, 0, "")
	node.SetLink(false)
	w.next(false, 0, "is down")
	node.SetLink(true)
	w.next(true, 0, "")
	node.Unplug()
	w.next(false, 0, "there is no interface eth0")
	node.Plug("10.7.0.1/24")
	w.next(true, 0, "")
}

func TestRoute(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24", "fd07::1/64")
	for _, c := range []struct{ route, other, via string }{
		{"default", "10.0.0.0/8", "10.7.0.2"}, {"10.9.0.0/16", "10.9.0.0/24", "10.7.0.2"}, {"10.9.9.9", "10.9.9.8", "10.7.0.2"},
		{"::/0", "fd00::/8", "fd07::2"}, {"fd09::/32", "fd09::/48", "fd07::2"},
	} {
		t.Run(c.route, func(t *testing.T) {
			w := watch(t, conf.Track{Route: c.route}, Options{}, node)
			w.next(false, 0, "no route to")
			node.IP("route", "add", c.other, "via", c.via)
			node.IP("route", "add", c.route, "via", c.via)
			w.next(true, 0, "has a route to")
			node.IP("route", "del", c.route)
			w.next(false, 0, "no route to")
			node.IP("route", "add", c.route, "via", c.via, "table", "77")
			node.IP("route", "add", "blackhole", c.route)
			node.IP("route", "del", "blackhole", c.route)
			node.IP("route", "add", c.route, "via", c.via)
			w.next(true, 0, "")
			node.SetPort(false)
			w.next(false, 0, "leads nowhere")
			node.SetPort(true)
			w.next(true, 0, "")
			node.IP("route", "del", c.other)
			node.IP("route", "del", c.route, "table", "77")
			node.SetLink(false) // of an IPv4 route that is flushed thus the kernel says nothing
			w.next(false, 0, "")
			w.stop()
			node.SetLink(true)
			netnstest.Await(t, "link", func() error {
				if !strings.Contains(node.IP("-6", "addr", "show", "dev", "eth0"), "fe80:") {
					return errors.New("no link-local address")
				}
				return nil
			})
			if !strings.Contains(node.IP("addr", "show", "dev", "eth0"), "fd07::1") {
				node.IP("addr", "add", "fd07::1/64", "dev", "eth0")
			}
		})
	}
}

func TestRouteOfManyHops(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	node.IP("link", "add", "eth1", "type", "veth", "peer", "name", "peer1")
	node.IP("addr", "add", "10.8.0.1/24", "dev", "eth1")
	node.IP("link", "set", "peer1", "up")
	node.IP("link", "set", "eth1", "up")
	node.IP("route", "add", "default", "nexthop", "via", "10.7.0.2", "nexthop", "via", "10.8.0.2")
	w := watch(t, conf.Track{Route: "default"}, Options{}, node)
	w.next(true, 0, "")
	node.SetPort(false)
	node.IP("link", "set", "eth1", "down")
	w.next(false, 0, "")
	node.IP("link", "set", "eth1", "up")
	node.IP("route", "replace", "default", "via", "10.8.0.2")
	w.next(true, 0, "")
}

func TestPing(t *testing.T) {
	t.Parallel()
	net := netnstest.New(t)
	a := net.Node("a", "10.7.0.1/24", "fd07::1/64")
	b := net.Node("b", "10.7.0.2/24", "fd07::2/64")
	c := conf.Track{Interval: 50 * time.Millisecond, Timeout: time.Second, AtLeast: 2, Ping: []string{"10.7.0.2", "fd07::2", "10.7.0.9", "10.250.0.1"}}
	w := watch(t, c, Options{}, a)
	w.next(true, 0, "at least 2 of 4 answer")
	b.IP("addr", "del", "fd07::2/64", "dev", "eth0")
	w.next(false, 0, "1 of 4 answered within 1s, want 2")
	b.IP("addr", "add", "fd07::2/64", "dev", "eth0")
	w.next(true, 0, "")
	b.SetLink(false)
	w.next(false, 0, "0 of 4 answered")
	w.stop()

	zoned := watch(t, conf.Track{Interval: 50 * time.Millisecond, Timeout: time.Second, Ping: []string{"ff02::1%eth0", "fe80::1%eth0", "10.7.0.255"}}, Options{}, a)
	zoned.next(false, 0, "0 of 3") // others answer for a group, nobody in its name
	b.SetLink(true)
	b.IP("addr", "add", "fe80::1/64", "dev", "eth0")
	zoned.next(true, 0, "at least 1 of 3")
}

func TestPingWithoutANetwork(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	w := watch(t, conf.Track{Interval: time.Hour, AtLeast: 1, Ping: []string{"10.250.0.1"}}, Options{}, node)
	w.next(false, 0, "network is unreachable") // known at once, not after an hour
}
