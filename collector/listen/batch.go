package listen

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is the memory of recvmmsg(2), which golang.org/x/sys has no call for. It is made once and nothing is
// allocated per datagram.
type batch struct {
	heads   []mmsghdr
	iovs    []unix.Iovec
	names   []unix.RawSockaddrInet6 // has room for IPv4's as well
	control [][controlSize]byte
	data    []byte
	size    int // bytes of one datagram
	out     []Packet

	n      int // datagrams of the last read
	errno  syscall.Errno
	seen   uint32 // what the kernel said last that it dropped since the socket was opened
	drops  uint32 // since newDrops was asked last
	zone   uint32 // number of the interface whose name is zoneIs
	zoneIs string
}

// mmsghdr is struct mmsghdr of socket.h. The compiler pads it as C does.
type mmsghdr struct {
	head unix.Msghdr
	n    uint32 // bytes received
}

// controlSize has room for a timespec and a counter, each behind its header.
const controlSize = 64

func newBatch(n, size int) *batch {
	b := &batch{
		heads: make([]mmsghdr, n), iovs: make([]unix.Iovec, n), names: make([]unix.RawSockaddrInet6, n),
		control: make([][controlSize]byte, n), data: make([]byte, n*size), size: size, out: make([]Packet, 0, n),
	}
	for i := range b.heads {
		b.iovs[i].Base = &b.data[i*size]
		b.iovs[i].SetLen(size)
		h := &b.heads[i].head
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		h.Control = &b.control[i][0]
	}
	b.n = n
	return b
}

// read is for RawConn.Read: it takes what is there, and returns false when that is nothing.
func (b *batch) read(fd uintptr) bool {
	for i := range b.heads[:b.n] { // which the last read has changed
		h := &b.heads[i].head
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlSize)
		h.Flags = 0
	}
	b.n = 0
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.heads[0])), uintptr(len(b.heads)), unix.MSG_DONTWAIT, 0, 0)
		b.errno = errno
		switch errno {
		case 0:
			b.n = int(n)
			return true
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		return true
	}
}

func (b *batch) err() error {
	if b.errno == 0 {
		return nil
	}
	return b.errno
}

// packets gives what was read; now stands for a receive time that is missing or far off.
func (b *batch) packets(now time.Time) []Packet {
	b.out = b.out[:0]
	for i := range b.heads[:b.n] {
		m := &b.heads[i]
		from, ok := b.source(&b.names[i])
		if !ok {
			continue
		}
		at := b.controls(b.control[i][:min(int(m.head.Controllen), controlSize)], now)
		b.out = append(b.out, Packet{
			Data: b.data[i*b.size:][:min(int(m.n), b.size)], From: from, At: at, Truncated: m.head.Flags&unix.MSG_TRUNC != 0,
		})
	}
	return b.out
}

// source reads an address as the kernel writes it; IPv4's stands in the same memory: family, port, address.
func (b *batch) source(name *unix.RawSockaddrInet6) (netip.AddrPort, bool) {
	switch name.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), bigEndian(v4.Port)), true
	case unix.AF_INET6:
		a := netip.AddrFrom16(name.Addr).Unmap()
		if name.Scope_id != 0 && a.IsLinkLocalUnicast() {
			a = a.WithZone(b.zoneName(name.Scope_id))
		}
		return netip.AddrPortFrom(a, bigEndian(name.Port)), true
	}
	return netip.AddrPort{}, false
}

func bigEndian(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// zoneName remembers the last one: datagrams of one socket come in by one interface, nearly always.
func (b *batch) zoneName(index uint32) string {
	if b.zone != index {
		b.zone, b.zoneIs = index, strconv.FormatUint(uint64(index), 10)
		if ifi, err := net.InterfaceByIndex(int(index)); err == nil {
			b.zoneIs = ifi.Name
		}
	}
	return b.zoneIs
}

// Where a control message's fields stand: its length in a machine word, level, type, data.
const (
	wordSize     = unsafe.Sizeof(uintptr(0))
	controlLevel = wordSize
	controlType  = wordSize + 4
	controlData  = unix.SizeofCmsghdr
)

// controls reads a datagram's control messages: SO_TIMESTAMPNS, a timespec of two machine words, and SO_RXQ_OVFL. A
// time that is missing, or not of the minute before now, becomes now.
func (b *batch) controls(c []byte, now time.Time) time.Time {
	at := now
	for len(c) >= controlData {
		n := int(word(c))
		if n < controlData || n > len(c) {
			break
		}
		data := c[controlData:n]
		if binary.NativeEndian.Uint32(c[controlLevel:]) == unix.SOL_SOCKET {
			switch binary.NativeEndian.Uint32(c[controlType:]) {
			case unix.SO_TIMESTAMPNS:
				at = timespec(data, now)
			case unix.SO_RXQ_OVFL:
				b.dropped(data)
			}
		}
		c = c[min((n+int(wordSize)-1)&^int(wordSize-1), len(c)):]
	}
	return at
}

func word(b []byte) int64 {
	if wordSize == 8 {
		return int64(binary.NativeEndian.Uint64(b))
	}
	return int64(int32(binary.NativeEndian.Uint32(b)))
}

func timespec(data []byte, now time.Time) time.Time {
	if len(data) < 2*int(wordSize) {
		return now
	}
	t := time.Unix(word(data), word(data[wordSize:]))
	if d := now.Sub(t); d < 0 || d > time.Minute {
		return now
	}
	return t
}

// dropped notes the socket's counter, which stands in each datagram that was queued after a drop.
func (b *batch) dropped(data []byte) {
	if len(data) < 4 {
		return
	}
	if n := binary.NativeEndian.Uint32(data); n != b.seen {
		b.drops += n - b.seen
		b.seen = n
	}
}

// newDrops is how many datagrams the kernel dropped for want of buffer since the last call.
func (b *batch) newDrops() uint32 {
	n := b.drops
	b.drops = 0
	return n
}
