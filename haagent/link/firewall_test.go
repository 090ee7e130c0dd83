package link

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"keepwatch/internal/netnstest"
)

func firewall(t testing.TB, node *netnstest.Node) (f *Firewall) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		t.Fatal("this test looks at the firewall: install Debian's package nftables")
	}
	within(t, node, func() (err error) { f, err = OpenFirewall(); return err })
	return f
}

// ruleset is what nft says of a node, its spaces as one.
func ruleset(t testing.TB, node *netnstest.Node) string {
	t.Helper()
	out, err := node.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// serve accepts connections in a node and closes them.
func serve(t testing.TB, node *netnstest.Node) {
	t.Helper()
	var l net.Listener
	within(t, node, func() (err error) { l, err = net.Listen("tcp", ":80"); return err })
	var accepting sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		accepting.Wait()
	})
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
}

// reaches tells whether a connection comes about. Where none is wanted a short look is enough.
func reaches(from *netnstest.Node, addr netip.Addr, want bool) (ok bool) {
	patience := time.Minute
	if !want {
		patience = 100 * time.Millisecond
	}
	from.Do(func() {
		c, err := net.DialTimeout("tcp", netip.AddrPortFrom(addr, 80).String(), patience)
		if ok = err == nil; ok {
			_ = c.Close()
		}
	})
	return ok
}

func TestFirewallTable(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	if out, err := node.Command("nft", "add table inet keepwatch_ha; add table inet users; add chain inet keepwatch_ha old").CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	f := firewall(t, node)
	want := "table inet users { } table inet keepwatch_ha { set no_accept4 { type ipv4_addr } set handover4 { type ipv4_addr flags timeout } " +
		"set no_accept6 { type ipv6_addr } set handover6 { type ipv6_addr flags timeout } " +
		"chain input { type filter hook input priority filter; policy accept; ip daddr @no_accept4 drop " +
		"icmpv6 type 133-137 accept ip6 daddr @no_accept6 drop } " +
		"chain output { type filter hook output priority filter; policy accept; tcp flags rst ip saddr @handover4 drop tcp flags rst ip6 saddr @handover6 drop } }"
	if got := ruleset(t, node); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	must(t, f.Close())
	if got := ruleset(t, node); got != "table inet users { }" {
		t.Errorf("after Close: %s", got)
	}
}

func TestNoAccept(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	master, client := n.Node("m", "10.7.0.1/24", "fd07::1/64", "10.7.0.100/24", "fd07::100/64"), n.Node("c", "10.7.0.9/24", "fd07::9/64")
	serve(t, master)
	f := firewall(t, master)
	defer f.Close()
	vips := []netip.Addr{netip.MustParseAddr("10.7.0.100"), netip.MustParseAddr("fd07::100")}
	look := func(want bool) {
		t.Helper()
		for _, vip := range vips {
			if got := reaches(client, vip, want); got != want {
				t.Errorf("%s is reached: %t, want %t", vip, got, want)
			}
			if out := client.IP("neigh", "show", vip.String()); !strings.Contains(out, "lladdr") {
				t.Errorf("%s is no neighbour: %q", vip, out)
			}
		}
		for _, own := range []string{"10.7.0.1", "fd07::1"} {
			if !reaches(client, netip.MustParseAddr(own), true) {
				t.Errorf("the host's own %s is not reached", own)
			}
		}
	}
	for range 2 {
		must(t, f.SetNoAccept(vips, true))
	}
	look(false)
	if out, err := master.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil { // as a firewall's reload does
		t.Fatalf("nft: %v: %s", err, out)
	}
	must(t, f.Handover(vips, time.Millisecond))
	look(false)
	for range 2 {
		must(t, f.SetNoAccept(vips, false))
	}
	look(true)
	must(t, f.SetNoAccept(vips[:1], true))
	if out, err := master.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	must(t, f.SetNoAccept(vips, false))
	look(true)
}

// The kernel forgets a handover by itself, and a second one in time lengthens it.
func TestHandoverEnds(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	f := firewall(t, node)
	defer f.Close()
	vips := []netip.Addr{netip.MustParseAddr("10.7.0.100"), netip.MustParseAddr("fd07::100")}
	must(t, f.Handover(vips, time.Hour))
	must(t, f.Handover(vips, 2*time.Hour))
	if got := ruleset(t, node); strings.Count(got, "timeout 2h") != 2 {
		t.Errorf("got %s", got)
	}
	must(t, f.Handover(vips, 20*time.Millisecond))
	netnstest.Await(t, "the handover's end", func() error {
		if strings.Contains(ruleset(t, node), "elements") {
			return errHeld
		}
		return nil
	})
	must(t, f.Handover(vips, time.Hour))
	if got := ruleset(t, node); strings.Count(got, "timeout 1h") != 2 {
		t.Errorf("after the end: %s", got)
	}
}

func BenchmarkHandover1(b *testing.B) { benchmarkHandover(b, false) }

// BenchmarkHandoverAgain is a second handover within the window of the first.
func BenchmarkHandoverAgain(b *testing.B) { benchmarkHandover(b, true) }

func benchmarkHandover(b *testing.B, again bool) {
	f := firewall(b, netnstest.New(b).Node("a", "10.7.0.1/24"))
	defer f.Close()
	vip := []netip.Addr{netip.MustParseAddr("10.7.0.100")}
	b.ReportAllocs()
	for b.Loop() {
		if !again {
			clear(f.silent)
		}
		must(b, f.Handover(vip, 100*time.Millisecond))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/call")
}
