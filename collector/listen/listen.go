// Package listen owns the collector's sockets: it joins multicast groups, receives datagrams in batches with the time
// at which the kernel got them, sends them to groups and single receivers, and says which source addresses count.
// It never looks into a datagram. The collector opens everything here at start and runs it.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	receiveBuffer = 4 << 20 // bytes asked of the kernel per socket
	batchSize     = 64      // datagrams taken by one system call

	// MaxDatagram is the longest datagram that is received whole, in bytes.
	MaxDatagram = 9216

	rejoinEvery = time.Minute
	retryAfter  = 100 * time.Millisecond
)

// Packet is one datagram as it came.
type Packet struct {
	Data      []byte // valid until the handler returns
	From      netip.AddrPort
	At        time.Time // when the kernel got it
	Truncated bool      // it was longer than MaxDatagram
}

// Receiver is one receiving UDP socket.
type Receiver struct {
	conn  *net.UDPConn
	pc    *ipv4.PacketConn
	group *net.UDPAddr // nil: unicast
	iface string
}

// OpenGroup joins an IPv4 multicast group, address "group:port". iface is the interface's name; empty means that of
// the default route, else loopback. The port is shared with every other program that shares it, as gmond does, and
// the socket is bound to the group, so that it takes no unicast packet away from them.
func OpenGroup(ctx context.Context, address, iface string) (*Receiver, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().Is4() || !ap.Addr().IsMulticast() {
		return nil, fmt.Errorf("cannot join group %q: want an IPv4 multicast address and port, as 239.2.11.72:8660", address)
	}
	ifi, err := Interface(iface)
	if err != nil {
		return nil, fmt.Errorf("cannot join group %q: %w", address, err)
	}
	conn, err := open(ctx, address, unix.SO_REUSEADDR)
	if err != nil {
		return nil, err
	}
	r := &Receiver{conn: conn, pc: ipv4.NewPacketConn(conn), group: net.UDPAddrFromAddrPort(ap), iface: iface}
	if err := r.pc.JoinGroup(ifi, r.group); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot join group %q on interface %q: %w", address, ifi.Name, err)
	}
	return r, nil
}

// OpenUnicast listens on "address:port", IPv4 or IPv6. The port is not shared: two programs that share a unicast port
// take each other's packets away.
func OpenUnicast(ctx context.Context, address string) (*Receiver, error) {
	conn, err := open(ctx, address, 0)
	if err != nil {
		return nil, err
	}
	return &Receiver{conn: conn, pc: ipv4.NewPacketConn(conn)}, nil
}

// TCP listens on a TCP address.
func TCP(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, explain("tcp", address, err)
	}
	return l, nil
}

func open(ctx context.Context, address string, option int) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		control := c.Control(func(fd uintptr) { err = configure(int(fd), option) })
		return errors.Join(control, err)
	}}
	conn, err := lc.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, explain("udp", address, err)
	}
	return conn.(*net.UDPConn), nil
}

func configure(fd, option int) error {
	if option != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return fmt.Errorf("cannot share the port: %w", err)
		}
	}
	// Past net.core.rmem_max only with CAP_NET_ADMIN; whatever the kernel grants will do.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("cannot ask for receive times: %w", err)
	}
	// Without it a group joined by any program of the host reaches this socket by any interface. An IPv6 socket has
	// no such option and joins nothing.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
	return nil
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

// Addr is the address that the socket has, with the port that port 0 became.
func (r *Receiver) Addr() netip.AddrPort {
	return r.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Close gives the socket back. Run does it too.
func (r *Receiver) Close() error { return r.conn.Close() }

// Run hands batches of datagrams to handle, in the order in which they came, until ctx ends; then it returns nil. The
// packets are valid until handle returns. Once a minute it joins its group again, in case the interface went and came.
func (r *Receiver) Run(ctx context.Context, handle func([]Packet)) error {
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { r.conn.Close() })
	defer stop()
	g.Go(func() error { return r.receive(ctx, handle) })
	if r.group != nil {
		g.Go(func() error { return r.rejoin(ctx) })
	}
	return g.Wait()
}

func (r *Receiver) receive(ctx context.Context, handle func([]Packet)) error {
	ms := make([]ipv4.Message, batchSize)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, MaxDatagram)}
		ms[i].OOB = make([]byte, oobSize)
	}
	packets := make([]Packet, 0, batchSize)
	for {
		n, err := r.pc.ReadBatch(ms, 0)
		now := time.Now()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			// As of an interface that went down; the socket itself lives on.
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(retryAfter):
			}
			continue
		}
		packets = packets[:0]
		for i := range ms[:n] {
			m := &ms[i]
			from, ok := m.Addr.(*net.UDPAddr)
			if !ok {
				continue
			}
			packets = append(packets, Packet{
				Data: m.Buffers[0][:m.N], From: unmap(from.AddrPort()),
				At: timestamp(m.OOB[:m.NN], now), Truncated: m.Flags&unix.MSG_TRUNC != 0,
			})
		}
		handle(packets)
	}
}

func unmap(ap netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()) }

func (r *Receiver) rejoin(ctx context.Context) error {
	tick := time.NewTicker(rejoinEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// An error means that it is still joined, or that the interface is away: the next minute tries again.
		if ifi, err := Interface(r.iface); err == nil {
			_ = r.pc.JoinGroup(ifi, r.group)
		}
	}
}

func portOf(address string) (int, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
