package link

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

var errHeld = errors.New("still held")

// addresses reads them as a configuration has them.
func addresses(t testing.TB, texts ...string) (all []conf.Address) {
	t.Helper()
	for _, text := range texts {
		var a conf.Address
		if err := a.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

func routes(t testing.TB, texts ...string) (all []conf.Route) {
	t.Helper()
	for _, text := range texts {
		var r conf.Route
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func rules(t testing.TB, texts ...string) (all []conf.Rule) {
	t.Helper()
	for _, text := range texts {
		var r conf.Rule
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// within runs f in a node and ends the test where it fails.
func within(t testing.TB, node *netnstest.Node, f func() error) {
	t.Helper()
	var err error
	node.Do(func() { err = f() })
	must(t, err)
}

// holder is an Addresses in a node.
func holder(t testing.TB, node *netnstest.Node, lifetime time.Duration) (a *Addresses) {
	t.Helper()
	within(t, node, func() (err error) { a, err = NewAddresses(lifetime); return err })
	t.Cleanup(a.Close)
	return a
}

// wantLines compares what a program prints, its spaces as one, with the lines wanted, in any order.
func wantLines(t *testing.T, got string, want ...string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(got) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(lines)
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestAddressAsWritten(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	node.IP("link", "add", "other0", "type", "bridge")
	node.IP("link", "set", "other0", "up")
	a := holder(t, node, time.Minute)
	all := addresses(t, "10.7.0.100/24 label eth0:web", "10.8.0.100/32 scope link", "10.9.0.100/24 dev other0 scope host", "fd09::100/64 dev other0", "10.7.0.101/24")
	must(t, a.Hold("eth0", all))
	for _, c := range []struct {
		device string
		want   []string
	}{
		{"eth0", []string{"10.7.0.100/24 scope global secondary dynamic proto 0x70 eth0:web", "10.8.0.100/32 scope link dynamic proto 0x70 eth0", "10.7.0.101/24 scope global secondary dynamic proto 0x70 eth0"}},
		{"other0", []string{"10.9.0.100/24 scope host dynamic proto 0x70 other0", "fd09::100/64 scope global"}},
	} {
		out := strings.Join(strings.Fields(node.IP("addr", "show", "dev", c.device)), " ")
		for _, w := range c.want {
			if w = strings.Replace(w, "proto 0x70 ", "", 1); !strings.Contains(out, w) {
				t.Errorf("%s: %q is not in\n%s", c.device, w, out)
			}
		}
	}
	got, err := a.Present("eth0", append(slices.Clone(all), addresses(t, "10.7.0.102/24", "10.9.0.100/24")...))
	if must(t, err); !slices.Equal(got, all) {
		t.Errorf("present: got %v, want %v", got, all)
	}
	if err := a.Hold("eth0", addresses(t, "10.7.0.102/24 dev eth9", "10.7.0.103/24", "10.7.0.104/24 dev lo")); err == nil || err.Error() != `cannot find interface "eth9": no such device` {
		t.Errorf("got %v", err)
	}
	if !node.Holds("10.7.0.103") {
		t.Error("the addresses after a missing interface were not tried")
	}
	must(t, a.Release("eth0", all))
	if got, err := a.Present("eth0", all); err != nil || got != nil {
		t.Errorf("after release: got %v, %v", got, err)
	}
	a.Close()
	if err := a.Hold("eth0", all); err == nil {
		t.Error("held through a closed socket")
	}
}

// The kernel's refusal of one address is told with its words and does not keep the others off.
func TestRefusedAddress(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	a := holder(t, node, time.Minute)
	err := a.Hold("eth0", []conf.Address{{Prefix: netip.MustParsePrefix("224.0.0.1/24")}, {Prefix: netip.MustParsePrefix("ff02::77/64")}, {Prefix: netip.MustParsePrefix("10.7.0.100/24")}})
	if err == nil || !strings.Contains(err.Error(), "cannot put ff02::77/64 on eth0") {
		t.Errorf("got %v", err)
	}
	if !node.Holds("10.7.0.100") {
		t.Error("the good address is missing")
	}
}

// A virtual address may come to be its subnet's primary. When its lease ends the others of the subnet stay.
func TestSecondariesStay(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	long, short := holder(t, node, time.Minute), holder(t, node, 2*time.Second)
	must(t, long.Prepare("eth0"))
	for _, c := range [][2]string{{"promote_secondaries", "1"}, {"arp_announce", "2"}} {
		var out []byte
		cmd := node.Command("cat", "/proc/sys/net/ipv4/conf/eth0/"+c[0])
		if out, _ = cmd.CombinedOutput(); strings.TrimSpace(string(out)) != c[1] {
			t.Errorf("%s: got %s, want %s", c[0], out, c[1])
		}
	}
	must(t, short.Hold("eth0", addresses(t, "10.8.0.100/24")))
	must(t, long.Hold("eth0", addresses(t, "10.8.0.101/24")))
	netnstest.Await(t, "the primary's end", func() error {
		if node.Holds("10.8.0.100") {
			return errHeld
		}
		return nil
	})
	if !node.Holds("10.8.0.101") {
		t.Error("the secondary went with its primary")
	}
	if err := long.Prepare("eth0", "eth9"); err == nil || !strings.Contains(err.Error(), `"eth9"`) {
		t.Errorf("got %v", err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24", "fd07::1/64")
	killed := holder(t, node, time.Minute)
	must(t, killed.Hold("eth0", addresses(t, "10.7.0.100/24", "fd07::100/64", "10.7.0.101/24")))
	must(t, killed.AddRoutes("eth0", routes(t, "10.20.0.0/16 via 10.7.0.9 src 10.7.0.101", "fd20::/16 via fd07::9 dev eth0", "blackhole 10.21.0.0/16 table 77")))
	must(t, killed.AddRules(rules(t, "from 10.7.0.100 lookup 100 priority 1000", "inet6 fwmark 0x7 lookup 77")))
	node.IP("route", "add", "10.22.0.0/16", "via", "10.7.0.9")
	node.IP("rule", "add", "from", "10.7.0.7", "lookup", "55")
	a := holder(t, node, time.Minute)
	removed, err := a.Sweep(func(ifname string, p netip.Prefix) bool { return ifname == "eth0" && p.String() == "10.7.0.101/24" })
	must(t, err)
	want := []string{
		"address 10.7.0.100/24 dev eth0", "address fd07::100/64 dev eth0",
		"route to 10.20.0.0/16 table 254", "route to 10.21.0.0/16 table 77", "route to fd20::/16 table 254",
		"rule to 0.0.0.0/0 table 100", "rule to ::/0 table 77",
	}
	if !slices.Equal(removed, want) {
		t.Errorf("got %q, want %q", removed, want)
	}
	for addr, want := range map[string]bool{"10.7.0.1": true, "fd07::1": true, "10.7.0.101": true, "10.7.0.100": false, "fd07::100": false} {
		if node.Holds(addr) != want {
			t.Errorf("%s: held is %t", addr, !want)
		}
	}
	wantLines(t, node.IP("route", "show", "table", "all", "proto", "boot"), "10.22.0.0/16 via 10.7.0.9 dev eth0")
	wantLines(t, node.IP("route", "show", "table", "all", "proto", "112"))
	if out := node.IP("rule"); !strings.Contains(out, "from 10.7.0.7 lookup 55") || strings.Contains(out, "10.7.0.100") {
		t.Errorf("rules are\n%s", out)
	}
	if removed, err := a.Sweep(func(string, netip.Prefix) bool { return true }); err != nil || removed != nil {
		t.Errorf("again: got %q, %v", removed, err)
	}
}

func benchmarkHold(b *testing.B, n int) {
	node := netnstest.New(b).Node("a", "10.7.0.1/16")
	a := holder(b, node, time.Minute)
	var all []conf.Address
	for ip := netip.MustParseAddr("10.7.0.100"); len(all) < n; ip = ip.Next() {
		all = append(all, conf.Address{Prefix: netip.PrefixFrom(ip, 16)})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Hold("eth0", all); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/call")
}

func BenchmarkHold1(b *testing.B)  { benchmarkHold(b, 1) }
func BenchmarkHold20(b *testing.B) { benchmarkHold(b, 20) }

// BenchmarkTake1 takes and releases: the path of a failover, not of a renewal.
func BenchmarkTake1(b *testing.B) {
	node := netnstest.New(b).Node("a", "10.7.0.1/16")
	a, all := holder(b, node, time.Minute), addresses(b, "10.7.0.100/16")
	for b.Loop() {
		must(b, a.Hold("eth0", all))
		must(b, a.Release("eth0", all))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/pair")
}
