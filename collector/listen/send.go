package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
)

const resolveEvery = time.Minute

// SenderOptions say where datagrams go.
type SenderOptions struct {
	Group     string   // multicast group and port; empty: none
	Interface string   // of the group, as of OpenGroup
	TTL       int      // of the group
	To        []string // unicast receivers, host:port; a name is looked up again each minute
}

// Sender sends each datagram to the group and to every receiver. Send may be called by several goroutines.
type Sender struct {
	opt    SenderOptions
	group  *net.UDPConn
	addr   netip.AddrPort
	single *net.UDPConn
	to     atomic.Pointer[[]netip.AddrPort]
	last   map[string]netip.AddrPort // of each name, the last address it had; resolve alone uses it
}

// OpenSender opens the sockets. A receiver whose name is not known yet is no error; one without a port is.
func OpenSender(ctx context.Context, opt SenderOptions) (*Sender, error) {
	s := &Sender{opt: opt, last: make(map[string]netip.AddrPort)}
	s.to.Store(new([]netip.AddrPort))
	if opt.Group != "" {
		if err := s.openGroup(); err != nil {
			return nil, err
		}
	}
	for _, to := range opt.To {
		if p, err := portOf(to); err != nil || p < 1 || p > 65535 {
			s.Close()
			return nil, fmt.Errorf("cannot send to %q: want host:port", to)
		}
	}
	if len(opt.To) > 0 {
		conn, err := net.ListenUDP("udp", nil)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("cannot open a socket to send from: %w", err)
		}
		s.single = conn
		s.resolve(ctx)
	}
	return s, nil
}

func (s *Sender) openGroup() error {
	ap, err := netip.ParseAddrPort(s.opt.Group)
	if err != nil || !ap.Addr().Is4() || !ap.Addr().IsMulticast() {
		return fmt.Errorf("cannot send to group %q: want an IPv4 multicast address and port, as 239.2.11.72:8660", s.opt.Group)
	}
	ifi, err := Interface(s.opt.Interface)
	if err != nil {
		return fmt.Errorf("cannot send to group %q: %w", s.opt.Group, err)
	}
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return fmt.Errorf("cannot open a socket to send from: %w", err)
	}
	pc := ipv4.NewPacketConn(conn)
	err = errors.Join(pc.SetMulticastInterface(ifi), pc.SetMulticastTTL(max(s.opt.TTL, 1)), pc.SetMulticastLoopback(true))
	if err != nil {
		conn.Close()
		return fmt.Errorf("cannot send to group %q on interface %q: %w", s.opt.Group, ifi.Name, err)
	}
	s.group, s.addr = conn, ap
	return nil
}

// Send sends one datagram everywhere and returns how many sends the kernel took and the first error.
func (s *Sender) Send(datagram []byte) (sent int, err error) {
	if s.group != nil {
		if _, e := s.group.WriteToUDPAddrPort(datagram, s.addr); e != nil {
			err = fmt.Errorf("cannot send to group %v: %w", s.addr, e)
		} else {
			sent++
		}
	}
	for _, to := range *s.to.Load() {
		if _, e := s.single.WriteToUDPAddrPort(datagram, to); e != nil {
			if err == nil {
				err = fmt.Errorf("cannot send to %v: %w", to, e)
			}
		} else {
			sent++
		}
	}
	return sent, err
}

// Run looks the receivers' names up again each minute until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	tick := time.NewTicker(resolveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.resolve(ctx)
		}
	}
}

// resolve keeps the last known address of a name that cannot be looked up now.
func (s *Sender) resolve(ctx context.Context) {
	if len(s.opt.To) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var to []netip.AddrPort
	for _, name := range s.opt.To {
		host, _, err := net.SplitHostPort(name)
		if err != nil {
			continue
		}
		port, err := portOf(name)
		if err != nil {
			continue
		}
		if addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host); err == nil && len(addrs) > 0 {
			s.last[name] = netip.AddrPortFrom(addrs[0].Unmap(), uint16(port))
		}
		if a, ok := s.last[name]; ok {
			to = append(to, a)
		}
	}
	s.to.Store(&to)
}

// Close gives the sockets back.
func (s *Sender) Close() error {
	var err error
	for _, c := range []*net.UDPConn{s.group, s.single} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}
