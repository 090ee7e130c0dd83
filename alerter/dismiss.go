package alerter

import (
	"context"

	"keepwatch/alerter/message"
	"keepwatch/schema/db"
)

// dismiss closes the alerts of hosts that were forgotten: nothing would ever end them. The database says which, so it
// is all one when and where the event is read, or whether it was before a restart. A series that came since, or comes
// still, as a shared check of the host, is not silent with it and stays.
func (e *engine) dismiss(ctx context.Context, now int64) error {
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
