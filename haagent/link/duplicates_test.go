package link

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"keepwatch/internal/netnstest"
)

func TestReadClaims(t *testing.T) {
	mac := net.HardwareAddr{0xc2, 0x3d, 0xa0, 0xff, 0xaa, 0x37}
	four, six := netip.MustParseAddr("10.7.0.100"), netip.MustParseAddr("fd67::100")
	arp, na := gratuitousARP(nil, mac, four), neighbourAdvertisement(nil, mac, six, false)
	if c, ok := readARP(append(arp, make([]byte, 18)...)); !ok || c != (claim{four, [6]byte(mac)}) { // padded to 60 bytes
		t.Errorf("ARP: got %+v, %t", c, ok)
	}
	if c, ok := readNA(na); !ok || c != (claim{six, [6]byte(mac)}) {
		t.Errorf("NA: got %+v, %t", c, ok)
	}
	for n := range na {
		if _, ok := readNA(na[:n]); ok {
			t.Errorf("NA of %d bytes is taken", n)
		}
		if _, ok := readARP(arp[:min(n, len(arp)-1)]); ok {
			t.Errorf("ARP of %d bytes is taken", n)
		}
	}
	for _, at := range []int{14, 16, 18, 19, 20, 21} {
		bad := slices.Clone(arp)
		bad[at] ^= 0x10
		if _, ok := readARP(bad); ok {
			t.Errorf("ARP with another byte %d is taken", at)
		}
	}
	for at := ethernetHeader; at < len(na); at++ {
		bad := slices.Clone(na)
		bad[at] ^= 0x08
		if _, ok := readNA(bad); ok && at > 17 { // version, class and flow label are in no checksum
			t.Errorf("NA with another byte %d is taken", at)
		}
	}
	if _, ok := readARP(appendARP(nil, mac, netip.IPv4Unspecified(), four, [6]byte{})); ok {
		t.Error("a probe claims an address")
	}
	want := "3333ff000100 c23da0ffaa37 86dd 60000000 0018 3a ff 00000000000000000000000000000000 ff0200000000000000000001ff000100" +
		"87 00 7b40 00000000 fd670000000000000000000000000100"
	if got := hex.EncodeToString(neighbourSolicitation(mac, six)); got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("NS: got %s", got)
	}
	vm, err := bpf.NewVM(advertisementFilter)
	must(t, err)
	for _, c := range []struct {
		frame []byte
		want  bool
	}{{na, true}, {neighbourSolicitation(mac, six), false}, {segment("fd07::9", "fd07::100", 2), false}, {nil, false}} {
		if n, err := vm.Run(c.frame); err != nil || n > 0 != c.want {
			t.Errorf("filter: got %d, %v of %x", n, err, c.frame)
		}
	}
}

func FuzzReadClaims(f *testing.F) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	f.Add(gratuitousARP(nil, mac, netip.MustParseAddr("10.7.0.100")))
	f.Add(neighbourAdvertisement(nil, mac, netip.MustParseAddr("fd67::100"), true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := readARP(b); ok && !c.addr.Is4() {
			t.Fatalf("got %+v", c)
		}
		if c, ok := readNA(b); ok && c.addr.Is4() {
			t.Fatalf("got %+v", c)
		}
	})
}

func TestSightingsAreBounded(t *testing.T) {
	s, now := make(sightings), time.Unix(1e9, 0)
	one := claim{netip.MustParseAddr("10.7.0.100"), [6]byte{2}}
	for i, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {999 * time.Millisecond, false}, {time.Second, true}, {1100 * time.Millisecond, false}} {
		if got := s.tell(one, now.Add(c.after)); got != c.want {
			t.Errorf("%d: got %t", i, got)
		}
	}
	told := 0
	for i := range 10 * maxSightings {
		if s.tell(claim{one.addr, [6]byte{4, byte(i), byte(i >> 8)}}, now.Add(2*time.Second)) {
			told++
		}
	}
	if told > maxSightings || len(s) > maxSightings {
		t.Errorf("told %d, remembered %d", told, len(s))
	}
	if !s.tell(one, now.Add(3*time.Second)) {
		t.Error("after a flood nothing is told any more")
	}
}

func TestWatchDuplicates(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	node, other := n.Node("a", "10.7.0.1/24", "fd07::1/64"), n.Node("b", "10.7.0.2/24", "fd07::2/64")
	vips := []netip.Addr{netip.MustParseAddr("10.7.0.100"), netip.MustParseAddr("fd07::100")}
	var mu sync.Mutex
	var held []netip.Addr
	mine := func() []netip.Addr { mu.Lock(); defer mu.Unlock(); return held }
	type news struct {
		addr netip.Addr
		mac  string
	}
	heard := make(chan news, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go node.Do(func() {
		ended <- WatchDuplicates(ctx, "eth0", 10*time.Millisecond, mine, func(a netip.Addr, mac net.HardwareAddr) { heard <- news{a, mac.String()} })
	})
	a, b := holder(t, node, time.Minute), holder(t, other, time.Minute)
	both := addresses(t, "10.7.0.100/24", "fd07::100/64")
	must(t, errors.Join(a.Hold("eth0", both), b.Hold("eth0", both)))
	mu.Lock()
	held = vips
	mu.Unlock()
	var mac string
	within(t, other, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err == nil {
			mac = ifi.HardwareAddr.String()
		}
		return err
	})
	want := map[news]int{{vips[0], mac}: 0, {vips[1], mac}: 0}
	for limit := time.After(time.Minute); want[news{vips[0], mac}] < 2 || want[news{vips[1], mac}] < 2; {
		select {
		case got := <-heard:
			if _, known := want[got]; !known {
				t.Fatalf("got %v, want one of %v", got, want)
			}
			want[got]++
		case <-limit:
			t.Fatalf("heard %v", want)
		}
	}
	node.SetLink(false) // it goes on afterwards
	node.SetLink(true)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWatchDuplicatesEndsWithItsInterface(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	ended := make(chan error, 1)
	watch := func(ifname string) func() {
		return func() {
			ended <- WatchDuplicates(t.Context(), ifname, 10*time.Millisecond, func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("10.7.0.100")} }, func(netip.Addr, net.HardwareAddr) {})
		}
	}
	go node.Do(watch("eth0"))
	node.Unplug()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "eth0") {
		t.Errorf("got %v", err)
	}
	for _, ifname := range []string{"lo", "eth9"} {
		node.Do(watch(ifname))
		if err := <-ended; err == nil || !strings.Contains(err.Error(), ifname) {
			t.Errorf("%s: got %v", ifname, err)
		}
	}
}
