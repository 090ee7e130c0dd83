package interop

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/haagent/status"
)

// How long addresses may outlive an agent: their lease is two seconds, and the kernel looks now and then for those that
// are over; a parent needs milliseconds where the machine is not busy.
const (
	leaseOver  = 3 * time.Second
	parentActs = time.Second
)

// Row 21: ours is master and is killed. Where its parent lives, that one says farewell and takes the addresses off at
// once; where all are killed in one instant, the addresses' leases end by themselves and keepalived waits its
// Master_Down. Either way ours comes back as backup, and whatever addresses were left are removed first.
func TestRow21OursIsKilled(t *testing.T) {
	t.Parallel()
	const settings = "interval: 300ms, priority: 200, nopreempt: true"
	start := func(t *testing.T, more string) (p pair, our *ours, peer *keepalived) {
		t.Helper()
		p = newPair(t)
		our = startOurs(t, p.a, config(web(settings))+more)
		our.await("master")
		peer = startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
		peer.hears(kaBackup, 3)
		return p, our, peer
	}
	staysBackup := func(t *testing.T, p pair, our *ours, peer *keepalived) {
		t.Helper()
		if i := our.hears("backup", 5); i.Transitions != 1 || has(p.a, vip1) || has(p.a, vip2) {
			t.Errorf("ours is %s after %d transitions (%s), its host has %v", i.State, i.Transitions, i.Reason, addresses(p.a))
		}
		our.clean()
		peer.await(kaMaster)
		peer.clean()
	}
	t.Run("its parent lives", func(t *testing.T) {
		t.Parallel()
		p, our, peer := start(t, "")
		if s, err := our.status(); err != nil || !s.Parent {
			t.Fatalf("no parent stands by: %+v, %v", s, err)
		}
		killed := time.Now()
		for _, child := range descendants(our.PID()) {
			if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		peer.await(kaMaster)
		for _, vip := range []string{vip1, vip2} {
			atMost(t, vip+" gone after the kill", p.aAddrs.last(vip, false, killed).Sub(killed), parentActs)
		}
		farewell := p.wire.advert("the parent's farewell", ourAddr, killed, priority(0))
		atMost(t, "the farewell after the kill", farewell.At.Sub(killed), parentActs)
		if i := peer.instance("web"); i.Stats["pri_zero_rcvd"] == 0 {
			t.Errorf("keepalived heard no farewell: %+v", i)
		}
		staysBackup(t, p, our, peer)
	})
	t.Run("all are killed", func(t *testing.T) {
		t.Parallel()
		p, our, peer := start(t, "")
		killed := time.Now()
		our.killTree()
		peer.await(kaMaster)
		takeOver(t, p.wire, ourAddr, kaAddr, killed, down(100, 300*time.Millisecond))
		for _, vip := range []string{vip1, vip2} {
			atMost(t, vip+" gone after the kill", p.aAddrs.last(vip, false, killed).Sub(killed), leaseOver)
		}
		if i := peer.instance("web"); i.Stats["pri_zero_rcvd"] != 0 {
			t.Errorf("keepalived heard a farewell of the dead: %+v", i)
		}
		our.start()
		staysBackup(t, p, our, peer)
	})
	t.Run("all are killed and the lease is long", func(t *testing.T) {
		t.Parallel()
		p, our, peer := start(t, "  lease: {lifetime: 1m}\n")
		our.killTree()
		peer.await(kaMaster)
		if !has(p.a, vip1) || !has(p.a, vip2) {
			t.Fatalf("nothing is left to remove: %v", addresses(p.a))
		}
		our.start()
		our.event("vip_released", "an agent that was killed had left", vip1, vip2)
		staysBackup(t, p, our, peer)
	})
}

// Row 22: keepalived is master and is killed: ours takes over in its Master_Down although keepalived's host goes on
// having the addresses and answers for them, and says that it does.
func TestRow22KeepalivedIsKilled(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 200\n advert_int 0.3"))
	holds(t, p.b, vip1, true)
	our := startOurs(t, p.a, config(web("interval: 300ms, priority: 100")))
	our.hears("backup", 3)
	killed := time.Now()
	peer.killTree()
	if i := our.await("master"); !strings.HasPrefix(i.Reason, "heard no advertisement from "+kaAddr+" (priority 200) for ") {
		t.Errorf("got reason %q", i.Reason)
	}
	takeOver(t, p.wire, kaAddr, ourAddr, killed, down(100, 300*time.Millisecond))
	if !has(p.b, vip1) || !has(p.b, vip2) {
		t.Errorf("keepalived left nothing: %v", addresses(p.b))
	}
	mac := macOf(t, p.b, "eth0")
	for _, vip := range []string{vip1, vip2} {
		our.event("vrrp_duplicate", vip+" is on another host too", mac)
	}
	our.until("to show both conflicts", func(i status.Instance) error {
		if len(i.Conflicts) != 2 || i.Conflicts[0].Source != status.SourceARP || i.Conflicts[0].MAC != mac {
			return fmt.Errorf("they are %+v", i.Conflicts)
		}
		return nil
	})
	our.clean()
}

// Row 23: the master loses its interface or its carrier: it is in fault at once, without an address, the backup takes
// over in its Master_Down, and the former master comes back.
func TestRow23LinkDown(t *testing.T) {
	t.Parallel()
	wait := down(100, 300*time.Millisecond)
	for _, c := range []struct {
		name   string
		set    func(pair, bool)
		reason string
	}{
		{"interface", func(p pair, up bool) { p.a.SetLink(up) }, "interface eth0 is down"},
		{"carrier", func(p pair, up bool) { p.a.SetPort(up) }, "interface eth0 lost its carrier"},
	} {
		t.Run("ours, "+c.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200")))
			our.await("master")
			peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
			peer.hears(kaBackup, 3)
			cut := time.Now()
			c.set(p, false)
			if i := our.await("fault"); i.Reason != c.reason {
				t.Errorf("got reason %q, want %q", i.Reason, c.reason)
			}
			atMost(t, "fault", our.event("vrrp_transition", "master to fault").Time.Sub(cut), time.Second)
			atMost(t, "no address", p.aAddrs.last(vip1, false, cut).Sub(cut), time.Second)
			peer.await(kaMaster)
			takeOver(t, p.wire, ourAddr, kaAddr, cut, wait)
			c.set(p, true)
			our.await("master")
			peer.await(kaBackup)
			our.clean()
			peer.clean()
		})
	}
	for _, c := range []struct {
		name string
		set  func(pair, bool)
	}{
		{"interface", func(p pair, up bool) { p.b.SetLink(up) }},
		{"carrier", func(p pair, up bool) { p.b.SetPort(up) }},
	} {
		t.Run("keepalived, "+c.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			peer := startKeepalived(t, p.b, 3, kaWeb(" priority 200\n advert_int 0.3"))
			holds(t, p.b, vip1, true)
			our := startOurs(t, p.a, config(web("interval: 300ms, priority: 100")))
			our.hears("backup", 3)
			cut := time.Now()
			c.set(p, false)
			our.await("master")
			takeOver(t, p.wire, kaAddr, ourAddr, cut, wait)
			c.set(p, true)
			peer.await(kaMaster)
			our.await("backup")
			our.clean()
			peer.clean()
		})
	}
}

// Row 23, continued: the switch's port passes nothing although the carrier stays. Nobody can see that, so both are
// master until the port is well again; then the stronger one is, and it never was anything else.
func TestRow23PortWithoutTraffic(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200")))
	our.await("master")
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
	peer.hears(kaBackup, 3)
	cut := time.Now()
	p.a.SetForwarding(false)
	peer.await(kaMaster)
	takeOver(t, p.wire, ourAddr, kaAddr, cut, down(100, 300*time.Millisecond))
	our.await("master")
	p.a.SetForwarding(true)
	peer.await(kaBackup)
	holds(t, p.b, vip1, false)
	if i := our.await("master"); i.Transitions != 2 {
		t.Errorf("ours changed %d times: %s", i.Transitions, i.Reason)
	}
	our.clean()
	peer.clean()
}

// Row 23, continued: five times down and up as fast as both sides can see: every return begins a full wait, so ours is
// master once more when all is over and not in between, and keepalived at most once.
func TestRow23Flapping(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200")))
	our.await("master")
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
	peer.hears(kaBackup, 3)
	for range 5 {
		p.a.SetPort(false)
		our.await("fault")
		p.a.SetPort(true)
		our.await("backup")
	}
	our.await("master")
	peer.await(kaBackup)
	peer.hears(kaBackup, 5)
	if got := our.transitionsTo("web", "master"); got != 2 {
		t.Errorf("ours became master %d times, want once before and once after", got)
	}
	if i := peer.instance("web"); i.Stats["become_master"] > 1 {
		t.Errorf("keepalived became master %g times", i.Stats["become_master"])
	}
	our.clean()
	peer.clean()
}
