package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/netnstest"
)

// Row 18: IPv6, with a link-local address first and with two global ones, in both roles: neither finds anything wrong,
// the new master announces every address as a neighbour, and on our host, where the kernel looks for duplicates,
// none of them is tentative.
func TestRow18IPv6(t *testing.T) {
	t.Parallel()
	for _, vips := range [][]string{{"fe80::5151", "fd67::100"}, {"fd67::100", "fd67::101"}} {
		t.Run(vips[0]+" first", func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t)
			a, b := n.Node("a", "fd67::1/64"), n.Node("b", "fd67::2/64")
			wire := listen(t, n.Node("observer"))
			runOn(t, a, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=1")
			aSource, bSource := linkLocal(t, a), linkLocal(t, b)
			list := strings.Join(vips, "/64, ") + "/64"
			our := startOurs(t, a, config(router("web", "eth0", 51, list, "interval: 200ms, priority: 200")))
			our.await("master")
			if out := a.IP("-6", "addr", "show", "dev", "eth0"); strings.Contains(out, "tentative") || strings.Contains(out, "dadfailed") {
				t.Errorf("our host's addresses are not usable at once: %s", out)
			}
			peer := startKeepalived(t, b, 3, kaRouter("web", "eth0", 51, list, " priority 100\n advert_int 0.2"))
			peer.hears(kaBackup, 5)
			our.stop()
			peer.await(kaMaster)
			our.configure(config(router("web", "eth0", 51, list, "interval: 200ms, priority: 50")))
			our.start()
			our.hears("backup", 5)
			for _, vip := range vips {
				wire.announced(vip, macOf(t, a, "eth0"), time.Time{})
				wire.announced(vip, macOf(t, b, "eth0"), time.Time{})
			}
			for _, from := range []string{aSource, bSource} {
				for _, f := range wire.adverts(from) {
					if f.Drop != vrrp.Accepted || f.Packet.TTL != vrrp.TTL || f.Packet.Dest != vrrp.GroupIPv6 || f.Advert.Addresses.At(0) != netip.MustParseAddr(vips[0]) {
						t.Errorf("%s, TTL %d, addresses %s", f, f.Packet.TTL, f.Advert.Addresses)
					}
				}
			}
			our.clean()
			peer.clean()
		})
	}
}

// Row 19: two virtual routers with crossed priorities, each host master of one: when one host dies the other has
// both, and when it returns they are shared again.
func TestRow19CrossedPriorities(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (p pair, our *ours, peer *keepalived) {
		t.Helper()
		p = newPair(t)
		our = startOurs(t, p.a, config(
			router("left", "eth0", 51, vip1+"/24", "interval: 300ms, priority: 200"),
			router("right", "eth0", 52, vip2+"/24", "interval: 300ms, priority: 100")))
		peer = startKeepalived(t, p.b, 3,
			kaRouter("left", "eth0", 51, vip1+"/24", " priority 100\n advert_int 0.3"),
			kaRouter("right", "eth0", 52, vip2+"/24", " priority 200\n advert_int 0.3"))
		shared(t, our, peer)
		return p, our, peer
	}
	t.Run("ours dies", func(t *testing.T) {
		t.Parallel()
		p, our, peer := start(t)
		our.killTree()
		peer.awaitOf("left", kaMaster)
		peer.awaitOf("right", kaMaster)
		holds(t, p.b, vip1, true)
		holds(t, p.b, vip2, true)
		our.start()
		shared(t, our, peer)
		holds(t, p.b, vip1, false)
		our.clean()
		peer.clean()
	})
	t.Run("keepalived dies", func(t *testing.T) {
		t.Parallel()
		_, our, peer := start(t)
		peer.killTree()
		our.awaitOf("left", "master")
		our.awaitOf("right", "master")
		peer.start()
		shared(t, our, peer)
		our.clean()
		peer.clean()
	})
}

// shared waits until ours is master of left alone and keepalived of right alone.
func shared(t *testing.T, our *ours, peer *keepalived) {
	t.Helper()
	peer.awaitOf("left", kaBackup)
	peer.awaitOf("right", kaMaster)
	our.awaitOf("left", "master")
	our.awaitOf("right", "backup")
}

// Addresses of the sync group's second segment.
const (
	insideVIP  = "10.7.0.100"
	outsideVIP = "10.8.0.100"
)

// secondSegment joins the interfaces eth1 of nodes, which it makes, by a switch of its own: a node whose eth0 is the
// switch. The switch's port of the first node is p0, and so on.
func secondSegment(t *testing.T, n *netnstest.Net, nodes ...*netnstest.Node) (sw *netnstest.Node) {
	t.Helper()
	sw = n.Node("second")
	sw.Unplug()
	sw.IP("link", "add", "eth0", "type", "bridge", "mcast_snooping", "0", "stp_state", "0", "forward_delay", "0")
	sw.IP("link", "set", "eth0", "up")
	for i, node := range nodes {
		port := fmt.Sprintf("p%d", i)
		sw.IP("link", "add", port, "type", "veth", "peer", "name", "eth1", "netns", node.Namespace)
		sw.IP("link", "set", port, "master", "eth0", "up")
		node.IP("addr", "add", fmt.Sprintf("10.8.0.%d/24", i+1), "dev", "eth1")
		node.IP("link", "set", "eth1", "up")
	}
	return sw
}

// group is a sync group of two routers on two segments, ours against keepalived's.
type group struct {
	pair
	sw      *netnstest.Node
	outside *wire
	our     *ours
	peer    *keepalived
}

func newGroup(t *testing.T, ourPriority, kaPriority int) group {
	t.Helper()
	n := netnstest.New(t)
	g := group{pair: pair{a: n.Node("a", ourAddr+"/24"), b: n.Node("b", kaAddr+"/24")}}
	g.wire = listen(t, n.Node("observer", "10.7.0.9/24"))
	g.sw = secondSegment(t, n, g.a, g.b)
	g.outside = listen(t, g.sw)
	settings := fmt.Sprintf("interval: 300ms, priority: %d", ourPriority)
	kaSettings := fmt.Sprintf(" priority %d\n advert_int 0.3", kaPriority)
	g.our = startOurs(t, g.a, config(router("inside", "eth0", 51, insideVIP+"/24", settings), router("outside", "eth1", 52, outsideVIP+"/24", settings))+
		"  groups:\n  - {name: site, members: [inside, outside]}\n")
	g.ours("master")
	g.peer = startKeepalived(t, g.b, 3, "vrrp_sync_group site {\n group {\n  inside\n  outside\n }\n}\n",
		kaRouter("inside", "eth0", 51, insideVIP+"/24", kaSettings), kaRouter("outside", "eth1", 52, outsideVIP+"/24", kaSettings))
	return g
}

// ours waits until both of ours are in a state.
func (g *group) ours(state string) {
	g.our.t.Helper()
	for _, name := range []string{"inside", "outside"} {
		g.our.untilOf(name, "to be "+state, func(i status.Instance) error {
			if i.State != state || (len(i.Held) > 0) != (state == "master") {
				return fmt.Errorf("it is %s with %v: %s", i.State, i.Held, i.Reason)
			}
			return nil
		})
	}
}

func (g *group) keepalived(state kaState) {
	g.peer.t.Helper()
	g.peer.awaitOf("inside", state)
	g.peer.awaitOf("outside", state)
}

// carrier puts the cable of eth1 on the first node (p0) or the second in or out.
func (g *group) carrier(port string, in bool) {
	word := "down"
	if in {
		word = "up"
	}
	g.sw.IP("link", "set", port, word)
}

// Row 20: a sync group of two routers on two segments, ours against keepalived's: when one of them loses its cable
// both move together, and the new master announces each address with one burst.
func TestRow20SyncGroup(t *testing.T) {
	t.Parallel()
	t.Run("ours loses a cable", func(t *testing.T) {
		t.Parallel()
		g := newGroup(t, 200, 100)
		g.keepalived(kaBackup)
		cut := time.Now()
		g.carrier("p0", false)
		g.keepalived(kaMaster)
		g.ours("fault")
		g.wire.announced(insideVIP, macOf(t, g.b, "eth0"), cut)
		g.carrier("p0", true)
		g.ours("master")
		g.keepalived(kaBackup)
		g.our.event("vrrp_group", "group site: all are master")
		g.our.clean()
		g.peer.clean()
	})
	t.Run("keepalived loses a cable", func(t *testing.T) {
		t.Parallel()
		g := newGroup(t, 100, 200)
		g.keepalived(kaMaster)
		g.ours("backup")
		cut := time.Now()
		g.carrier("p1", false)
		g.ours("master")
		g.keepalived(kaFault)
		if got := g.our.transitionsTo("inside", "master"); got != 2 { // the other one is from before keepalived started
			t.Errorf("ours became master %d times, want 2", got)
		}
		oneBurst(t, g.wire, insideVIP, macOf(t, g.a, "eth0"), cut)
		oneBurst(t, g.outside, outsideVIP, macOf(t, g.a, "eth1"), cut)
		g.carrier("p1", true)
		g.keepalived(kaMaster)
		g.ours("backup")
		g.our.clean()
		g.peer.clean()
	})
}

// oneBurst fails the test unless the first announcements of an address after a time are one burst of five. The next
// comes 150 ms later, when the predecessor is silent for sure.
func oneBurst(t *testing.T, w *wire, addr, mac string, since time.Time) {
	t.Helper()
	const burst = 5
	var all []frame
	await(t, fmt.Sprintf("%d announcements of %s", burst, addr), func() error {
		if all = w.announcements(addr, mac, since); len(all) < burst {
			return fmt.Errorf("there are %d", len(all))
		}
		return nil
	})
	if len(all) > burst && all[burst].At.Sub(all[0].At) < 100*time.Millisecond {
		t.Errorf("more than %d announcements of %s at once: %v", burst, addr, all)
	}
}
