package session

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/bfd"
	"keepwatch/internal/conf"
)

// session drives one bfd.State: packets come from the listeners' goroutines, ticks from its own.
type session struct {
	set          *Set
	name         string
	peer, source netip.Addr
	local        uint32        // discriminator
	port         uint16        // that it sends from
	zone         atomic.Uint32 // index of a link-local peer's interface

	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex // of all below
	state  bfd.State
	fd     int // -1: closed
	to     unix.Sockaddr
	buffer [bfd.Len]byte
	timer  *time.Timer
	armed  time.Time // what timer is set for

	seenMu    sync.Mutex // of what others may ask for
	seen      bfd.State
	failures  uint64
	lastError string
}

// open makes a session and its socket. It is heard at once, but says nothing before run.
func (s *Set) open(c conf.BFDSession) (*session, error) {
	n := &session{set: s, name: c.Name, peer: c.Peer, source: c.Source, timer: time.NewTimer(time.Hour)}
	n.timer.Stop()
	n.resolve()
	local := c.Source
	if !local.IsValid() {
		local = unspecified(c.Peer)
	}
	var err error
	if n.fd, n.port, err = socket(local, sourcePorts); err != nil {
		return nil, fmt.Errorf("cannot send for BFD session %q: %w", c.Name, err)
	}
	n.ctx, n.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for n.local == 0 || s.byLocal[n.local] != nil {
		n.local = uint32(random())
	}
	s.byLocal[n.local] = n
	n.state = bfd.New(config(c), n.local, random(), time.Now())
	n.seen = n.state
	return n, nil
}

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program first
	return binary.NativeEndian.Uint64(b[:])
}

func config(c conf.BFDSession) bfd.Config {
	return bfd.Config{Interval: c.Interval, Multiplier: uint8(c.Multiplier), Passive: c.Passive}
}

// is tells whether packets from src to dst are this session's. zone is the index of a link-local address's interface.
func (n *session) is(src, dst netip.Addr, zone uint32) bool {
	return n.peer.WithZone("") == src && (!n.source.IsValid() || n.source.WithZone("") == dst) && (n.peer.Zone() == "" || n.zone.Load() == zone)
}

// resolve finds the peer's interface, if it needs one.
func (n *session) resolve() {
	n.to = address(n.peer, bfd.Port)
	if to, ok := n.to.(*unix.SockaddrInet6); ok {
		n.zone.Store(to.ZoneId)
	}
}

// run drives the session until it is cancelled, then says farewell, a few times within some hundredths of a second.
func (n *session) run() {
	defer n.forget()
	n.step(bfd.Start{}, time.Now())
	done := n.ctx.Done()
	for {
		select {
		case <-done:
			done = nil
			if !n.step(bfd.Stop{}, time.Now()) {
				return
			}
		case <-n.timer.C:
			if !n.tick() && done == nil {
				return
			}
		}
	}
}

func (n *session) tick() bool {
	n.mu.Lock()
	silent := n.state.Silent(time.Now())
	n.mu.Unlock()
	if silent {
		n.set.hear()
	}
	n.mu.Lock()
	n.armed = time.Time{}
	n.mu.Unlock()
	return n.step(bfd.Tick{}, time.Now())
}

// step carries out one input and tells whether another Tick is wanted.
func (n *session) step(in bfd.Input, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	next, actions := bfd.Step(n.state, in, now)
	n.state = next
	for _, a := range actions {
		if a, ok := a.(bfd.Send); ok {
			n.send(&a.Packet)
		}
	}
	n.seenMu.Lock()
	n.seen = next
	n.seenMu.Unlock()
	for _, a := range actions {
		if a, ok := a.(bfd.Changed); ok {
			n.tell(a, now)
		}
	}
	return n.arm()
}

// arm sets the timer for the deadline: setting it anew costs less than being woken for one that has moved.
func (n *session) arm() bool {
	at, ok := n.state.Deadline()
	switch {
	case !ok:
		n.timer.Stop()
	case !at.Equal(n.armed):
		n.timer.Reset(time.Until(at))
	}
	n.armed = at
	return ok
}

func (n *session) tell(c bfd.Changed, now time.Time) {
	n.set.changed(Event{Name: n.name, Up: c.Up, Admin: c.Admin, Diag: c.Diag, Detail: c.Text, At: now, Detection: c.Silence})
}

// send never waits: a full queue is a lost packet.
func (n *session) send(p *bfd.Packet) {
	if n.fd < 0 {
		return
	}
	err := n.write(p)
	if err == nil {
		if n.lastError != "" {
			n.failed("")
			n.set.log.Info("BFD packets leave again", "session", n.name, "peer", n.peer)
		}
		return
	}
	text := fmt.Sprintf("cannot send to %s: %v", n.peer, err)
	if text != n.lastError {
		n.set.log.Warn("cannot send BFD packets", "session", n.name, "peer", n.peer, "err", err)
	}
	n.failed(text)
	n.resolve() // the interface may be another one of that name by now
}

func (n *session) write(p *bfd.Packet) error {
	if n.peer.Zone() != "" && n.zone.Load() == 0 {
		return fmt.Errorf("there is no interface %q", n.peer.Zone())
	}
	return unix.Sendto(n.fd, p.Append(n.buffer[:0]), unix.MSG_DONTWAIT, n.to)
}

// failed remembers an error for the status; "" says that it is over.
func (n *session) failed(text string) {
	n.seenMu.Lock()
	defer n.seenMu.Unlock()
	n.lastError = text
	if text != "" {
		n.failures++
	}
}

func (n *session) reconfigure(c conf.BFDSession) {
	if c.Name != n.name {
		return
	}
	n.mu.Lock()
	same := n.state.Config == config(c)
	n.mu.Unlock()
	if !same {
		n.step(bfd.Reconfigure{Config: config(c)}, time.Now())
	}
}

// forget closes the socket of a session that ended or never ran.
func (n *session) forget() {
	n.cancel()
	n.timer.Stop()
	n.mu.Lock()
	_ = unix.Close(n.fd)
	n.fd = -1
	n.mu.Unlock()
	n.set.mu.Lock()
	defer n.set.mu.Unlock()
	delete(n.set.byLocal, n.local)
}
