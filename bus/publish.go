package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"keepwatch/internal/batch"
)

// Publish encodes a batch and returns when the stream holds it, or when ctx ends. While the bus is away or its disk
// is full it tries again, with pauses that grow to five seconds. Calls at the same time share the connection, 16 of
// them at most. b is used until Publish returns. A batch too large for one message goes as several.
func (b *Bus) Publish(ctx context.Context, kind Kind, cluster string, batch *batch.Batch) error {
	if kind != Samples && kind != Events {
		return fmt.Errorf("cannot publish %v: want samples or events", kind)
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.publish(ctx, kind.String()+"."+token(cluster), batch)
}

func (b *Bus) publish(ctx context.Context, subject string, in *batch.Batch) error {
	items := len(in.Samples) + len(in.Events)
	if items == 0 {
		return nil
	}
	data := b.pack(in)
	limit := int(b.conn.MaxPayload()) - 1024 // headers
	if limit <= 0 {                          // not connected yet
		limit = 1<<20 - 1024
	}
	if items > batch.MaxSamples || len(in.Events) > batch.MaxEvents || in.Groups() > batch.MaxGroups || len(data) > limit {
		if items == 1 {
			return fmt.Errorf("cannot publish: one item of %d bytes, at most %d", len(data), limit)
		}
		s, e := len(in.Samples)/2, len(in.Events)/2
		if err := b.publish(ctx, subject, &batch.Batch{Samples: in.Samples[:s], Events: in.Events[:e]}); err != nil {
			return err
		}
		return b.publish(ctx, subject, &batch.Batch{Samples: in.Samples[s:], Events: in.Events[e:]})
	}
	return b.send(ctx, subject, data)
}

func (b *Bus) pack(in *batch.Batch) []byte {
	b.encode.Lock()
	defer b.encode.Unlock()
	b.raw = batch.Append(b.raw[:0], in)
	return batch.Compress(nil, b.raw)
}

// send tries until the stream has the message; its id makes it one message however often it arrives.
func (b *Bus) send(ctx context.Context, subject string, data []byte) error {
	id := nuid.Next()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := b.sendOnce(ctx, subject, data, id)
		if err == nil {
			b.published.Inc()
			b.bytes.Add(len(data))
			b.worked()
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("cannot publish on the bus: %w", ctx.Err())
		}
		b.retries.Inc()
		b.opt.Log.Warn("the bus does not take messages; trying until it does", "err", b.failed(explain(err)))
		if !pause(ctx, wait) {
			return fmt.Errorf("cannot publish on the bus: %w", ctx.Err())
		}
	}
}

// worked and failed tell the embedded server, if it is one, how a write went.
func (b *Bus) worked() {
	if b.server != nil {
		b.server.worked()
	}
}

func (b *Bus) failed(err error) error {
	if b.server != nil {
		err = errors.Join(err, b.server.failed())
	}
	return err
}

func (b *Bus) sendOnce(ctx context.Context, subject string, data []byte, id string) error {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	_, err := b.js.Publish(ctx, subject, data, jetstream.WithMsgID(id))
	return err
}

func explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no acknowledgement within %v", ackWait)
	}
	return err
}

// token writes a name as one token of a subject: what NATS gives a meaning to, and '=' itself, becomes =XX.
func token(name string) string {
	var t strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			t.WriteByte(c)
		default:
			t.WriteByte('=')
			t.WriteByte("0123456789ABCDEF"[c>>4])
			t.WriteByte("0123456789ABCDEF"[c&15])
		}
	}
	return t.String()
}

// name is the inverse of token.
func name(token string) (string, error) {
	var n strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			n.WriteByte(token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", fmt.Errorf("subject token %.60q ends in the middle of an escape", token)
		}
		c, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("subject token %.60q: escape %q", token, token[i:i+3])
		}
		n.WriteByte(byte(c))
		i += 2
	}
	return n.String(), nil
}
