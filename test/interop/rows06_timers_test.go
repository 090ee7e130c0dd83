package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keepwatch/haagent/vrrp"
)

// Row 6: version 3, the master every second and the backup set to 100 ms: a backup of either make waits for the
// master as long as the master's own interval asks.
func TestRow06MastersInterval(t *testing.T) {
	t.Parallel()
	down := vrrp.MasterDown(3, 100, time.Second)
	t.Run("keepalived dies", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web("interval: 100ms, priority: 100")))
		our.await("master") // it starts first: until it has heard keepalived it waits as its own interval asks
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 200\n advert_int 1"))
		peer.await(kaMaster)
		our.hears("backup", 2)
		our.event("vrrp_interval", kaAddr+" advertises every 1s, this router is set to 100ms")
		killed := time.Now()
		peer.killTree()
		i := our.await("master")
		if !strings.HasPrefix(i.Reason, "heard no advertisement from "+kaAddr+" (priority 200) for ") {
			t.Errorf("got reason %q", i.Reason)
		}
		takeOver(t, p.wire, kaAddr, ourAddr, killed, down)
	})
	t.Run("ours dies", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.1"))
		peer.await(kaMaster)
		our := startOurs(t, p.a, config(web("interval: 1s, priority: 200")))
		our.await("master")
		peer.hears(kaBackup, 2)
		killed := time.Now()
		our.killTree()
		peer.await(kaMaster)
		takeOver(t, p.wire, ourAddr, kaAddr, killed, down)
	})
}

// takeOver fails the test unless one router's first advertisement after a time follows the other's last before it as
// the protocol promises. It returns the first.
func takeOver(t *testing.T, w *wire, from, to string, since time.Time, promised time.Duration) frame {
	t.Helper()
	first := w.advert("the successor's first advertisement", to, since, nil)
	var last frame
	for _, f := range w.adverts(from) {
		if f.At.Before(first.At) {
			last = f
		}
	}
	within(t, fmt.Sprintf("%s after the last of %s", to, from), first.At.Sub(last.At), promised)
	return first
}

// Row 7: version 3 with ours set to the checksum of RFC 9568, which keepalived 2.2.7 refuses: it becomes master
// beside ours, and ours says that it is deaf, and why that may be.
func TestRow07OtherChecksum(t *testing.T) {
	t.Parallel()
	const settings = "interval: 300ms, checksum: rfc9568, "
	t.Run("ours is master", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web(settings+"priority: 200")))
		our.await("master")
		// Quicker than ours: it puts its next one off by an interval whenever it refuses one.
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.2"))
		peer.await(kaMaster)
		our.event("vrrp_checksum", kaAddr, "set checksum to keepalived here")
		our.event("vrrp_split_brain", kaAddr)
		our.event("vrrp_deaf_peer", kaAddr, "another checksum")
		if out := peer.Output(); !strings.Contains(out, "Invalid VRRPv3 checksum") {
			t.Errorf("keepalived says nothing about the checksum:\n%s", out)
		}
		our.await("master")
	})
	// In the other role nothing is amiss until ours has to be heard: it accepts either checksum.
	t.Run("keepalived is master", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 200\n advert_int 0.3"))
		holds(t, p.b, vip1, true)
		our := startOurs(t, p.a, config(web(settings+"priority: 100")))
		if i := our.hears("backup", 5); len(i.Dropped) > 0 {
			t.Errorf("ours dropped %v", i.Dropped)
		}
		our.event("vrrp_checksum", kaAddr, "set checksum to keepalived here")
		peer.stop()
		our.await("master")
	})
	// keepalived computes the checksum so from 2.2.8 on, where told to (v3_checksum_as_v2); Debian has 2.2.7. A
	// second one of ours stands for it.
	t.Run("both", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web(settings+"priority: 200")))
		our.await("master")
		peer := startOurs(t, p.b, config(web(settings+"priority: 100")))
		if i := peer.hears("backup", 5); i.ChecksumMessageOnly != i.Received {
			t.Errorf("%d of %d advertisements had a checksum without pseudo-header", i.ChecksumMessageOnly, i.Received)
		}
		our.clean()
		peer.clean()
	})
}

// Row 8: a stronger router starts beside a master: it takes over in one Master_Down of its own, the weaker one falls
// silent at once, and both have the addresses for less than an interval.
//
// In the other role ours keeps the addresses a little longer than keepalived would: until the successor has been
// heard, and 100 ms for the requests under way (make before break).
func TestRow08Preemption(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version  uint8
		interval time.Duration
		setting  string // keepalived's
	}{{2, time.Second, "1"}, {3, 300 * time.Millisecond, "0.3"}} {
		t.Run(fmt.Sprintf("ours is stronger, version %d", c.version), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			peer := startKeepalived(t, p.b, int(c.version), kaWeb(" priority 100\n advert_int "+c.setting))
			holds(t, p.b, vip1, true)
			our := startOurs(t, p.a, config(web(fmt.Sprintf("version: %d, interval: %s, priority: 200", c.version, c.interval))))
			i := our.await("master")
			if want := "our priority 200 is higher than 100 of master " + kaAddr + " (preemption)"; i.Reason != want {
				t.Errorf("got reason %q, want %q", i.Reason, want)
			}
			first := p.wire.advert("our first advertisement", ourAddr, time.Time{}, nil)
			started := our.event("vrrp_transition", "init to backup").Time
			within(t, "ours after its start", first.At.Sub(started), vrrp.MasterDown(c.version, 200, c.interval))
			p.wire.more(ourAddr, 5)
			for _, f := range p.wire.adverts(kaAddr) {
				if f.At.Sub(first.At) > c.interval/2 {
					t.Errorf("keepalived goes on: %s", f)
				}
			}
			added, removed := p.aAddrs.last(vip1, true, time.Time{}), p.bAddrs.last(vip1, false, time.Time{})
			if removed.Sub(added) >= c.interval {
				t.Errorf("both had the address for %s", removed.Sub(added))
			}
			our.clean()
			peer.clean()
		})
		t.Run(fmt.Sprintf("keepalived is stronger, version %d", c.version), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			our := startOurs(t, p.a, config(web(fmt.Sprintf("version: %d, interval: %s, priority: 100", c.version, c.interval))))
			our.await("master")
			peer := startKeepalived(t, p.b, int(c.version), kaWeb(" priority 200\n advert_int "+c.setting))
			peer.await(kaMaster)
			if i := our.await("backup"); i.Reason != kaAddr+" advertises priority 200, ours is 100" {
				t.Errorf("got reason %q", i.Reason)
			}
			p.wire.more(kaAddr, 5)
			first := p.wire.advert("keepalived's first advertisement", kaAddr, time.Time{}, nil)
			for _, f := range p.wire.adverts(ourAddr) {
				if f.At.Sub(first.At) > c.interval/2 {
					t.Errorf("ours goes on: %s", f)
				}
			}
			within(t, "our address gone after keepalived's first advertisement", p.aAddrs.last(vip1, false, time.Time{}).Sub(first.At), 100*time.Millisecond)
			our.clean()
			peer.clean()
		})
	}
}

// Row 9: nopreempt on the stronger router: when it starts again, the weaker one keeps the addresses; when that one
// stops, the stronger takes them after its skew time.
func TestRow09NoPreempt(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	t.Run("ours is stronger", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200, nopreempt: true")))
		our.await("master")
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
		peer.hears(kaBackup, 2)
		our.stop()
		holds(t, p.b, vip1, true)
		our.start()
		our.hears("backup", 8)
		our.clean()
		peer.stop()
		if i := our.await("master"); i.Reason != kaAddr+" gave the addresses up (priority 0)" {
			t.Errorf("got reason %q", i.Reason)
		}
		farewell := p.wire.advert("keepalived's farewell", kaAddr, time.Time{}, priority(0))
		takeOver(t, p.wire, kaAddr, ourAddr, farewell.At, vrrp.Skew(3, 200, interval))
	})
	t.Run("keepalived is stronger", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web("interval: 300ms, priority: 100")))
		our.await("master")
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 200\n advert_int 0.3\n nopreempt"))
		peer.hears(kaBackup, 8)
		our.clean()
		our.stop()
		peer.await(kaMaster)
		peer.clean()
		farewell := p.wire.advert("our farewell", ourAddr, time.Time{}, priority(0))
		takeOver(t, p.wire, ourAddr, kaAddr, farewell.At, vrrp.Skew(3, 200, interval))
	})
}

// Row 10: with a preemption delay of 3 s the stronger router takes over 3 s after it heard the weaker one, not
// sooner.
func TestRow10PreemptDelay(t *testing.T) {
	t.Parallel()
	const delay = 3 * time.Second
	t.Run("ours is stronger", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.2"))
		holds(t, p.b, vip1, true)
		our := startOurs(t, p.a, config(web("interval: 200ms, priority: 200, preempt_delay: 3s")))
		our.await("master")
		first := p.wire.advert("our first advertisement", ourAddr, time.Time{}, nil)
		within(t, "ours after its start", first.At.Sub(our.event("vrrp_transition", "init to backup").Time), delay)
		our.clean()
		peer.clean()
	})
	t.Run("keepalived is stronger", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web("interval: 200ms, priority: 100")))
		our.await("master")
		starts := time.Now()
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 200\n advert_int 0.2\n preempt_delay 3"))
		peer.hears(kaBackup, 8)
		our.await("backup")
		first := p.wire.advert("keepalived's first advertisement", kaAddr, time.Time{}, nil)
		if waited := first.At.Sub(starts); waited < delay {
			t.Errorf("keepalived took over %s after its start", waited)
		}
		our.clean()
		peer.clean()
	})
}
