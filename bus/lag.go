package bus

import (
	"fmt"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Lag tells how far the consumer of that name is behind: messages that wait, and for how long the oldest one that it
// has seen but not done has waited. Both are zero for a consumer that does not run in this process.
func (b *Bus) Lag(name string, kind Kind) (messages uint64, age time.Duration) {
	return b.lags.of(name, kind).now()
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
