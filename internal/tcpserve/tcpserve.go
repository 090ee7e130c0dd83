// Package tcpserve owns the life of a TCP port that answers plain clients: who may connect, how many at once, for how
// long, and how a connection ends. A client that never reads costs one place for a bounded time and nothing else. It
// never knows what is served. The collector serves gmond's XML with it and its own stream, the extractor gmetad's
// ports.
package tcpserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"

	"keepwatch/internal/acl"
)

// Options are what a Server is made of. A zero number or duration means its default.
type Options struct {
	Name       string                // of the port in logs and metrics, as gmond_xml
	Listen     string                // host:port, for Run
	Access     func() *acl.List      // who may connect, asked for each client; nil: everybody
	Local      func(netip.Addr) bool // this host's own addresses; nil: LocalAddrs
	Clients    int                   // at once; default 64
	PerAddress int                   // of them from one address; default 16
	Client     time.Duration         // the longest that one client is served; default 2 min, negative: for ever
	Write      time.Duration         // the longest that one write waits; default 10 s
	Log        *slog.Logger
}

// Handler answers one client. Each Write on c has a deadline of its own; it may set read deadlines. What it returns
// ends the connection: with FIN, after what it wrote.
type Handler func(ctx context.Context, c net.Conn) error

// retryEvery is how often a port that cannot be had is tried again, as gmond does (retry_bind).
const retryEvery = time.Minute

// Server is one port.
type Server struct {
	opt Options
	log *slog.Logger

	served, refused, crowded, failed *metrics.Counter
	open                             *metrics.Gauge

	mu      sync.Mutex
	clients int
	from    map[netip.Addr]int
}

// New makes a server; Run or Serve runs it.
func New(opt Options) *Server {
	if opt.Clients <= 0 {
		opt.Clients = 64
	}
	if opt.PerAddress <= 0 {
		opt.PerAddress = 16
	}
	if opt.Client == 0 {
		opt.Client = 2 * time.Minute
	}
	if opt.Write <= 0 {
		opt.Write = 10 * time.Second
	}
	if opt.Local == nil {
		opt.Local = LocalAddrs()
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opt: opt, log: opt.Log.With("port", opt.Name, "listen", opt.Listen), from: make(map[netip.Addr]int)}
	counter := func(name, more string) *metrics.Counter {
		return metrics.GetOrCreateCounter(fmt.Sprintf(`keepwatch_tcp_%s{port=%q%s}`, name, opt.Name, more))
	}
	s.served = counter("clients_total", "")
	s.refused = counter("refused_total", `,reason="access"`)
	s.crowded = counter("refused_total", `,reason="crowded"`)
	s.failed = counter("failed_total", "")
	s.open = metrics.GetOrCreateGauge(fmt.Sprintf(`keepwatch_tcp_clients{port=%q}`, opt.Name), nil)
	return s
}

// Clients is how many are served now.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients
}

// Run opens the port and serves it until ctx ends, then returns nil. While the port cannot be had, because another
// program has it or its address is not here, this is told and tried again each minute.
func (s *Server) Run(ctx context.Context, h Handler) error {
	for ctx.Err() == nil {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", s.opt.Listen)
		if err == nil {
			if err = s.Serve(ctx, l, h); err == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		s.log.Warn("cannot serve this port; trying again. Stop the program that has it, or change the address", "err", err, "again_in", retryEvery)
		pause(ctx, retryEvery)
	}
	return nil
}

// Serve serves the clients of l until ctx ends; then it closes l and all connections and returns nil. The error is
// that l takes no connection any more.
func (s *Server) Serve(ctx context.Context, l net.Listener, h Handler) error {
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { l.Close() })()
	g.Go(func() error {
		for {
			c, err := l.Accept()
			switch {
			case err == nil:
				s.take(ctx, g, c, h)
			case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
				return nil
			case !passes(err):
				l.Close()
				return fmt.Errorf("cannot accept clients on %v: %w", l.Addr(), err)
			default:
				pause(ctx, 100*time.Millisecond)
			}
		}
	})
	return g.Wait()
}

// passes tells an error of one connection, or of too many open files, from one of the listener.
func passes(err error) bool {
	var ne net.Error
	return errors.As(err, &ne)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// take serves a client if it may be and there is place; else its connection is closed without a byte.
func (s *Server) take(ctx context.Context, g *errgroup.Group, c net.Conn, h Handler) {
	addr := AddrOf(c)
	if s.opt.Access != nil && !s.opt.Access().Accepts(addr, s.opt.Local) {
		s.refused.Inc()
		s.log.Debug("client refused: no network of accept_from has it", "client", addr)
		c.Close()
		return
	}
	if !s.enter(addr) {
		s.crowded.Inc()
		s.log.Debug("client refused: too many are connected", "client", addr)
		c.Close()
		return
	}
	g.Go(func() error {
		defer s.leave(addr)
		s.client(ctx, c, h)
		return nil
	})
}

// AddrOf is the address that a client connects from.
func AddrOf(c net.Conn) netip.Addr {
	p, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

func (s *Server) enter(addr netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients >= s.opt.Clients || s.from[addr] >= s.opt.PerAddress {
		return false
	}
	s.clients++
	s.from[addr]++
	s.open.Inc()
	s.served.Inc()
	return true
}

func (s *Server) leave(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients--
	s.open.Dec()
	if s.from[addr]--; s.from[addr] == 0 {
		delete(s.from, addr)
	}
}

func (s *Server) client(ctx context.Context, c net.Conn, h Handler) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	dc := &deadlined{Conn: c, write: s.opt.Write}
	if s.opt.Client > 0 {
		dc.end = time.Now().Add(s.opt.Client)
		if err := c.SetDeadline(dc.end); err != nil {
			return
		}
	}
	if err := h(ctx, dc); err != nil && ctx.Err() == nil {
		s.failed.Inc()
		s.log.Debug("client not served to the end", "client", c.RemoteAddr(), "err", err)
		return
	}
	farewell(c)
}

// deadlined gives each write a deadline.
type deadlined struct {
	net.Conn
	write time.Duration
	end   time.Time // of the client; zero: none
}

func (d *deadlined) Write(b []byte) (int, error) {
	at := time.Now().Add(d.write)
	if !d.end.IsZero() && at.After(d.end) {
		at = d.end
	}
	if err := d.Conn.SetWriteDeadline(at); err != nil {
		return 0, err
	}
	return d.Conn.Write(b)
}

const (
	farewellTime  = 2 * time.Second
	farewellBytes = 64 << 10
)

// farewell ends our direction and reads what the client still says: closing with something unread would reset the
// connection, and a gmetad that sees a reset throws away what it has read.
func farewell(c net.Conn) {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(farewellTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c, farewellBytes) // until the client closes, too
}
