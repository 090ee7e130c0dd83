package api

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"keepwatch/schema/db"
)

// HostCheck is a remote check of the host: what its vantage points say together, and each of them.
type HostCheck struct {
	Name   string      `json:"name"`
	Target string      `json:"target"`
	State  string      `json:"state" enum:"up,down,unknown" doc:"unknown when nobody has said so lately"`
	Quorum int         `json:"quorum" doc:"down when so many vantage points say so; 0 when none is heard"`
	Views  []CheckView `json:"views"`
}

// CheckView is what one vantage point sees.
type CheckView struct {
	Vantage string   `json:"vantage" doc:"the host whose collector looks"`
	Up      bool     `json:"up"`
	Seconds *float64 `json:"seconds" doc:"until the connection stood; null when there was none"`
	Time    Time     `json:"time" doc:"of the look"`
	Fresh   bool     `json:"fresh" doc:"it counts: not older than two and a half intervals of the check"`
}

const (
	checkSlack = 5.0   // seconds that a sample may take to be stored
	checkGone  = 600.0 // a view that counts no more is told for so many seconds
)

type (
	checkKey struct{ name, target string }
	viewKey  struct {
		checkKey
		vantage string
	}
)

// viewSeries is the series of one vantage point.
type viewSeries struct {
	key                           viewKey
	up, seconds, interval, quorum *db.UILatestOfHostRow
}

// checksOf gathers the checks of a host, by name; vantage points that have taken their word back are left out.
func checksOf(series []db.UILatestOfHostRow, stale time.Duration) []HostCheck {
	said := make(map[checkKey]*db.UILatestOfHostRow)
	views := make(map[viewKey]*viewSeries)
	for i := range series {
		s := &series[i]
		if s.Metric != "keepwatch_check_up" && s.Metric != "keepwatch_check_quorum" && !strings.HasPrefix(s.Metric, "keepwatch_check_vantage_") {
			continue
		}
		l := labelsOf(s.Labels)
		key := checkKey{l["check"], l["target"]}
		if s.Metric == "keepwatch_check_up" {
			said[key] = s
			continue
		}
		at := viewKey{key, l["vantage"]}
		if views[at] == nil {
			views[at] = &viewSeries{key: at}
		}
		views[at].set(s)
	}
	return gatherChecks(said, views, stale)
}

func (v *viewSeries) set(s *db.UILatestOfHostRow) {
	switch s.Metric {
	case "keepwatch_check_vantage_up":
		v.up = s
	case "keepwatch_check_vantage_seconds":
		v.seconds = s
	case "keepwatch_check_vantage_interval_seconds":
		v.interval = s
	case "keepwatch_check_quorum":
		v.quorum = s
	}
}

// view is nil for one that has taken its word back or was silent for long.
func (v *viewSeries) view() *CheckView {
	if v.up == nil || v.interval == nil || v.interval.Value <= 0 {
		return nil
	}
	fresh := v.up.Age <= 2.5*v.interval.Value+checkSlack
	if !fresh && v.up.Age > checkGone {
		return nil
	}
	out := &CheckView{Vantage: v.key.vantage, Up: v.up.Value == 1, Time: at(v.up.Time), Fresh: fresh}
	if out.Up && v.seconds != nil { // each look that finds it up has its time
		out.Seconds = &v.seconds.Value
	}
	return out
}

func gatherChecks(said map[checkKey]*db.UILatestOfHostRow, views map[viewKey]*viewSeries, stale time.Duration) []HostCheck {
	checks := make(map[checkKey]*HostCheck)
	find := func(key checkKey) *HostCheck {
		if checks[key] == nil {
			checks[key] = &HostCheck{Name: key.name, Target: key.target, State: "unknown", Views: []CheckView{}}
		}
		return checks[key]
	}
	for _, v := range views {
		view := v.view()
		if view == nil {
			continue
		}
		c := find(v.key.checkKey)
		c.Views = append(c.Views, *view)
		if view.Fresh && v.quorum != nil {
			c.Quorum = max(c.Quorum, int(v.quorum.Value))
		}
	}
	for key, s := range said {
		if s.Age > stale.Seconds() {
			continue
		}
		c := find(key)
		if c.State = "down"; s.Value == 1 {
			c.State = "up"
		}
	}
	out := make([]HostCheck, 0, len(checks))
	for _, c := range checks {
		slices.SortFunc(c.Views, func(a, b CheckView) int { return cmp.Compare(a.Vantage, b.Vantage) })
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b HostCheck) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Target, b.Target)) })
	return out
}
