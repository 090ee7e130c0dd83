package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// groupSocket makes a socket that is bound to the group itself. net.ListenPacket would bind it to all addresses and so
// take unicast packets from a gmond on the same port.
func groupSocket(group netip.AddrPort, ifi *net.Interface, buffer int) (*net.UDPConn, error) {
	family, addr := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(group.Port())})
	if group.Addr().Is6() {
		family = unix.AF_INET6
		// The kernel heeds the interface only for groups that mean something else on each link (ff02::/16).
		addr = &unix.SockaddrInet6{Port: int(group.Port()), ZoneId: uint32(ifi.Index), Addr: group.Addr().As16()}
	} else {
		addr.(*unix.SockaddrInet4).Addr = group.Addr().As4()
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "group "+group.String())
	defer f.Close() // FilePacketConn has a copy
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, fmt.Errorf("cannot share the port: %w", err)
	}
	if err := configure(fd, buffer); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, addr); err != nil {
		return nil, err
	}
	conn, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("cannot use socket: %w", err)
	}
	return conn.(*net.UDPConn), nil
}

func configure(fd, buffer int) error {
	// Past net.core.rmem_max only with CAP_NET_ADMIN; whatever the kernel grants will do.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("cannot ask for receive times: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
		return fmt.Errorf("cannot ask for what the kernel drops: %w", err)
	}
	// Without it a group joined by any program of the host reaches this socket by any interface. Each family refuses
	// the other's option.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
	return nil
}

// Share says whether groups may be bound to the port of a unicast socket that listens on all addresses. It is shared
// for as long as one's own groups are opened: another program that shared it would take its packets.
func (r *Receiver) Share(on bool) error {
	value := 0
	if on {
		value = 1
	}
	var err error
	control := r.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, value) })
	if err := errors.Join(control, err); err != nil {
		return fmt.Errorf("cannot set whether the port of %s is shared: %w", r.Addr(), err)
	}
	return nil
}

// Buffer is the receive buffer that the kernel granted, in bytes, in the measure of Options.Buffer.
func (r *Receiver) Buffer() int {
	size := 0
	err := r.raw.Control(func(fd uintptr) {
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			size = n / 2 // socket(7): the kernel doubles what is asked for, to have room for its own records
		}
	})
	if err != nil {
		return 0
	}
	return size
}

// join joins the group on an interface; that it is joined there already is no error. It stays joined where it was, since
// a route that moves, as to a VPN, moves no host, but for interfaces that are gone: the kernel keeps a membership even of
// these, and grants a socket only so many (20 of IPv4, net.ipv4.igmp_max_memberships).
func (r *Receiver) join(ifi *net.Interface) error {
	err := r.membership(ifi.Index, unix.IP_ADD_MEMBERSHIP, unix.IPV6_JOIN_GROUP)
	if err != nil && !errors.Is(err, unix.EADDRINUSE) {
		return err
	}
	r.settled = settles(ifi, r.opt.Interface)
	r.joined = slices.DeleteFunc(r.joined, func(index int) bool {
		if _, err := net.InterfaceByIndex(index); err == nil || index == ifi.Index {
			return false
		}
		_ = r.membership(index, unix.IP_DROP_MEMBERSHIP, unix.IPV6_LEAVE_GROUP) // it fails where there is none
		return true
	})
	if !slices.Contains(r.joined, ifi.Index) {
		r.joined = append(r.joined, ifi.Index)
	}
	return nil
}

// membership changes that of the group on the interface of that number, which need not be there any more.
func (r *Receiver) membership(index, option4, option6 int) error {
	var err error
	control := r.raw.Control(func(fd uintptr) {
		if a := r.group.Addr(); a.Is6() {
			err = unix.SetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IPV6, option6, &unix.IPv6Mreq{Multiaddr: a.As16(), Interface: uint32(index)})
		} else {
			err = unix.SetsockoptIPMreqn(int(fd), unix.IPPROTO_IP, option4, &unix.IPMreqn{Multiaddr: a.As4(), Ifindex: int32(index)})
		}
	})
	return errors.Join(control, err)
}

func explain(network, address string, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s %s: another program has this port; stop it or configure another address: %w", network, address, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s %s: this host does not have the address; configure one that it has: %w", network, address, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("cannot listen on %s %s: not permitted; use a port above 1023 or grant CAP_NET_BIND_SERVICE: %w", network, address, err)
	}
	return fmt.Errorf("cannot listen on %s %s: %w", network, address, err)
}
