package api

import (
	"context"
	"net/http"
	"time"

	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// Overview is what the first page shows.
type Overview struct {
	Now           Time    `json:"now"`
	Problems      []Alert `json:"problems" doc:"critical first, then unknown and warning, newest first; at most 200"`
	ProblemsTotal struct {
		Critical     int64 `json:"critical"`
		Warning      int64 `json:"warning"`
		Unknown      int64 `json:"unknown"`
		Acknowledged int64 `json:"acknowledged"`
	} `json:"problems_total"`
	Hosts         HostsTotal `json:"hosts"`
	VIPs          []VIP      `json:"vips"`
	RecentEvents  []Event    `json:"recent_events"`
	Data          Data       `json:"data"`
	Notifications struct {
		Queued    int64 `json:"queued"`
		Failed24h int64 `json:"failed_24h"`
	} `json:"notifications"`
}

// HostsTotal counts hosts.
type HostsTotal struct {
	Up       int        `json:"up"`
	Down     int        `json:"down"`
	Total    int        `json:"total"`
	DownList []DownHost `json:"down_list" doc:"at most 50, the newest first"`
}

// DownHost is a host that sends nothing.
type DownHost struct {
	Cluster  string `json:"cluster"`
	Name     string `json:"name"`
	LastSeen Time   `json:"last_seen"`
}

// Data says how fresh what is shown can be.
type Data struct {
	NewestSampleAt   *Time    `json:"newest_sample_at" nullable:"true"`
	SamplesPerSecond *float64 `json:"samples_per_second" doc:"committed to the database over the last seconds"`
	WriterLagSeconds *float64 `json:"writer_lag_seconds" doc:"age of the newest committed sample"`
}

// About says what runs.
type About struct {
	Version       string `json:"version"`
	Cluster       string `json:"cluster"`
	StartedAt     Time   `json:"started_at"`
	SchemaVersion int64  `json:"schema_version"`
}

func (a *API) registerOverview() {
	register(a, "get-overview", http.MethodGet, "/overview", auth.Viewer, "All that matters at this moment", a.overview)
	register(a, "get-about", http.MethodGet, "/about", auth.Viewer, "What runs", func(ctx context.Context, _ *none) (*body[About], error) {
		v, err := a.db.Version(ctx)
		return one(About{Version: a.o.Version, Cluster: a.o.Cluster, StartedAt: at(a.o.Started), SchemaVersion: v}), err
	})
}

func (a *API) overview(ctx context.Context, _ *none) (*body[Overview], error) {
	var o Overview
	for _, fill := range []func(context.Context, *Overview) error{a.fillProblems, a.fillHosts, a.fillData, a.fillHappened} {
		if err := fill(ctx, &o); err != nil {
			return nil, err
		}
	}
	return one(o), nil
}

func (a *API) fillProblems(ctx context.Context, o *Overview) (err error) {
	if o.Problems, err = a.alerts(ctx, db.UIAlertsParams{States: statesOf("open"), N: 200}); err != nil {
		return err
	}
	t, err := a.db.UIAlertTotals(ctx)
	p := &o.ProblemsTotal
	p.Critical, p.Warning, p.Unknown, p.Acknowledged = t.Critical, t.Warning, t.Unknown, t.Acknowledged
	return err
}

func (a *API) fillHosts(ctx context.Context, o *Overview) error {
	rows, err := a.db.UIHosts(ctx, db.UIHostsParams{})
	if err != nil {
		return err
	}
	said, err := a.db.UIHostsUp(ctx, []string{})
	if err != nil {
		return err
	}
	up := make(map[hostKey]upness, len(said))
	for _, r := range said {
		up[hostKey{r.Cluster, r.Host}] = upness{r.Value, r.Age}
	}
	o.Hosts = countHosts(rows, up, a.o.Stale)
	return nil
}

func (a *API) fillData(ctx context.Context, o *Overview) error {
	d, err := a.db.UIData(ctx)
	if err != nil {
		return err
	}
	o.Now = at(d.Now)
	if d.Newest.After(time.Unix(0, 0)) {
		lag := max(0, d.Now.Sub(d.Newest).Seconds())
		o.Data.NewestSampleAt, o.Data.WriterLagSeconds = &Time{d.Newest}, &lag
	}
	o.Data.SamplesPerSecond = a.hub.rate()
	n, err := a.db.UINotificationTotals(ctx)
	o.Notifications.Queued, o.Notifications.Failed24h = n.Queued, n.Failed
	return err
}

func (a *API) fillHappened(ctx context.Context, o *Overview) error {
	rows, err := a.db.UIRecentEvents(ctx, 20)
	if err != nil {
		return err
	}
	o.RecentEvents = each(rows, eventOf)
	ha, err := a.loadHA(ctx)
	if err != nil {
		return err
	}
	o.VIPs = ha.vips()
	return nil
}
