package interop

import (
	"testing"
	"time"
)

// Row 1: ours is master with priority 200, keepalived backup with 100, version 2 without authentication every second:
// for ten seconds keepalived stays backup, finds nothing wrong and never has the address.
func TestRow01OursIsMaster(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	our := startOurs(t, p.a, config(web("version: 2, interval: 1s, priority: 200")))
	our.await("master")
	peer := startKeepalived(t, p.b, 2, kaWeb(" priority 100\n advert_int 1"))
	peer.hears(kaBackup, 10)
	if there := p.bAddrs.of(vip1); len(there) > 0 || !p.a.Holds(vip1) {
		t.Errorf("keepalived's host had the address: %v; ours has it: %t", there, p.a.Holds(vip1))
	}
	if d := peer.instance("web"); d.Stats["become_master"] != 0 {
		t.Errorf("keepalived was master: %+v", d)
	}
	our.clean()
	peer.clean()
}

// Row 2: keepalived is master with priority 200, ours backup with 100: for ten seconds ours stays backup, drops
// nothing and never has the address.
func TestRow02KeepalivedIsMaster(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	peer := startKeepalived(t, p.b, 2, kaWeb(" priority 200\n advert_int 1"))
	holds(t, p.b, vip1, true)
	our := startOurs(t, p.a, config(web("version: 2, interval: 1s, priority: 100")))
	i := our.hears("backup", 10)
	if i.Transitions != 1 || i.Master == nil || i.Master.Address != kaAddr || i.Master.Priority != 200 || i.Sent != 0 {
		t.Errorf("ours is %+v", i)
	}
	if there := p.aAddrs.of(vip1); len(there) > 0 {
		t.Errorf("our host had the address: %v", there)
	}
	for _, f := range p.wire.adverts(kaAddr) {
		if f.Advert.Version != 2 || f.Advert.Interval != time.Second {
			t.Errorf("keepalived sends %s", f)
		}
	}
	our.clean()
	peer.clean()
}
