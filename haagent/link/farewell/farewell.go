// Package farewell is a socket that only sends: it puts a message of VRRP that was made beforehand on the wire of any
// interface, in the name of an agent that is dead. It hears nothing, so that it costs its holder nothing as long as
// nobody dies, and it decides nothing. haagent/supervise calls it.
package farewell

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	vrrp = 112 // the protocol's number
	// internetControl is the traffic class that routing protocols use: precedence 6, RFC 791.
	internetControl = 0xc0
)

// Socket sends. Its methods are for one goroutine.
type Socket struct {
	four, six int // raw sockets of a protocol that nobody sends: they hear nothing. -1: the host has not that family
}

// Open needs CAP_NET_RAW.
func Open() (*Socket, error) {
	s := &Socket{four: -1, six: -1}
	for _, f := range []struct {
		fd     *int
		domain int
	}{{&s.four, unix.AF_INET}, {&s.six, unix.AF_INET6}} {
		// IPPROTO_RAW also says that the packet comes with its IP header, raw(7): so each can have a TTL and a
		// source of its own.
		fd, err := unix.Socket(f.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err == nil {
			*f.fd = fd
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, 6) // as the agent's own
		}
		if err != nil {
			_ = s.Close() // what was opened; the error is the one above
			return nil, fmt.Errorf("cannot open the socket for farewells, which needs CAP_NET_RAW: %w", err)
		}
	}
	return s, nil
}

// Packet is a message that is ready to be sent.
type Packet struct {
	Interface    string
	source, dest netip.Addr
	bytes        []byte
}

// Make puts the IP header before a payload. source and dest are of one family.
func Make(ifname string, source, dest netip.Addr, ttl uint8, payload []byte) Packet {
	p := Packet{Interface: ifname, source: source, dest: dest}
	if source.Is4() {
		from, to := source.As4(), dest.As4()
		p.bytes = make([]byte, 20, 20+len(payload)) // the kernel fills in length, identification and checksum
		p.bytes[0], p.bytes[1], p.bytes[8], p.bytes[9] = 0x45, internetControl, ttl, vrrp
		copy(p.bytes[12:], from[:])
		copy(p.bytes[16:], to[:])
	} else {
		from, to := source.As16(), dest.As16()
		p.bytes = make([]byte, 40, 40+len(payload))
		p.bytes[0], p.bytes[1], p.bytes[6], p.bytes[7] = 0x60|internetControl>>4, internetControl<<4&0xff, vrrp, ttl
		binary.BigEndian.PutUint16(p.bytes[4:], uint16(len(payload)))
		copy(p.bytes[8:], from[:])
		copy(p.bytes[24:], to[:])
	}
	p.bytes = append(p.bytes, payload...)
	return p
}

// Send puts a packet on the wire, as its interface is now. It never waits.
func (s *Socket) Send(p Packet) error {
	fd := s.four
	if p.source.Is6() {
		fd = s.six
	}
	request, err := unix.NewIfreq(p.Interface)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	}
	if err == nil {
		index := request.Uint32()
		if p.source.Is6() {
			err = unix.Sendto(fd, p.bytes, 0, &unix.SockaddrInet6{Addr: p.dest.As16(), ZoneId: index})
		} else {
			oob := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(index)})
			err = unix.Sendmsg(fd, p.bytes, oob, &unix.SockaddrInet4{Addr: p.dest.As4()}, 0)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot send a farewell to %s on %s: %w", p.dest, p.Interface, err)
	}
	return nil
}

// Close closes the socket.
func (s *Socket) Close() error {
	var err error
	for _, fd := range []int{s.four, s.six} {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	s.four, s.six = -1, -1
	return err
}
