package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepwatch/internal/netnstest"
)

// segment is an Ethernet frame with a TCP segment from port 1000 to port 80.
func segment(from, to string, flags byte) []byte {
	src, dst := netip.MustParseAddr(from), netip.MustParseAddr(to)
	b := make([]byte, ethernetHeader, 128)
	if src.Is4() {
		b[12], b[13] = 0x08, 0x00
		b = append(b, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, unix.IPPROTO_TCP, 0, 0)
	} else {
		b[12], b[13] = 0x86, 0xdd
		b = append(b, 0x60, 0, 0, 0, 0, 20, unix.IPPROTO_TCP, 64)
	}
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	b = append(b, 3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0)
	return b
}

func TestReadSegment(t *testing.T) {
	for _, c := range []struct{ from, to string }{{"10.7.0.9", "10.7.0.100"}, {"fd07::9", "fd07::100"}} {
		want := flow{netip.MustParseAddr(c.from).As16(), netip.MustParseAddr(c.to).As16(), 1000, 80}
		for flags, begins := range map[byte]bool{2: true, 2 | 64: true, 2 | 16: false, 16: false, 4: false, 1 | 16: false} {
			if f, b, ok := readSegment(segment(c.from, c.to, flags)); f != want || b != begins || !ok {
				t.Errorf("%s, flags %#x: got %+v, %t, %t", c.from, flags, f, b, ok)
			}
		}
		whole := segment(c.from, c.to, 2)
		for n := range len(whole) - 6 { // what comes after the flags is not read
			if _, _, ok := readSegment(whole[:n]); ok {
				t.Errorf("%s: taken with %d bytes", c.from, n)
			}
		}
	}
	options := segment("10.7.0.9", "10.7.0.100", 2)
	options[14] = 0x46
	options = append(options[:34:34], append([]byte{1, 1, 1, 1}, options[34:]...)...)
	if f, begins, ok := readSegment(options); f.clientPort != 1000 || !begins || !ok {
		t.Errorf("with an IP option: got %+v, %t, %t", f, begins, ok)
	}
}

func FuzzReadSegment(f *testing.F) {
	f.Add(segment("10.7.0.9", "10.7.0.100", 2))
	f.Add(segment("fd07::9", "fd07::100", 16))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		if _, begins, ok := readSegment(b); begins && !ok || !bytes.Equal(b, before) {
			t.Fatal("a segment that is none begins, or the frame was changed")
		}
	})
}

// The filter's jumps all end where they should. What it asks the kernel beside the bytes, the test asks for by itself.
func TestRelayFilter(t *testing.T) {
	program := relayFilter()
	for i, in := range program {
		if e, ok := in.(bpf.LoadExtension); ok {
			value := uint32(0) // PACKET_HOST, no VLAN tag
			if e.Num != bpf.ExtType && e.Num != bpf.ExtVLANTagPresent {
				t.Fatalf("extension %v", e.Num)
			}
			program[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: value}
		}
	}
	vm, err := bpf.NewVM(program)
	must(t, err)
	f := func(what string, frame []byte, want bool) {
		t.Helper()
		if n, err := vm.Run(frame); err != nil || n > 0 != want {
			t.Errorf("%s: got %d, %v", what, n, err)
		}
	}
	four, six := segment("10.7.0.9", "10.7.0.100", 2), segment("fd07::9", "fd07::100", 2)
	changed := func(b []byte, at int, to byte) []byte { b = bytes.Clone(b); b[at] = to; return b }
	f("IPv4", four, true)
	f("IPv6", six, true)
	f("UDP", changed(four, 23, unix.IPPROTO_UDP), false)
	f("UDP over IPv6", changed(six, 20, unix.IPPROTO_UDP), false)
	f("a first fragment", changed(four, 20, 0x20), false)
	f("a later fragment", changed(four, 21, 3), false)
	f("ARP", changed(four, 13, 6), false)
	f("nothing", nil, false)
	if got := program[3].(bpf.JumpIf); got.SkipFalse != uint8(len(program)-5) {
		t.Errorf("a VLAN tag jumps %d", got.SkipFalse)
	}
}

// With too many connections to remember none can be told from the old master's: all are left alone.
func TestWindowIsBounded(t *testing.T) {
	w := &window{relay: &Relay{}, flows: make(map[flow]struct{}), addrs: [][16]byte{netip.MustParseAddr("10.7.0.100").As16()}}
	frame := append(make([]byte, vnetHeader), segment("10.7.0.9", "10.7.0.100", 2)...)
	source := frame[vnetHeader+ethernetHeader+12:]
	for i := range uint32(maxFlows) {
		binary.BigEndian.PutUint32(source, i)
		w.take(-1, frame)
	}
	if s := w.relay.Stats(); s.Flows != maxFlows || w.full {
		t.Fatalf("stats are %+v, full %t", s, w.full)
	}
	binary.BigEndian.PutUint32(source, maxFlows)
	w.take(-1, frame)
	other := append(make([]byte, vnetHeader), segment("10.9.0.9", "10.7.0.100", 16)...)
	w.take(-1, other)
	w.take(-1, append(make([]byte, vnetHeader), segment("10.9.0.9", "10.7.0.101", 16)...)) // of nobody here
	if s := w.relay.Stats(); s != (RelayStats{Flows: maxFlows, Overflow: 1}) || len(w.flows) != maxFlows {
		t.Errorf("stats are %+v", s)
	}
}

// Two hosts that both take the other for the old master do not play ball with a segment.
func TestNoRelayOfRelayed(t *testing.T) {
	w := &window{relay: &Relay{}, addrs: [][16]byte{netip.MustParseAddr("10.7.0.100").As16()}, known: true, mac: [6]byte{2, 0, 0, 0, 0, 1}}
	frame := append(make([]byte, vnetHeader), segment("10.7.0.9", "10.7.0.100", 16)...)
	copy(frame[vnetHeader+6:], w.mac[:])
	if w.take(-1, frame); w.relay.Stats() != (RelayStats{}) {
		t.Errorf("stats are %+v", w.relay.Stats())
	}
	frame[vnetHeader+6] = 4
	if w.take(-1, frame); w.relay.Stats() != (RelayStats{Failed: 1}) { // there is no socket to send by
		t.Errorf("stats are %+v", w.relay.Stats())
	}
}

func TestRelayEnds(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	old, vips := netip.MustParseAddr("10.7.0.2"), []netip.Addr{netip.MustParseAddr("10.7.0.100")}
	within(t, node, func() error {
		if _, err := NewRelay("eth9"); err == nil {
			t.Error("a relay on an interface that is not there")
		}
		lo, err := NewRelay("lo")
		if err != nil {
			return err
		}
		if err := lo.Prepare(netip.MustParseAddr("127.0.0.2")); err == nil {
			t.Error("a relay without hardware addresses")
		}
		return lo.Close()
	})
	within(t, node, func() error {
		r, err := NewRelay("eth0")
		if err != nil {
			return err
		}
		err = r.Start(vips, old, time.Millisecond)
		r.running.Wait() // by itself
		err = errors.Join(err, r.Start(vips, old, time.Hour), r.Start(vips, old, time.Hour))
		r.End()
		r.running.Wait()
		err = errors.Join(err, r.Prepare(old), r.Start(vips, old, time.Hour), r.Close())
		for _, err := range []error{r.Start(vips, old, time.Hour), r.Prepare(old)} {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("after Close: got %v", err)
			}
		}
		return err
	})
}

func BenchmarkRelayStart(b *testing.B) {
	old, vips := netip.MustParseAddr("10.7.0.2"), []netip.Addr{netip.MustParseAddr("10.7.0.100")}
	within(b, netnstest.New(b).Node("a", "10.7.0.1/24"), func() error {
		var spent time.Duration
		for b.Loop() {
			r, err := NewRelay("eth0")
			if err == nil {
				err = r.Prepare(old)
			}
			if err != nil {
				return err
			}
			begin := time.Now()
			err = r.Start(vips, old, time.Minute)
			spent += time.Since(begin)
			if err := errors.Join(err, r.Close()); err != nil {
				return err
			}
		}
		b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "µs/start")
		return nil
	})
}
