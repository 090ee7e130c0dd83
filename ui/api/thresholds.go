package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"keepwatch/metric"
	"keepwatch/metric/threshold"
	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// Watch says which series are judged, and how.
type Watch struct {
	Metric    string            `json:"metric" minLength:"1" maxLength:"200"`
	Hosts     string            `json:"hosts" maxLength:"2000" doc:"globs of host or cluster/host, separated by commas: web/*, lb1"`
	Labels    map[string]string `json:"labels" doc:"glob of each label that matters"`
	Transform string            `json:"transform" enum:"value,rate" doc:"rate: the increase per second of a counter"`
	Warning   string            `json:"warning" maxLength:"100" doc:"Nagios range: 80 alerts outside of 0 to 80, 10: below 10, @1:2 inside of 1 to 2; empty: none"`
	Critical  string            `json:"critical" maxLength:"100" doc:"as warning"`
	ForS      int32             `json:"for_seconds" minimum:"0" maximum:"604800" doc:"outside for this long before it alerts"`
}

// ThresholdInput is what a person says of a threshold.
type ThresholdInput struct {
	Watch
	Name        string  `json:"name" minLength:"1" maxLength:"200"`
	ClearS      int32   `json:"clear_seconds" minimum:"0" maximum:"604800" doc:"inside for this long before it recovers"`
	NoData      bool    `json:"no_data" doc:"silence of a watched series is UNKNOWN"`
	Description string  `json:"description" maxLength:"4000" doc:"what it means and what to do; told in each message"`
	Enabled     bool    `json:"enabled"`
	Contacts    []int32 `json:"contacts" maxItems:"200" uniqueItems:"true" doc:"ids of the contacts that are told"`
}

// Threshold is a threshold as it is stored.
type Threshold struct {
	ThresholdInput
	ID        int32  `json:"id"`
	Version   int32  `json:"version" doc:"grows with each change; a change must name the one that it was made from"`
	UpdatedAt Time   `json:"updated_at"`
	UpdatedBy string `json:"updated_by"`
	Alerting  int32  `json:"alerting" doc:"open alerts"`
}

func thresholdOf(r db.UIRulesRow) Threshold {
	return Threshold{
		ThresholdInput: ThresholdInput{
			Watch: Watch{Metric: r.Metric, Hosts: r.Hosts, Labels: labelsOf(r.Labels), Transform: r.Transform, Warning: r.Warning, Critical: r.Critical, ForS: r.ForSeconds},
			Name:  r.Name, ClearS: r.ClearSeconds, NoData: r.NoData, Description: r.Description, Enabled: r.Enabled, Contacts: append([]int32{}, r.Contacts...),
		},
		ID: r.ID, Version: r.Version, UpdatedAt: at(r.UpdatedAt), UpdatedBy: r.UpdatedBy, Alerting: r.Alerting,
	}
}

func (a *API) registerThresholds() {
	register(a, "list-thresholds", http.MethodGet, "/thresholds", auth.Viewer, "All thresholds", func(ctx context.Context, _ *none) (*items[Threshold], error) {
		rows, err := a.db.UIRules(ctx, 0)
		return list(each(rows, thresholdOf)), err
	})
	register(a, "get-threshold", http.MethodGet, "/thresholds/{id}", auth.Viewer, "One threshold", func(ctx context.Context, in *Numbered) (*body[Threshold], error) {
		return a.threshold(ctx, in.ID)
	})
	register(a, "create-threshold", http.MethodPost, "/thresholds", auth.Operator, "Set a threshold", a.createThreshold, status(http.StatusCreated))
	register(a, "update-threshold", http.MethodPut, "/thresholds/{id}", auth.Operator, "Change a threshold; 409 when it has changed meanwhile", a.updateThreshold)
	register(a, "delete-threshold", http.MethodDelete, "/thresholds/{id}", auth.Operator, "Remove a threshold with its alerts", a.deleteThreshold, status(http.StatusNoContent))
	register(a, "preview-threshold", http.MethodPost, "/thresholds/preview", auth.Viewer, "What a threshold would find now and would have found in the last day", a.preview)
}

func (a *API) threshold(ctx context.Context, id int32) (*body[Threshold], error) {
	rows, err := a.db.UIRules(ctx, id)
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("cannot find threshold %d: %w", id, db.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return one(thresholdOf(rows[0])), nil
}

// ranges are the two ranges of a Watch.
type ranges struct{ warning, critical threshold.Range }

// check gathers all that is wrong with what is to be watched.
func (w *Watch) check() (ranges, []error) {
	var r ranges
	var faults []error
	add := func(name string, value any, err error) {
		if err != nil {
			faults = append(faults, field(name, strings.TrimPrefix(err.Error(), "invalid "), value))
		}
	}
	add("metric", w.Metric, metric.CheckName(w.Metric))
	add("hosts", w.Hosts, (&threshold.Selector{Metric: "any", Hosts: w.Hosts}).Check())
	add("hosts", w.Hosts, printable(w.Hosts, false))
	for _, name := range slices.Sorted(maps.Keys(w.Labels)) {
		add("labels."+name, w.Labels[name], metric.CheckLabel(metric.Label{Name: name, Value: w.Labels[name]}))
	}
	if len(w.Labels) > metric.MaxLabels {
		add("labels", nil, fmt.Errorf("%d labels, at most %d", len(w.Labels), metric.MaxLabels))
	}
	var err error
	r.warning, err = threshold.ParseRange(w.Warning)
	add("warning", w.Warning, err)
	r.critical, err = threshold.ParseRange(w.Critical)
	add("critical", w.Critical, err)
	return r, faults
}

func (in *ThresholdInput) check() error {
	in.Name = strings.TrimSpace(in.Name)
	_, faults := in.Watch.check()
	if in.Name == "" {
		faults = append(faults, field("name", "give it a name", in.Name))
	}
	if err := printable(in.Name, false); err != nil {
		faults = append(faults, field("name", err.Error(), in.Name))
	}
	if err := printable(in.Description, true); err != nil {
		faults = append(faults, field("description", err.Error(), nil))
	}
	if in.Warning == "" && in.Critical == "" {
		faults = append(faults, field("warning", "give a warning or a critical range", ""))
	}
	if len(faults) > 0 {
		return wrong(faults...)
	}
	return nil
}

// printable refuses control characters, but for the ends of lines where lines are wanted.
func printable(s string, lines bool) error {
	for _, r := range s {
		if unicode.IsControl(r) && (!lines || r != '\n' && r != '\r' && r != '\t') {
			return fmt.Errorf("holds the control character %U: remove it", r)
		}
	}
	return nil
}

type newThreshold struct{ Body ThresholdInput }

func (a *API) createThreshold(ctx context.Context, in *newThreshold) (*body[Threshold], error) {
	t := &in.Body
	if err := t.check(); err != nil {
		return nil, err
	}
	labels, err := json.Marshal(t.Labels)
	if err != nil {
		return nil, err
	}
	var id int32
	err = a.db.InTx(ctx, func(tx *db.Tx) error {
		id, err = tx.UICreateRule(ctx, db.UICreateRuleParams{
			Name: t.Name, Metric: t.Metric, Hosts: t.Hosts, Labels: labels, Transform: t.Transform, Warning: t.Warning, Critical: t.Critical,
			ForSeconds: t.ForS, ClearSeconds: t.ClearS, NoData: t.NoData, Description: t.Description, Enabled: t.Enabled, UpdatedBy: actor(ctx),
		})
		if err != nil {
			return err
		}
		if err := setContacts(ctx, tx, id, t.Contacts); err != nil {
			return err
		}
		return audit(ctx, tx, "threshold.create", t.Name, t)
	})
	if err != nil {
		return nil, thresholdFault(err, t)
	}
	return a.threshold(ctx, id)
}

type changedThreshold struct {
	Numbered
	Body struct {
		ThresholdInput
		Version int32 `json:"version" doc:"the version that the change was made from"`
	}
}

func (a *API) updateThreshold(ctx context.Context, in *changedThreshold) (*body[Threshold], error) {
	t := &in.Body.ThresholdInput
	if err := t.check(); err != nil {
		return nil, err
	}
	labels, err := json.Marshal(t.Labels)
	if err != nil {
		return nil, err
	}
	before, err := a.threshold(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	err = a.db.InTx(ctx, func(tx *db.Tx) error {
		n, err := tx.UIUpdateRule(ctx, db.UIUpdateRuleParams{
			ID: in.ID, Version: in.Body.Version,
			Name: t.Name, Metric: t.Metric, Hosts: t.Hosts, Labels: labels, Transform: t.Transform, Warning: t.Warning, Critical: t.Critical,
			ForSeconds: t.ForS, ClearSeconds: t.ClearS, NoData: t.NoData, Description: t.Description, Enabled: t.Enabled, UpdatedBy: actor(ctx),
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return errStale
		}
		if err := setContacts(ctx, tx, in.ID, t.Contacts); err != nil {
			return err
		}
		return audit(ctx, tx, "threshold.update", t.Name, map[string]any{"from": before.Body.ThresholdInput, "to": t})
	})
	if errors.Is(err, errStale) {
		return nil, a.stale(ctx, in.ID)
	}
	if err != nil {
		return nil, thresholdFault(err, t)
	}
	return a.threshold(ctx, in.ID)
}

var errStale = errors.New("the row has another version")

// stale tells the one who comes too late who was faster.
func (a *API) stale(ctx context.Context, id int32) error {
	now, err := a.threshold(ctx, id)
	if err != nil {
		return err
	}
	return conflict(fmt.Sprintf("%s changed this threshold meanwhile. Reload it and make the change again.", now.Body.UpdatedBy))
}

func setContacts(ctx context.Context, tx *db.Tx, rule int32, contacts []int32) error {
	if err := tx.UIDropRuleContacts(ctx, db.UIDropRuleContactsParams{Rule: rule, Contacts: append([]int32{}, contacts...)}); err != nil {
		return err
	}
	return tx.UIAddRuleContacts(ctx, db.UIAddRuleContactsParams{Rule: rule, Contacts: append([]int32{}, contacts...)})
}

// thresholdFault puts a refusal by the database beside its field.
func thresholdFault(err error, t *ThresholdInput) error {
	switch {
	case isConstraint(err, "rules_name_key"):
		return wrong(field("name", "there is a threshold of this name already", t.Name))
	case isConstraint(err, "rule_contacts_contact_fkey"):
		return wrong(field("contacts", "one of these contacts is gone: reload", nil))
	case errors.Is(err, db.ErrNotFound):
		return fmt.Errorf("cannot find the threshold: %w", err)
	}
	return err
}

func (a *API) deleteThreshold(ctx context.Context, in *Numbered) (*none, error) {
	return nil, a.db.InTx(ctx, func(tx *db.Tx) error {
		name, err := tx.UIDeleteRule(ctx, in.ID)
		if err != nil {
			return err
		}
		return audit(ctx, tx, "threshold.delete", name, map[string]any{"id": in.ID})
	})
}
