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
	"golang.org/x/sync/errgroup"

	"keepwatch/internal/batch"
)

// Message is one batch as it was published.
type Message struct {
	Kind    Kind
	Cluster string
	Seq     uint64       // in its stream, growing
	Time    time.Time    // when the bus took it
	Batch   *batch.Batch // valid until fn returns; the series of its samples may be kept, equal series are equal pointers
}

// ConsumeOptions say what a consumer reads and how much at once.
type ConsumeOptions struct {
	Kinds   []Kind // at least one
	FromNew bool   // a consumer without a place begins with what comes from now on; else with the oldest

	// What fn gets at most in one call, and for how long messages are gathered after the first. 0: 256 messages,
	// 100,000 samples, no waiting.
	MaxMessages int
	MaxSamples  int
	MaxWait     time.Duration
}

const (
	defaultMessages = 256
	defaultSamples  = 100_000
	maxPullBytes    = 4 << 20
	sweepEvery      = 30 * time.Minute
	maxSeries       = 4_000_000 // remembered by one consumer's decoder
)

// Consume calls fn with the messages of each kind in the order in which the bus took them, beginning after the place
// that the consumer of this name has reached; fn is never called twice at the same time. When fn returns nil the place
// moves behind what it got; when it returns an error, which is logged, fn gets the same messages again after a pause
// that grows from 100 ms to 5 s. After a crash messages may come a second time, so fn must bear that. Messages that
// cannot be decoded are logged, counted and passed over. One process at a time may consume under one name.
//
// Consume returns nil when ctx ends, else the error that makes going on impossible.
func (b *Bus) Consume(ctx context.Context, name string, o ConsumeOptions, fn func(ctx context.Context, messages []Message) error) error {
	if len(o.Kinds) == 0 || token(name) != name || name == "" {
		return fmt.Errorf("cannot consume as %q: want kinds and a name of letters, digits, '-' and '_'", name)
	}
	if o.MaxMessages <= 0 {
		o.MaxMessages = defaultMessages
	}
	if o.MaxSamples <= 0 {
		o.MaxSamples = defaultSamples
	}
	var one sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for _, k := range o.Kinds {
		c := &consumer{bus: b, name: name, kind: k, opt: o, log: b.opt.Log.With("consumer", name, "stream", k.String())}
		c.fn = func(ctx context.Context, m []Message) error {
			one.Lock()
			defer one.Unlock()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fn(ctx, m)
		}
		c.counters()
		defer c.lag.show()()
		g.Go(func() error { return c.run(ctx) })
	}
	return g.Wait()
}

type consumer struct {
	bus  *Bus
	name string
	kind Kind
	opt  ConsumeOptions
	log  *slog.Logger
	fn   func(context.Context, []Message) error

	dec   batch.Decoder
	swept time.Time
	raw   []byte
	free  []*batch.Batch
	last  uint64 // sequence of the last message seen
	lag   *lag

	missed, poison, failures *metrics.Counter
}

func (c *consumer) counters() {
	labels := fmt.Sprintf("{consumer=%q,stream=%q}", c.name, c.kind)
	c.missed = metrics.GetOrCreateCounter("keepwatch_bus_missed_messages_total" + labels)
	c.poison = metrics.GetOrCreateCounter("keepwatch_bus_undecodable_messages_total" + labels)
	c.failures = metrics.GetOrCreateCounter("keepwatch_bus_consume_failures_total" + labels)
	c.lag = c.bus.lags.of(c.name, c.kind)
	c.dec.MaxSeries = maxSeries
	c.swept = time.Now()
}

// run reads until ctx ends; whatever breaks, it begins again after the last message that fn has taken.
func (c *consumer) run(ctx context.Context) error {
	for {
		err := c.read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("cannot consume %v as %q: %w", c.kind, c.name, err)
		}
		c.log.Warn("reading from the bus broke off; trying again", "err", err)
		if !pause(ctx, time.Second) {
			return nil
		}
	}
}

func (c *consumer) read(ctx context.Context) error {
	start, err := c.startAfter(ctx)
	if err != nil {
		return err
	}
	c.last = start
	ordered, err := c.bus.js.OrderedConsumer(ctx, c.kind.stream(), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: start + 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("cannot begin at message %d: %w", start+1, err)
	}
	it, err := ordered.Messages(jetstream.PullMaxMessagesWithBytesLimit(c.opt.MaxMessages, maxPullBytes))
	if err != nil {
		return fmt.Errorf("cannot read messages: %w", err)
	}
	defer it.Stop()
	for {
		messages, err := c.gather(ctx, it)
		if err != nil {
			return err
		}
		if err := c.deliver(ctx, messages); err != nil {
			return err
		}
		if now := time.Now(); now.Sub(c.swept) > sweepEvery {
			c.dec.Sweep()
			c.swept = now
		}
	}
}

// gather waits for a message and takes those that follow within the bounds.
func (c *consumer) gather(ctx context.Context, it jetstream.MessagesContext) ([]Message, error) {
	out, err := c.next(ctx, it, nil)
	if err != nil {
		return nil, err
	}
	window, cancel := context.WithTimeout(ctx, max(c.opt.MaxWait, time.Millisecond))
	defer cancel()
	for seen := 1; seen < c.opt.MaxMessages && samplesIn(out) < c.opt.MaxSamples; seen++ {
		if out, err = c.next(window, it, out); err != nil {
			if window.Err() != nil && ctx.Err() == nil {
				break // the window is over
			}
			return nil, err
		}
	}
	return out, nil
}

func samplesIn(messages []Message) (n int) {
	for _, m := range messages {
		n += len(m.Batch.Samples)
	}
	return n
}

// next waits for one message and appends it, unless it cannot be decoded. On an error out is as before.
func (c *consumer) next(ctx context.Context, it jetstream.MessagesContext, out []Message) ([]Message, error) {
	m, err := it.Next(jetstream.NextContext(ctx))
	if err != nil {
		return out, err
	}
	msg, ok, err := c.open(m)
	if err != nil || !ok {
		return out, err
	}
	return append(out, msg), nil
}

// open decodes one message; false: it cannot be decoded.
func (c *consumer) open(m jetstream.Msg) (Message, bool, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Message{}, false, fmt.Errorf("cannot read a message's place: %w", err)
	}
	if seq := meta.Sequence.Stream; seq > c.last+1 {
		c.missed.Add(int(seq - c.last - 1))
		c.log.Error("the bus has dropped messages that were not read, because bus.max_bytes was reached; raise it, or see why reading was slow",
			"messages", seq-c.last-1)
	}
	c.last = meta.Sequence.Stream
	c.lag.seen(meta.NumPending, meta.Timestamp)
	b, err := c.decode(m.Data())
	var cluster string
	if err == nil {
		cluster, err = name(m.Subject()[len(c.kind.String())+1:])
	}
	if err != nil {
		c.poison.Inc()
		c.log.Error("a message on the bus cannot be decoded and is passed over", "sequence", c.last, "err", err)
		return Message{}, false, nil
	}
	return Message{Kind: c.kind, Cluster: cluster, Seq: c.last, Time: meta.Timestamp, Batch: b}, true, nil
}

func (c *consumer) decode(data []byte) (*batch.Batch, error) {
	raw, err := batch.Decompress(c.raw[:0], data)
	if err != nil {
		return nil, err
	}
	c.raw = raw
	b := &batch.Batch{}
	if n := len(c.free); n > 0 {
		b, c.free = c.free[n-1], c.free[:n-1]
	}
	if err = c.dec.Decode(raw, b); errors.Is(err, batch.ErrTooManySeries) {
		c.dec.Sweep()
		c.swept = time.Now()
		err = c.dec.Decode(raw, b)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// deliver gives the messages to fn until it takes them, then moves the place.
func (c *consumer) deliver(ctx context.Context, messages []Message) error {
	for wait := 100 * time.Millisecond; len(messages) > 0; wait = min(2*wait, 5*time.Second) {
		err := c.fn(ctx, messages)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.failures.Inc()
		c.log.Warn("cannot take messages from the bus now; they stay there", "messages", len(messages), "again_in", wait, "err", err)
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
	for _, m := range messages {
		if m.Batch.Reset(); len(c.free) < defaultMessages {
			c.free = append(c.free, m.Batch)
		}
	}
	c.lag.done()
	return c.move(ctx)
}
