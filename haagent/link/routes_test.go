package link

import (
	"strings"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

func TestRoutesAsWritten(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24", "fd07::1/64")
	a := holder(t, node, time.Minute)
	must(t, a.Hold("eth0", addresses(t, "10.7.0.100/24")))
	all := routes(t, "default via 10.7.0.9 dev eth0 metric 10", "10.20.0.0/16 via 10.7.0.9 dev eth0 src 10.7.0.100 metric 5 mtu 1400",
		"10.21.0.0/24 dev eth0 scope link", "blackhole 10.22.0.0/16", "unreachable 10.23.0.0/16 metric 7", "prohibit 10.24.0.1/32",
		"10.25.0.0/16 via 192.0.2.1 onlink", "10.26.0.0/16 dev eth0 table 1000", "10.27.0.0/16 via 10.7.0.9")
	for range 2 {
		must(t, a.AddRoutes("eth0", all))
	}
	wantLines(t, node.IP("route", "show", "proto", "112"),
		"default via 10.7.0.9 dev eth0 metric 10", "10.20.0.0/16 via 10.7.0.9 dev eth0 src 10.7.0.100 metric 5 mtu 1400",
		"10.21.0.0/24 dev eth0 scope link", "blackhole 10.22.0.0/16", "unreachable 10.23.0.0/16 metric 7", "prohibit 10.24.0.1",
		"10.25.0.0/16 via 192.0.2.1 dev eth0 onlink", "10.27.0.0/16 via 10.7.0.9 dev eth0")
	wantLines(t, node.IP("route", "show", "table", "1000"), "10.26.0.0/16 dev eth0 proto 112 scope link")
	six := routes(t, "default via fe80::9", "fd20::/64 via fd07::9 dev eth0 metric 5", "blackhole fd21::/64", "fd22::/64 dev eth0 table 1000")
	for range 2 {
		must(t, a.AddRoutes("eth0", six))
	}
	wantLines(t, node.IP("-6", "route", "show", "proto", "112"),
		"default via fe80::9 dev eth0 metric 1024 pref medium", "fd20::/64 via fd07::9 dev eth0 metric 5 pref medium", "blackhole fd21::/64 dev lo metric 1024 pref medium")
	for range 2 {
		must(t, a.DelRoutes("eth0", append(all, six...)))
	}
	wantLines(t, node.IP("route", "show", "table", "all", "proto", "112"))
	wantLines(t, node.IP("-6", "route", "show", "table", "all", "proto", "112"))
	err := a.AddRoutes("eth0", routes(t, "10.20.0.0/16 via 10.99.0.1", "10.21.0.0/16 dev eth9", "10.22.0.0/16 via 10.7.0.9"))
	for _, want := range []string{`cannot add route "10.20.0.0/16 via 10.99.0.1": `, "Nexthop has invalid gateway", `cannot find interface "eth9"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	wantLines(t, node.IP("route", "show", "proto", "112"), "10.22.0.0/16 via 10.7.0.9 dev eth0")
}

// A master's route goes before the host's and gives way to it again; the host's is never touched.
func TestRouteBesideTheHosts(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24", "fd07::1/64")
	a := holder(t, node, time.Minute)
	node.IP("route", "add", "default", "via", "10.7.0.8")
	node.IP("-6", "route", "add", "fd20::/64", "via", "fd07::8", "dev", "eth0")
	ours := routes(t, "default via 10.7.0.9")
	must(t, a.AddRoutes("eth0", ours))
	if out := node.IP("route", "get", "198.51.100.1"); !strings.Contains(out, "via 10.7.0.9") {
		t.Errorf("the host's route is still in force: %s", out)
	}
	must(t, a.DelRoutes("eth0", ours))
	must(t, a.DelRoutes("eth0", routes(t, "default via 10.7.0.8")))
	wantLines(t, node.IP("route", "show", "default"), "default via 10.7.0.8 dev eth0")
	if err := a.AddRoutes("eth0", routes(t, "fd20::/64 via fd07::9 dev eth0")); err == nil || !strings.Contains(err.Error(), "choose another metric") {
		t.Errorf("got %v", err)
	}
	must(t, a.DelRoutes("eth0", routes(t, "fd20::/64 via fd07::8 dev eth0")))
	if out := node.IP("-6", "route", "show", "fd20::/64"); !strings.Contains(out, "via fd07::8") {
		t.Errorf("the host's IPv6 route: %q", out)
	}
}

// ours are the lines of our rules: ip-rule lists all.
func ours(rules string) (lines string) {
	for line := range strings.Lines(rules) {
		if strings.Contains(line, "proto 112") {
			lines += line
		}
	}
	return lines
}

func TestRulesAsWritten(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	a := holder(t, node, time.Minute)
	all := rules(t, "from 10.7.0.100 lookup 100 priority 1000", "from 10.0.0.0/8 to 10.9.0.0/16 iif eth0 oif lo fwmark 0x10 lookup 101 priority 1001",
		"lookup 102 priority 1002", "inet6 lookup 103 priority 1003", "from fd07::100 lookup 104 priority 1004", "from 10.7.0.101 lookup 105")
	for range 2 {
		must(t, a.AddRules(all))
	}
	wantLines(t, ours(node.IP("rule")), "1000: from 10.7.0.100 lookup 100 proto 112",
		"1001: from 10.0.0.0/8 to 10.9.0.0/16 fwmark 0x10 iif eth0 oif lo lookup 101 proto 112", "1002: from all lookup 102 proto 112", "999: from 10.7.0.101 lookup 105 proto 112")
	wantLines(t, ours(node.IP("-6", "rule")), "1003: from all lookup 103 proto 112", "1004: from fd07::100 lookup 104 proto 112")
	node.IP("rule", "add", "from", "10.7.0.7", "lookup", "55", "priority", "1500")
	for range 2 {
		must(t, a.DelRules(append(all, rules(t, "from 10.7.0.7 lookup 55 priority 1500")...)))
	}
	wantLines(t, node.IP("rule"), "0: from all lookup local", "1500: from 10.7.0.7 lookup 55", "32766: from all lookup main", "32767: from all lookup default")
	wantLines(t, node.IP("-6", "rule"), "0: from all lookup local", "32766: from all lookup main")
}

func TestStatic(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	a := holder(t, node, 2*time.Second)
	s := conf.Static{
		Addresses: addresses(t, "10.8.0.1/24 dev eth0", "fd08::1/64 dev eth0", "10.7.0.1/24 dev eth0"),
		Routes:    routes(t, "10.20.0.0/16 via 10.8.0.9"),
		Rules:     rules(t, "from 10.8.0.1 lookup 100"),
	}
	for range 2 {
		must(t, a.EnsureStatic(s))
	}
	if out := node.IP("addr", "show", "dev", "eth0"); strings.Count(out, "valid_lft forever preferred_lft forever") != 4 {
		t.Errorf("static addresses are leases:\n%s", out)
	}
	wantLines(t, node.IP("route", "show", "proto", "112"), "10.20.0.0/16 via 10.8.0.9 dev eth0")
	for range 2 {
		must(t, a.DropStatic(s))
	}
	if node.Holds("10.8.0.1") || node.Holds("fd08::1") || !node.Holds("10.7.0.1") {
		t.Errorf("after the end: %v", node.Addresses())
	}
	wantLines(t, ours(node.IP("rule")))
}
