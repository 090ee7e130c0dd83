package link

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	vnetHeader     = 10 // struct virtio_net_hdr: what the kernel leaves to the hardware, checksum and segmentation
	ethernetHeader = 14
	relayBuffer    = vnetHeader + ethernetHeader + 1<<16 // one packet as large as IP makes them
	maxFlows       = 1 << 16
	resolvePause   = time.Millisecond // between two looks for the old master's hardware address
)

// flow is one TCP connection as it arrives here.
type flow struct {
	client, server         [16]byte // as IPv6, IPv4 mapped
	clientPort, serverPort uint16
}

// window is the time of one handover. It ends by itself.
type window struct {
	relay *Relay
	file  *os.File
	raw   syscall.RawConn
	addrs [][16]byte
	old   netip.Addr
	until time.Time
	own   [6]byte
	ended atomic.Bool

	// The rest is run's alone.
	mac    [6]byte // of old
	known  bool
	looked time.Time
	flows  map[flow]struct{} // begun here
	full   bool
	buf    []byte
	to     [2]unix.SockaddrLinklayer // IPv4, IPv6
}

// hear lets the kernel queue what comes from now on.
func (w *window) hear() (err error) {
	if w.raw, err = w.file.SyscallConn(); err != nil {
		return err
	}
	var bound error
	err = w.raw.Control(func(fd uintptr) {
		bound = unix.Bind(int(fd), &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: w.relay.ifi.Index})
	})
	return errors.Join(err, bound, w.file.SetReadDeadline(w.until))
}

// end makes run return.
func (w *window) end() {
	w.ended.Store(true)
	_ = w.file.SetReadDeadline(time.Unix(1, 0)) // wakes it where nothing comes
}

func (w *window) run() {
	w.resolve()
	w.buf = make([]byte, relayBuffer)
	for i, protocol := range []uint16{unix.ETH_P_IP, unix.ETH_P_IPV6} {
		w.to[i] = unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: w.relay.ifi.Index, Halen: 6}
	}
	drained := func(fd uintptr) bool {
		for !w.ended.Load() && time.Now().Before(w.until) {
			n, err := unix.Read(int(fd), w.buf)
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil: // of the interface, which may have gone down for a moment
				continue
			case n == len(w.buf):
				w.relay.stats.failed.Add(1)
			default:
				w.take(int(fd), w.buf[:n])
			}
		}
		return true
	}
	_ = w.raw.Read(drained) // it ends by its deadline, or with a file that nobody can read
	_ = w.file.Close()
}

// take judges one frame and sends it on where it belongs to the old master.
func (w *window) take(fd int, b []byte) {
	f, begins, ok := readSegment(b[vnetHeader:])
	if !ok || !w.serves(f.server) {
		return
	}
	s := &w.relay.stats
	if begins {
		w.begin(f)
		return
	}
	if _, here := w.flows[f]; here {
		return
	}
	if w.full {
		s.overflow.Add(1)
		return
	}
	if !w.known {
		if w.resolve(); !w.known {
			s.unresolved.Add(1)
			return
		}
	}
	frame := b[vnetHeader:]
	if [6]byte(frame[6:12]) == w.mac {
		return // the old master relays too, since mastership went back and forth: neither knows the connection
	}
	copy(frame[0:6], w.mac[:])
	copy(frame[6:12], w.own[:])
	b[0] &^= dataValid
	to := &w.to[0]
	if frame[12] == 0x86 {
		to = &w.to[1]
	}
	if err := unix.Sendto(fd, b, unix.MSG_DONTWAIT, to); err != nil {
		s.failed.Add(1)
		return
	}
	s.relayed.Add(1)
}

// dataValid is VIRTIO_NET_HDR_F_DATA_VALID: a note for who receives, none for who sends.
const dataValid = 2

// begin remembers a connection as this host's. When there is no room, no connection can be told to be the old
// master's any more.
func (w *window) begin(f flow) {
	if len(w.flows) >= maxFlows {
		w.full = true
		return
	}
	if _, again := w.flows[f]; !again {
		w.flows[f] = struct{}{}
		w.relay.stats.flows.Add(1)
	}
}

func (w *window) serves(addr [16]byte) bool {
	for _, a := range w.addrs {
		if a == addr {
			return true
		}
	}
	return false
}

// resolve looks up the old master's hardware address, not too often.
func (w *window) resolve() {
	now := time.Now()
	if now.Sub(w.looked) < resolvePause {
		return
	}
	w.looked = now
	w.mac, w.known = w.relay.conn.hardwareAddr(w.relay.ifi.Index, w.old)
}

// readSegment reads the addresses and ports of a TCP segment in an Ethernet frame, and whether it begins a
// connection. Everything that is no such segment, or cut off before its flags, is not ok.
func readSegment(frame []byte) (f flow, begins, ok bool) {
	const ports, flags, syn, ack = 4, 13, 2, 16
	if len(frame) < ethernetHeader {
		return f, false, false
	}
	ip, tcp := frame[ethernetHeader:], []byte(nil)
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		if len(ip) < 20 || ip[0]>>4 != 4 || ip[0]&15 < 5 || ip[9] != unix.IPPROTO_TCP || len(ip) < int(ip[0]&15)*4 {
			return f, false, false
		}
		f.client, f.server = mapped(ip[12:16]), mapped(ip[16:20])
		tcp = ip[int(ip[0]&15)*4:]
	case unix.ETH_P_IPV6:
		if len(ip) < 40 || ip[0]>>4 != 6 || ip[6] != unix.IPPROTO_TCP {
			return f, false, false
		}
		f.client, f.server = [16]byte(ip[8:24]), [16]byte(ip[24:40])
		tcp = ip[40:]
	default:
		return f, false, false
	}
	if len(tcp) <= flags {
		return f, false, false
	}
	f.clientPort, f.serverPort = binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[ports/2:])
	return f, tcp[flags]&(syn|ack) == syn, true
}

// mapped is an IPv4 address in IPv6's form (RFC 4291 section 2.5.5.2), as netip.Addr.As16 has it.
func mapped(ip []byte) (out [16]byte) {
	out[10], out[11] = 0xff, 0xff
	copy(out[12:], ip)
	return out
}

func networkOrder(protocol uint16) uint16 { return protocol<<8 | protocol>>8 }
