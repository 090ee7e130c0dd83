package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

func placeSubject(name string, kind Kind) string { return "places." + name + "." + kind.stream() }

// move records that everything up to the last message is done. When ctx has ended meanwhile it is still tried: a
// clean end must not repeat a batch.
func (c *consumer) move(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackWait)
	defer cancel()
	if _, err := c.bus.js.Publish(ctx, placeSubject(c.name, c.kind), strconv.AppendUint(nil, c.last, 10)); err != nil {
		return fmt.Errorf("cannot record the place %d: %w", c.last, c.bus.failed(err))
	}
	c.bus.worked()
	return nil
}

// startAfter finds the sequence of the last message that is done.
func (c *consumer) startAfter(ctx context.Context) (uint64, error) {
	stream, err := c.bus.js.Stream(ctx, c.kind.stream())
	if err != nil {
		return 0, fmt.Errorf("cannot find the stream: %w", err)
	}
	state := stream.CachedInfo().State
	place, known, err := c.bus.place(ctx, c.name, c.kind)
	switch {
	case err != nil:
		return 0, err
	case !known && c.opt.FromNew:
		// Recorded at once: what comes before the first message is done must be read after a restart.
		c.last = state.LastSeq
		return state.LastSeq, c.move(ctx)
	case !known, place > state.LastSeq: // past the end: the stream was made anew
		return max(state.FirstSeq, 1) - 1, nil
	}
	return place, nil
}

// place is the sequence of the last message that a consumer has done; false: it has none yet.
func (b *Bus) place(ctx context.Context, name string, kind Kind) (uint64, bool, error) {
	places, err := b.js.Stream(ctx, placesStream)
	if err != nil {
		return 0, false, fmt.Errorf("cannot find the places: %w", err)
	}
	m, err := places.GetLastMsgForSubject(ctx, placeSubject(name, kind))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("cannot read the place: %w", err)
	}
	place, err := strconv.ParseUint(string(m.Data), 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("cannot read the place: %w", err)
	}
	return place, true, nil
}
