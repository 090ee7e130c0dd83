package interop

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"keepwatch/haagent/link"
	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/netnstest"
)

// thirdAddr is the third router's address.
const thirdAddr = "10.7.0.3"

// kaPeers are keepalived's lines for unicast.
func kaPeers(own string, peers ...string) string {
	return " unicast_src_ip " + own + "\n unicast_peer {\n  " + strings.Join(peers, "\n  ") + "\n }"
}

// unicast fails the test unless all advertisements that a host sent went to its peers alone, as they must be.
func unicast(t *testing.T, w *wire, own string, version uint8, peers ...string) {
	t.Helper()
	sent := make(map[string]int)
	for _, f := range w.all() {
		if f.Packet == nil {
			continue
		}
		if f.Packet.Dest.IsMulticast() || f.To[0]&1 != 0 {
			t.Errorf("to a group: %s, %s", f, f.To)
		}
		if f.Packet.Source != netip.MustParseAddr(own) {
			continue
		}
		sent[f.Packet.Dest.String()]++
		// Decode takes a checksum over the pseudo-header with Dest in it.
		if f.Advert.Version != version || f.Drop != vrrp.Accepted || f.Packet.TTL != vrrp.TTL || version == 3 && f.Checksum != vrrp.WithPseudoHeader {
			t.Errorf("%s, TTL %d, checksum %s", f, f.Packet.TTL, f.Checksum)
		}
	}
	for _, p := range peers {
		if sent[p] == 0 {
			t.Errorf("%s sent nothing to its peer %s", own, p)
		}
		delete(sent, p)
	}
	if len(sent) > 0 {
		t.Errorf("%s sent to others than its peers: %v", own, sent)
	}
}

// Row 16: unicast between two routers, versions 2 and 3, in both roles: nothing goes to a group, the checksum covers
// the peer's address, the TTL is 255.
func TestRow16TwoUnicastRouters(t *testing.T) {
	t.Parallel()
	for _, c := range kinds {
		t.Run(fmt.Sprintf("version %d", c.version), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			aWire, bWire := listen(t, p.a), listen(t, p.b)
			settings := fmt.Sprintf("version: %d, interval: %s, peers: [%s]", c.version, c.interval, kaAddr)
			our := startOurs(t, p.a, config(web(settings+", priority: 200")))
			our.await("master")
			peer := startKeepalived(t, p.b, int(c.version), kaWeb(" priority 100\n advert_int "+c.setting+"\n"+kaPeers(kaAddr, ourAddr)))
			peer.hears(kaBackup, 4)
			our.stop()
			peer.await(kaMaster)
			our.configure(config(web(settings + ", priority: 50")))
			our.start()
			our.hears("backup", 4)
			unicast(t, aWire, ourAddr, c.version, kaAddr)
			unicast(t, bWire, kaAddr, c.version, ourAddr)
			for _, f := range p.wire.all() {
				if f.Packet != nil {
					t.Errorf("a third host sees %s", f)
				}
			}
			our.clean()
			peer.clean()
		})
	}
}

// Row 16, continued: three routers by unicast, ours between two of keepalived: every master tells both others, and
// who comes next takes over.
func TestRow16ThreeUnicastRouters(t *testing.T) {
	t.Parallel()
	for _, c := range kinds {
		t.Run(fmt.Sprintf("version %d", c.version), func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t)
			a, b, third := n.Node("a", ourAddr+"/24"), n.Node("b", kaAddr+"/24"), n.Node("c", thirdAddr+"/24")
			aWire, bWire, thirdWire := listen(t, a), listen(t, b), listen(t, third)
			our := startOurs(t, a, config(web(fmt.Sprintf("version: %d, interval: %s, peers: [%s, %s], priority: 150", c.version, c.interval, kaAddr, thirdAddr))))
			our.await("master")
			strong := startKeepalived(t, b, int(c.version), kaWeb(" priority 200\n advert_int "+c.setting+"\n"+kaPeers(kaAddr, ourAddr, thirdAddr)))
			our.hears("backup", 3)
			weak := startKeepalived(t, third, int(c.version), kaWeb(" priority 100\n advert_int "+c.setting+"\n"+kaPeers(thirdAddr, ourAddr, kaAddr)))
			weak.hears(kaBackup, 3)
			strong.clean()
			strong.stop()
			our.await("master")
			weak.hears(kaBackup, 3)
			our.clean()
			our.stop()
			weak.await(kaMaster)
			weak.clean()
			unicast(t, aWire, ourAddr, c.version, kaAddr, thirdAddr)
			unicast(t, bWire, kaAddr, c.version, ourAddr, thirdAddr)
			thirdWire.more(thirdAddr, 4)
			unicast(t, thirdWire, thirdAddr, c.version, ourAddr, kaAddr)
		})
	}
}

// Row 17: advertisements by unicast from a host that is no peer, stronger than the master's: ours drops and counts
// them in both roles, and nothing changes.
func TestRow17StrangerByUnicast(t *testing.T) {
	t.Parallel()
	const forged, stranger = 20, "10.7.0.66"
	for _, c := range kinds {
		for _, state := range []string{"master", "backup"} {
			t.Run(fmt.Sprintf("version %d, ours is %s", c.version, state), func(t *testing.T) {
				t.Parallel()
				n := netnstest.New(t)
				a, b, foe := n.Node("a", ourAddr+"/24"), n.Node("b", kaAddr+"/24"), n.Node("foe", stranger+"/24")
				ours, theirs := 200, 100
				if state == "backup" {
					ours, theirs = theirs, ours
				}
				our := startOurs(t, a, config(web(fmt.Sprintf("version: %d, interval: %s, peers: [%s], priority: %d", c.version, c.interval, kaAddr, ours))))
				peer := startKeepalived(t, b, int(c.version), kaWeb(fmt.Sprintf(" priority %d\n advert_int %s\n%s", theirs, c.setting, kaPeers(kaAddr, ourAddr))))
				before := our.await(state)
				if state == "backup" {
					before = our.hears(state, 1)
				}
				forge(t, foe, stranger, ourAddr, forged, vrrp.Advert{Version: c.version, VRID: 51, Priority: 250, Interval: c.interval,
					Addresses: vrrp.NewAddresses(vrrp.IPv4, []netip.Addr{netip.MustParseAddr(vip1), netip.MustParseAddr(vip2)})})
				i := our.until("to count the stranger's advertisements", func(i status.Instance) error {
					if i.Dropped[vrrp.DropPeer.String()] < forged {
						return fmt.Errorf("it dropped %v", i.Dropped)
					}
					return nil
				})
				if state == "backup" {
					i = our.hears(state, 2)
				} else {
					peer.hears(kaBackup, 2)
					i = our.await(state)
				}
				delete(i.Dropped, vrrp.DropPeer.String())
				if i.Transitions != before.Transitions || len(i.Dropped) > 0 || slices.ContainsFunc(i.PeersSeen, func(p status.Peer) bool { return p.Address == stranger }) {
					t.Errorf("ours is %+v, was %+v", i, before)
				}
				peer.clean()
			})
		}
	}
}

// forge sends advertisements that any host could send.
func forge(t *testing.T, from *netnstest.Node, src, dst string, times int, a vrrp.Advert) {
	t.Helper()
	source, dest := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	var err error
	from.Do(func() {
		var c *link.Conn
		if c, err = link.Open("eth0", vrrp.IPv4, vrrp.GroupIPv4); err != nil {
			return
		}
		defer c.Close()
		for range times {
			err = errors.Join(err, c.Send(source, dest, a.Append(nil, source, dest, vrrp.WithPseudoHeader)))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
