package main

import (
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	a, b := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2")
	w := newTally(&side{address: a}, []setup{{vrid: 51, interval: 10 * time.Millisecond}})
	begin := time.Now()
	for _, v := range []struct {
		ms       int
		from     netip.Addr
		vrid     int
		priority int
	}{{0, a, 51, 254}, {10, a, 51, 254}, {26, a, 51, 254}, {27, b, 52, 253}, {30, b, 51, 253}, {31, a, 51, 254}, {32, b, 51, 0}, {40, a, 51, 254}} {
		w.add(advert{at: begin.Add(time.Duration(v.ms) * time.Millisecond), from: v.from, vrid: v.vrid, priority: v.priority})
	}
	got := w.of(51)
	if got.adverts != 6 || got.takes != 1 || got.farewell != 1 || got.longest != 16*time.Millisecond || got.late != 1 {
		t.Errorf("got %+v, want 6 advertisements, 1 takeover, 1 farewell, a pause of 16 ms, 1 late", got)
	}
	// The silence after the last one counts as well.
	w.add(advert{at: begin.Add(-time.Minute), from: a, vrid: 51, priority: 254})
	if got := w.of(51).longest; got < 59*time.Second {
		t.Errorf("a master that fell silent a minute ago shows a pause of %s", got)
	}
}

// The checksum of a real advertisement: keepalived's of 10.67.0.1 for 10.67.0.100 and .101, VRID 51, 100 ms.
func TestChecksum(t *testing.T) {
	pseudo := []byte{10, 67, 0, 1, 224, 0, 0, 18, 0, 112, 0, 16}
	message := []byte{0x31, 0x33, 0x96, 0x02, 0x00, 0x0a, 0, 0, 0x0a, 0x43, 0x00, 0x64, 0x0a, 0x43, 0x00, 0x65}
	if got := checksum(append(pseudo, message...)); got != 0x389a {
		t.Errorf("got %04x, want 389a", got)
	}
}

func TestCost(t *testing.T) {
	own := []int{os.Getpid()}
	if _, err := cpu(own); err != nil {
		t.Error(err)
	}
	if rss, pss, err := memory(own); err != nil || rss <= 0 || pss > rss {
		t.Errorf("got %g MiB, %g of them its own, %v", rss, pss, err)
	}
	if _, err := cpu([]int{1 << 30}); err == nil {
		t.Error("a process that is not there has CPU time")
	}
}
