package interop

import (
	"fmt"
	"testing"
	"time"

	"keepwatch/internal/netnstest"
)

// Row 24: advertisements are filtered in both directions and all else passes. Both are master, which ours sees by ARP
// and says within two Master_Down. When the filter is gone there is one master within an interval: the weaker one has
// no address any more, the stronger one never lost one, tells the neighbours again, and is the one they reach.
func TestRow24Partition(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	for _, c := range []struct {
		name      string
		ours, kas int
	}{{"ours is stronger", 200, 100}, {"keepalived is stronger", 100, 200}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t)
			p := pair{a: n.Node("a", ourAddr+"/24"), b: n.Node("b", kaAddr+"/24")}
			client := n.Node("client", "10.7.0.9/24")
			p.wire, p.aAddrs, p.bAddrs = listen(t, client), follow(t, p.a), follow(t, p.b)
			stronger := c.ours > c.kas
			our := startOurs(t, p.a, config(web(fmt.Sprintf("interval: 300ms, priority: %d", c.ours))))
			our.await("master")
			peer := startKeepalived(t, p.b, 3, kaWeb(fmt.Sprintf(" priority %d\n advert_int 0.3", c.kas)))
			winner, loser, kept, lost := p.a, kaAddr, p.aAddrs, p.bAddrs
			if stronger {
				peer.hears(kaBackup, 3)
			} else {
				winner, loser, kept, lost = p.b, ourAddr, p.bAddrs, p.aAddrs
				our.hears("backup", 3)
			}

			cut := time.Now()
			deafen(t, p.a, p.b)
			peer.await(kaMaster)
			our.await("master")
			seen := our.event("vrrp_duplicate", vip1+" is on another host too", macOf(t, p.b, "eth0"))
			atMost(t, "the event", seen.Time.Sub(cut), 2*down(100, interval)+time.Second) // it asks every second
			p.wire.more(ourAddr, 3)

			healed := heal(t, p.a, p.b)
			if stronger {
				peer.await(kaBackup)
			} else {
				our.await("backup")
			}
			gone := lost.last(vip1, false, healed)
			p.wire.announced(vip1, macOf(t, winner, "eth0"), healed)
			if got, want := reached(t, client, vip1), macOf(t, winner, "eth0"); got != want {
				t.Errorf("the client reaches %s, want %s", got, want)
			}
			if changes := kept.of(vip1); !changes[len(changes)-1].There || !changes[len(changes)-1].At.Before(healed) {
				t.Errorf("the winner's address changed: %v", changes)
			}
			if stronger {
				peer.hears(kaBackup, 5)
			} else {
				our.hears("backup", 5)
			}
			last := lastBefore(t, p.wire, loser, time.Now())
			atMost(t, "the loser's last advertisement after the healing", last.At.Sub(healed), 3*interval)
			atMost(t, "the loser's address gone after the healing", gone.Sub(healed), 3*interval+100*time.Millisecond)
		})
	}
}

// Row 25: one of the two does not hear the other. Who hears that another one is master beside it says so, that it is
// deaf, and stays if it is the stronger one; who is deaf itself says so by what it sees by ARP. Deafness of who is
// master anyway changes nothing. When the filter is gone there is one master again.
//
// The matrix wants a deaf router to yield when it hears by another path that its priority is lower. keepalived has no
// other path by which it could say so, and ARP tells that somebody has the address, not who should: both stay
// until the way is open.
func TestRow25OneWay(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, ours, kas int) (p pair, our *ours, peer *keepalived) {
		t.Helper()
		p = newPair(t)
		our = startOurs(t, p.a, config(web(fmt.Sprintf("interval: 300ms, priority: %d", ours))))
		our.await("master")
		peer = startKeepalived(t, p.b, 3, kaWeb(fmt.Sprintf(" priority %d\n advert_int 0.3", kas)))
		if ours > kas {
			peer.hears(kaBackup, 3)
		} else {
			our.hears("backup", 3)
		}
		return p, our, peer
	}
	t.Run("keepalived is deaf, ours is stronger", func(t *testing.T) {
		t.Parallel()
		p, our, peer := start(t, 200, 100)
		deafen(t, p.b)
		peer.await(kaMaster)
		first := p.wire.advert("keepalived's advertisement", kaAddr, time.Time{}, priority(100))
		rival := our.event("vrrp_split_brain", kaAddr+" is master too, with priority 100 against ours, 200")
		atMost(t, "the event", rival.Time.Sub(first.At), time.Second)
		our.event("vrrp_deaf_peer", kaAddr+" goes on being master", "a filter for protocol 112")
		our.event("vrrp_duplicate", vip1)
		heal(t, p.b)
		peer.await(kaBackup)
		if i := our.await("master"); i.Transitions != 2 {
			t.Errorf("ours changed %d times: %s", i.Transitions, i.Reason)
		}
		our.awaitNoConflict()
	})
	t.Run("ours is deaf, keepalived is stronger", func(t *testing.T) {
		t.Parallel()
		p, our, peer := start(t, 100, 200)
		deafen(t, p.a)
		our.await("master")
		our.event("vrrp_duplicate", vip1, macOf(t, p.b, "eth0"))
		p.wire.more(kaAddr, 5) // it hears ours and does not mind
		peer.await(kaMaster)
		heal(t, p.a)
		our.await("backup")
		our.hears("backup", 3)
	})
	t.Run("ours is deaf, ours is stronger", func(t *testing.T) {
		t.Parallel()
		p, our, peer := start(t, 200, 100)
		deafen(t, p.a)
		peer.hears(kaBackup, 8)
		if i := our.await("master"); i.Transitions != 2 || len(i.Conflicts) > 0 {
			t.Errorf("ours changed %d times (%s), sees %+v", i.Transitions, i.Reason, i.Conflicts)
		}
	})
	t.Run("keepalived is deaf, keepalived is stronger", func(t *testing.T) {
		t.Parallel()
		p, our, peer := start(t, 100, 200)
		before := our.await("backup")
		deafen(t, p.b)
		if i := our.hears("backup", 8); i.Transitions != before.Transitions {
			t.Errorf("ours changed %d times after %d: %s", i.Transitions, before.Transitions, i.Reason)
		}
		peer.await(kaMaster)
	})
}

// Row 26: three routers of the same priority that are all master when they begin to hear each other: the one with the
// numerically greatest address remains, wherever ours is among them. As text, 10.7.0.2 would be greater than 10.7.0.10.
func TestRow26SamePriority(t *testing.T) {
	t.Parallel()
	hosts := []string{"10.7.0.1", "10.7.0.2", "10.7.0.10"}
	const greatest = 2
	for place, own := range hosts {
		t.Run("ours is "+own, func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t)
			var nodes []*netnstest.Node
			for i, addr := range hosts {
				nodes = append(nodes, n.Node(fmt.Sprintf("n%d", i), addr+"/24"))
			}
			wire := listen(t, n.Node("observer", "10.7.0.20/24"))
			deafen(t, nodes...)
			var our *ours
			var peers [3]*keepalived
			for i, node := range nodes {
				if i == place {
					our = startOurs(t, node, config(web("interval: 300ms, priority: 100")))
				} else {
					peers[i] = startKeepalived(t, node, 3, kaWeb(" priority 100\n advert_int 0.3"))
				}
			}
			for _, node := range nodes {
				holds(t, node, vip1, true)
			}
			heal(t, nodes...)
			for i, node := range nodes {
				holds(t, node, vip1, i == greatest)
			}
			wire.more(hosts[greatest], 5)
			for i, addr := range hosts {
				if i == place && i == greatest {
					if got := our.await("master"); got.Transitions != 2 {
						t.Errorf("ours changed %d times: %s", got.Transitions, got.Reason)
					}
				} else if i == place {
					if got := our.await("backup"); got.Master == nil || got.Master.Address != hosts[greatest] {
						t.Errorf("ours follows %+v (%s)", got.Master, got.Reason)
					}
				} else if i != greatest {
					peers[i].await(kaBackup)
				} else if last := lastBefore(t, wire, addr, time.Now()); last.Advert.Priority != 100 {
					t.Errorf("the winner says %s", last)
				}
			}
		})
	}
}
