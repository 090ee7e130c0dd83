// Package bus owns the NATS JetStream between the extractor, which publishes batches, and the writer and the alerter,
// which each read them from a place of their own. It never looks into a batch, decides what is stored or alarming,
// or forgets a batch that it has acknowledged before max_bytes of newer ones have followed it. cmd/keepwatch opens
// it; the extractor, the writer and the alerter use it.
//
// Streams: SAMPLES (samples.CLUSTER), EVENTS (events.CLUSTER) and PLACES (places.CONSUMER.STREAM, the sequence that
// a consumer has done, one message each). A message is a zstd frame of an internal/batch encoding.
//
// What Publish has acknowledged has been written to the stream's file: it outlives a kill -9 of the process. The
// file reaches the disk itself at the latest after ten seconds, so a power cut may cost that much of what neither
// Postgres had committed nor an aggregator's history of ten minutes still holds.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Kind is what a message holds, and so the stream it is in.
type Kind uint8

// The kinds of message.
const (
	Samples Kind = 1
	Events  Kind = 2
)

// String is the first token of the kind's subjects.
func (k Kind) String() string {
	switch k {
	case Samples:
		return "samples"
	case Events:
		return "events"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

func (k Kind) stream() string {
	if k == Events {
		return "EVENTS"
	}
	return "SAMPLES"
}

const (
	placesStream  = "PLACES"
	eventsShare   = 16 // one of so many parts of MaxBytes is for events
	minMaxBytes   = 1 << 20
	maxInFlight   = 16 // publishes that wait for their acknowledgement at the same time
	ackWait       = 5 * time.Second
	requestWait   = 10 * time.Second
	dedupWindow   = 2 * time.Minute
	embeddedFrame = 8 << 20
)

// Options say which bus.
type Options struct {
	Dir      string // of the server inside this process; made if missing
	URL      string // nats://… of a server elsewhere; empty: the server inside this process
	MaxBytes int64  // kept at most; past it the oldest messages are dropped, at least 1 MiB
	Log      *slog.Logger
}

// Bus is an open connection to the streams. It is safe for concurrent use.
type Bus struct {
	opt    Options
	server *embedded // nil with a URL
	conn   *nats.Conn
	js     jetstream.JetStream
	slots  chan struct{}

	encode sync.Mutex
	raw    []byte
	lags   lags

	published *metrics.Counter
	bytes     *metrics.Counter
	retries   *metrics.Counter
}

// Open starts the embedded server or connects to the one at URL, and makes the streams. It waits for a server that
// does not answer yet until ctx ends. The URL is never part of an error, since it may hold a password.
func Open(ctx context.Context, opt Options) (*Bus, error) {
	if opt.MaxBytes < minMaxBytes {
		return nil, fmt.Errorf("cannot open the bus: max_bytes is %d, want at least %d", opt.MaxBytes, minMaxBytes)
	}
	b := &Bus{
		opt: opt, slots: make(chan struct{}, maxInFlight),
		published: metrics.GetOrCreateCounter("keepwatch_bus_published_messages_total"),
		bytes:     metrics.GetOrCreateCounter("keepwatch_bus_published_bytes_total"),
		retries:   metrics.GetOrCreateCounter("keepwatch_bus_publish_retries_total"),
	}
	if err := b.connect(ctx); err != nil {
		b.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return b, nil
}

func (b *Bus) connect(ctx context.Context) (err error) {
	o := []nats.Option{nats.Name("keepwatch"), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond), nats.RetryOnFailedConnect(true),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.opt.Log.Warn("lost the connection to the bus, trying again", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { b.opt.Log.Info("connected to the bus again") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.opt.Log.Debug("bus client", "err", err) }),
	}
	if b.opt.URL == "" {
		if b.server, err = startEmbedded(b.opt); err != nil {
			return err
		}
		o = append(o, nats.InProcessServer(b.server))
	}
	if b.conn, err = nats.Connect(b.opt.URL, o...); err != nil {
		if b.opt.URL != "" {
			return errors.New("cannot connect to the bus: check bus.url, want nats://user:password@host:port, and that the server runs")
		}
		return fmt.Errorf("cannot connect to the bus inside this process: %w", err)
	}
	if b.js, err = jetstream.New(b.conn, jetstream.WithDefaultTimeout(requestWait)); err != nil {
		return fmt.Errorf("cannot use the bus: %w", err)
	}
	return b.awaitStreams(ctx)
}

// awaitStreams makes the streams; a cluster that has no leader yet or a server that is away is asked again.
func (b *Bus) awaitStreams(ctx context.Context) error {
	for told := false; ; {
		err := b.makeStreams(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("cannot make the streams of the bus: %w", err)
		}
		if b.server != nil {
			return fmt.Errorf("cannot make the streams of the bus in %s: %w", b.opt.Dir, err)
		}
		if !told {
			b.opt.Log.Warn("the bus does not serve its streams yet; trying until it does", "err", err)
			told = true
		}
		if !pause(ctx, time.Second) {
			return fmt.Errorf("cannot make the streams of the bus: %w", err)
		}
	}
}

func (b *Bus) makeStreams(ctx context.Context) error {
	events := b.opt.MaxBytes / eventsShare
	for _, c := range []jetstream.StreamConfig{
		{Name: Samples.stream(), Subjects: []string{"samples.>"}, MaxBytes: b.opt.MaxBytes - events, Duplicates: dedupWindow},
		{Name: Events.stream(), Subjects: []string{"events.>"}, MaxBytes: events, Duplicates: dedupWindow},
		{Name: placesStream, Subjects: []string{"places.>"}, MaxMsgsPerSubject: 1},
	} {
		c.Storage, c.Retention, c.Discard = jetstream.FileStorage, jetstream.LimitsPolicy, jetstream.DiscardOld
		// An operator's own settings of an existing stream, as more replicas, stay; only the bounds are ours.
		if s, err := b.js.Stream(ctx, c.Name); err == nil {
			have := s.CachedInfo().Config
			have.MaxBytes, have.Subjects, have.Duplicates, have.MaxMsgsPerSubject = c.MaxBytes, c.Subjects, c.Duplicates, c.MaxMsgsPerSubject
			c = have
		}
		if c.MaxBytes == 0 {
			c.MaxBytes = -1
		}
		if _, err := b.js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("stream %s: %w", c.Name, err)
		}
	}
	return nil
}

// Close ends the connection and the embedded server. Consume and Publish must have returned.
func (b *Bus) Close(ctx context.Context) error {
	var err error
	if b.conn != nil {
		flush, cancel := context.WithTimeout(ctx, ackWait)
		if b.conn.IsConnected() {
			err = b.conn.FlushWithContext(flush)
		}
		cancel()
		b.conn.Close()
	}
	if b.server != nil {
		err = errors.Join(err, b.server.stop(ctx))
	}
	if err != nil {
		return fmt.Errorf("cannot close the bus: %w", err)
	}
	return nil
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
