package alerter

import (
	"context"
	"errors"

	"keepwatch/alerter/message"
	"keepwatch/alerter/rule"
	"keepwatch/schema/db"
)

// dismiss deals with hosts of which nothing more is said under their names. It comes before time passes for the engine,
// so that their silence is no news.
func (e *engine) dismiss(ctx context.Context, now int64) error {
	return errors.Join(e.rename(ctx), e.closeForgotten(ctx, now))
}

// rename stops watching for the silence of hosts that are kept under another name since.
func (e *engine) rename(ctx context.Context) error {
	rows, err := e.opt.DB.AlerterRenamed(ctx, (e.opt.Config.NoDataFor + seenBefore).Seconds())
	if err != nil || len(rows) == 0 {
		return db.Map(err)
	}
	type name struct{ cluster, host string }
	at := make(map[name]int64, len(rows))
	for _, r := range rows {
		at[name{r.Cluster, r.Host}] = r.Renamed.UnixMilli()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.watches {
		if w.limits.NoData == 0 {
			continue
		}
		for key, t := range w.tracks {
			if renamed := at[name{t.series.Cluster, t.series.Host}]; t.machine.State == rule.OK && t.machine.Time < renamed {
				delete(w.tracks, key)
				clear(e.cache)
			}
		}
	}
	return nil
}

// closeForgotten closes the alerts of hosts that were forgotten: nothing would ever end them. The database says which, so it
// is all one when and where the event is read, or whether it was before a restart. A series that came since, or comes
// still, as a shared check of the host, is not silent with it and stays.
func (e *engine) closeForgotten(ctx context.Context, now int64) error {
	rows, err := e.opt.DB.AlerterForgotten(ctx)
	if err != nil || len(rows) == 0 {
		return db.Map(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range rows {
		w := e.watches[r.Rule]
		key, err := rowKey(r.Cluster, r.Host, r.Metric, r.Labels)
		if w == nil || err != nil || w.tracks[key] == nil {
			continue // the rule was changed a moment ago; the next time knows
		}
		t := w.tracks[key]
		silent := now - t.machine.Awake(e.awake).Seen
		if t.machine.Time < r.Forgotten.UnixMilli() && silent > e.opt.Config.NoDataFor.Milliseconds() {
			e.close(t, message.HostForgotten)
			delete(w.tracks, key) // its silence means nothing from now on
			clear(e.cache)
		}
	}
	return e.flush(ctx)
}
