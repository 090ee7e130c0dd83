package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/vrrp"
	"keepwatch/internal/netnstest"
)

// frame is one that matters here: an advertisement, or a word to the neighbours about an address.
type frame struct {
	At        time.Time        // when the kernel had it
	From, To  net.HardwareAddr // of Ethernet
	Packet    *vrrp.Packet     // an advertisement; nil: it is none
	Advert    vrrp.Advert      // what Packet says, as far as Drop allows
	Checksum  vrrp.Checksum    // how it was computed
	Drop      vrrp.Drop        // what is wrong with it
	Announced netip.Addr       // gratuitous ARP or unsolicited neighbour advertisement for this address
}

func (f frame) String() string {
	at := f.At.Format("05.000000")
	if f.Packet == nil {
		return fmt.Sprintf("%s %s is at %s", at, f.Announced, f.From)
	}
	return fmt.Sprintf("%s %s > %s: version %d, VRID %d, priority %d, every %s, %s", at, f.Packet.Source, f.Packet.Dest, f.Advert.Version, f.Advert.VRID, f.Advert.Priority, f.Advert.Interval, f.Drop)
}

// wire is what passes a node's eth0, in and out. A third node on the segment sees all that is for a group; what is
// for one host is seen at that host.
type wire struct {
	t      testing.TB
	mu     sync.Mutex
	frames []frame
}

// listen captures until the test ends.
func listen(t testing.TB, node *netnstest.Node) *wire {
	t.Helper()
	w := &wire{t: t}
	var file *os.File
	var err error
	node.Do(func() { file, err = packetSocket() })
	if err != nil {
		t.Fatalf("cannot capture on %s: %v", node.Namespace, err)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf, oob := make([]byte, 1<<16), make([]byte, 256)
		for {
			n, oobn := 0, 0
			var failed error
			closed := raw.Read(func(fd uintptr) bool {
				n, oobn, _, _, failed = unix.Recvmsg(int(fd), buf, oob, 0)
				return failed != unix.EAGAIN
			})
			if closed != nil {
				return
			}
			if f, ok := parse(slices.Clone(buf[:n])); failed == nil && ok {
				f.At = stamp(oob[:oobn])
				w.mu.Lock()
				w.frames = append(w.frames, f)
				w.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = file.Close()
		<-ended
		if t.Failed() {
			all := w.all()
			for i, f := range all {
				if i == 0 || f.Packet != nil || all[i-1].Packet != nil { // the first of a burst will do
					t.Log(f)
				}
			}
		}
	})
	return w
}

func packetSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "capture")
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(eth0.Index), Type: unix.PACKET_MR_PROMISC}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8, Ifindex: eth0.Index}),
	)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// stamp is the kernel's time of receipt.
func stamp(oob []byte) time.Time {
	all, err := unix.ParseSocketControlMessage(oob)
	for _, m := range all {
		if err == nil && m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}

const ethernetHeader = 14

// parse reads a frame that is ours to keep; ok is false for one that does not matter.
func parse(b []byte) (f frame, ok bool) {
	if len(b) < ethernetHeader {
		return f, false
	}
	f.To, f.From = b[:6], b[6:12]
	kind, b := binary.BigEndian.Uint16(b[12:]), b[ethernetHeader:]
	switch {
	case kind == unix.ETH_P_ARP && len(b) >= 28 && [4]byte(b[14:]) == [4]byte(b[24:]):
		f.Announced = netip.AddrFrom4([4]byte(b[14:]))
	case kind == unix.ETH_P_IP && len(b) >= 20 && b[9] == vrrp.Protocol:
		header, length := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
		if length > len(b) || header > length {
			return f, false
		}
		f.Packet = &vrrp.Packet{Source: netip.AddrFrom4([4]byte(b[12:])), Dest: netip.AddrFrom4([4]byte(b[16:])), TTL: int(b[8]), Payload: b[header:length]}
	case kind == unix.ETH_P_IPV6 && len(b) >= 40:
		src, dst := netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		length := 40 + int(binary.BigEndian.Uint16(b[4:]))
		switch {
		case length > len(b):
			return f, false
		case b[6] == vrrp.Protocol:
			f.Packet = &vrrp.Packet{Source: src, Dest: dst, TTL: int(b[7]), Payload: b[40:length]}
		case b[6] == unix.IPPROTO_ICMPV6 && length >= 64 && b[40] == 136 && dst == netip.MustParseAddr("ff02::1"):
			f.Announced = netip.AddrFrom16([16]byte(b[48:]))
		}
	}
	if f.Packet != nil {
		f.Advert, f.Checksum, f.Drop = vrrp.Decode(f.Packet)
	}
	return f, f.Packet != nil || f.Announced.IsValid()
}

// all is everything captured so far.
func (w *wire) all() []frame {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.frames)
}

// adverts are those captured so far that come from an address.
func (w *wire) adverts(from string) (some []frame) {
	src := netip.MustParseAddr(from)
	for _, f := range w.all() {
		if f.Packet != nil && f.Packet.Source == src {
			some = append(some, f)
		}
	}
	return some
}

// advert waits for an advertisement from an address, not before a time, that is as wanted; nil wants any. what names
// it.
func (w *wire) advert(what, from string, since time.Time, wanted func(frame) bool) (found frame) {
	w.t.Helper()
	await(w.t, what, func() error {
		all := w.adverts(from)
		for _, f := range all {
			if !f.At.Before(since) && (wanted == nil || wanted(f)) {
				found = f
				return nil
			}
		}
		return fmt.Errorf("among %d advertisements from %s there is none", len(all), from)
	})
	return found
}

// more waits until so many further advertisements came from an address: that much time has passed.
func (w *wire) more(from string, n int) {
	w.t.Helper()
	before := len(w.adverts(from))
	await(w.t, fmt.Sprintf("%d more advertisements from %s", n, from), func() error {
		if now := len(w.adverts(from)); now < before+n {
			return fmt.Errorf("%d came", now-before)
		}
		return nil
	})
}

// priority wants an advertisement of that priority.
func priority(p uint8) func(frame) bool {
	return func(f frame) bool { return f.Drop == vrrp.Accepted && f.Advert.Priority == p }
}
