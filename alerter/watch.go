package alerter

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"keepwatch/alerter/rule"
	"keepwatch/metric"
	"keepwatch/metric/threshold"
	"keepwatch/schema/db"
)

// watch is a rule in force with the series that it watches.
type watch struct {
	id, version int32
	name, about string
	selector    threshold.Selector
	limits      rule.Limits
	contacts    []int32
	tracks      map[string]*track // by the series' key
}

// track is one series under one rule.
type track struct {
	watch   *watch
	series  *metric.Series
	machine rule.Machine
	stored  stored
	alert   int64 // id of its row; 0: unknown
}

// stored is what of a machine the database knows, as far as a restart would need it.
type stored struct {
	row                       bool
	state, level              rule.State
	alarmSince, criticalSince int64
}

// newWatch reads a rule. The error is about what a person wrote into the table without going through the API.
func newWatch(r db.AlerterRulesRow, silence time.Duration) (*watch, error) {
	w := &watch{id: r.ID, version: r.Version, name: r.Name, about: r.Description, contacts: r.Contacts, tracks: make(map[string]*track)}
	w.selector = threshold.Selector{Metric: r.Metric, Hosts: r.Hosts}
	if err := json.Unmarshal(r.Labels, &w.selector.Labels); err != nil {
		return nil, fmt.Errorf("cannot read the labels of threshold %q: want an object of texts: %w", r.Name, err)
	}
	if err := w.selector.Check(); err != nil {
		return nil, fmt.Errorf("cannot use threshold %q: %w", r.Name, err)
	}
	w.limits = rule.Limits{Transform: r.Transform, For: time.Duration(r.ForSeconds) * time.Second, Clear: time.Duration(r.ClearSeconds) * time.Second}
	if r.NoData {
		w.limits.NoData = silence
	}
	var err error
	if w.limits.Warning, err = threshold.ParseRange(r.Warning); err != nil {
		return nil, fmt.Errorf("cannot read the warning range of threshold %q: %w", r.Name, err)
	}
	if w.limits.Critical, err = threshold.ParseRange(r.Critical); err != nil {
		return nil, fmt.Errorf("cannot read the critical range of threshold %q: %w", r.Name, err)
	}
	return w, nil
}

// judgesAs reports whether two versions of a rule judge in the same way.
func (w *watch) judgesAs(o *watch) bool {
	return w.limits == o.limits && reflect.DeepEqual(w.selector, o.selector)
}

// track gives the track of a series, making it if it is new.
func (w *watch) track(s *metric.Series) *track {
	t := w.tracks[s.Key()]
	if t == nil {
		t = &track{watch: w, series: s}
		w.tracks[s.Key()] = t
	}
	t.series = s // the newest has the unit and kind that are sent now
	return t
}

// newTrack is a track as its alert's row has it. A machine that cannot be read is begun anew in the row's state.
func newTrack(w *watch, r db.AlerterAlertsRow) (*track, error) {
	s, err := rowSeries(r.Cluster, r.Host, r.Metric, r.Labels, r.Unit, r.Kind)
	if err != nil {
		return nil, err
	}
	m, err := rule.Parse(r.Machine)
	if err != nil || string(m.State) != r.State {
		m = rule.Machine{State: rule.State(r.State), Since: r.Since.UnixMilli()}
		if m.State != rule.OK {
			m.Began = m.Since
		}
	}
	t := &track{watch: w, series: s, machine: m, alert: r.ID}
	t.stored = t.storable()
	if r.RuleVersion != w.version {
		t.machine = m.Restarted()
	}
	return t, nil
}

func rowSeries(cluster, host, name string, labels json.RawMessage, unit, kind string) (*metric.Series, error) {
	var byName map[string]string
	if err := json.Unmarshal(labels, &byName); err != nil {
		return nil, fmt.Errorf("cannot read the labels of an alert on %s: %w", host, err)
	}
	list := make([]metric.Label, 0, len(byName))
	for n, v := range byName {
		list = append(list, metric.Label{Name: n, Value: v})
	}
	k, err := metric.ParseKind(kind)
	if err != nil {
		return nil, err
	}
	return metric.NewSeries(cluster, host, name, list, metric.Unit(unit), k)
}

func labelsJSON(s *metric.Series) (json.RawMessage, error) {
	byName := make(map[string]string, len(s.Labels))
	for _, l := range s.Labels {
		byName[l.Name] = l.Value
	}
	return json.Marshal(byName)
}

func (t *track) storable() stored {
	m := &t.machine
	return stored{row: true, state: m.State, level: m.Level, alarmSince: m.AlarmSince, criticalSince: m.CriticalSince}
}

// waits reports whether a restart would lose something: the beginning or the end of a wait for `for` or `clear`.
func (t *track) waits() bool {
	l := &t.watch.limits
	calm := t.machine.Level == rule.OK || t.machine.Level == ""
	if l.For == 0 && l.Clear == 0 || !t.stored.row && calm {
		return false
	}
	return t.storable() != t.stored
}
