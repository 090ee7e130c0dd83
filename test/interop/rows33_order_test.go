package interop

import (
	"fmt"
	"testing"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/internal/netnstest"
)

// Row 33: three routers, two of ours and the third keepalived's: when one dies, the next by priority takes over in its
// own Master_Down and the last one does not move; who returns takes its place again.
func TestRow33Succession(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	n := netnstest.New(t)
	a, b, c := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24"), n.Node("c", "10.7.0.3/24")
	wire := listen(t, n.Node("observer", "10.7.0.9/24"))
	first := startOurs(t, a, config(web("interval: 300ms, priority: 200")))
	first.await("master")
	second := startOurs(t, b, config(web("interval: 300ms, priority: 150")))
	third := startKeepalived(t, c, 3, kaWeb(" priority 100\n advert_int 0.3"))
	second.hears("backup", 3)
	third.hears(kaBackup, 3)

	killed := time.Now()
	first.killTree()
	second.await("master")
	takeOver(t, wire, "10.7.0.1", "10.7.0.2", killed, down(150, interval))
	third.hears(kaBackup, 3)
	if i := third.instance("web"); i.Stats["become_master"] != 0 {
		t.Errorf("the last one was master: %+v", i)
	}

	killed = time.Now()
	second.killTree()
	third.await(kaMaster)
	takeOver(t, wire, "10.7.0.2", "10.7.0.3", killed, down(100, interval))

	second.start()
	second.await("master")
	third.hears(kaBackup, 3)
	first.start()
	first.await("master")
	second.await("backup")
	third.hears(kaBackup, 3)
	first.clean()
	second.clean()
	third.clean()
}

// Row 34: virtual MAC addresses, ours beside keepalived's use_vmac: advertisements and announcements come from
// 00:00:5e:00:01:33 whoever is master, a client sees the same hardware address before and after, and who is backup
// does not use it.
func TestRow34VirtualMAC(t *testing.T) {
	t.Parallel()
	const virtual = "00:00:5e:00:01:33"
	n := netnstest.New(t)
	a, b := n.Node("a", ourAddr+"/24"), n.Node("b", kaAddr+"/24")
	client := n.Node("client", "10.7.0.9/24")
	wire := listen(t, client)
	// Without it the kernel of keepalived's host asks for the client in the name of the virtual address, with the
	// hardware address of eth0, and the client learns that. Ours sets it where it has a virtual MAC address.
	runOn(t, b, "sysctl", "-qw", "net.ipv4.conf.all.arp_announce=2")
	our := startOurs(t, a, config(web("interval: 300ms, priority: 200, virtual_mac: true")))
	state := func(want string) {
		t.Helper()
		our.until("to be "+want, func(i status.Instance) error { // the addresses are not on eth0
			if i.State != want || (len(i.Held) == 2) != (want == "master") {
				return fmt.Errorf("it is %s with %v: %s", i.State, i.Held, i.Reason)
			}
			return nil
		})
	}
	reach := func() {
		t.Helper()
		if got := reached(t, client, vip1); got != virtual {
			t.Errorf("the client reaches %s; our host's own is %s, keepalived's %s", got, macOf(t, a, "eth0"), macOf(t, b, "eth0"))
		}
	}
	state("master")
	peer := startKeepalived(t, b, 3, kaWeb(" priority 100\n advert_int 0.3\n use_vmac"))
	peer.hears(kaBackup, 3)
	reach()
	our.stop()
	peer.await(kaMaster)
	reach()
	our.start()
	state("master")
	peer.hears(kaBackup, 3)
	reach()
	peer.clean()
	our.clean()
	our.killTree()
	peer.await(kaMaster)
	reach()
	for _, from := range []string{ourAddr, kaAddr} {
		some := wire.adverts(from)
		if len(some) == 0 {
			t.Errorf("no advertisement from %s", from)
		}
		for _, f := range some {
			if f.From.String() != virtual {
				t.Errorf("%s from %s", f, f.From)
			}
		}
	}
	for _, vip := range []string{vip1, vip2} {
		if len(wire.announcements(vip, virtual, time.Time{})) == 0 {
			t.Errorf("nobody announces %s", vip)
		}
	}
}
