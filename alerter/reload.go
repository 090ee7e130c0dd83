package alerter

import (
	"context"
	"fmt"
	"time"

	"keepwatch/alerter/message"
	"keepwatch/alerter/rule"
	"keepwatch/metric"
	"keepwatch/schema/db"
)

// seenBefore is how much longer than no_data_for a series may have been silent at a start and still count as watched.
const seenBefore = 10 * time.Minute

// load reads rules and alerts at the beginning of a term. Alerts whose rule was deleted, disabled or changed while
// nobody led are closed.
func (e *engine) load(ctx context.Context) error {
	rules, err := e.opt.DB.AlerterRules(ctx)
	if err != nil {
		return db.Map(err)
	}
	alerts, err := e.opt.DB.AlerterAlerts(ctx)
	if err != nil {
		return db.Map(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range rules {
		if w, err := newWatch(r, e.opt.Config.NoDataFor); err == nil {
			e.watches[r.ID] = w
		} else { // its alerts are to be closed still
			e.watches[r.ID] = &watch{id: r.ID, version: r.Version, name: r.Name, contacts: r.Contacts, tracks: make(map[string]*track)}
		}
	}
	for _, r := range alerts {
		w := e.watches[r.Rule]
		if w == nil {
			continue
		}
		t, err := newTrack(w, r)
		if err != nil {
			e.opt.Log.Error("an alert cannot be read and is left alone", "alert", r.ID, "err", err)
			continue
		}
		w.tracks[t.series.Key()] = t
	}
	for _, w := range e.watches {
		e.retrack(w)
	}
	if err := e.seed(ctx); err != nil {
		return err
	}
	e.apply(rules)
	return e.flush(ctx)
}

// seed makes tracks of the series that were heard of late, so that silence since then is noticed, and gives up those of
// others that were well: that a series is silent which was closed, or has ended, is no news.
func (e *engine) seed(ctx context.Context) error {
	var names []string
	byMetric := make(map[string][]*watch)
	for _, w := range e.watches {
		if w.limits.NoData == 0 {
			continue
		}
		if byMetric[w.selector.Metric] == nil {
			names = append(names, w.selector.Metric)
		}
		byMetric[w.selector.Metric] = append(byMetric[w.selector.Metric], w)
	}
	if len(names) == 0 {
		return nil
	}
	rows, err := e.opt.DB.AlerterSeen(ctx, db.AlerterSeenParams{Metrics: names, Seconds: (e.opt.Config.NoDataFor + seenBefore).Seconds()})
	if err != nil {
		return db.Map(err)
	}
	heard := make(map[*track]bool)
	for _, r := range rows {
		s, err := rowSeries(r.Cluster, r.Host, r.Metric, r.Labels, r.Unit, r.Kind)
		if err != nil {
			return fmt.Errorf("cannot read a series: %w", err)
		}
		for _, w := range byMetric[r.Metric] {
			if w.selector.Matches(s) {
				t := w.track(s)
				t.machine = t.machine.Awake(e.awake)
				heard[t] = true
			}
		}
	}
	for _, watches := range byMetric {
		for _, w := range watches {
			for key, t := range w.tracks {
				if t.machine.Unremarkable() && !heard[t] {
					delete(w.tracks, key)
				}
			}
		}
	}
	return nil
}

// reload brings the rules up to date.
func (e *engine) reload(ctx context.Context) error {
	rules, err := e.opt.DB.AlerterRules(ctx)
	if err != nil {
		return db.Map(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.apply(rules)
	return e.flush(ctx)
}

// apply puts rules in force. What is gone or off is closed; what has changed keeps its alerts' states until the next
// sample is judged, unless a series is no longer watched.
func (e *engine) apply(rules []db.AlerterRulesRow) {
	old := e.watches
	e.watches, e.byMetric = make(map[int32]*watch, len(rules)), make(map[string][]*watch)
	clear(e.cache)
	for _, r := range rules {
		before := old[r.ID]
		delete(old, r.ID)
		w, err := newWatch(r, e.opt.Config.NoDataFor)
		if err != nil && r.Enabled {
			e.complain(r, err)
		}
		if err != nil || !r.Enabled {
			e.closeAll(before, message.RuleDisabled)
			continue
		}
		e.watches[r.ID] = w
		e.byMetric[w.selector.Metric] = append(e.byMetric[w.selector.Metric], w)
		if before != nil {
			e.inherit(w, before)
		}
	}
	for _, gone := range old {
		e.closeAll(gone, message.RuleDeleted)
	}
}

// complain tells once a version what is wrong with a rule.
func (e *engine) complain(r db.AlerterRulesRow, err error) {
	if e.unusable[r.ID] == r.Version {
		return
	}
	e.unusable[r.ID] = r.Version
	badRules.Inc()
	e.opt.Log.Error("a threshold is not judged; save it anew in the web app", "rule", r.Name, "err", err)
}

// inherit gives a new version of a rule the series of the one before.
func (e *engine) inherit(w, before *watch) {
	w.tracks = before.tracks
	for _, t := range w.tracks {
		t.watch = w
	}
	if w.judgesAs(before) {
		return
	}
	for _, t := range w.tracks {
		t.machine = t.machine.Restarted()
	}
	e.retrack(w)
}

// retrack closes what a rule no longer covers.
func (e *engine) retrack(w *watch) {
	for key, t := range w.tracks {
		switch {
		case w.selector.Metric == "": // only to be closed
		case !w.selector.Matches(t.series):
			e.close(t, message.RuleChanged)
			delete(w.tracks, key)
		case t.machine.State == rule.Unknown && w.limits.NoData == 0:
			e.close(t, message.SilenceFine)
		}
	}
}

func (e *engine) closeAll(w *watch, why message.Closed) {
	if w == nil {
		return
	}
	for _, t := range w.tracks {
		e.close(t, why)
	}
}

// close ends the alert of a track for another reason than a sample. What waits in the database for a sample that
// nobody will judge is taken back too.
func (e *engine) close(t *track, why message.Closed) {
	if t.machine.State == "" {
		return // never judged
	}
	m, change := rule.Close(t.machine, time.Now().UnixMilli())
	t.machine = m
	if change != nil || t.stored.row && t.stored.level != "" && t.stored.level != rule.OK {
		e.note(t, change, why)
	}
}

// rowKey is the key of a series as its row has it.
func rowKey(cluster, host, name string, labels []byte) (string, error) {
	s, err := rowSeries(cluster, host, name, labels, "", metric.Gauge.String())
	if err != nil {
		return "", err
	}
	return s.Key(), nil
}
