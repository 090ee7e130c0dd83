package interop

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"keepwatch/internal/netnstest"
)

// Row 27: the owner, priority 255, is master the moment it starts, without any wait, against a master of 254 in both
// roles.
func TestRow27Owner(t *testing.T) {
	t.Parallel()
	t.Run("ours is the owner", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 254\n advert_int 1"))
		holds(t, p.b, vip1, true)
		our := startOurs(t, p.a, config(web("interval: 1s, priority: 255")))
		if i := our.await("master"); i.Reason != "started, as owner of the addresses" || i.Transitions != 1 {
			t.Errorf("ours is master after %d transitions: %s", i.Transitions, i.Reason)
		}
		peer.hears(kaBackup, 3)
		holds(t, p.b, vip1, false)
		our.clean()
		peer.clean()
	})
	t.Run("keepalived is the owner", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web("interval: 1s, priority: 254")))
		our.await("master")
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 255\n advert_int 1"))
		peer.await(kaMaster)
		if i := our.await("backup"); i.Reason != kaAddr+" advertises priority 255, ours is 254" {
			t.Errorf("got reason %q", i.Reason)
		}
		our.hears("backup", 3)
		our.clean()
		peer.clean()
	})
}

// Row 27, continued: two owners. keepalived yields as soon as it hears ours, whoever has the greater address. As long
// as it does not, ours hears keepalived claim 255 and says that there can be one owner only; of the two the one with
// the greater address remains.
func TestRow27TwoOwners(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		deaf       bool // keepalived is
		own, other string
	}{
		{"both hear", false, "10.7.0.1", "10.7.0.2"},
		{"keepalived is deaf, ours has the greater address", true, "10.7.0.2", "10.7.0.1"},
		{"keepalived is deaf, ours has the smaller address", true, "10.7.0.1", "10.7.0.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t)
			a, b := n.Node("a", c.own+"/24"), n.Node("b", c.other+"/24")
			wire := listen(t, n.Node("observer", "10.7.0.9/24"))
			peer := startKeepalived(t, b, 3, kaWeb(" priority 255\n advert_int 0.3"))
			holds(t, b, vip1, true) // one that is not told "state MASTER" waits even as an owner
			if c.deaf {
				deafen(t, b)
			}
			our := startOurs(t, a, config(web("interval: 300ms, priority: 255")))
			if c.deaf {
				our.event("vrrp_two_owners", c.other+" claims priority 255 too: only one router can own the addresses")
				if c.own < c.other {
					our.await("backup")
					heal(t, b)
					our.hears("backup", 5)
					peer.await(kaMaster)
					return
				}
				heal(t, b)
			}
			peer.await(kaBackup)
			holds(t, b, vip1, false)
			if out := peer.Output(); !strings.Contains(out, "both configured as address owner") {
				t.Errorf("keepalived says nothing of two owners: %s", out)
			}
			wire.more(c.own, 5)
			if i := our.await("master"); i.Transitions != 1 {
				t.Errorf("ours changed %d times: %s", i.Transitions, i.Reason)
			}
			peer.await(kaBackup)
		})
	}
}

// Row 28: the list of addresses differs, by one or in all (two virtual routers that took the same number). keepalived
// 2.2.7 refuses what ours sends; ours takes what keepalived sends, as RFC 9568 wants. So both are master where ours is the
// stronger one, and one is where keepalived is. Ours says in each case what both have. That keepalived goes on being
// master shows late: each advertisement that it refuses puts off its own, and it sends one in three seconds or so.
func TestRow28OtherAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, theirs string }{{"one differs", vip1 + ", 10.7.0.150"}, {"all differ", "10.7.0.150"}} {
		told := []string{kaAddr + " advertises the addresses " + c.theirs, "this router has " + vip1 + ", " + vip2}
		addrs := strings.ReplaceAll(c.theirs, ",", "/24,") + "/24"
		t.Run(c.name+", ours is stronger", func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			// keepalived puts its next advertisement off by an interval whenever it refuses one: in step with
			// ours it would never send a second.
			our := startOurs(t, p.a, config(web("interval: 400ms, priority: 200")))
			our.await("master")
			peer := startKeepalived(t, p.b, 3, kaRouter("web", "eth0", 51, addrs, " priority 100\n advert_int 0.3"))
			peer.await(kaMaster)
			our.event("vrrp_addresses", told...)
			our.event("vrrp_split_brain", kaAddr)
			our.event("vrrp_deaf_peer", kaAddr, "list of addresses")
			if i := our.await("master"); i.AddressMismatch == 0 || i.Transitions != 2 || len(i.Dropped) > 0 {
				t.Errorf("ours is %+v", i)
			}
			if i := peer.await(kaMaster); i.Stats["addr_list_err"] == 0 {
				t.Errorf("keepalived is %+v", i)
			}
		})
		t.Run(c.name+", keepalived is stronger", func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			startKeepalived(t, p.b, 3, kaRouter("web", "eth0", 51, addrs, " priority 200\n advert_int 0.3"))
			holds(t, p.b, "10.7.0.150", true)
			our := startOurs(t, p.a, config(web("interval: 300ms, priority: 100")))
			if i := our.hears("backup", 5); i.AddressMismatch == 0 || i.Transitions != 1 || len(i.Dropped) > 0 {
				t.Errorf("ours is %+v", i)
			}
			our.event("vrrp_addresses", told...)
		})
	}
}

// Row 28, continued: version 2 with another interval. The RFC has both refuse what the other sends, so both are
// master; ours says so and what to do.
func TestRow28OtherInterval(t *testing.T) {
	t.Parallel()
	for _, priorities := range [][2]int{{200, 100}, {100, 200}} {
		t.Run(fmt.Sprintf("ours %d", priorities[0]), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			our := startOurs(t, p.a, config(web(fmt.Sprintf("version: 2, interval: 1s, priority: %d", priorities[0]))))
			peer := startKeepalived(t, p.b, 2, kaWeb(fmt.Sprintf(" priority %d\n advert_int 2", priorities[1])))
			our.await("master")
			peer.await(kaMaster)
			our.event("vrrp_interval", kaAddr+" advertises every 2s, this router every 1s", "both become master; make them the same")
			our.event("vrrp_duplicate", vip1)
			await(t, "keepalived to refuse what ours sends", func() error { // it says so, and counts nothing
				if out := peer.Output(); !strings.Contains(out, "advertisement interval mismatch mine=2 sec rcv'd=1 sec") {
					return errors.New(out)
				}
				return nil
			})
			peer.await(kaMaster)
			if i := our.await("master"); i.Received != 0 || i.Transitions != 2 {
				t.Errorf("ours is %+v", i)
			}
		})
	}
}
