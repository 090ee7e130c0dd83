package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embedded is the nats-server inside this process. It listens nowhere: connections are pipes.
type embedded struct {
	s      *server.Server
	config server.JetStreamConfig

	mu       sync.Mutex // held while JetStream is opened again
	failures atomic.Int32
}

func startEmbedded(opt Options) (*embedded, error) {
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder of the bus: %w", err)
	}
	o := &server.Options{
		ServerName: "keepwatch", DontListen: true, NoSigs: true, MaxPayload: embeddedFrame,
		JetStream: true, StoreDir: opt.Dir, SyncInterval: 10 * time.Second,
		// More than the streams may hold: the bound is theirs, and a small disk must not refuse to make them.
		JetStreamMaxStore: 2*opt.MaxBytes + 64<<20, JetStreamMaxMemory: 64 << 20,
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("cannot make the bus in %s: %w", opt.Dir, err)
	}
	s.SetLogger(serverLog{opt.Log}, false, false)
	s.Start()
	e := &embedded{s: s, config: server.JetStreamConfig{
		MaxMemory: o.JetStreamMaxMemory, MaxStore: o.JetStreamMaxStore, StoreDir: o.StoreDir, SyncInterval: o.SyncInterval, Strict: true,
	}}
	if !s.ReadyForConnections(time.Minute) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("cannot start the bus in %s: the log says why; free some space there or give the folder to this user", opt.Dir)
	}
	return e, nil
}

// InProcessConn is what the client connects by.
func (e *embedded) InProcessConn() (net.Conn, error) { return e.s.InProcessConn() }

// worked notes that a write was acknowledged.
func (e *embedded) worked() { e.failures.Store(0) }

// failed notes that a write was not acknowledged. A stream that once could not write to its file refuses every later
// write until it is opened again, and on some errors the server switches JetStream off: so when writes fail twice in a
// row and the disk has room, JetStream is closed and opened again. What was acknowledged is on file and is found
// there. The error says what to do about the disk.
func (e *embedded) failed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failures.Add(1) < failuresToReopen && e.s.JetStreamEnabled() {
		return nil
	}
	if err := e.room(); err != nil {
		return err
	}
	e.failures.Store(0)
	if err := e.s.ShutdownJetStream(); err != nil {
		return fmt.Errorf("cannot close the bus to open it again: %w", err)
	}
	c := e.config
	if err := e.s.EnableJetStream(&c); err != nil {
		return fmt.Errorf("cannot open the bus again: %w", err)
	}
	return nil
}

const (
	failuresToReopen = 2
	roomNeeded       = 1 << 20 // bytes
)

// room reports an error when not even a little can be written beside the streams.
func (e *embedded) room() error {
	f, err := os.CreateTemp(e.config.StoreDir, "room-*")
	if err != nil {
		return fmt.Errorf("cannot write to the folder of the bus: %w: free some space on its disk", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, roomNeeded))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("cannot write to the folder of the bus: %w: free some space on its disk", err)
	}
	return nil
}

func (e *embedded) stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.s.Shutdown()
		e.s.WaitForShutdown()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("the bus did not stop in time; what it acknowledged is on file")
	}
}

// serverLog takes the server's own log lines; they matter to who debugs, but for its errors.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(f string, v ...any) { l.log.Debug("bus: " + fmt.Sprintf(f, v...)) }
func (l serverLog) Warnf(f string, v ...any)   { l.log.Warn("bus: " + fmt.Sprintf(f, v...)) }
func (l serverLog) Errorf(f string, v ...any)  { l.log.Error("bus: " + fmt.Sprintf(f, v...)) }
func (l serverLog) Fatalf(f string, v ...any)  { l.log.Error("bus: " + fmt.Sprintf(f, v...)) }
func (l serverLog) Debugf(string, ...any)      {}
func (l serverLog) Tracef(string, ...any)      {}
