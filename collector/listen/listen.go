// Package listen owns the collector's sockets: it joins multicast groups, receives datagrams in batches with the time
// at which the kernel got them, sends them to groups and single receivers, and knows which addresses this host has. It
// never looks into a datagram and never decides whose counts. The collector opens everything here at start and runs it.
package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"
)

const (
	// MaxDatagram is the longest datagram that can be received whole, in bytes.
	MaxDatagram = 9216

	// DefaultBuffer is Options.Buffer when it is 0.
	DefaultBuffer = 4 << 20

	defaultBatch = 64
	maxBatch     = 1024 // UIO_MAXIOV, past which recvmmsg takes no more
	retryAfter   = 100 * time.Millisecond

	// lookEvery is how often is looked at what may have changed: interfaces, routes, names; lookSoon while it cannot
	// stay as it is.
	lookEvery = time.Minute
	lookSoon  = 5 * time.Second
)

// Options say how a socket receives. The memory of one is Batch times Datagram, of which the kernel makes real what
// datagrams have filled.
type Options struct {
	Channel   string // names the socket in the metric of what the kernel dropped
	Interface string // of a group; empty: the one of the default route, else loopback
	Alone6    bool   // [::] takes no IPv4: that has a socket of its own
	Buffer    int    // bytes of receive buffer asked of the kernel; 0: DefaultBuffer
	Datagram  int    // bytes of the longest datagram received whole; 0: MaxDatagram
	Batch     int    // datagrams taken by one system call; 0: 64

	Log *slog.Logger // told when a group can be joined no more, and when it is heard again; nil: nobody is
}

func (o Options) withDefaults() Options {
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	if o.Datagram <= 0 || o.Datagram > MaxDatagram {
		o.Datagram = MaxDatagram
	}
	if o.Batch <= 0 {
		o.Batch = defaultBatch
	}
	o.Batch = min(o.Batch, maxBatch)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Packet is one datagram as it came.
type Packet struct {
	Data      []byte // valid until the handler returns
	From      netip.AddrPort
	At        time.Time // when the kernel got it
	Truncated bool      // it was longer than Options.Datagram
}

// Receiver is one UDP socket that is read. It may send as well, so that an answer has the address that was asked.
type Receiver struct {
	opt   Options
	conn  *net.UDPConn
	raw   syscall.RawConn
	group netip.AddrPort // the zero value: unicast
	drops *metrics.Counter

	settled bool  // of a group: it has the interface that it should have
	joined  []int // numbers of the interfaces on which it was joined and that were there since
	failing bool  // it could not be joined when it was tried last
}

// OpenGroup joins a multicast group, address "239.2.11.71:8649" or "[ff05::71]:8649". The port is shared with every
// other program that shares it, as gmond does, and the socket is bound to the group, so that it takes no unicast
// packet away from them.
func OpenGroup(_ context.Context, address string, opt Options) (*Receiver, error) {
	ap, zone, err := parseGroup(address)
	if err != nil {
		return nil, fmt.Errorf("cannot join group %q: %w", address, err)
	}
	if opt = opt.withDefaults(); opt.Interface == "" {
		opt.Interface = zone
	}
	ifi, err := Interface(opt.Interface, ap.Addr().Is6())
	if err != nil {
		return nil, fmt.Errorf("cannot join group %q: %w", address, err)
	}
	conn, err := groupSocket(ap, ifi, opt.Buffer)
	if err != nil {
		return nil, explain("udp", address, err)
	}
	r, err := newReceiver(conn, opt)
	if err != nil {
		return nil, err
	}
	r.group = ap
	if err := r.join(ifi); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot join group %q on interface %q: %w", address, ifi.Name, err)
	}
	return r, nil
}

var errGroup = errors.New("want a multicast address and port, as 239.2.11.72:8660 or [ff05::72]:8660")

func parseGroup(address string) (ap netip.AddrPort, zone string, err error) {
	ap, err = netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().IsMulticast() || ap.Addr().Is4In6() {
		return ap, "", errGroup
	}
	return netip.AddrPortFrom(ap.Addr().WithZone(""), ap.Port()), ap.Addr().Zone(), nil
}

// OpenUnicast listens on "address:port", IPv4 or IPv6. The port is not shared: two programs that share a unicast port
// take each other's packets away.
func OpenUnicast(ctx context.Context, address string, opt Options) (*Receiver, error) {
	opt = opt.withDefaults()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		control := c.Control(func(fd uintptr) { err = configure(int(fd), opt.Buffer) })
		return errors.Join(control, err)
	}}
	conn, err := lc.ListenPacket(ctx, unicastNetwork(address, opt.Alone6), address)
	if err != nil {
		return nil, explain("udp", address, err)
	}
	return newReceiver(conn.(*net.UDPConn), opt)
}

// unicastNetwork is what package net calls it. To it, "udp" and all addresses of IPv4 are those of IPv6 too.
func unicastNetwork(address string, alone6 bool) string {
	switch ap, err := netip.ParseAddrPort(address); {
	case err == nil && ap.Addr().Is4():
		return "udp4"
	case err == nil && alone6:
		return "udp6"
	}
	return "udp"
}

func newReceiver(conn *net.UDPConn, opt Options) (*Receiver, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot use socket: %w", err)
	}
	name := fmt.Sprintf(`keepwatch_collector_socket_drops_total{channel=%q}`, opt.Channel)
	return &Receiver{opt: opt, conn: conn, raw: raw, drops: metrics.GetOrCreateCounter(name)}, nil
}

// TCP listens on a TCP address.
func TCP(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, explain("tcp", address, err)
	}
	return l, nil
}

// Addr is the address that the socket has, with the port that port 0 became.
func (r *Receiver) Addr() netip.AddrPort {
	return r.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Multicast reports whether the socket hears a group: what is sent to its host alone does not reach it.
func (r *Receiver) Multicast() bool { return r.group.IsValid() }

// Close gives the socket back. Run does it too.
func (r *Receiver) Close() error { return r.conn.Close() }

// Send sends one datagram from the socket. Several goroutines may call it.
func (r *Receiver) Send(datagram []byte, to netip.AddrPort) error {
	if _, err := r.conn.WriteToUDPAddrPort(datagram, to); err != nil {
		return sendError(to, len(datagram), err)
	}
	return nil
}

// Run hands batches of datagrams to handle, in the order in which they came, until ctx ends; then it returns nil. The
// packets are valid until handle returns. Once a minute it joins its group again, in case the interface went and came;
// each five seconds while the host has no network.
func (r *Receiver) Run(ctx context.Context, handle func([]Packet)) error {
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { r.conn.Close() })
	defer stop()
	g.Go(func() error { return r.receive(ctx, handle) })
	if r.Multicast() {
		g.Go(func() error { return r.rejoin(ctx) })
	}
	return g.Wait()
}

func (r *Receiver) receive(ctx context.Context, handle func([]Packet)) error {
	b := newBatch(r.opt.Batch, r.opt.Datagram)
	read := b.read // one method value, made once: it would be an allocation each time
	for {
		err := r.raw.Read(read)
		if err == nil {
			err = b.err()
		}
		if err == nil {
			handle(b.packets(time.Now()))
			r.drops.AddInt64(int64(b.newDrops()))
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		// As of an interface that went down; the socket itself lives on.
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryAfter):
		}
	}
}

func (r *Receiver) rejoin(ctx context.Context) error {
	tick := time.NewTicker(lookSoon)
	defer tick.Stop()
	looked := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if r.settled && now.Sub(looked) < lookEvery {
				continue
			}
			looked = now
		}
		r.renew()
	}
}

// renew joins the group where it should be heard now. That it cannot is told once, until it can again.
func (r *Receiver) renew() {
	ifi, err := Interface(r.opt.Interface, r.group.Addr().Is6())
	if err == nil {
		err = r.join(ifi)
	}
	switch {
	case err != nil && !r.failing:
		r.opt.Log.Warn("a multicast group cannot be joined; nothing of it is heard until it can", "group", r.group, "err", err)
	case err == nil && r.failing:
		r.opt.Log.Info("a multicast group is heard again", "group", r.group, "interface", ifi.Name)
	}
	r.failing = err != nil
	r.settled = r.settled && err == nil
}
