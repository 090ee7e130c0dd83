package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/bfd"
)

// internetControl is the traffic class of routing protocols: precedence 6, RFC 791.
const internetControl = 0xc0

type option struct{ level, name, value int }

// FREEBIND lets a session be there before its address is, which a tentative IPv6 address is not yet.
var options4 = []option{
	{unix.IPPROTO_IP, unix.IP_FREEBIND, 1}, {unix.IPPROTO_IP, unix.IP_TTL, bfd.TTL}, {unix.IPPROTO_IP, unix.IP_TOS, internetControl},
	{unix.IPPROTO_IP, unix.IP_RECVTTL, 1}, {unix.IPPROTO_IP, unix.IP_PKTINFO, 1}, {unix.SOL_SOCKET, unix.SO_PRIORITY, 6},
}

var options6 = []option{
	{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1}, {unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1},
	{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, bfd.TTL}, {unix.IPPROTO_IPV6, unix.IPV6_TCLASS, internetControl},
	{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
	{unix.SOL_SOCKET, unix.SO_PRIORITY, 6},
}

// socket makes a UDP socket that sends as RFC 5881 wants it, bound to an address and the first of ports that is
// free.
func socket(local netip.Addr, ports func(yield func(uint16) bool)) (fd int, port uint16, err error) {
	domain, options := unix.AF_INET, options4
	if local.Is6() {
		domain, options = unix.AF_INET6, options6
	}
	fd, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot make a UDP socket: %w", err)
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			unix.Close(fd)
			return 0, 0, fmt.Errorf("cannot set an option (level %d, name %d) of a UDP socket: %w", o.level, o.name, err)
		}
	}
	for port = range ports {
		err = unix.Bind(fd, address(local, port))
		if err == nil {
			return fd, port, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	unix.Close(fd)
	return 0, 0, fmt.Errorf("cannot bind %s: %w", netip.AddrPortFrom(local, port), err)
}

// address is what the kernel calls it. The index of a zone that is not there is 0, and the kernel says what it lacks.
func address(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(port), Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: a.As16(), ZoneId: zoneOf(a)}
}

func zoneOf(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	ifi, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(ifi.Index)
}

// sourcePorts are those that a session may send from, beginning anywhere: RFC 5881 section 4.
func sourcePorts(yield func(uint16) bool) {
	const count = bfd.MaxPort - bfd.MinPort + 1
	first := rand.IntN(count)
	for i := range 256 {
		if !yield(uint16(bfd.MinPort + (first+i)%count)) {
			return
		}
	}
}

func onlyPort(yield func(uint16) bool) { yield(bfd.Port) }
