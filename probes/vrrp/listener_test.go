package vrrp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepwatch/haagent/vrrp"
	"keepwatch/internal/batch"
	"keepwatch/internal/netnstest"
)

func newListener(t *testing.T) *Listener {
	t.Helper()
	p, err := NewListener(ListenerOptions{Cluster: "c", Host: "h", Interfaces: []string{"eth0"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func advert(t *testing.T, src string, priority uint8, interval time.Duration) *vrrp.Packet {
	t.Helper()
	s := netip.MustParseAddr(src)
	family := vrrp.FamilyOf(s)
	a := vrrp.Advert{Version: 3, VRID: 51, Priority: priority, Interval: interval, Addresses: vrrp.NewAddresses(family, []netip.Addr{s})}
	return &vrrp.Packet{Source: s, Dest: family.Group(), TTL: vrrp.TTL, Payload: a.Append(nil, s, family.Group(), vrrp.WithPseudoHeader)}
}

func TestHeard(t *testing.T) {
	p := newListener(t)
	now := time.UnixMilli(1_000_000)
	tell := func(at time.Time) string {
		t.Helper()
		var b batch.Batch
		if err := p.Collect(t.Context(), at, &b); err != nil {
			t.Error(err)
		}
		return strings.Join(lines(&b), "\n")
	}
	p.hear("eth0", advert(t, "10.0.0.1", 200, time.Second), now)
	p.hear("eth0", advert(t, "10.0.0.1", 150, time.Second), now)
	p.hear("eth0", advert(t, "fe80::1", 100, time.Second), now)
	bad := advert(t, "10.0.0.2", 100, time.Second)
	bad.TTL = 7
	p.hear("eth0", bad, now)
	const counts = `vrrp_heard_advertisements_total{,family="ipv4",interface="eth0",source="10.0.0.1",version="3",vrid="51"} 2
vrrp_heard_advertisements_total{,family="ipv6",interface="eth0",source="fe80::1",version="3",vrid="51"} 1
vrrp_heard_invalid_total{,interface="eth0",reason="ttl"} 1`
	const all = counts + `
vrrp_heard_priority{,family="ipv4",interface="eth0",source="10.0.0.1",version="3",vrid="51"} 150
vrrp_heard_priority{,family="ipv6",interface="eth0",source="fe80::1",version="3",vrid="51"} 100`
	if got := tell(now.Add(4 * time.Second)); got != all {
		t.Errorf("got\n%s\nwant\n%s", got, all)
	}
	if got := tell(now.Add(5 * time.Second)); got != counts {
		t.Errorf("silent sources: got\n%s\nwant\n%s", got, counts)
	}
	if got := tell(now.Add(forgetAfter + time.Second)); got != `vrrp_heard_invalid_total{,interface="eth0",reason="ttl"} 1` {
		t.Errorf("after ten minutes: got\n%s", got)
	}
}

func TestForgedSourcesAreBounded(t *testing.T) {
	p := newListener(t)
	now := time.UnixMilli(1_000_000)
	for i := range maxSources + 100 {
		p.hear("eth0", advert(t, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String(), 1, time.Second), now)
	}
	if len(p.sources) != maxSources || p.invalid[invalidKey{"eth0", tooManySources}] != 100 {
		t.Errorf("remembers %d sources, refused %v", len(p.sources), p.invalid)
	}
}

// What keepalived sends in versions 2 and 3, over IPv4 and IPv6, is heard on the wire.
func TestListensToKeepalived(t *testing.T) {
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Fatal("this test listens to the real thing: install Debian's package keepalived")
	}
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24", "fd07::2/64")
	dir := t.TempDir()
	const instance = "vrrp_instance %s {\n state BACKUP\n version %d\n interface eth0\n virtual_router_id %d\n priority %d\n advert_int 1\n virtual_ipaddress {\n %s\n }\n}\n"
	text := "global_defs {\n script_user root\n}\n" + fmt.Sprintf(instance, "two", 2, 52, 120, "10.7.0.102/24") +
		fmt.Sprintf(instance, "three", 3, 53, 130, "10.7.0.103/24") + fmt.Sprintf(instance, "six", 3, 56, 160, "fe80::6/64")
	if err := os.WriteFile(filepath.Join(dir, "keepalived.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Start(b.Command("unshare", "--mount", "sh", "-c", `mount --bind "$0" /tmp && exec keepalived -n -l -D -P -f /tmp/keepalived.conf --pid=/tmp/pid --vrrp_pid=/tmp/vrrp.pid`, dir))
	p := newListener(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go a.Do(func() { ended <- p.Watch(ctx, nil) })
	want := []string{
		`vrrp_heard_priority{,family="ipv4",interface="eth0",source="10.7.0.2",version="2",vrid="52"} 120`,
		`vrrp_heard_priority{,family="ipv4",interface="eth0",source="10.7.0.2",version="3",vrid="53"} 130`,
		`version="3",vrid="56"} 160`,
	}
	var out batch.Batch
	netnstest.Await(t, "keepalived to be heard", func() error {
		out.Reset()
		if err := p.Collect(t.Context(), time.Now(), &out); err != nil {
			return err
		}
		all := strings.Join(lines(&out), "\n")
		for _, w := range want {
			if !strings.Contains(all, w) {
				return fmt.Errorf("no %s in\n%s", w, all)
			}
		}
		return nil
	})
	if all := strings.Join(lines(&out), "\n"); strings.Contains(all, "vrrp_heard_invalid_total") {
		t.Errorf("got\n%s", all)
	}
	b.Do(func() { // what is no advertisement is counted
		c, err := net.Dial("ip4:112", "10.7.0.1")
		if err == nil {
			_, err = c.Write([]byte("nonsense"))
			_ = c.Close()
		}
		if err != nil {
			t.Error(err)
		}
	})
	netnstest.Await(t, "the nonsense to be counted", func() error {
		out.Reset()
		_ = p.Collect(t.Context(), time.Now(), &out)
		if all := strings.Join(lines(&out), "\n"); !strings.Contains(all, `vrrp_heard_invalid_total{,interface="eth0",reason="version"} 1`) {
			return fmt.Errorf("got\n%s", all)
		}
		return nil
	})
	a.IP("link", "del", "eth0")
	if err := <-ended; err == nil || !strings.Contains(err.Error(), `"eth0"`) {
		t.Errorf("the interface is gone: got %v", err)
	}
	if err := p.Collect(t.Context(), time.Now(), &out); err == nil {
		t.Error("Collect does not tell that nothing is heard")
	}
	go a.Do(func() { ended <- p.Watch(ctx, nil) })
	if err := <-ended; err == nil || !strings.Contains(err.Error(), `cannot listen on interface "eth0"`) {
		t.Errorf("no interface: got %v", err)
	}
	cancel()
}

func TestListenerEnds(t *testing.T) {
	n := netnstest.New(t)
	a := n.Node("a", "10.7.0.1/24")
	p := newListener(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go a.Do(func() { ended <- p.Watch(ctx, nil) })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}

func BenchmarkHear(b *testing.B) {
	p, err := NewListener(ListenerOptions{Cluster: "c", Host: "h", Interfaces: []string{"eth0"}})
	if err != nil {
		b.Fatal(err)
	}
	s := netip.MustParseAddr("10.0.0.1")
	a := vrrp.Advert{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addresses: vrrp.NewAddresses(vrrp.IPv4, []netip.Addr{s})}
	packet := &vrrp.Packet{Source: s, Dest: vrrp.GroupIPv4, TTL: vrrp.TTL, Payload: a.Append(nil, s, vrrp.GroupIPv4, vrrp.WithPseudoHeader)}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p.hear("eth0", packet, now)
	}
}
