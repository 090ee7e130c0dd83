// Package link is where the HA agent touches the kernel: raw sockets that send and hear VRRP, addresses that are
// leased from the kernel, gratuitous ARP and unsolicited neighbour advertisements, and the news of interfaces. It
// never decides anything: haagent carries out with it what haagent/vrrp says.
package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/vrrp"
)

// internetControl is the traffic class that routing protocols use: precedence 6, RFC 791.
const internetControl = 0xc0

// ErrPrivilege says that the process lacks CAP_NET_RAW or CAP_NET_ADMIN.
var ErrPrivilege = errors.New("the HA agent needs CAP_NET_ADMIN and CAP_NET_RAW: run it as root or give it these")

// CheckPrivileges tells which of the two is missing, before an address has to move.
func CheckPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("cannot tell this process's capabilities: %w", err)
	}
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}} {
		if data[0].Effective&(1<<c.bit) == 0 {
			return fmt.Errorf("%w (%s is missing)", ErrPrivilege, c.name)
		}
	}
	return nil
}

// Conn sends and hears the VRRP of one interface and one family, from which several virtual routers may live.
type Conn struct {
	file    *os.File
	closed  atomic.Bool
	raw     syscall.RawConn
	family  vrrp.Family
	ifindex int
	over    atomic.Uint32
	read    *reception // of Read
	try     *reception // of Try
}

// Open hears all of VRRP that comes in by an interface, what goes to a group among it, and sends.
func Open(ifname string, family vrrp.Family, group netip.Addr) (*Conn, error) {
	return open(ifname, family, func(c *Conn, fd int) error {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) // else the system's default
		return c.join(fd, group)
	})
}

// OpenVirtual is Open for an interface with a virtual router's hardware address. It hears only what comes from that
// same address on another host: the kernel keeps this from the interface beneath, and gives everything else to both.
func OpenVirtual(ifname string, family vrrp.Family, group netip.Addr, vrid uint8) (*Conn, error) {
	mac := VirtualMAC(family, vrid)
	return open(ifname, family, func(c *Conn, fd int) error {
		const source = 0xffe00000 + 6 // SKF_LL_OFF and the place of the source in an Ethernet header
		program := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: source},
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: binary.BigEndian.Uint32(mac), Jf: 3},
			{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: source + 4},
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(binary.BigEndian.Uint16(mac[4:])), Jf: 1},
			{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16},
			{Code: unix.BPF_RET | unix.BPF_K},
		}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}); err != nil {
			return err
		}
		return c.join(fd, group)
	})
}

// receiveBuffer holds what comes while this process waits for a processor: some thousand advertisements, so that a
// flood does not push the master's out.
const receiveBuffer = 1 << 20

func open(ifname string, family vrrp.Family, prepare func(c *Conn, fd int) error) (*Conn, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("there is no interface %q: name one of this host's in haagent.instances", ifname)
	}
	domain := unix.AF_INET
	if family == vrrp.IPv6 {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, vrrp.Protocol)
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot make a VRRP socket: %w", err))
	}
	c := &Conn{family: family, ifindex: ifi.Index, read: newReception(), try: newReception()}
	err = c.setUp(fd, ifname)
	if err == nil {
		err = prepare(c, fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, privilege(fmt.Errorf("cannot prepare the VRRP socket of %s: %w", ifname, err))
	}
	c.file = os.NewFile(uintptr(fd), "vrrp "+ifname)
	if c.raw, err = c.file.SyscallConn(); err != nil {
		_ = c.file.Close()
		return nil, fmt.Errorf("cannot watch the VRRP socket of %s: %w", ifname, err)
	}
	return c, nil
}

func privilege(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w (%w)", ErrPrivilege, err)
	}
	return err
}

// option is one integer socket option.
type option struct{ level, name, value int }

func (c *Conn) setUp(fd int, ifname string) error {
	if err := unix.BindToDevice(fd, ifname); err != nil {
		return err
	}
	options := []option{
		{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, vrrp.TTL}, {unix.IPPROTO_IP, unix.IP_TTL, vrrp.TTL}, {unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0}, {unix.IPPROTO_IP, unix.IP_TOS, internetControl},
		{unix.SOL_SOCKET, unix.SO_PRIORITY, 6}, {unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1},
	}
	if c.family == vrrp.IPv6 {
		options = []option{
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, vrrp.TTL}, {unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, vrrp.TTL}, {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, c.ifindex}, {unix.IPPROTO_IPV6, unix.IPV6_TCLASS, internetControl},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.SOL_SOCKET, unix.SO_PRIORITY, 6}, {unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1},
		}
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	if c.family == vrrp.IPv6 {
		return nil
	}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(c.ifindex)})
}

func (c *Conn) join(fd int, group netip.Addr) error {
	if c.family == vrrp.IPv6 {
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(c.ifindex)})
	}
	mreq := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(c.ifindex)}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq)
}

// Send sends a message from an address of this host to a group or a peer. It never waits: a full queue is an error.
func (c *Conn) Send(src, dst netip.Addr, message []byte) error {
	if !src.IsValid() || !dst.IsValid() || vrrp.FamilyOf(src) != c.family || vrrp.FamilyOf(dst) != c.family {
		return fmt.Errorf("cannot send an advertisement on %s from %q to %q: want %s addresses", c.file.Name(), src, dst, c.family)
	}
	var to unix.Sockaddr
	var oob []byte
	if c.family == vrrp.IPv6 {
		to = &unix.SockaddrInet6{Addr: dst.As16(), ZoneId: uint32(c.ifindex)}
		oob = unix.PktInfo6(&unix.Inet6Pktinfo{Addr: src.As16(), Ifindex: uint32(c.ifindex)})
	} else {
		to = &unix.SockaddrInet4{Addr: dst.As4()}
		oob = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: src.As4(), Ifindex: int32(c.ifindex)})
	}
	var err error
	waitErr := c.raw.Control(func(fd uintptr) { err = unix.Sendmsg(int(fd), message, oob, to, 0) })
	if err = errors.Join(waitErr, err); err != nil {
		return fmt.Errorf("cannot send an advertisement on %s: %w", c.file.Name(), err)
	}
	return nil
}

// Close ends a waiting Read.
func (c *Conn) Close() error {
	c.closed.Store(true)
	return c.file.Close()
}
