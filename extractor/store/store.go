// Package store owns the way from the bus into Postgres: it gives series their numbers, writes samples and events so
// that what comes twice is there once, makes the partitions of the days ahead and drops those past the retention. It
// never changes a value or answers a query. The extractor runs it; extractor/promql and SQL read what it wrote.
//
// One transaction holds all that was gathered within storage.flush. The bus is told that it may forget a batch only
// after its commit, so Postgres can be away, be killed or be full: what was published comes again.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"

	"keepwatch/bus"
	"keepwatch/internal/conf"
	"keepwatch/schema/db"
)

// Consumer is the name under which the writer reads the bus.
const Consumer = "writer"

// Bus is what the writer needs of *bus.Bus.
type Bus interface {
	Consume(ctx context.Context, name string, o bus.ConsumeOptions, fn func(ctx context.Context, messages []bus.Message) error) error
	Lag(ctx context.Context, name string, kind bus.Kind) (messages uint64, age time.Duration, err error)
}

const (
	flushSamples  = 100_000 // gathered at most
	flushMessages = 1000
	leadEvery     = 2 * time.Second // how soon another writer takes over
	maintainEvery = 5 * time.Minute
	lagEvery      = 5 * time.Second
	futureSlack   = 10 * time.Minute // how far ahead of our clock a sample may be
	daysAhead     = 2
	// seriesSlack is how much longer than its samples a series is kept: its last_seen may be an hour behind.
	seriesSlack = 3 * time.Hour
)

var (
	rowsWritten   = metrics.GetOrCreateCounter(`keepwatch_writer_samples_total`)
	rowsTwice     = metrics.GetOrCreateCounter(`keepwatch_writer_duplicate_samples_total`)
	droppedOld    = metrics.GetOrCreateCounter(`keepwatch_writer_dropped_samples_total{reason="older_than_retention"}`)
	droppedFuture = metrics.GetOrCreateCounter(`keepwatch_writer_dropped_samples_total{reason="future"}`)
	droppedRefuse = metrics.GetOrCreateCounter(`keepwatch_writer_dropped_messages_total{reason="refused"}`)
	eventsWritten = metrics.GetOrCreateCounter(`keepwatch_writer_events_total`)
	commits       = metrics.GetOrCreateHistogram(`keepwatch_writer_commit_seconds`)
	seriesHeld    = metrics.GetOrCreateGauge(`keepwatch_writer_series`, nil)
	lagSeconds    = metrics.GetOrCreateGauge(`keepwatch_writer_lag_seconds`, nil)
	lagMessages   = metrics.GetOrCreateGauge(`keepwatch_writer_lag_messages`, nil)
)

// Options are what a writer is made of.
type Options struct {
	DB     *db.DB
	Bus    Bus
	Config conf.Storage
	Log    *slog.Logger
}

// Writer takes from the bus into Postgres. Of several on one database one works, the others wait.
type Writer struct {
	opt Options
	log *slog.Logger

	mu     sync.Mutex // held by a flush and by what forgets series
	series table
	days   map[int64]bool // that have a partition, as days since the epoch
	points []db.Point     // of the flush in progress
	events eventArrays
	told   time.Time // when LISTENers were told last
}

// New checks the options.
func New(opt Options) (*Writer, error) {
	if opt.DB == nil || opt.Bus == nil {
		return nil, errors.New("cannot make a writer: want a database and a bus")
	}
	if opt.Config.Retention < 24*time.Hour {
		return nil, fmt.Errorf("cannot make a writer: retention %v, want at least 24h", opt.Config.Retention)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Writer{opt: opt, log: opt.Log, series: newTable()}, nil
}

// Run writes until ctx ends, then returns nil. While the database is away or full it tries again and again.
func (w *Writer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.watchLag(ctx) })
	g.Go(func() error {
		for ctx.Err() == nil {
			err := w.opt.DB.Lead(ctx, "writer", leadEvery, w.lead)
			if ctx.Err() == nil {
				w.log.Warn("the writer lost the database; the bus keeps what comes until it is back", "err", err)
				pause(ctx, leadEvery)
			}
		}
		return nil
	})
	return g.Wait()
}

// lead works for as long as this is the one writer.
func (w *Writer) lead(ctx context.Context) error {
	w.mu.Lock()
	w.series, w.days = newTable(), nil // another one may have forgotten series meanwhile
	w.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.maintain(ctx) })
	g.Go(func() error {
		o := bus.ConsumeOptions{Kinds: []bus.Kind{bus.Samples, bus.Events}, MaxMessages: flushMessages, MaxSamples: flushSamples, MaxWait: w.opt.Config.Flush}
		return w.opt.Bus.Consume(ctx, Consumer, o, w.write)
	})
	return g.Wait()
}

func (w *Writer) watchLag(ctx context.Context) error {
	t := time.NewTicker(lagEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			n, age, err := w.opt.Bus.Lag(ctx, Consumer, bus.Samples)
			if err != nil {
				w.log.Debug("cannot see how far the writer is", "err", err)
				continue
			}
			lagMessages.Set(float64(n))
			lagSeconds.Set(age.Seconds())
		}
	}
}

// explain puts what to do into the error of a write.
func explain(err error) error {
	err = db.Map(err)
	switch {
	case errors.Is(err, db.ErrFull):
		return fmt.Errorf("cannot write samples: %w: free some space on the database's disk; until then the bus keeps what comes", err)
	case db.Unreachable(err):
		return fmt.Errorf("cannot write samples, the database is away; the bus keeps what comes until it is back: %w", err)
	}
	return fmt.Errorf("cannot write samples: %w", err)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
