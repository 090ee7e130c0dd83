package interop

import (
	"fmt"
	"testing"
	"time"

	"keepwatch/haagent/vrrp"
)

// kinds are the two versions as rows 14 and 15 use them.
var kinds = []struct {
	version  uint8
	interval time.Duration
	setting  string // keepalived's
}{{2, time.Second, "1"}, {3, 300 * time.Millisecond, "0.3"}}

// Row 14: ours is master and ends by SIGTERM: its last word is priority 0, keepalived takes over after its skew time,
// and then ours has no address left.
//
// The matrix wants the addresses gone before keepalived has them or at that moment. Ours makes before it breaks: it
// keeps them until it has heard keepalived as master, and 100 ms longer for the requests under way.
func TestRow14OursEnds(t *testing.T) {
	t.Parallel()
	for _, c := range kinds {
		t.Run(fmt.Sprintf("version %d", c.version), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			our := startOurs(t, p.a, config(web(fmt.Sprintf("version: %d, interval: %s, priority: 200", c.version, c.interval))))
			our.await("master")
			peer := startKeepalived(t, p.b, int(c.version), kaWeb(" priority 100\n advert_int "+c.setting))
			peer.hears(kaBackup, 3)
			our.stop()
			if has(p.a, vip1) || has(p.a, vip2) {
				t.Errorf("our host still has %v", addresses(p.a))
			}
			holds(t, p.b, vip1, true)
			p.wire.more(kaAddr, 3)
			farewell := p.wire.advert("our farewell", ourAddr, time.Time{}, priority(0))
			for _, f := range p.wire.adverts(ourAddr) {
				if f.At.After(farewell.At) && f.Advert.Priority != 0 {
					t.Errorf("after the farewell: %s", f)
				}
			}
			first := takeOver(t, p.wire, ourAddr, kaAddr, farewell.At, vrrp.Skew(c.version, 100, c.interval))
			for _, vip := range []string{vip1, vip2} {
				within(t, vip+" gone after keepalived's first advertisement", p.aAddrs.last(vip, false, time.Time{}).Sub(first.At), 100*time.Millisecond)
			}
			if i := peer.instance("web"); i.Stats["pri_zero_rcvd"] == 0 {
				t.Errorf("keepalived heard no farewell: %+v", i)
			}
			peer.clean()
		})
	}
}

// Row 15: keepalived is master and ends by SIGTERM: ours takes over after its skew time.
func TestRow15KeepalivedEnds(t *testing.T) {
	t.Parallel()
	for _, c := range kinds {
		t.Run(fmt.Sprintf("version %d", c.version), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			peer := startKeepalived(t, p.b, int(c.version), kaWeb(" priority 200\n advert_int "+c.setting))
			holds(t, p.b, vip1, true)
			our := startOurs(t, p.a, config(web(fmt.Sprintf("version: %d, interval: %s, priority: 100", c.version, c.interval))))
			our.hears("backup", 3)
			peer.stop()
			if i, want := our.await("master"), kaAddr+" gave the addresses up (priority 0)"; i.Reason != want {
				t.Errorf("got reason %q, want %q", i.Reason, want)
			}
			farewell := p.wire.advert("keepalived's farewell", kaAddr, time.Time{}, priority(0))
			takeOver(t, p.wire, kaAddr, ourAddr, farewell.At, vrrp.Skew(c.version, 100, c.interval))
			our.clean()
		})
	}
}
