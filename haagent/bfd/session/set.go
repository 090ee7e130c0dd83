package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"keepwatch/haagent/bfd"
	"keepwatch/internal/conf"
)

// Event says that a session came up or went down. The first one of each session says that it is down.
type Event struct {
	Name   string // of the session
	Up     bool
	Admin  bool     // not Up: the peer said farewell, or its operator holds the session down; it is no death
	Diag   bfd.Diag // not Up: DiagSilent is the peer's death or a cut wire, DiagPeerDown comes from a peer that is heard
	Detail string   // for people
	At     time.Time
	// Detection is how long the peer had not been heard when it was given up: the detection time and the lateness of
	// this process. 0 unless Diag is DiagSilent.
	Detection time.Duration
}

// Options are what a Set needs.
type Options struct {
	Sessions []conf.BFDSession
	Changed  func(Event)  // returns at once; called in the order of a session's events, from any goroutine
	Log      *slog.Logger // nil: slog.Default
}

// Set is the BFD sessions of this host.
type Set struct {
	changed func(Event)
	log     *slog.Logger
	strays  atomic.Uint64

	applying sync.Mutex      // held by Apply and by the ends of Run
	ctx      context.Context // of Run while it runs, otherwise nil
	wanted   []conf.BFDSession
	running  sync.WaitGroup // sessions
	reading  sync.WaitGroup // listeners

	mu        sync.RWMutex // of the tables, for those who look something up
	sessions  []*session
	byLocal   map[uint32]*session
	listeners []*listener
}

// New checks the options. Nothing is opened before Run.
func New(o Options) (*Set, error) {
	if o.Changed == nil {
		return nil, errors.New("cannot make BFD sessions without Options.Changed: nobody would be told")
	}
	if err := check(o.Sessions); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Set{changed: o.Changed, log: o.Log, wanted: slices.Clone(o.Sessions), byLocal: make(map[uint32]*session)}, nil
}

// check finds sessions that packets could not be told apart for. The single values are the configuration's to check.
func check(wanted []conf.BFDSession) error {
	for i, c := range wanted {
		if !c.Peer.IsValid() || c.Source.IsValid() && c.Source.Is4() != c.Peer.Is4() {
			return fmt.Errorf("BFD session %q: peer %q and source %q: want a peer, and a source of its family or none", c.Name, c.Peer, c.Source)
		}
		if c.Interval <= 0 || c.Multiplier < 1 || c.Multiplier > 255 {
			return fmt.Errorf("BFD session %q: interval %s, multiplier %d: want an interval over 0 and a multiplier of 1 to 255", c.Name, c.Interval, c.Multiplier)
		}
		for _, other := range wanted[:i] {
			if other.Name == c.Name {
				return fmt.Errorf("BFD session %q is there twice: give each a name of its own", c.Name)
			}
			if other.Peer == c.Peer && (other.Source == c.Source || !other.Source.IsValid() || !c.Source.IsValid()) {
				return fmt.Errorf("BFD sessions %q and %q have the same peer %s: give each a source of its own or remove one", other.Name, c.Name, c.Peer)
			}
		}
	}
	return nil
}

// Run runs the sessions until ctx ends, then tells every peer that it leaves. It returns an error when the sockets
// cannot be opened; sockets open in the network namespace of the calling thread.
func (s *Set) Run(ctx context.Context) error {
	s.applying.Lock()
	s.ctx = ctx
	err := s.apply(s.wanted)
	if err != nil {
		s.ctx = nil
	}
	s.applying.Unlock()
	if err != nil {
		return err
	}
	<-ctx.Done()
	s.applying.Lock()
	defer s.applying.Unlock()
	s.ctx = nil
	s.running.Wait()
	s.mu.Lock()
	listeners := s.listeners
	s.sessions, s.listeners, s.byLocal = nil, nil, make(map[uint32]*session)
	s.mu.Unlock()
	for _, l := range listeners {
		l.close()
	}
	s.reading.Wait()
	return nil
}

// Apply adds, removes and changes sessions so that they are as wanted. One that stays the same is not touched; one
// whose interval, multiplier or role changes keeps its state. On an error nothing has changed, except that a peer
// that is listened for at another address may miss packets for a moment.
func (s *Set) Apply(wanted []conf.BFDSession) error {
	if err := check(wanted); err != nil {
		return err
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.ctx == nil {
		s.wanted = slices.Clone(wanted)
		return nil
	}
	return s.apply(wanted)
}

// apply opens all that is new before it touches what is there. The caller holds applying.
func (s *Set) apply(wanted []conf.BFDSession) error {
	var next, added, kept []*session
	for _, c := range wanted {
		if old := s.find(c); old != nil {
			next, kept = append(next, old), append(kept, old)
			continue
		}
		n, err := s.open(c)
		if err != nil {
			closeAll(added)
			return err
		}
		next, added = append(next, n), append(added, n)
	}
	if err := s.listen(wanted); err != nil {
		closeAll(added)
		return err
	}
	s.mu.Lock()
	gone := slices.DeleteFunc(slices.Clone(s.sessions), func(o *session) bool { return slices.Contains(next, o) })
	s.sessions = next
	for _, o := range gone {
		delete(s.byLocal, o.local)
	}
	s.mu.Unlock()
	for _, o := range gone {
		o.cancel()
	}
	for _, c := range wanted {
		for _, k := range kept {
			k.reconfigure(c)
		}
	}
	for _, n := range added {
		s.running.Go(n.run)
	}
	s.wanted = slices.Clone(wanted)
	return nil
}

// find is the running session of the same name, peer and source: one that others must not notice a change of.
func (s *Set) find(c conf.BFDSession) *session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, o := range s.sessions {
		if o.name == c.Name && o.peer == c.Peer && o.source == c.Source {
			return o
		}
	}
	return nil
}

func closeAll(sessions []*session) {
	for _, n := range sessions {
		n.forget()
	}
}

// route hands a packet to the session that it is for: RFC 5880 section 6.3. One whose discriminator nobody has goes
// to the peer's session, which counts it.
func (s *Set) route(src, dst netip.Addr, zone uint32, h *bfd.Heard, now time.Time) {
	s.mu.RLock()
	to := s.byLocal[bfd.Discriminator(h.Payload)]
	for i := 0; to == nil && i < len(s.sessions); i++ {
		if s.sessions[i].is(src, dst, zone) {
			to = s.sessions[i]
		}
	}
	s.mu.RUnlock()
	if to == nil {
		s.strays.Add(1)
		return
	}
	to.step(bfd.Received{Heard: h}, now)
}

// hear takes in all that waits in the sockets: a timer must not say that nobody was heard while packets wait.
func (s *Set) hear() {
	s.mu.RLock()
	listeners := s.listeners
	s.mu.RUnlock()
	for _, l := range listeners {
		l.try()
	}
}
