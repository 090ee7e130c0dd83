package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/ganglia"
)

// spokenFor is hosts of which some have others speak for them.
type spokenFor struct {
	fakeGmond
	spoofed []string
}

func (s spokenFor) GmondSpeaker(name string) (address string, from netip.Addr, held bool) {
	address, from, held = s.fakeGmond.GmondSpeaker(name)
	if slices.Contains(s.spoofed, name) {
		from = netip.Addr{}
	}
	return address, from, held
}

// directory answers reverse lookups; what is not in it has no name.
type directory struct {
	mu    sync.Mutex
	names map[string][]string
	down  bool
	asked int
	slow  map[string]time.Duration
}

func (d *directory) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *directory) lookup(ctx context.Context, addr string) ([]string, error) {
	d.mu.Lock()
	names, down, wait := d.names[addr], d.down, d.slow[addr]
	d.asked++
	d.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(wait):
	}
	switch {
	case down:
		return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	case names == nil:
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return names, nil
}

// naming runs the lookups of an XML server in a bubble.
func naming(t *testing.T, source gmondSource, d *directory) (x *xmlServer, stop func()) {
	t.Helper()
	x = xmlOf(t, conf.Gmond{XML: conf.GmondXML{Names: conf.NamesLookup}}, source, io.Discard)
	x.peers.lookup = d.lookup
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.peers.run(ctx, x.speakers) }()
	return x, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// told lists the document's hosts as "name ip TN: metric=value …".
func told(t *testing.T, x *xmlServer) string {
	t.Helper()
	var doc bytes.Buffer
	if err := x.answer(&doc); err != nil {
		t.Fatal(err)
	}
	d, rep, err := ganglia.ReadDocument(&doc, ganglia.Limits{})
	if err != nil || rep.Faults > 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	var out []string
	for _, h := range d.Cluster.Hosts {
		line := fmt.Sprintf("%s %s %d:", h.Name, h.IP, h.TN)
		for _, m := range h.Metrics {
			line += " " + m.Name + "=" + m.Value
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func of(ip string, tn uint32, metrics ...ganglia.Metric) *ganglia.Host {
	return &ganglia.Host{IP: ip, TN: tn, TMax: 20, Location: "unspecified", Metrics: metrics}
}

func is(name, value string, tn uint32) ganglia.Metric {
	return ganglia.Metric{Name: name, Value: value, TN: tn, Type: "float"}
}

// Hosts have the names that gmond gives them: that of their address, whatever they call themselves. What has one
// address or one name is one host. None is shown under a name that it does not keep.
func TestXMLNamesByLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := spokenFor{fakeGmond{
			"web1":             of("10.0.0.1", 3, is("load_one", "1", 3), is("jobs", "old", 50)),
			"web1.example.com": of("10.0.0.1", 1, is("jobs", "new", 1), is("heat", "20", 1)),
			"web1-backnet":     of("10.1.0.1", 9, is("load_one", "2", 9)),
			"db":               of("10.0.0.2", 4),
			"slow":             of("10.0.0.3", 5),
			"printer":          of("10.0.0.9", 6),
			"printer-again":    of("10.0.0.9", 2),
			"gone":             nil,
		}, []string{"web1.example.com", "printer", "printer-again"}}
		d := &directory{
			names: map[string][]string{"10.0.0.1": {"web1.example.com.", "web1."}, "10.1.0.1": {"web1.example.com."}, "10.0.0.3": {"slow.example.com."}},
			slow:  map[string]time.Duration{"10.0.0.1": time.Second / 2, "10.1.0.1": time.Second / 2, "10.0.0.2": time.Second / 2, "10.0.0.3": 3 * time.Second},
		}
		x, stop := naming(t, source, d)
		defer stop()
		check := func(when, want string) {
			t.Helper()
			synctest.Wait()
			if got := told(t, x); got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", when, got, want)
			}
		}
		const printer = "printer 10.0.0.9 2:"
		check("before anything is known", printer)
		time.Sleep(time.Second)
		most := "10.0.0.2 10.0.0.2 4:\n" + printer
		all := "web1.example.com 10.0.0.1 1: load_one=1 jobs=new heat=20"
		check("while one is looked up", most+"\n"+all)
		time.Sleep(3 * time.Second)
		check("at last", most+"\nslow.example.com 10.0.0.3 5:\n"+all)
		d.set(func() { d.down = true })
		time.Sleep(peerFor + time.Minute)
		check("without DNS", most+"\nslow.example.com 10.0.0.3 5:\n"+all)
		d.set(func() { d.down, d.names = false, nil })
		time.Sleep(peerFor + time.Minute)
		check("when the names are taken away", most+"\nslow.example.com 10.0.0.3 5:\n"+all)
	})
}

// An address is shown for want of a name only when DNS says so, or has failed for several times; then it is asked now
// and again.
func TestLookupsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{down: true}
		x, stop := naming(t, fakeGmond{"web1": of("10.0.0.1", 1)}, d)
		defer stop()
		time.Sleep(peerRetry)
		if got := told(t, x); got != "" {
			t.Errorf("after the first failure: %s", got)
		}
		time.Sleep(peerTries * (peerRetry + peerTick))
		if got := told(t, x); got != "10.0.0.1 10.0.0.1 1:" {
			t.Errorf("after %d failures: %s", peerTries, got)
		}
		d.set(func() { d.down, d.names = false, map[string][]string{"10.0.0.1": {"", "web1."}} })
		time.Sleep(peerLater + 2*peerTick)
		if got := told(t, x); got != "web1 10.0.0.1 1:" {
			t.Errorf("when DNS is back: %s", got)
		}
		d.set(func() { d.asked = 0 })
		time.Sleep(2*peerFor + time.Minute)
		d.set(func() {
			if d.asked != 2 {
				t.Errorf("asked %d times in twelve hours", d.asked)
			}
		})
	})
}

// A resolver that never answers holds up nobody, and takes no more at once than there are workers.
func TestLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := make(fakeGmond)
		for i := range peerQueue + 100 {
			source[fmt.Sprint(i)] = of(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), 1)
		}
		d := &directory{slow: make(map[string]time.Duration)}
		for _, h := range source {
			d.slow[h.IP] = 2 * peerTime
		}
		x, stop := naming(t, source, d)
		defer stop()
		synctest.Wait()
		d.set(func() {
			if d.asked != peerWorkers {
				t.Errorf("%d lookups at once", d.asked)
			}
		})
		if got := told(t, x); got != "" {
			t.Errorf("told %s", got)
		}
		time.Sleep(time.Hour)
		if got := strings.Count(told(t, x), "\n") + 1; got != len(source) {
			t.Errorf("at last %d hosts have their address", got)
		}
	})
}

func TestPeersAreBounded(t *testing.T) {
	p, now := newPeers(nil, slog.New(slog.DiscardHandler)), time.Now()
	for i := range maxPeers {
		p.known[netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})] = &peer{name: "x", wanted: now}
	}
	other := netip.MustParseAddr("192.0.2.1")
	if p.name(other, now); p.known[other] != nil {
		t.Error("one more is known")
	}
	p.sweep(now.Add(peerForget + 1))
	if p.name(other, now); len(p.known) != 1 {
		t.Errorf("%d are known after all fell silent", len(p.known))
	}
	p.found(netip.MustParseAddr("192.0.2.2"), nil, errors.New("late"), now)
	if len(p.known) != 1 {
		t.Error("an answer for somebody forgotten is kept")
	}
}

func TestXMLNamesAsSent(t *testing.T) {
	x := xmlOf(t, conf.Gmond{XML: conf.GmondXML{Names: conf.NamesSent}}, fakeGmond{"web1": of("10.0.0.1", 1)}, io.Discard)
	if got := told(t, x); got != "web1 10.0.0.1 1:" || x.peers != nil {
		t.Errorf("got %s", got)
	}
}
