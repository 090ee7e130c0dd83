package haagent

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"keepwatch/haagent/link"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// portKey names a port.
type portKey struct {
	ifname string
	family vrrp.Family
	group  netip.Addr
}

// port is the socket of one interface, family and group. It is made anew when the interface is, and hands what it
// hears to the virtual router of its number.
type port struct {
	key portKey
	log *slog.Logger

	mu        sync.Mutex
	conn      *link.Conn
	announcer *link.Announcer
	relay     *link.Relay // nil: connections are not kept over a handover
	index     int
	listeners map[uint8]listener
	readers   sync.WaitGroup

	trying sync.Mutex // held by drain
}

// listener is a virtual router with the unit that drives it.
type listener struct {
	*unit
	member *instance
}

func newPort(key portKey, log *slog.Logger) *port {
	return &port{key: key, log: log, listeners: make(map[uint8]listener)}
}

// open makes the sockets and begins to hear.
func (p *port) open(index int) error {
	conn, err := link.Open(p.key.ifname, p.key.family, p.key.group)
	if err != nil {
		return err
	}
	announcer, err := link.NewAnnouncer(p.key.ifname)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	relay, err := link.NewRelay(p.key.ifname)
	if err != nil {
		p.log.Warn("connections are not kept over a handover", "interface", p.key.ifname, "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn, p.announcer, p.relay, p.index = conn, announcer, relay, index
	p.readers.Go(func() { p.read(conn) })
	return nil
}

// follow makes the sockets anew when the interface has another index: the old ones belong to one that is gone.
func (p *port) follow(s link.Status) {
	p.mu.Lock()
	same := s.Index == 0 || p.conn != nil && p.index == s.Index
	p.mu.Unlock()
	if same {
		return
	}
	p.close()
	if err := p.open(s.Index); err != nil {
		p.log.Error("cannot use the interface that came back", "interface", p.key.ifname, "err", err)
	}
}

// close ends the reader and waits for it.
func (p *port) close() {
	p.mu.Lock()
	conn, announcer, relay := p.conn, p.announcer, p.relay
	p.conn, p.announcer, p.relay = nil, nil, nil
	p.mu.Unlock()
	if relay != nil {
		relay.Close()
	}
	if conn != nil {
		_ = conn.Close()
		_ = announcer.Close()
	}
	p.readers.Wait()
}

// Many routers advertise at the same moment, one packet after the other: the rest of such a burst is fetched in one go,
// a little later, and not with a wake-up for each.
const (
	together = 200 * time.Microsecond // apart at most, in a burst
	gather   = 400 * time.Microsecond // until the rest of it is fetched
)

func (p *port) read(conn *link.Conn) {
	var packet vrrp.Packet
	var last time.Time
	for {
		if err := conn.Read(&packet); err != nil {
			if !errors.Is(err, os.ErrClosed) {
				p.log.Error("cannot hear advertisements", "interface", p.key.ifname, "err", err)
			}
			return
		}
		p.deliver(&packet)
		now := time.Now()
		if now.Sub(last) < together {
			time.Sleep(gather)
			p.drain()
		}
		last = now
	}
}

// deliver hands a packet to the virtual router that it names. One too short to name any goes to all: each counts it.
func (p *port) deliver(packet *vrrp.Packet) {
	var to [1]listener
	for _, l := range p.addressees(packet, to[:0]) {
		l.hear(l.member, packet)
	}
}

func (p *port) addressees(packet *vrrp.Packet, to []listener) []listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(packet.Payload) < 2 {
		return slices.AppendSeq(to, maps.Values(p.listeners))
	}
	if l, ok := p.listeners[packet.Payload[1]]; ok {
		return append(to, l)
	}
	return to
}

// overflowed counts the packets that the socket had no room for.
func (p *port) overflowed() uint64 {
	conn, _, err := p.sockets()
	if err != nil {
		return 0
	}
	return conn.Overflowed()
}

func (p *port) listen(u *unit, m *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners[m.vrid] = listener{u, m}
}

func (p *port) unlisten(u *unit, m *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listeners[m.vrid].unit == u {
		delete(p.listeners, m.vrid)
	}
}

// drained is how many packets a drain takes at most: a flood does not hold a timer up for ever.
const drained = 256

// drain delivers what waits in the socket now.
func (p *port) drain() {
	conn, _, err := p.sockets()
	if err != nil {
		return
	}
	p.trying.Lock()
	defer p.trying.Unlock()
	var packet vrrp.Packet
	for range drained {
		if !conn.Try(&packet) {
			return
		}
		p.deliver(&packet)
	}
}

// sockets are the present ones, or an error while the interface is gone.
func (p *port) sockets() (*link.Conn, *link.Announcer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return nil, nil, fmt.Errorf("interface %s is gone", p.key.ifname)
	}
	return p.conn, p.announcer, nil
}

// forwards is the relay of the present interface; nil: there is none.
func (p *port) forwards() *link.Relay {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.relay
}

// portOf finds or makes the socket that an instance needs.
func (a *Agent) portOf(c conf.Instance) (*port, error) {
	key := keyOf(c)
	if p := a.ports[key]; p != nil {
		return p, nil
	}
	p := newPort(key, a.opt.Log)
	ifi, err := net.InterfaceByName(c.Interface)
	if err != nil {
		return nil, fmt.Errorf("there is no interface %q: %w", c.Interface, err)
	}
	if err := p.open(ifi.Index); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.ports[key] = p
	a.mu.Unlock()
	return p, nil
}
