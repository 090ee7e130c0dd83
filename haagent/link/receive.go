package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/vrrp"
)

// reception takes one packet and what the kernel says of it. It makes the system call itself: the library's asks the
// socket for its protocol with every packet, and allocates.
type reception struct {
	packet  [2048]byte
	control [256]byte
	from    unix.RawSockaddrInet6
	iov     unix.Iovec
	msg     unix.Msghdr
}

func newReception() *reception {
	r := &reception{}
	r.iov.Base = &r.packet[0]
	r.iov.SetLen(len(r.packet))
	r.msg = unix.Msghdr{Iov: &r.iov, Iovlen: 1, Name: (*byte)(unsafe.Pointer(&r.from)), Control: &r.control[0]}
	return r
}

// take is recvmsg(2) on a socket that does not block.
func (r *reception) take(fd uintptr) (n int, err error) {
	r.msg.Namelen = unix.SizeofSockaddrInet6
	r.msg.SetControllen(len(r.control))
	got, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&r.msg)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(got), nil
}

// Read waits for a packet. p's payload is valid until the next Read. The error wraps os.ErrClosed after Close. A
// packet too odd to be an IP packet is passed over.
func (c *Conn) Read(p *vrrp.Packet) error {
	for {
		var n int
		var err error
		waitErr := c.raw.Read(func(fd uintptr) bool {
			n, err = c.read.take(fd)
			return err != unix.EAGAIN
		})
		switch {
		case c.closed.Load():
			return fmt.Errorf("cannot hear on %s: %w", c.file.Name(), os.ErrClosed)
		case waitErr != nil:
			return fmt.Errorf("cannot hear on %s: %w", c.file.Name(), waitErr)
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EINTR):
			continue // the interface went down; news of it come by Watch
		case err != nil:
			return fmt.Errorf("cannot hear on %s: %w", c.file.Name(), err)
		}
		if c.parse(p, c.read, n) {
			return nil
		}
	}
}

// Try takes a packet that waits already, beside a goroutine that is in Read. p's payload is valid until the next
// Try. Calls must not overlap.
func (c *Conn) Try(p *vrrp.Packet) bool {
	var n int
	var err error
	waitErr := c.raw.Control(func(fd uintptr) { n, err = c.try.take(fd) })
	return waitErr == nil && err == nil && c.parse(p, c.try, n)
}

// Overflowed counts the packets that this socket had no room for, as the kernel told it with the last one heard.
func (c *Conn) Overflowed() uint64 { return uint64(c.over.Load()) }

func (c *Conn) parse(p *vrrp.Packet, r *reception, n int) bool {
	control := r.control[:r.msg.Controllen]
	if c.family == vrrp.IPv6 {
		p.Source, p.Payload = netip.AddrFrom16(r.from.Addr), r.packet[:n]
		return c.notes(p, control) && p.Dest.IsValid()
	}
	// Over IPv4 there are none before the first packet was lost.
	return (len(control) == 0 || c.notes(p, control)) && packet4(p, r.packet[:n])
}

// notes reads what came with a packet: over IPv6 what IPv4 has in its header, and how many had no room.
func (c *Conn) notes(p *vrrp.Packet, control []byte) bool {
	p.TTL, p.Dest = 0, netip.Addr{}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return false
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4:
			c.over.Store(binary.NativeEndian.Uint32(m.Data))
		case m.Header.Level != unix.IPPROTO_IPV6:
		case m.Header.Type == unix.IPV6_HOPLIMIT && len(m.Data) >= 4:
			p.TTL = int(binary.NativeEndian.Uint32(m.Data))
		case m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			p.Dest = netip.AddrFrom16([16]byte(m.Data[:16]))
		}
	}
	return true
}

// packet4 takes the IP header off, which the kernel has checked, and the padding that some drivers leave.
func packet4(p *vrrp.Packet, b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 {
		return false
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || total < header || total > len(b) {
		return false
	}
	p.TTL = int(b[8])
	p.Source, p.Dest = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.Payload = b[header:total]
	return true
}
