package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"keepwatch/bus"
	"keepwatch/metric"
	"keepwatch/schema/db"
)

const day = int64(24 * time.Hour / time.Millisecond)

// write is what the bus calls: nil means that all of the messages is committed, or counted as dropped.
func (w *Writer) write(ctx context.Context, messages []bus.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.flush(ctx, messages)
	if !errors.Is(err, db.ErrCheck) {
		return err
	}
	// A value in it is refused for good. Batch by batch, what is sound gets through.
	w.days = nil
	for i := range messages {
		switch err := w.flush(ctx, messages[i:i+1]); {
		case errors.Is(err, db.ErrCheck):
			droppedRefuse.Inc()
			w.log.Error("the database refuses a batch; it is dropped", "cluster", messages[i].Cluster, "sequence", messages[i].Seq, "err", err)
		case err != nil:
			return err
		}
	}
	return nil
}

func (w *Writer) flush(ctx context.Context, messages []bus.Message) error {
	started := time.Now()
	w.points, w.events = w.points[:0], eventArrays{}
	w.series.renew = w.series.renew[:0]
	if len(w.series.known) > maxRemembered {
		w.series = newTable()
	}
	if err := w.number(ctx, messages, started); err != nil {
		return explain(err)
	}
	w.collect(messages, started)
	if len(w.points) == 0 && w.events.empty() {
		return nil
	}
	w.points = unique(w.points)
	if err := w.ensureDays(ctx, w.points); err != nil {
		return explain(err)
	}
	hosts, err := w.commit(ctx, started)
	if err != nil {
		for _, k := range w.series.renew {
			k.seen = 0 // not written after all
		}
		return explain(err)
	}
	for _, h := range hosts {
		h.written = h.newest
	}
	commits.UpdateDuration(started)
	return nil
}

// number gives every series of the messages its id.
func (w *Writer) number(ctx context.Context, messages []bus.Message, now time.Time) error {
	t := &w.series
	t.missing, t.when = nil, nil
	var met map[*metric.Series]struct{}
	for _, m := range messages {
		for i := range m.Batch.Samples {
			s := &m.Batch.Samples[i]
			if t.known[s.Series] != nil || !w.within(s.Time, now) {
				continue
			}
			if _, ok := met[s.Series]; ok {
				continue
			}
			if met == nil {
				met = make(map[*metric.Series]struct{})
			}
			met[s.Series] = struct{}{}
			t.missing, t.when = append(t.missing, s.Series), append(t.when, s.Time)
		}
	}
	return w.resolve(ctx)
}

func (w *Writer) within(at int64, now time.Time) bool {
	return at > now.Add(-w.opt.Config.Retention).UnixMilli() && at <= now.Add(futureSlack).UnixMilli()
}

// collect gathers the rows of the messages.
func (w *Writer) collect(messages []bus.Message, now time.Time) {
	oldest, latest, clock := now.Add(-w.opt.Config.Retention).UnixMilli(), now.Add(futureSlack).UnixMilli(), now.UnixMilli()
	for _, m := range messages {
		for i := range m.Batch.Samples {
			s := &m.Batch.Samples[i]
			switch {
			case s.Time <= oldest:
				droppedOld.Inc()
				continue
			case s.Time > latest:
				droppedFuture.Inc()
				continue
			}
			k := w.series.known[s.Series]
			w.series.saw(k, s.Time, clock, s.Series.Name == hostUpMetric)
			w.points = append(w.points, db.Point{Series: k.id, Time: s.Time, Value: s.Value})
		}
		for i := range m.Batch.Events {
			w.events.add(&m.Batch.Events[i])
		}
	}
}

// unique sorts by series and time, as the index is, and keeps one of equal ones.
func unique(points []db.Point) []db.Point {
	slices.SortFunc(points, func(a, b db.Point) int {
		if c := cmp.Compare(a.Series, b.Series); c != 0 {
			return c
		}
		return cmp.Compare(a.Time, b.Time)
	})
	n := len(points)
	points = slices.CompactFunc(points, func(a, b db.Point) bool { return a.Series == b.Series && a.Time == b.Time })
	rowsTwice.Add(n - len(points))
	return points
}

// commit writes everything in one transaction: samples by COPY, which is cheapest and fails when one is there
// already; then once more by the way that bears it.
func (w *Writer) commit(ctx context.Context, now time.Time) ([]*hostSeen, error) {
	fresh := int64(len(w.points))
	hosts, err := w.transact(ctx, now, func(tx *db.Tx) error { return tx.CopySamples(ctx, w.points) })
	if errors.Is(err, db.ErrExists) {
		hosts, err = w.transact(ctx, now, func(tx *db.Tx) (err error) {
			fresh, err = tx.MergeSamples(ctx, w.points)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	rowsWritten.Add(int(fresh))
	rowsTwice.Add(len(w.points) - int(fresh))
	eventsWritten.Add(len(w.events.Ids))
	return hosts, nil
}

func (w *Writer) transact(ctx context.Context, now time.Time, samples func(*db.Tx) error) (hosts []*hostSeen, err error) {
	tell := len(w.points) > 0 && now.Sub(w.told) >= time.Second
	err = w.opt.DB.InTx(ctx, func(tx *db.Tx) (err error) {
		if len(w.points) > 0 {
			if err := samples(tx); err != nil {
				return err
			}
		}
		if hosts, err = w.note(ctx, tx); err != nil {
			return err
		}
		if !w.events.empty() {
			if _, err := tx.AddEvents(ctx, db.AddEventsParams(w.events)); err != nil {
				return fmt.Errorf("cannot write events: %w", db.Map(err))
			}
		}
		if tell {
			return tx.TellSamples(ctx, fmt.Sprintf(`{"newest":%d}`, w.newest()))
		}
		return nil
	})
	if err == nil && tell {
		w.told = now
	}
	return hosts, err
}

func (w *Writer) newest() (at int64) {
	for i := range w.points {
		at = max(at, w.points[i].Time)
	}
	return at
}

// eventArrays are the columns of the events of a flush.
type eventArrays db.AddEventsParams

func (a *eventArrays) empty() bool { return len(a.Ids) == 0 }

func (a *eventArrays) add(e *metric.Event) {
	a.Clusters, a.Hosts, a.Ids = append(a.Clusters, e.Cluster), append(a.Hosts, e.Host), append(a.Ids, e.ID)
	a.Times, a.Kinds = append(a.Times, time.UnixMilli(e.Time)), append(a.Kinds, string(e.Kind))
	a.Texts, a.Labels = append(a.Texts, e.Text), append(a.Labels, labelsJSON(e.Labels))
}
