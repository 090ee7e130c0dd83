package interop

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/netnstest"
)

// runOn runs a program on a node and returns what it prints.
func runOn(t testing.TB, node *netnstest.Node, name string, args ...string) string {
	t.Helper()
	out, err := node.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// deafen has a node drop all advertisements that come in, as a firewall that forgot protocol 112 does. All else
// passes, ARP too.
func deafen(t testing.TB, nodes ...*netnstest.Node) {
	t.Helper()
	for _, node := range nodes {
		runOn(t, node, "nft", "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; add rule inet cut in ip protocol 112 drop")
	}
}

// heal undoes deafen. It returns when it began.
func heal(t testing.TB, nodes ...*netnstest.Node) time.Time {
	t.Helper()
	now := time.Now()
	for _, node := range nodes {
		runOn(t, node, "nft", "delete table inet cut")
	}
	return now
}

// reached is the hardware address by which a node reaches an address. Nobody needs to listen there: that the address
// refuses is its answer.
func reached(t testing.TB, from *netnstest.Node, addr string) (mac string) {
	t.Helper()
	await(t, addr+" to answer", func() error {
		if out, _ := from.Command("timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/"+addr+"/9").CombinedOutput(); !strings.Contains(string(out), "refused") {
			return errors.New(string(out))
		}
		fields := strings.Fields(from.IP("neigh", "show", addr))
		if n := slices.Index(fields, "lladdr"); n > 0 {
			mac = fields[n+1]
			return nil
		}
		return fmt.Errorf("the neighbours are %v", fields)
	})
	return mac
}

// macOf is the hardware address of a node's interface.
func macOf(t testing.TB, node *netnstest.Node, ifname string) string {
	t.Helper()
	fields := strings.Fields(node.IP("-o", "link", "show", "dev", ifname))
	n := slices.Index(fields, "link/ether")
	if n < 0 {
		t.Fatalf("no hardware address in %v", fields)
	}
	return fields[n+1]
}

// linkLocal is a node's address of IPv6 that advertisements come from.
func linkLocal(t testing.TB, node *netnstest.Node) string {
	t.Helper()
	for _, a := range addresses(node) {
		if a.Is6() && a.IsLinkLocalUnicast() {
			return a.String()
		}
	}
	t.Fatalf("no link-local address among %v", addresses(node))
	return ""
}

// announcements are the words to the neighbours about an address, so far, from a hardware address, not before a time.
func (w *wire) announcements(addr, mac string, since time.Time) (some []frame) {
	a := netip.MustParseAddr(addr)
	for _, f := range w.all() {
		if f.Announced == a && f.From.String() == mac && !f.At.Before(since) {
			some = append(some, f)
		}
	}
	return some
}

// announced waits for the first of them.
func (w *wire) announced(addr, mac string, since time.Time) (first frame) {
	w.t.Helper()
	await(w.t, mac+" to announce "+addr, func() error {
		if all := w.announcements(addr, mac, since); len(all) > 0 {
			first = all[0]
			return nil
		}
		return errors.New("it did not")
	})
	return first
}

// router is a router of ours as YAML; settings are its other keys.
func router(name, ifname string, vrid int, addr, settings string) string {
	return fmt.Sprintf("{name: %s, interface: %s, vrid: %d, addresses: [%s], %s}", name, ifname, vrid, addr, settings)
}

// kaRouter is the same in keepalived's words.
func kaRouter(name, ifname string, vrid int, addr, settings string) string {
	return fmt.Sprintf("vrrp_instance %s {\n state BACKUP\n interface %s\n virtual_router_id %d\n%s\n virtual_ipaddress {\n  %s\n }\n}\n",
		name, ifname, vrid, settings, strings.ReplaceAll(addr, ", ", "\n  "))
}

// awaitOf waits until the router of that name is in a state.
func (k *keepalived) awaitOf(name string, state kaState) (found kaInstance) {
	k.t.Helper()
	await(k.t, fmt.Sprintf("keepalived's router %s to be in state %d", name, state), func() error {
		if found = k.instance(name); found.Data.State != state {
			return fmt.Errorf("it is in state %d", found.Data.State)
		}
		return nil
	})
	return found
}

// transitionsTo counts the transitions of a router to a state.
func (o *ours) transitionsTo(name, state string) (n int) {
	o.t.Helper()
	for _, e := range o.events() {
		if e.Kind == "vrrp_transition" && e.Labels["instance"] == name && e.Labels["to"] == state {
			n++
		}
	}
	return n
}

// atMost fails the test when something took too long.
func atMost(t testing.TB, what string, got, most time.Duration) {
	t.Helper()
	t.Logf("%s: %s", what, got)
	if got > most {
		t.Errorf("%s: got %s, want at most %s", what, got, most)
	}
}

// down is Master_Down of version 3.
func down(priority uint8, interval time.Duration) time.Duration {
	return vrrp.MasterDown(3, priority, interval)
}

// awaitNoConflict waits until the router named web sees nobody else with its addresses.
func (o *ours) awaitNoConflict() {
	o.t.Helper()
	o.until("to see no conflict", func(i status.Instance) error {
		if len(i.Conflicts) > 0 {
			return fmt.Errorf("it sees %+v", i.Conflicts)
		}
		return nil
	})
}
