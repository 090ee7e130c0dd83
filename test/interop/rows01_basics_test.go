package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	imported "keepwatch/haagent/keepalived"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/report"
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
	if there := p.bAddrs.of(vip1); len(there) > 0 || !has(p.a, vip1) {
		t.Errorf("keepalived's host had the address: %v; ours has it: %t", there, has(p.a, vip1))
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

// Row 3: version 2 with a password of 8, 3 and 9 bytes: both sides fill up or cut it the same way and follow each
// other in both roles.
func TestRow03SamePassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ password, sent string }{
		{"s3cret12", "s3cret12"}, {"abc", "abc\x00\x00\x00\x00\x00"}, {"s3cret123", "s3cret12"},
	} {
		t.Run(c.password, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			settings := "version: 2, interval: 1s, password: " + c.password
			our := startOurs(t, p.a, config(web(settings+", priority: 200")))
			our.await("master")
			peer := startKeepalived(t, p.b, 2, kaWeb(" priority 100\n advert_int 1\n authentication {\n  auth_type PASS\n  auth_pass "+c.password+"\n }"))
			peer.hears(kaBackup, 3)
			our.stop()
			peer.await(kaMaster)
			our.configure(config(web(settings + ", priority: 50")))
			our.start()
			our.hears("backup", 3)
			for _, from := range []string{ourAddr, kaAddr} {
				f := p.wire.advert("an advertisement with a password", from, time.Time{}, nil)
				if got := string(f.Advert.Password[:]); f.Advert.AuthType != vrrp.AuthPassword || got != c.sent {
					t.Errorf("%s authenticates with type %d, %q; want %q", from, f.Advert.AuthType, got, c.sent)
				}
			}
			our.clean()
			peer.clean()
		})
	}
}

// Row 3, continued: where the password differs, or only one side has one, neither hears the other and both are
// master; ours says so and what to do.
func TestRow03WrongPassword(t *testing.T) {
	t.Parallel()
	const ours = "version: 2, interval: 1s, password: s3cret12, "
	for _, c := range []struct{ name, auth, told, counter string }{
		{"another password", " authentication {\n  auth_type PASS\n  auth_pass other\n }", "has another password", "auth_failure"},
		{"no password", "", "authenticates with type 0, this router with type 1", "authtype_mismatch"},
	} {
		for _, priorities := range [][2]int{{200, 100}, {100, 200}} {
			t.Run(fmt.Sprintf("%s, ours %d", c.name, priorities[0]), func(t *testing.T) {
				t.Parallel()
				p := newPair(t)
				our := startOurs(t, p.a, config(web(ours+fmt.Sprintf("priority: %d", priorities[0]))))
				peer := startKeepalived(t, p.b, 2, kaWeb(fmt.Sprintf(" priority %d\n advert_int 1\n", priorities[1])+c.auth))
				our.await("master")
				peer.await(kaMaster)
				our.event("vrrp_auth", c.told, "neither hears the other", kaAddr)
				peer.until("to refuse what ours sends", func(i kaInstance) error {
					if i.Stats[c.counter] == 0 {
						return fmt.Errorf("%+v", i.Stats)
					}
					return nil
				})
				if i := our.await("master"); i.Received != 0 {
					t.Errorf("ours accepted %d advertisements: %+v", i.Received, i)
				}
			})
		}
	}
}

// Row 4: version 2 with AH is refused with a clear text where keepalived's configuration is taken over. Whoever goes
// on nevertheless has two masters, which ours sees by ARP: it cannot hear AH.
func TestRow04AuthenticationHeader(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	peer := startKeepalived(t, p.b, 2, kaWeb(" priority 200\n advert_int 1\n authentication {\n  auth_type AH\n  auth_pass s3cret12\n }"))
	file := filepath.Join(peer.dir, "keepalived.conf")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	taken := imported.Import(file, text, imported.Options{})
	if !slices.ContainsFunc(taken.Notes, func(n report.Note) bool {
		return strings.Contains(n.String(), "auth_type AH is refused") && strings.Contains(n.String(), "set every router to PASS or to nothing first")
	}) {
		t.Errorf("the import does not say that AH is refused: %v", taken.Notes)
	}
	holds(t, p.b, vip1, true)
	our := startOurs(t, p.a, config(web("version: 2, interval: 1s, priority: 100")))
	if i := our.await("master"); i.Received != 0 {
		t.Errorf("ours is %+v", i)
	}
	our.event("vrrp_duplicate", vip1)
	if i := peer.await(kaMaster); i.Stats["advert_rcvd"] != 0 {
		t.Errorf("keepalived is %+v", i)
	}
}

// Row 5: version 3 every 100 ms, in both directions: the interval stands in hundredths of a second on the wire, the
// checksum covers the pseudo-header, and both accept it.
func TestRow05Version3(t *testing.T) {
	p := newPair(t)
	our := startOurs(t, p.a, config(web("interval: 100ms, priority: 200")))
	our.await("master")
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.1"))
	peer.hears(kaBackup, 20)
	our.stop()
	peer.await(kaMaster)
	our.configure(config(web("interval: 100ms, priority: 50")))
	our.start()
	i := our.hears("backup", 20)
	if i.ChecksumMessageOnly != 0 || i.ChecksumPseudoHeader != i.Received {
		t.Errorf("of %d advertisements, ours found %d with a pseudo-header in the checksum and %d without", i.Received, i.ChecksumPseudoHeader, i.ChecksumMessageOnly)
	}
	for _, from := range []string{ourAddr, kaAddr} {
		for _, f := range p.wire.adverts(from) {
			if f.Drop != vrrp.Accepted || f.Checksum != vrrp.WithPseudoHeader || [2]byte(f.Packet.Payload[4:]) != [2]byte{0, 10} {
				t.Errorf("%s: %x", f, f.Packet.Payload)
			}
		}
	}
	our.clean()
	peer.clean()
}
