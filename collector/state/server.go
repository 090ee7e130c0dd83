package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"keepwatch/collector/frame"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"
)

const (
	maxClients    = 64
	helloTimeout  = 5 * time.Second
	writeTimeout  = 10 * time.Second
	entriesAtOnce = 256 // of at most frame.MaxPayload bytes: the memory of one client
)

var (
	streamRefused = metrics.GetOrCreateCounter(`keepwatch_collector_streams_refused_total`)
	streamSlow    = metrics.GetOrCreateCounter(`keepwatch_collector_streams_too_slow_total`)
)

// ErrTooSlow ends a stream whose reader let the log run away from it.
var ErrTooSlow = errors.New("stream reader fell more than the history behind")

// Server hands the history to any number of extractors up to 64. It never holds up the intake: it reads the log
// like everybody else and cuts off who cannot follow.
type Server struct {
	history *Log
	log     *slog.Logger
	clients atomic.Int64

	mu      sync.Mutex
	greeter *frame.Greeter
}

// NewServer serves the history of a state to holders of one of the keys.
func NewServer(s *State, keys *frame.Keyring, log *slog.Logger) *Server {
	return &Server{history: s.History(), log: log, greeter: frame.NewGreeter(keys)}
}

// SetKeys puts another keyring in force for streams to come.
func (s *Server) SetKeys(keys *frame.Keyring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greeter.SetKeys(keys)
}

// Clients is the number of streams now.
func (s *Server) Clients() int { return int(s.clients.Load()) }

// Run accepts clients until ctx ends, then closes the listener and all streams and returns nil.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	slots := make(chan struct{}, maxClients)
	g.Go(func() error {
		for {
			conn, err := l.Accept()
			if err != nil {
				if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
					return nil
				}
				if !pause(ctx, err) {
					return fmt.Errorf("cannot accept stream clients: %w", err)
				}
				continue
			}
			select {
			case slots <- struct{}{}:
			default:
				streamRefused.Inc()
				conn.Close()
				continue
			}
			g.Go(func() error {
				defer func() { <-slots }()
				s.client(ctx, conn)
				return nil
			})
		}
	})
	return g.Wait()
}

// pause waits after an error that passes, as of too many open files; false for any other.
func pause(ctx context.Context, err error) bool {
	var ne net.Error
	if !errors.As(err, &ne) {
		return false
	}
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
	return true
}

func (s *Server) client(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	s.clients.Add(1)
	streamClients.Inc()
	defer s.clients.Add(-1)
	defer streamClients.Dec()
	log := s.log.With("client", conn.RemoteAddr().String())
	w, since, err := s.greet(conn)
	if err != nil {
		streamRefused.Inc()
		log.Warn("stream client refused", "err", err)
		return
	}
	log.Info("stream client connected", "since", since)
	err = s.stream(ctx, conn, w, since)
	if errors.Is(err, ErrTooSlow) {
		streamSlow.Inc()
	}
	if ctx.Err() == nil {
		log.Info("stream client gone", "err", err)
	}
}

func (s *Server) greet(conn net.Conn) (*frame.StreamWriter, int64, error) {
	if err := conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return nil, 0, err
	}
	hello := make([]byte, frame.HelloSize)
	if _, err := io.ReadFull(conn, hello); err != nil {
		return nil, 0, fmt.Errorf("no hello: %w", err)
	}
	var nonce frame.Nonce
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, 0, fmt.Errorf("cannot draw a nonce: %w", err)
	}
	s.mu.Lock()
	w, since, err := s.greeter.Accept(hello, nonce, time.Now())
	s.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	_, err = conn.Write(w.AppendClock(w.AppendGreeting(nil), time.Now().UnixMilli()))
	return w, since, err
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
		if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
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
