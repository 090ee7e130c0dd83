package link

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keepwatch/haagent/vrrp"
	"keepwatch/internal/netnstest"
)

// A client's neighbour entry for the virtual address stays the same when the address moves, and only the master's
// interface speaks.
func TestVirtualMAC(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family           vrrp.Family
		vip, a, b, mac   string
		clientAddr, name string
	}{
		{vrrp.IPv4, "10.7.0.100/24", "10.7.0.1/24", "10.7.0.2/24", "00:00:5e:00:01:33", "10.7.0.9/24", "vrrp4.51"},
		{vrrp.IPv6, "fd07::100/64", "fd07::1/64", "fd07::2/64", "00:00:5e:00:02:33", "fd07::9/64", "vrrp6.51"},
	} {
		t.Run(c.family.String(), func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t)
			a, b, client := n.Node("a", c.a), n.Node("b", c.b), n.Node("c", c.clientAddr)
			vip := addresses(t, c.vip)
			holders := make(map[*netnstest.Node]*Addresses)
			for _, node := range []*netnstest.Node{a, b} {
				serve(t, node)
				holders[node] = holder(t, node, time.Minute)
				for range 2 { // the second finds the first's
					within(t, node, func() error { return holders[node].EnsureVMAC("eth0", c.name, c.family, 51) })
				}
				if out := node.IP("-d", "link", "show", c.name); !strings.Contains(out, "macvlan mode private") || !strings.Contains(out, c.mac) || !strings.Contains(out, "state DOWN") || !strings.Contains(out, "addrgenmode none") {
					t.Errorf("the interface is\n%s", out)
				}
			}
			for _, move := range [][2]*netnstest.Node{{nil, a}, {a, b}, {b, a}} {
				if from := move[0]; from != nil {
					must(t, errors.Join(holders[from].Release(c.name, vip), holders[from].SetVMACUp(c.name, false)))
				}
				to := move[1]
				must(t, errors.Join(holders[to].SetVMACUp(c.name, true), holders[to].Hold(c.name, vip)))
				var announcer *Announcer
				within(t, to, func() (err error) { announcer, err = NewAnnouncer(c.name); return err })
				must(t, errors.Join(announcer.Announce(vip[0].Addr()), announcer.Close()))
				if !reaches(client, vip[0].Addr(), true) {
					t.Errorf("the virtual address is not reached on %s", to.Namespace)
				}
				if out := client.IP("neigh", "show", vip[0].Addr().String()); !strings.Contains(out, c.mac) {
					t.Errorf("the client's neighbour is %q, want %s", out, c.mac)
				}
				own := netip.MustParsePrefix(map[*netnstest.Node]string{a: c.a, b: c.b}[to]).Addr()
				if !reaches(client, own, true) || strings.Contains(client.IP("neigh", "show", own.String()), c.mac) {
					t.Errorf("the host's own address: %s", client.IP("neigh", "show", own.String()))
				}
				if out := to.IP("addr", "show", c.name); strings.Contains(out, "fe80:") {
					t.Errorf("the interface has a link-local address:\n%s", out)
				}
			}
			for range 2 {
				must(t, holders[a].RemoveVMAC(c.name))
			}
			if out := a.IP("link"); strings.Contains(out, c.name) {
				t.Errorf("the interface is left:\n%s", out)
			}
			within(t, b, func() error {
				for what, err := range map[string]error{
					"another router's":   holders[b].EnsureVMAC("eth0", c.name, c.family, 52),
					"the host's":         holders[b].EnsureVMAC("eth0", "lo", c.family, 51),
					"no parent":          holders[b].EnsureVMAC("eth9", "vrrp.1", c.family, 51),
					"a name of 16 bytes": holders[b].EnsureVMAC("eth0", "vrrp456789012345", c.family, 51),
					"not there":          holders[b].SetVMACUp("vrrp.1", true),
				} {
					if err == nil {
						t.Errorf("%s: no error", what)
					}
				}
				return holders[b].RemoveVMAC("eth0") // no macvlan: it stays
			})
			if out := b.IP("link"); !strings.Contains(out, "eth0") {
				t.Error("the host's own interface was removed")
			}
		})
	}
}

func BenchmarkSetVMACUp(b *testing.B) {
	node := netnstest.New(b).Node("a", "10.7.0.1/24")
	a := holder(b, node, time.Minute)
	within(b, node, func() error { return a.EnsureVMAC("eth0", "vrrp4.51", vrrp.IPv4, 51) })
	var spent time.Duration
	for b.Loop() {
		begin := time.Now()
		must(b, a.SetVMACUp("vrrp4.51", true))
		spent += time.Since(begin)
		must(b, a.SetVMACUp("vrrp4.51", false))
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "µs/up")
}
