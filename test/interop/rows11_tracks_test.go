package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepwatch/haagent/vrrp"
)

// health is a file whose being there makes a tracked script succeed, on our host or on keepalived's.
type health struct {
	t    *testing.T
	path string
}

func newHealth(t *testing.T, dir string) health {
	t.Helper()
	h := health{t, filepath.Join(dir, "fine")}
	h.set(true)
	return h
}

func (h health) set(fine bool) {
	h.t.Helper()
	err := os.WriteFile(h.path, nil, 0o600)
	if !fine {
		err = os.Remove(h.path)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// track is ours in YAML, below haagent.
func (h health) track() string {
	return "  tracks:\n  - {name: fine, script: [/usr/bin/test, -e, " + h.path + "], interval: 100ms}\n"
}

// kaScript is keepalived's, whose /tmp is the folder that the file is in; a second is its smallest interval.
func kaScript(settings string) string {
	return "vrrp_script fine {\n script \"/usr/bin/test -e /tmp/fine\"\n interval 1\n" + settings + "}\n"
}

// Row 11: a tracked script of weight -60 takes the master from 200 to 140 where the backup has 150: the next
// advertisement says 140, the backup takes over within its Master_Down, the former master is backup, and everything
// is as before when the script is well again.
func TestRow11Weight(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	t.Run("ours fails", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		h := newHealth(t, shortDir(t))
		our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200, track: [{name: fine, weight: -60}]"))+h.track())
		our.await("master")
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 150\n advert_int 0.3"))
		peer.hears(kaBackup, 2)
		failed := time.Now()
		h.set(false)
		lower := p.wire.advert("an advertisement of priority 140", ourAddr, failed, priority(140))
		peer.await(kaMaster)
		if i := our.await("backup"); i.Priority != 140 || !strings.Contains(i.Reason, kaAddr+" advertises priority 150, ours is 140") || !strings.Contains(i.Reason, "fine") {
			t.Errorf("ours is %+v", i)
		}
		last := lastBefore(t, p.wire, ourAddr, lower.At)
		if gap := lower.At.Sub(last.At); last.Advert.Priority != 200 || gap > 2*interval {
			t.Errorf("%s is %s after %s", lower, gap, last)
		}
		first := p.wire.advert("keepalived's first advertisement", kaAddr, lower.At, priority(150))
		within(t, "keepalived after our last advertisement of 200", first.At.Sub(last.At), vrrp.MasterDown(3, 150, interval))

		h.set(true)
		if i := our.await("master"); i.Priority != 200 {
			t.Errorf("ours is %+v", i)
		}
		peer.await(kaBackup)
		our.clean()
		peer.clean()
	})
	t.Run("keepalived fails", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web("interval: 300ms, priority: 150")))
		our.await("master")
		peer := newKeepalived(t, p.b)
		h := newHealth(t, peer.dir)
		peer.configure(3, kaScript(" weight -60\n"), kaWeb(" priority 200\n advert_int 0.3\n track_script {\n  fine\n }"))
		peer.start()
		our.hears("backup", 2)
		h.set(false)
		if i, want := our.await("master"), kaAddr+" lowered its priority from 200 to 140, ours is 150"; i.Reason != want {
			t.Errorf("got reason %q, want %q", i.Reason, want)
		}
		lower := p.wire.advert("an advertisement of priority 140", kaAddr, time.Time{}, priority(140))
		first := p.wire.advert("our first advertisement", ourAddr, lower.At, priority(150))
		within(t, "ours after keepalived's last advertisement of 200", first.At.Sub(lastBefore(t, p.wire, kaAddr, lower.At).At), vrrp.MasterDown(3, 150, interval))
		peer.await(kaBackup)

		h.set(true)
		peer.await(kaMaster)
		our.await("backup")
		our.clean()
		peer.clean()
	})
	// What ours can do besides: a master that a track has lowered says so with a farewell, and keepalived waits its
	// skew time only.
	t.Run("ours fails and hands over", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		h := newHealth(t, shortDir(t))
		our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200, degraded: handover, track: [{name: fine, weight: -60}]"))+h.track())
		our.await("master")
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 150\n advert_int 0.3"))
		peer.hears(kaBackup, 2)
		h.set(false)
		peer.await(kaMaster)
		our.await("backup")
		farewell := p.wire.advert("our farewell", ourAddr, time.Time{}, priority(0))
		first := p.wire.advert("keepalived's first advertisement", kaAddr, farewell.At, priority(150))
		within(t, "keepalived after our farewell", first.At.Sub(farewell.At), vrrp.Skew(3, 150, interval))
		h.set(true)
		our.await("master")
		our.clean()
		peer.clean()
	})
}

// lastBefore is the last advertisement from an address before a time.
func lastBefore(t *testing.T, w *wire, from string, at time.Time) (last frame) {
	t.Helper()
	for _, f := range w.adverts(from) {
		if f.At.Before(at) {
			last = f
		}
	}
	if last.Packet == nil {
		t.Fatalf("%s advertised nothing before %s", from, at)
	}
	return last
}

// Row 12: a tracked script of weight 0 is a fault: the master says farewell with priority 0, the backup takes over
// after its skew time, and the former master takes the addresses again when the script is well.
func TestRow12Fault(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	t.Run("ours fails", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		h := newHealth(t, shortDir(t))
		our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200, track: [{name: fine}]"))+h.track())
		our.await("master")
		peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
		peer.hears(kaBackup, 2)
		h.set(false)
		peer.await(kaMaster)
		if i := our.await("fault"); !strings.Contains(i.Reason, "track fine is down") {
			t.Errorf("got reason %q", i.Reason)
		}
		farewell := p.wire.advert("our farewell", ourAddr, time.Time{}, priority(0))
		takeOver(t, p.wire, ourAddr, kaAddr, farewell.At, vrrp.Skew(3, 100, interval))
		h.set(true)
		our.await("master")
		peer.await(kaBackup)
		our.clean()
		peer.clean()
	})
	t.Run("keepalived fails", func(t *testing.T) {
		t.Parallel()
		p := newPair(t)
		our := startOurs(t, p.a, config(web("interval: 300ms, priority: 100")))
		our.await("master")
		peer := newKeepalived(t, p.b)
		h := newHealth(t, peer.dir)
		peer.configure(3, kaScript(""), kaWeb(" priority 200\n advert_int 0.3\n track_script {\n  fine\n }"))
		peer.start()
		our.hears("backup", 2)
		h.set(false)
		if i, want := our.await("master"), kaAddr+" gave the addresses up (priority 0)"; i.Reason != want {
			t.Errorf("got reason %q, want %q", i.Reason, want)
		}
		peer.await(kaFault)
		farewell := p.wire.advert("keepalived's farewell", kaAddr, time.Time{}, priority(0))
		takeOver(t, p.wire, kaAddr, ourAddr, farewell.At, vrrp.Skew(3, 100, interval))
		h.set(true)
		our.await("backup")
		peer.await(kaMaster)
		our.clean()
		peer.clean()
	})
}

// Row 13: weights that add up to more than 254 or less than 1 are 254 and 1 on the wire, of either make.
func TestRow13PriorityBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		priority, weight int
		program          string
		bound            uint8
	}{{200, 100, "/bin/true", 254}, {50, -100, "/bin/false", 1}} {
		// nopreempt keeps the other one from taking over from a priority of 1.
		t.Run(fmt.Sprintf("ours, %d", c.bound), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			our := startOurs(t, p.a, config(web(fmt.Sprintf("interval: 300ms, priority: %d, track: [{name: it, weight: %d}]", c.priority, c.weight)))+
				"  tracks:\n  - {name: it, script: ["+c.program+"], interval: 100ms}\n")
			our.await("master")
			bound := p.wire.advert("an advertisement at the bound", ourAddr, time.Time{}, priority(c.bound))
			peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3\n nopreempt"))
			peer.hears(kaBackup, 5)
			for _, f := range p.wire.adverts(ourAddr) {
				if f.At.After(bound.At) && f.Advert.Priority != c.bound {
					t.Error(f)
				}
			}
			our.clean()
			peer.clean()
		})
		t.Run(fmt.Sprintf("keepalived, %d", c.bound), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			peer := startKeepalived(t, p.b, 3, fmt.Sprintf("vrrp_script it {\n script %s\n interval 1\n weight %d\n}\n", c.program, c.weight),
				kaWeb(fmt.Sprintf(" priority %d\n advert_int 0.3\n track_script {\n  it\n }", c.priority)))
			p.wire.advert("an advertisement at the bound", kaAddr, time.Time{}, priority(c.bound))
			our := startOurs(t, p.a, config(web("interval: 300ms, priority: 100, nopreempt: true")))
			if i := our.hears("backup", 5); i.Master == nil || i.Master.Priority != int(c.bound) {
				t.Errorf("ours follows %+v", i.Master)
			}
			our.clean()
			peer.clean()
		})
	}
}
