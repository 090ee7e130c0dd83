package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/nats-io/nats.go/jetstream"
)

// Lag asks the streams how far the consumer of that name is behind, whether it runs or not: how many messages wait,
// and for how long the oldest of them.
func (b *Bus) Lag(ctx context.Context, name string, kind Kind) (messages uint64, age time.Duration, err error) {
	stream, err := b.js.Stream(ctx, kind.stream())
	if err != nil {
		return 0, 0, fmt.Errorf("cannot ask the bus how far %q is: %w", name, err)
	}
	state := stream.CachedInfo().State
	place, _, err := b.place(ctx, name, kind)
	if err != nil || place >= state.LastSeq || state.Msgs == 0 {
		return 0, 0, err
	}
	first := max(place+1, state.FirstSeq)
	m, err := stream.GetMsg(ctx, first)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // dropped meanwhile
		return state.LastSeq - first + 1, time.Since(state.FirstTime), nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("cannot ask the bus how far %q is: %w", name, err)
	}
	return state.LastSeq - first + 1, max(time.Since(m.Time), 0), nil
}

type lags struct {
	mu sync.Mutex
	m  map[string]*lag
}

func (l *lags) of(name string, kind Kind) *lag {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := fmt.Sprintf("{consumer=%q,stream=%q}", name, kind)
	if l.m == nil {
		l.m = make(map[string]*lag)
	}
	if l.m[key] == nil {
		l.m[key] = &lag{labels: key}
	}
	return l.m[key]
}

// lag is what one consumer has before it.
type lag struct {
	labels string

	mu      sync.Mutex
	pending uint64    // messages behind the last one seen
	undone  uint64    // messages seen and not done
	oldest  time.Time // of the first of them; of the last one seen when all are done
}

func (l *lag) seen(pending uint64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.undone == 0 {
		l.oldest = at
	}
	l.undone++
	l.pending = pending
}

// done says that all that was seen is done.
func (l *lag) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.undone = 0
}

func (l *lag) now() (messages uint64, age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if messages = l.pending + l.undone; messages > 0 {
		age = max(time.Since(l.oldest), 0)
	}
	return messages, age
}

// show puts the lag among the metrics until the returned function is called.
func (l *lag) show() (hide func()) {
	count, age := "keepwatch_bus_lag_messages"+l.labels, "keepwatch_bus_lag_seconds"+l.labels
	metrics.GetOrCreateGauge(count, func() float64 { n, _ := l.now(); return float64(n) })
	metrics.GetOrCreateGauge(age, func() float64 { _, d := l.now(); return d.Seconds() })
	return func() {
		metrics.UnregisterMetric(count)
		metrics.UnregisterMetric(age)
	}
}
