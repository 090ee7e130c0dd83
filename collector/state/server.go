package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/tcpserve"

	"github.com/VictoriaMetrics/metrics"
)

const (
	maxClients    = 64
	maxGreeting   = 256 // clients that have not yet said a hello that opens
	greetingFrom  = 8   // of them from one address: who has no key keeps nobody else out
	warnEvery     = time.Minute
	helloTimeout  = 5 * time.Second
	writeTimeout  = 10 * time.Second
	entriesAtOnce = 256 // of at most frame.MaxPayload bytes: the memory of one client
)

var (
	streamRefused = metrics.GetOrCreateCounter(`keepwatch_collector_streams_refused_total`)
	streamSlow    = metrics.GetOrCreateCounter(`keepwatch_collector_streams_too_slow_total`)
)

var (
	errManyGreeting = errors.New("too many clients have connected that have not said hello")
	errManyClients  = errors.New("64 streams are served, which is the most")
)

// ErrTooSlow ends a stream whose reader let the log run away from it.
var ErrTooSlow = errors.New("stream reader fell more than the history behind")

// Server hands the history to any number of extractors up to 64. It never holds up the intake: it reads the log
// like everybody else and cuts off who cannot follow.
type Server struct {
	history *Log
	log     *slog.Logger
	server  *tcpserve.Server

	mu       sync.Mutex
	greeter  *frame.Greeter
	greeting map[netip.Addr]int // clients that have not yet said hello
	clients  int                // that have
	warned   time.Time          // of a refusal
}

// NewServer serves the history of a state to holders of one of the keys.
func NewServer(s *State, keys *frame.Keyring, log *slog.Logger) *Server {
	return &Server{
		history: s.History(), log: log, greeter: frame.NewGreeter(keys), greeting: make(map[netip.Addr]int),
		server: tcpserve.New(tcpserve.Options{
			Name: "stream", Clients: maxClients + maxGreeting, PerAddress: maxClients + greetingFrom, Client: -1, Write: writeTimeout, Log: log,
		}),
	}
}

// SetKeys puts another keyring in force for streams to come.
func (s *Server) SetKeys(keys *frame.Keyring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greeter.SetKeys(keys)
}

// Clients is the number of streams now.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients
}

// Run accepts clients until ctx ends, then closes the listener and all streams and returns nil.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	return s.server.Serve(ctx, l, s.client)
}

func (s *Server) client(ctx context.Context, conn net.Conn) error {
	log := s.log.With("client", conn.RemoteAddr().String())
	w, since, err := s.greet(conn)
	if err != nil {
		streamRefused.Inc()
		log.Log(ctx, s.refusalLevel(time.Now()), "stream client refused", "err", err)
		return err
	}
	defer s.leave()
	log.Info("stream client connected", "since", since)
	err = s.stream(ctx, conn, w, since)
	if errors.Is(err, ErrTooSlow) {
		streamSlow.Inc()
	}
	if ctx.Err() == nil {
		log.Info("stream client gone", "err", err)
	}
	return err
}

// refusalLevel keeps who is refused again and again from filling the log.
func (s *Server) refusalLevel(now time.Time) slog.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.warned) < warnEvery {
		return slog.LevelDebug
	}
	s.warned = now
	return slog.LevelWarn
}

// greet reads a client's hello and answers it. Without an error the client has a place, until leave.
func (s *Server) greet(conn net.Conn) (*frame.StreamWriter, int64, error) {
	from := tcpserve.AddrOf(conn)
	if !s.awaitHello(from) {
		return nil, 0, errManyGreeting
	}
	w, since, err := s.readHello(conn, from)
	if err != nil {
		return nil, 0, err
	}
	if _, err = conn.Write(w.AppendClock(w.AppendGreeting(nil), time.Now().UnixMilli())); err != nil {
		s.leave()
	}
	return w, since, err
}

func (s *Server) awaitHello(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.greeting[from] >= greetingFrom {
		return false
	}
	s.greeting[from]++
	return true
}

// readHello gives back the place of a client that has not said hello, and takes one of a stream.
func (s *Server) readHello(conn net.Conn, from netip.Addr) (w *frame.StreamWriter, since int64, err error) {
	var nonce frame.Nonce
	hello := make([]byte, frame.HelloSize)
	if err = conn.SetDeadline(time.Now().Add(helloTimeout)); err == nil {
		_, err = io.ReadFull(conn, hello)
	}
	if err == nil {
		_, err = rand.Read(nonce[:])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.greeting[from]--; s.greeting[from] == 0 {
		delete(s.greeting, from)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("no hello: %w", err)
	}
	if w, since, err = s.greeter.Accept(hello, nonce, time.Now()); err != nil {
		return nil, 0, err
	}
	if s.clients >= maxClients {
		return nil, 0, errManyClients
	}
	s.clients++
	streamClients.Inc()
	return w, since, nil
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients--
	streamClients.Dec()
}

// stream sends entries as they come and a heartbeat whenever there was nothing to send for a while.
func (s *Server) stream(ctx context.Context, conn net.Conn, w *frame.StreamWriter, since int64) error {
	cursor := s.history.Find(since, time.Now().UnixMilli())
	entries := make([]Entry, 0, entriesAtOnce)
	var out []byte
	beat := time.NewTicker(frame.Heartbeat)
	defer beat.Stop()
	for first := true; ; first = false {
		now := time.Now().UnixMilli()
		es, changed, ok := s.history.Read(&cursor, entries[:0], now)
		if !ok {
			return ErrTooSlow
		}
		out = out[:0]
		for _, e := range es {
			out = w.AppendFrame(out, e.At, e.Datagram)
		}
		if len(es) == 0 {
			if !first && !s.wait(ctx, changed, beat.C) {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			out = w.AppendHeartbeat(out, now, s.history.Oldest(now))
		}
		if _, err := conn.Write(out); err != nil {
			return fmt.Errorf("cannot write: %w", err)
		}
	}
}

// wait returns false when there is something to read, true when it is time for a heartbeat.
func (s *Server) wait(ctx context.Context, changed <-chan struct{}, beat <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return true
	case <-changed:
		return false
	case <-beat:
		return true
	}
}
