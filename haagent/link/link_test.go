package link

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

func TestAnnouncementsAreKeepaliveds(t *testing.T) {
	mac := net.HardwareAddr{0xc2, 0x3d, 0xa0, 0xff, 0xaa, 0x37}
	f := func(name string, got []byte, want string) {
		t.Helper()
		if w, err := hex.DecodeString(strings.ReplaceAll(want, " ", "")); err != nil || !bytes.Equal(got, w) {
			t.Errorf("%s: got %x, want %x (%v)", name, got, w, err)
		}
	}
	f("ARP", gratuitousARP(nil, mac, netip.MustParseAddr("10.67.0.100")),
		"ffffffffffff c23da0ffaa37 0806 0001 0800 06 04 0001 c23da0ffaa37 0a430064 ffffffffffff 0a430064")
	f("NA", neighbourAdvertisement(nil, mac, netip.MustParseAddr("fd67::100"), false),
		"333300000001 c23da0ffaa37 86dd 60000000 0020 3a ff fd670000000000000000000000000100 ff020000000000000000000000000001"+
			"88 00 4c5b 20000000 fd670000000000000000000000000100 02 01 c23da0ffaa37")
	if b := neighbourAdvertisement(nil, mac, netip.MustParseAddr("fd67::100"), true); b[58] != 0xa0 {
		t.Errorf("a router's flags are %x, want a0", b[58])
	}
}

func TestPacket4(t *testing.T) {
	header := []byte{0x45, 0xc0, 0, 28, 0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 1, 224, 0, 0, 18}
	good := append(bytes.Clone(header), 1, 2, 3, 4, 5, 6, 7, 8)
	f := func(want bool, change func(b []byte) []byte) {
		t.Helper()
		var p vrrp.Packet
		if got := packet4(&p, change(bytes.Clone(good))); got != want {
			t.Errorf("got %t, want %t", got, want)
		}
		if want && (p.TTL != 255 || p.Source.String() != "10.0.0.1" || p.Dest != vrrp.GroupIPv4 || !bytes.Equal(p.Payload, good[20:])) {
			t.Errorf("got %+v", p)
		}
	}
	f(true, func(b []byte) []byte { return b })
	f(true, func(b []byte) []byte { return append(b, 0, 0, 0) }) // padding of the frame
	f(true, func(b []byte) []byte {                              // with an option
		b[0], b[3] = 0x46, 32
		return append(b[:20:20], append([]byte{1, 1, 1, 1}, b[20:]...)...)
	})
	f(false, func(b []byte) []byte { return b[:19] })
	f(false, func(b []byte) []byte { b[0] = 0x65; return b })
	f(false, func(b []byte) []byte { b[0] = 0x44; return b })
	f(false, func(b []byte) []byte { b[3] = 200; return b })
	f(false, func(b []byte) []byte { b[3] = 10; return b })
	f(false, func([]byte) []byte { return nil })
}

func FuzzPacket4(f *testing.F) {
	f.Add([]byte{0x45, 0xc0, 0, 22, 0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 1, 224, 0, 0, 18, 1, 2, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p vrrp.Packet
		if packet4(&p, b) && (!p.Source.Is4() || len(p.Payload) > len(b)-20) {
			t.Fatalf("got %+v of %d bytes", p, len(b))
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An address that nobody renews goes by itself and takes nothing of the host's along.
func TestLease(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24", "fd07::1/64")
	addrs := addresses(t, "10.7.0.100/24", "10.8.0.100/24", "fd07::100/64")
	var a *Addresses
	node.Do(func() {
		var err error
		if a, err = NewAddresses(2 * time.Second); err != nil {
			t.Error(err)
		}
	})
	if a == nil {
		return
	}
	defer a.Close()
	must(t, a.Release("eth0", addrs)) // not there: no error
	must(t, a.Hold("eth0", addrs))
	must(t, a.Hold("eth0", addrs))
	if out := node.IP("addr", "show", "dev", "eth0"); strings.Count(out, "valid_lft 2sec") != 3 || strings.Contains(out, "tentative") || !strings.Contains(out, "valid_lft 2sec preferred_lft 0sec") {
		t.Errorf("got %s", out)
	}
	must(t, a.Release("eth0", addrs[:1]))
	must(t, a.Release("eth0", addrs[:1]))
	for _, p := range addrs[1:] {
		netnstest.Await(t, p.Prefix.String()+" to end", func() error {
			if node.Holds(p.Addr().String()) {
				return fmt.Errorf("still there")
			}
			return nil
		})
	}
	if !node.Holds("10.7.0.1") || !node.Holds("fd07::1") {
		t.Errorf("the host's own addresses: %v", node.Addresses())
	}
	if out := node.IP("-6", "route", "show", "fd07::/64"); !strings.Contains(out, "fd07::/64 dev eth0") || strings.Contains(out, "expires") {
		t.Errorf("the host's own prefix route: %q", out)
	}
	if err := a.Hold("eth9", addrs); err == nil || !strings.Contains(err.Error(), `cannot find interface "eth9"`) {
		t.Errorf("got %v", err)
	}
	must(t, a.Release("eth9", addrs)) // the interface took them along
}

func TestConnSendsAndHears(t *testing.T) {
	t.Parallel()
	for _, family := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(family.String(), func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t)
			a, b := n.Node("a", "10.7.0.1/24", "10.7.0.99/24"), n.Node("b", "10.7.0.2/24")
			open := func(node *netnstest.Node) (c *Conn) {
				node.Do(func() {
					var err error
					if c, err = Open("eth0", family, family.Group()); err != nil {
						t.Error(err)
					}
				})
				return c
			}
			from, to := open(a), open(b)
			if from == nil || to == nil {
				return
			}
			defer from.Close()
			src := netip.MustParseAddr("10.7.0.99") // not the one that the kernel would choose
			if family == vrrp.IPv6 {
				a.Do(func() { src = Look("eth0", nil).Source6 })
			}
			must(t, from.Send(src, family.Group(), []byte("hello")))
			var p vrrp.Packet
			heard := make(chan error, 1)
			go func() { heard <- to.Read(&p) }()
			select {
			case err := <-heard:
				must(t, err)
			case <-time.After(time.Minute):
				t.Fatal("nothing is heard")
			}
			if p.Source != src || p.Dest != family.Group() || p.TTL != vrrp.TTL || string(p.Payload) != "hello" {
				t.Errorf("got %+v", p)
			}
			must(t, from.Send(src, family.Group(), []byte("again")))
			netnstest.Await(t, "the second message", func() error {
				if !to.Try(&p) {
					return errors.New("nothing waits")
				}
				return nil
			})
			if string(p.Payload) != "again" || to.Try(&p) {
				t.Errorf("got %+v", p)
			}
			ended := make(chan error, 1)
			go func() { ended <- to.Read(&p) }()
			must(t, to.Close())
			if err := <-ended; !errors.Is(err, os.ErrClosed) {
				t.Errorf("after Close: got %v", err)
			}
			if err := from.Send(netip.MustParseAddr("10.99.0.1"), family.Group(), nil); family == vrrp.IPv4 && err == nil {
				t.Error("sent from an address of nobody")
			}
			for _, bad := range []netip.Addr{{}, netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")} {
				if bad.Is6() == (family == vrrp.IPv6) && bad.IsValid() {
					continue
				}
				if err := from.Send(bad, family.Group(), nil); err == nil {
					t.Errorf("sent from %q", bad)
				}
			}
		})
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := Open("nosuch0", vrrp.IPv4, vrrp.GroupIPv4); err == nil || !strings.Contains(err.Error(), `there is no interface "nosuch0"`) {
		t.Errorf("got %v", err)
	}
	if !errors.Is(privilege(fmt.Errorf("cannot: %w", unix.EPERM)), ErrPrivilege) || errors.Is(privilege(unix.EINVAL), ErrPrivilege) {
		t.Error("wrong error taken for a lack of privilege")
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24", "10.7.0.100/24")
	news := make(chan Status, 16)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go node.Do(func() {
		ended <- Watch(ctx, []string{"eth0"}, []netip.Addr{netip.MustParseAddr("10.7.0.100")}, func(_ string, s Status) { news <- s })
	})
	next := func(what string, want func(Status) bool) {
		t.Helper()
		for limit := time.After(time.Minute); ; {
			select {
			case s := <-news:
				if want(s) {
					return
				}
			case <-limit:
				t.Fatalf("no news of %s", what)
			}
		}
	}
	source := netip.MustParseAddr("10.7.0.1")
	next("the beginning", func(s Status) bool { return s.Up && s.Source4 == source && s.Source6.IsValid() && s.Index > 0 })
	node.SetPort(false)
	next("the carrier", func(s Status) bool { return !s.Up && s.Detail == "interface eth0 lost its carrier" })
	node.SetPort(true)
	next("the carrier's return", func(s Status) bool { return s.Up })
	node.SetLink(false)
	next("the link", func(s Status) bool { return !s.Up && s.Detail == "interface eth0 is down" })
	node.SetLink(true)
	next("the link's return", func(s Status) bool { return s.Up && s.Source4 == source })
	node.IP("addr", "del", "10.7.0.1/24", "dev", "eth0")
	next("the source's end", func(s Status) bool { return s.Up && !s.Source4.IsValid() })
	node.IP("addr", "add", "10.7.0.3/24", "dev", "eth0")
	next("another source", func(s Status) bool { return s.Source4 == netip.MustParseAddr("10.7.0.3") })
	node.IP("link", "del", "eth0")
	next("the interface's end", func(s Status) bool { return s.Index == 0 && !s.Up && s.Detail == "there is no interface eth0" })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The renewal of a virtual address, many times a minute, is no reason to look at everything again.
func TestRenewalIsNoNews(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	vip := netip.MustParsePrefix("10.7.0.100/24")
	node.Do(func() {
		a, err := NewAddresses(time.Minute)
		if err != nil {
			t.Error(err)
			return
		}
		defer a.Close()
		b, err := openBell()
		if err != nil {
			t.Error(err)
			return
		}
		defer b.file.Close()
		for _, c := range []struct {
			not  []netip.Addr
			want bool
		}{{[]netip.Addr{vip.Addr()}, false}, {nil, true}} {
			if err := a.Hold("eth0", []conf.Address{{Prefix: vip}}); err != nil {
				t.Error(err)
			}
			n, err := b.file.Read(b.buf)
			if err != nil {
				t.Error(err)
			}
			if got := isNews(b.buf[:n], c.not); got != c.want {
				t.Errorf("not %v: got %t, want %t", c.not, got, c.want)
			}
		}
	})
	if !isNews([]byte{1, 2, 3}, nil) && !isNews(bytes.Repeat([]byte{0xff}, 16), nil) {
		t.Error("what cannot be read must be looked up")
	}
}
