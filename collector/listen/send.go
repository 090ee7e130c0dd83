package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	lookupTimeout = 5 * time.Second // of one name
	maxLookups    = 16              // at once
)

// SendChannel is one way that datagrams take: a group or one receiver.
type SendChannel struct {
	Group     string // multicast group and port, IPv4 or IPv6; or To
	Interface string // of the group; empty: the one of the default route, else loopback
	TTL       int    // of the group: hops; 0: 1
	To        string // one receiver, host:port; a name is looked up again each minute
	Bind      string // source address; empty: the system's choice
}

// Sender sends each datagram over all its channels. Send may be called by several goroutines.
type Sender struct {
	channels []*channel
	sockets  []*Receiver // of the channels, each once
	payload  atomic.Int64
	lookup   func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

type channel struct {
	opt    SendChannel
	socket *Receiver
	v6     bool                           // a group of IPv6
	host   string                         // of To
	port   uint16                         // of To
	to     atomic.Pointer[netip.AddrPort] // nil: not known yet
	why    atomic.Pointer[error]          // that it is not

	index   int  // of the group's interface
	settled bool // it is where it should be, and need not be looked at soon
}

// OpenSender opens the sockets. A receiver whose name is not known yet is no error; one without a port is. The
// sockets receive too, as opt says: who gets a datagram may answer to where it came from.
func OpenSender(ctx context.Context, channels []SendChannel, opt Options) (*Sender, error) {
	s := &Sender{lookup: net.DefaultResolver.LookupNetIP}
	shared := make(map[string]*Receiver) // of unicast, by source address
	for _, c := range channels {
		if err := s.add(ctx, c, opt, shared); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.look(ctx, true)
	return s, nil
}

func (s *Sender) add(ctx context.Context, opt SendChannel, recv Options, shared map[string]*Receiver) (err error) {
	c := &channel{opt: opt}
	if opt.Group != "" {
		if err := s.openGroup(ctx, c, recv); err != nil {
			return fmt.Errorf("cannot send to group %q: %w", opt.Group, err)
		}
		s.channels, s.sockets = append(s.channels, c), append(s.sockets, c.socket)
		return nil
	}
	if c.host, c.port, err = splitTarget(opt.To); err != nil {
		return fmt.Errorf("cannot send to %q: %w", opt.To, err)
	}
	if c.socket = shared[opt.Bind]; c.socket == nil {
		if c.socket, err = openSource(ctx, "udp", opt.Bind, recv, nil); err != nil {
			return fmt.Errorf("cannot send to %q: %w", opt.To, err)
		}
		shared[opt.Bind] = c.socket
		s.sockets = append(s.sockets, c.socket)
	}
	s.channels = append(s.channels, c)
	return nil
}

func splitTarget(target string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(target)
	n, bad := strconv.ParseUint(text, 10, 16)
	if err != nil || bad != nil || n == 0 || host == "" {
		return "", 0, errors.New("want host:port")
	}
	return host, uint16(n), nil
}

func (s *Sender) openGroup(ctx context.Context, c *channel, recv Options) error {
	group, zone, err := parseGroup(c.opt.Group)
	if err != nil {
		return err
	}
	if c.opt.Interface == "" {
		c.opt.Interface = zone
	}
	c.v6 = group.Addr().Is6()
	ifi, err := Interface(c.opt.Interface, c.v6)
	if err != nil {
		return err
	}
	network := "udp4"
	if c.v6 {
		network = "udp6"
	}
	c.socket, err = openSource(ctx, network, c.opt.Bind, recv, func(fd int) error { return aim(fd, c.v6, ifi, max(c.opt.TTL, 1)) })
	if err != nil {
		return err
	}
	c.index = ifi.Index
	c.to.Store(&group)
	return nil
}

// follow aims a group's socket anew when its interface is another than before: the default route has come or moved, or
// the interface went and came.
func (c *channel) follow() {
	ifi, err := Interface(c.opt.Interface, c.v6)
	if c.settled = err == nil && settles(ifi, c.opt.Interface); err != nil || ifi.Index == c.index {
		return
	}
	control := c.socket.raw.Control(func(fd uintptr) { err = aim(int(fd), c.v6, ifi, max(c.opt.TTL, 1)) })
	if control != nil || err != nil {
		c.settled = false
		return
	}
	c.index = ifi.Index
}

// aim sets where a socket's multicast packets go and how far. They come back to this host's own listeners.
func aim(fd int, v6 bool, ifi *net.Interface, hops int) error {
	if v6 {
		return errors.Join(
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, ifi.Index),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hops),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 1))
	}
	return errors.Join(
		unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(ifi.Index)}),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, hops),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1))
}

// openSource makes a socket with a port of the system's choice. It is never connected, so the ICMP error of one
// receiver that is down reaches nobody who sends to another.
func openSource(ctx context.Context, network, bind string, opt Options, more func(fd int) error) (*Receiver, error) {
	if bind != "" {
		a, err := netip.ParseAddr(bind)
		if err != nil {
			return nil, fmt.Errorf("source address %q: want an IP address of this host", bind)
		}
		bind = a.String()
	}
	opt = opt.withDefaults()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		control := c.Control(func(fd uintptr) {
			if err = configure(int(fd), opt.Buffer); err == nil && more != nil {
				err = more(int(fd))
			}
		})
		return errors.Join(control, err)
	}}
	conn, err := lc.ListenPacket(ctx, network, net.JoinHostPort(bind, "0"))
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil, fmt.Errorf("source address %q: this host does not have it; configure one that it has: %w", bind, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open a socket to send from: %w", err)
	}
	return newReceiver(conn.(*net.UDPConn), opt)
}

// Sockets are those that datagrams are sent from. What is not run is not read.
func (s *Sender) Sockets() []*Receiver { return s.sockets }

// Send sends one datagram over all channels and returns how many sends the kernel took and the first error; an error
// of one channel does not keep it from the others.
func (s *Sender) Send(datagram []byte) (sent int, err error) {
	for _, c := range s.channels {
		if e := c.send(datagram); e == nil {
			sent++
		} else if err == nil {
			err = e
		}
	}
	return sent, err
}

func (c *channel) send(datagram []byte) error {
	if to := c.to.Load(); to != nil {
		return c.socket.Send(datagram, *to)
	}
	return *c.why.Load()
}

func sendError(to netip.AddrPort, size int, err error) error {
	if errors.Is(err, unix.EMSGSIZE) {
		return fmt.Errorf("cannot send to %v: %d bytes are more than the way there takes at once; configure a smaller payload: %w", to, size, err)
	}
	return fmt.Errorf("cannot send to %v: %w", to, err)
}

// Run looks each minute where the receivers' names lead now, which interfaces the groups have and how much the ways there
// take, until ctx ends; each five seconds at a name that leads nowhere and at a group without a network.
func (s *Sender) Run(ctx context.Context) error {
	tick := time.NewTicker(lookSoon)
	defer tick.Stop()
	for looked := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			all := now.Sub(looked) >= lookEvery
			if all {
				looked = now
			}
			s.look(ctx, all)
		}
	}
}

// look brings the channels up to date, all of them or those that are not settled.
func (s *Sender) look(ctx context.Context, all bool) {
	var names errgroup.Group
	names.SetLimit(maxLookups)
	looked := all
	for _, c := range s.channels {
		if c.settled && !all {
			continue
		}
		looked = true
		if c.host == "" {
			c.follow()
			continue
		}
		names.Go(func() error {
			c.resolve(ctx, s.lookup)
			return nil
		})
	}
	_ = names.Wait() // none gives one
	if looked {
		s.measure()
	}
}

var errNoAddress = errors.New("it has no address of the family of the source address")

// resolve keeps the last known address of a name that cannot be looked up now.
func (c *channel) resolve(ctx context.Context, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := lookup(ctx, "ip", c.host)
	a, ok := reachable(addrs, c.opt.Bind)
	if err == nil && ok {
		to := netip.AddrPortFrom(a, c.port)
		c.to.Store(&to)
		c.settled = true
		return
	}
	if err == nil {
		err = errNoAddress
	}
	if c.to.Load() == nil {
		err = fmt.Errorf("cannot send to %q, whose name leads nowhere now; look at the name service: %w", c.opt.To, err)
		c.why.Store(&err)
	}
}

// reachable takes the first address, of the family of the source address if there is one.
func reachable(addrs []netip.Addr, bind string) (netip.Addr, bool) {
	source, err := netip.ParseAddr(bind)
	for _, a := range addrs {
		if a = a.Unmap(); err != nil || a.Is4() == source.Unmap().Is4() {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Close gives the sockets back.
func (s *Sender) Close() error {
	var errs []error
	for _, r := range s.sockets {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}
