package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"keepwatch/metric"
	"keepwatch/metric/threshold"
	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// Alert is a series that a threshold found outside its range, now or the last time.
type Alert struct {
	ID             int64             `json:"id"`
	RuleID         int32             `json:"rule_id"`
	RuleName       string            `json:"rule_name"`
	Cluster        string            `json:"cluster"`
	Host           string            `json:"host"`
	Metric         string            `json:"metric"`
	Labels         map[string]string `json:"labels"`
	Unit           string            `json:"unit" doc:"of value"`
	State          string            `json:"state" enum:"ok,warning,critical,unknown"`
	Since          Time              `json:"since" doc:"when this state began"`
	Value          *float64          `json:"value"`
	Warning        string            `json:"warning" doc:"the threshold's range"`
	Critical       string            `json:"critical"`
	Description    string            `json:"description"`
	AcknowledgedBy *string           `json:"acknowledged_by"`
	AcknowledgedAt *Time             `json:"acknowledged_at" nullable:"true"`
	AckComment     string            `json:"ack_comment"`
	UpdatedAt      Time              `json:"updated_at"`
}

func alertOf(r db.UIAlertRow) Alert {
	unit := r.Unit
	if r.Transform == threshold.Rate {
		unit = perSecond(unit)
	}
	return Alert{
		ID: r.ID, RuleID: r.Rule, RuleName: r.RuleName, Cluster: r.Cluster, Host: r.Host, Metric: r.Metric, Labels: labelsOf(r.Labels),
		Unit: unit, State: r.State, Since: at(r.Since), Value: r.Value, Warning: r.Warning, Critical: r.Critical, Description: r.Description,
		AcknowledgedBy: r.AcknowledgedBy, AcknowledgedAt: atOrNull(r.AcknowledgedAt), AckComment: r.AckComment, UpdatedAt: at(r.UpdatedAt),
	}
}

// perSecond is the unit of a counter's increase per second.
func perSecond(unit string) string {
	switch metric.Unit(unit) {
	case metric.NoUnit:
		return string(metric.PerSecond)
	case metric.Seconds: // seconds of work in a second
		return string(metric.Ratio)
	}
	return unit + "_per_second"
}

// AlertEvent is one change of an alert.
type AlertEvent struct {
	ID    int64    `json:"id"`
	Time  Time     `json:"time"`
	From  string   `json:"from"`
	To    string   `json:"to" doc:"the new state; also acknowledged and unacknowledged"`
	Value *float64 `json:"value"`
	Text  string   `json:"text"`
	Actor string   `json:"actor" doc:"who acted; system: nobody"`
}

func (a *API) registerAlerts() {
	register(a, "list-alerts", http.MethodGet, "/alerts", auth.Viewer, "Alerts: critical first, then unknown and warning, newest first", a.listAlerts)
	register(a, "get-alert", http.MethodGet, "/alerts/{id}", auth.Viewer, "One alert with its history", a.getAlert)
	register(a, "acknowledge-alert", http.MethodPost, "/alerts/{id}/acknowledge", auth.Operator, "Take charge of an alert", a.acknowledge)
	register(a, "unacknowledge-alert", http.MethodDelete, "/alerts/{id}/acknowledge", auth.Operator, "Take an acknowledgement back", a.unacknowledge)
	register(a, "list-events", http.MethodGet, "/events", auth.Viewer, "What happened, newest first", a.listEvents)
}

type alertFilter struct {
	State string `query:"state" enum:"open,all,critical,warning,unknown" default:"open"`
	Host  string `query:"host" maxLength:"510" doc:"name of a host, or cluster/host"`
	Rule  int32  `query:"rule" minimum:"0" doc:"id of a threshold"`
	Limit int32  `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

func statesOf(filter string) []string {
	switch filter {
	case "all":
		return []string{"critical", "unknown", "warning", "ok"}
	case "critical", "warning", "unknown":
		return []string{filter}
	}
	return []string{"critical", "unknown", "warning"}
}

func (a *API) listAlerts(ctx context.Context, in *alertFilter) (*items[Alert], error) {
	cluster, host, two := strings.Cut(in.Host, "/")
	if !two {
		cluster, host = "", in.Host
	}
	all, err := a.alerts(ctx, db.UIAlertsParams{States: statesOf(in.State), Cluster: cluster, Host: host, Rule: in.Rule, N: in.Limit})
	return list(all), err
}

func (a *API) alerts(ctx context.Context, p db.UIAlertsParams) ([]Alert, error) {
	rows, err := a.db.UIAlerts(ctx, p)
	if err != nil {
		return nil, err
	}
	return each(rows, func(r db.UIAlertsRow) Alert { return alertOf(db.UIAlertRow(r)) }), nil
}

func (a *API) alert(ctx context.Context, id int64) (Alert, error) {
	row, err := a.db.UIAlert(ctx, id)
	if err != nil {
		return Alert{}, err
	}
	return alertOf(row), nil
}

// AlertDetail is an alert with all that a person needs to judge it.
type AlertDetail struct {
	Alert         Alert          `json:"alert"`
	Events        []AlertEvent   `json:"events"`
	Notifications []Notification `json:"notifications"`
	Around        []Event        `json:"around" doc:"what happened in the cluster in the ten minutes before and after the alert's beginning"`
}

const around = 10 * time.Minute

func (a *API) getAlert(ctx context.Context, in *Counted) (*body[AlertDetail], error) {
	var d AlertDetail
	var err error
	if d.Alert, err = a.alert(ctx, in.ID); err != nil {
		return nil, err
	}
	events, err := a.db.UIAlertEvents(ctx, db.UIAlertEventsParams{Alert: in.ID, N: 500})
	if err != nil {
		return nil, err
	}
	d.Events = each(events, func(e db.AlertEvent) AlertEvent {
		return AlertEvent{ID: e.ID, Time: at(e.Time), From: e.FromState, To: e.ToState, Value: e.Value, Text: e.Text, Actor: e.Actor}
	})
	if d.Notifications, err = a.notifications(ctx, db.UINotificationsParams{Alert: in.ID, N: 200}); err != nil {
		return nil, err
	}
	since := d.Alert.Since
	rows, err := a.db.UIEvents(ctx, db.UIEventsParams{Cluster: d.Alert.Cluster, Since: since.Add(-around), Until: since.Add(around), N: 200})
	d.Around = each(rows, eventOf)
	return one(d), err
}

type acknowledgement struct {
	Counted
	Body struct {
		Comment string `json:"comment,omitempty" maxLength:"1000"`
	}
}

func (a *API) acknowledge(ctx context.Context, in *acknowledgement) (*body[Alert], error) {
	err := a.db.InTx(ctx, func(tx *db.Tx) error {
		n, err := tx.UIAcknowledge(ctx, db.UIAcknowledgeParams{ID: in.ID, Who: actor(ctx), Comment: in.Body.Comment})
		if err != nil || n == 0 {
			return err
		}
		return a.noteAcknowledgement(ctx, tx, in.ID, "acknowledge", in.Body.Comment)
	})
	if err != nil {
		return nil, err
	}
	return a.acknowledged(ctx, in.ID, true)
}

func (a *API) unacknowledge(ctx context.Context, in *Counted) (*body[Alert], error) {
	err := a.db.InTx(ctx, func(tx *db.Tx) error {
		n, err := tx.UIUnacknowledge(ctx, in.ID)
		if err != nil || n == 0 {
			return err
		}
		return a.noteAcknowledgement(ctx, tx, in.ID, "unacknowledge", "")
	})
	if err != nil {
		return nil, err
	}
	return a.acknowledged(ctx, in.ID, false)
}

func (a *API) noteAcknowledgement(ctx context.Context, tx *db.Tx, id int64, what, comment string) error {
	if err := tx.UIWriteAlertEvent(ctx, db.UIWriteAlertEventParams{Alert: id, ToState: what + "d", Text: comment, Actor: actor(ctx)}); err != nil {
		return err
	}
	row, err := tx.UIAlert(ctx, id)
	if err != nil {
		return err
	}
	object := row.RuleName + " on " + row.Cluster + "/" + row.Host
	return audit(ctx, tx, "alert."+what, object, map[string]any{"alert": id, "comment": comment})
}

// acknowledged answers with the alert as it is now. An alert that is over can't be acknowledged.
func (a *API) acknowledged(ctx context.Context, id int64, want bool) (*body[Alert], error) {
	now, err := a.alert(ctx, id)
	if err != nil {
		return nil, err
	}
	if want && now.AcknowledgedAt == nil {
		return nil, conflict("The alert is over: there is nothing to acknowledge.")
	}
	return one(now), nil
}

type eventFilter struct {
	Cluster string    `query:"cluster" maxLength:"253"`
	Host    string    `query:"host" maxLength:"253"`
	Kind    string    `query:"kind" maxLength:"200"`
	Since   time.Time `query:"since"`
	Until   time.Time `query:"until" doc:"default: no end"`
	Limit   int32     `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

func (a *API) listEvents(ctx context.Context, in *eventFilter) (*items[Event], error) {
	if in.Until.IsZero() {
		in.Until = endOfTime
	}
	rows, err := a.db.UIEvents(ctx, db.UIEventsParams{Cluster: in.Cluster, Host: in.Host, Kind: in.Kind, Since: in.Since, Until: in.Until, N: in.Limit})
	return list(each(rows, eventOf)), err
}
