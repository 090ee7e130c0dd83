package vrrp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"keepwatch/haagent/vrrp"
)

// socket hears one family on one interface.
type socket interface {
	name() string                      // of the interface
	read(p *vrrp.Packet) (bool, error) // false: not a packet; the payload is valid until the next read
	Close() error
}

func closeAll(sockets []socket) {
	for _, s := range sockets {
		_ = s.Close()
	}
}

// open makes a socket of each family on each interface.
func (p *Listener) open() (all []socket, err error) {
	for _, name := range p.opt.Interfaces {
		for _, family := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
			s, err := openSocket(name, family)
			if err != nil {
				closeAll(all)
				return nil, fmt.Errorf("cannot listen for VRRP on interface %q: %w", name, err)
			}
			all = append(all, s)
		}
	}
	return all, nil
}

func openSocket(ifname string, family vrrp.Family) (socket, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, err
	}
	bind := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), ifname) }), err)
	}}
	network, all := "ip4:", "0.0.0.0"
	if family == vrrp.IPv6 {
		network, all = "ip6:", "::"
	}
	c, err := bind.ListenPacket(context.Background(), network+strconv.Itoa(vrrp.Protocol), all)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("raw sockets need CAP_NET_RAW: run the collector as root or give it this (%w)", err)
	}
	if err != nil {
		return nil, err
	}
	group := &net.IPAddr{IP: family.Group().AsSlice()}
	var s socket
	if family == vrrp.IPv6 {
		s, err = join6(c, ifi, group)
	} else {
		s, err = join4(c, ifi, group)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

type socket4 struct {
	*ipv4.RawConn
	ifname string
	buf    []byte
}

func join4(c net.PacketConn, ifi *net.Interface, group net.Addr) (socket, error) {
	raw, err := ipv4.NewRawConn(c)
	if err != nil {
		return nil, err
	}
	return &socket4{raw, ifi.Name, make([]byte, 60+vrrp.MaxLen)}, raw.JoinGroup(ifi, group)
}

func (s *socket4) name() string { return s.ifname }

func (s *socket4) read(p *vrrp.Packet) (bool, error) {
	h, payload, _, err := s.ReadFrom(s.buf)
	if err != nil {
		return false, err
	}
	var ok1, ok2 bool
	p.Source, ok1 = netip.AddrFromSlice(h.Src.To4())
	p.Dest, ok2 = netip.AddrFromSlice(h.Dst.To4())
	p.TTL = h.TTL
	p.Payload = payload[:min(len(payload), max(h.TotalLen-h.Len, 0))] // some drivers leave the frame's padding
	return ok1 && ok2, nil
}

type socket6 struct {
	*ipv6.PacketConn
	ifname string
	buf    []byte
}

func join6(c net.PacketConn, ifi *net.Interface, group net.Addr) (socket, error) {
	conn := ipv6.NewPacketConn(c)
	s := &socket6{conn, ifi.Name, make([]byte, vrrp.MaxLen+1)}
	return s, errors.Join(conn.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true), conn.JoinGroup(ifi, group))
}

func (s *socket6) name() string { return s.ifname }

func (s *socket6) read(p *vrrp.Packet) (bool, error) {
	n, control, from, err := s.ReadFrom(s.buf)
	if err != nil {
		return false, err
	}
	addr, ok := from.(*net.IPAddr)
	if !ok || control == nil {
		return false, nil
	}
	var ok1, ok2 bool
	p.Source, ok1 = netip.AddrFromSlice(addr.IP.To16())
	p.Dest, ok2 = netip.AddrFromSlice(control.Dst.To16())
	p.TTL, p.Payload = control.HopLimit, s.buf[:n]
	return ok1 && ok2, nil
}
