package link

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// The echo messages of RFC 792 and RFC 4443 section 4.
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129

	echoHeader = 8
	tokenSize  = 8
)

// Pinger sends echo requests of one family and hears the replies to its own, over a raw socket: the kernel's sockets
// for ping need a setting that many hosts do not have.
type Pinger struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
	six    bool
	id     uint16
	token  [tokenSize]byte // comes back in a reply to us, whoever else uses our id
	buf    [1500]byte
}

// NewPinger opens the socket.
func NewPinger(six bool) (*Pinger, error) {
	domain, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if six {
		domain, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot make a socket to ping with: %w", err))
	}
	if err := onlyReplies(fd, six); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot prepare the socket to ping with: %w", err)
	}
	p := &Pinger{file: os.NewFile(uintptr(fd), "ping"), six: six}
	_, _ = rand.Read(p.token[:]) // it never fails
	p.id = binary.BigEndian.Uint16(p.token[:])
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the socket to ping with: %w", err), p.file.Close())
	}
	return p, nil
}

// onlyReplies keeps all other ICMP messages away.
func onlyReplies(fd int, six bool) error {
	if !six {
		const solRaw = 255
		return unix.SetsockoptInt(fd, solRaw, unix.ICMP_FILTER, ^(1 << echoReply4))
	}
	var filter unix.ICMPv6Filter
	for i := range filter.Data {
		filter.Data[i] = 1<<32 - 1
	}
	filter.Data[echoReply6>>5] &^= 1 << (echoReply6 & 31)
	return unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &filter)
}

// Send sends one echo request without waiting. A zone is the name of an interface.
func (p *Pinger) Send(to netip.Addr, seq uint16) error {
	if to.Is4() == p.six {
		return fmt.Errorf("cannot ping %s: it is of the other family", to)
	}
	var err error
	waitErr := p.raw.Control(func(fd uintptr) {
		var sa unix.Sockaddr
		if sa, err = sockaddr(to); err == nil {
			err = unix.Sendto(int(fd), echoMessage(p.six, p.id, seq, p.token), 0, sa)
		}
	})
	if err = errors.Join(waitErr, err); err != nil {
		return fmt.Errorf("cannot ping %s: %w", to, err)
	}
	return nil
}

func sockaddr(to netip.Addr) (unix.Sockaddr, error) {
	if to.Is4() {
		return &unix.SockaddrInet4{Addr: to.As4()}, nil
	}
	sa := &unix.SockaddrInet6{Addr: to.As16()}
	if to.Zone() != "" {
		ifi, err := net.InterfaceByName(to.Zone())
		if err != nil {
			return nil, fmt.Errorf("there is no interface %q: %w", to.Zone(), err)
		}
		sa.ZoneId = uint32(ifi.Index)
	}
	return sa, nil
}

// echoMessage is a request. The checksum of IPv6 is the kernel's to fill in.
func echoMessage(six bool, id, seq uint16, token [tokenSize]byte) []byte {
	b := make([]byte, echoHeader, echoHeader+tokenSize)
	b[0] = echoRequest4
	if six {
		b[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	b = append(b, token[:]...)
	if !six {
		binary.BigEndian.PutUint16(b[2:], internetChecksum(b))
	}
	return b
}

// internetChecksum is that of RFC 1071 over an even number of bytes.
func internetChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// Read waits for a reply to a request of this Pinger: it has our id and our token. from has no zone. Whether it comes
// from whom seq was sent to is the caller's to check. The error wraps os.ErrClosed after Close. Calls must not overlap.
func (p *Pinger) Read() (from netip.Addr, seq uint16, err error) {
	for {
		var n int
		var sa unix.Sockaddr
		waitErr := p.raw.Read(func(fd uintptr) bool {
			n, sa, err = unix.Recvfrom(int(fd), p.buf[:], 0)
			return !errors.Is(err, unix.EAGAIN)
		})
		switch {
		case p.closed.Load():
			return from, 0, fmt.Errorf("cannot hear replies: %w", os.ErrClosed)
		case waitErr != nil:
			return from, 0, fmt.Errorf("cannot hear replies: %w", waitErr)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ENOBUFS):
			continue
		case err != nil:
			return from, 0, fmt.Errorf("cannot hear replies: %w", err)
		}
		if seq, ok := p.reply(p.buf[:n]); ok {
			return sender(sa), seq, nil
		}
	}
}

// reply judges a packet: IPv4 comes with its header, IPv6 without.
func (p *Pinger) reply(b []byte) (seq uint16, ok bool) {
	kind := byte(echoReply6)
	if !p.six {
		kind = echoReply4
		if len(b) < 20 || b[0]>>4 != 4 {
			return 0, false
		}
		header := int(b[0]&15) * 4
		if header < 20 || header > len(b) {
			return 0, false
		}
		if b = b[header:]; internetChecksum(b[:len(b)&^1]) != 0 {
			return 0, false
		}
	}
	if len(b) != echoHeader+tokenSize || b[0] != kind || b[1] != 0 {
		return 0, false
	}
	if binary.BigEndian.Uint16(b[4:]) != p.id || !bytes.Equal(b[echoHeader:], p.token[:]) {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[6:]), true
}

func sender(sa unix.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr)
	}
	return netip.Addr{}
}

// Close ends a waiting Read.
func (p *Pinger) Close() error {
	p.closed.Store(true)
	return p.file.Close()
}
