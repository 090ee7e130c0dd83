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
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/tcpserve"

	"github.com/VictoriaMetrics/metrics"
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
	server  *tcpserve.Server

	mu      sync.Mutex
	greeter *frame.Greeter
}

// NewServer serves the history of a state to holders of one of the keys.
func NewServer(s *State, keys *frame.Keyring, log *slog.Logger) *Server {
	return &Server{
		history: s.History(), log: log, greeter: frame.NewGreeter(keys),
		server: tcpserve.New(tcpserve.Options{
			Name: "stream", Clients: maxClients, PerAddress: maxClients, Client: -1, Write: writeTimeout, Log: log,
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
func (s *Server) Clients() int { return s.server.Clients() }

// Run accepts clients until ctx ends, then closes the listener and all streams and returns nil.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	return s.server.Serve(ctx, l, s.client)
}

func (s *Server) client(ctx context.Context, conn net.Conn) error {
	streamClients.Inc()
	defer streamClients.Dec()
	log := s.log.With("client", conn.RemoteAddr().String())
	w, since, err := s.greet(conn)
	if err != nil {
		streamRefused.Inc()
		log.Warn("stream client refused", "err", err)
		return err
	}
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
