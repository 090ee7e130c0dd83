package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keepwatch/schema/db"
)

// ensureDays makes the partitions that the points need and that are not known to be there.
func (w *Writer) ensureDays(ctx context.Context, points []db.Point) error {
	last := int64(-1)
	for i := range points {
		d := points[i].Time / day
		if d == last || w.days[d] {
			continue
		}
		last = d
		if err := w.makeDay(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) makeDay(ctx context.Context, d int64) error {
	if err := w.opt.DB.MakeSampleDay(ctx, time.UnixMilli(d*day)); err != nil {
		return err
	}
	if w.days == nil {
		w.days = make(map[int64]bool)
	}
	w.days[d] = true
	return nil
}

// maintain makes the days ahead and drops what is past the retention, at once and then every few minutes. What
// fails is tried again the next time.
func (w *Writer) maintain(ctx context.Context) error {
	for {
		if err := w.maintainOnce(ctx, time.Now()); err != nil && ctx.Err() == nil {
			w.log.Warn("cannot keep the partitions in order; trying again", "err", explain(err), "again_in", maintainEvery)
		}
		pause(ctx, maintainEvery)
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (w *Writer) maintainOnce(ctx context.Context, now time.Time) error {
	return errors.Join(w.makeAhead(ctx, now), w.dropOld(ctx, now), w.forgetSeries(ctx, now))
}

func (w *Writer) makeAhead(ctx context.Context, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	today := now.UnixMilli() / day
	for d := today; d <= today+daysAhead; d++ {
		if !w.days[d] {
			if err := w.makeDay(ctx, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropOld drops the days of which every sample is past the retention.
func (w *Writer) dropOld(ctx context.Context, now time.Time) error {
	days, err := w.opt.DB.ListSampleDays(ctx)
	if err != nil {
		return fmt.Errorf("cannot list the partitions: %w", err)
	}
	for _, d := range days {
		if d.AddDate(0, 0, 1).After(now.Add(-w.opt.Config.Retention)) {
			continue
		}
		w.mu.Lock()
		delete(w.days, d.UnixMilli()/day)
		w.mu.Unlock()
		if err := w.opt.DB.DropSampleDay(ctx, d); err != nil {
			return err
		}
		w.log.Info("dropped the samples of a day past the retention", "day", d.Format(time.DateOnly))
	}
	return nil
}

// forgetSeries drops series and hosts that have no sample left.
func (w *Writer) forgetSeries(ctx context.Context, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := now.Add(-w.opt.Config.Retention - seriesSlack)
	gone, err := w.opt.DB.ForgetSeries(ctx, before)
	if err != nil {
		return fmt.Errorf("cannot forget series without samples: %w", db.Map(err))
	}
	w.series.forget(gone, now.Add(-2*time.Hour).UnixMilli())
	if err := w.opt.DB.ForgetHosts(ctx, before); err != nil {
		return fmt.Errorf("cannot forget hosts without samples: %w", db.Map(err))
	}
	for key, h := range w.series.hosts {
		if h.newest < before.UnixMilli() {
			delete(w.series.hosts, key)
		}
	}
	return nil
}
