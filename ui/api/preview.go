package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keepwatch/metric/threshold"
)

// Level is a range as a chart draws it.
type Level struct {
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
	Inside bool     `json:"inside" doc:"alarming is inside of low and high, not outside"`
}

// Preview is what a threshold would find.
type Preview struct {
	Expr     string `json:"expr" doc:"PromQL of the watched series"`
	Series   int    `json:"series" doc:"that match now"`
	Firing   int    `json:"firing_now" doc:"of these, outside of their range now"`
	Fired24h int    `json:"fired_24h" doc:"times that it would have alerted in the last 24 hours"`
	Levels   Levels `json:"levels"`
}

// Levels are the ranges of a threshold.
type Levels struct {
	Warning  *Level `json:"warning"`
	Critical *Level `json:"critical"`
}

type previewed struct{ Body Watch }

// A preview looks at so many points at most; with more series, in longer steps.
const (
	previewSpan   = 24 * time.Hour
	previewStep   = time.Minute
	previewPoints = 500_000
)

func (a *API) preview(ctx context.Context, in *previewed) (*body[Preview], error) {
	w := &in.Body
	r, faults := w.check()
	if len(faults) > 0 {
		return nil, wrong(faults...)
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.Query)
	defer cancel()
	s := threshold.Selector{Metric: w.Metric, Hosts: w.Hosts, Labels: w.Labels}
	p := Preview{Expr: s.PromQL(w.Transform), Levels: Levels{Warning: levelOf(r.warning), Critical: levelOf(r.critical)}}
	now := time.Now()
	present, err := a.ask(ctx, p.Expr, now, 0, 0)
	if err != nil {
		return nil, previewFault(err)
	}
	p.Series = len(present)
	for _, s := range present {
		if v := s.points[len(s.points)-1].value; r.warning.Alerts(v) || r.critical.Alerts(v) {
			p.Firing++
		}
	}
	step := previewStep
	for p.Series*int(previewSpan/step) > previewPoints {
		step *= 2
	}
	past, err := a.ask(ctx, p.Expr, now, previewSpan, step)
	if err != nil {
		return nil, previewFault(err)
	}
	for _, s := range past {
		p.Fired24h += r.fired(s.points, time.Duration(w.ForS)*time.Second)
	}
	return one(p), nil
}

// fired counts how often a series would have begun to alert: outside of a range at every point for so long.
func (r ranges) fired(points []point, hold time.Duration) (n int) {
	var since time.Time
	outside, alerting := false, false
	for _, p := range points {
		if !r.warning.Alerts(p.value) && !r.critical.Alerts(p.value) {
			outside, alerting = false, false
			continue
		}
		if !outside {
			outside, since = true, p.time
		}
		if !alerting && p.time.Sub(since) >= hold {
			alerting = true
			n++
		}
	}
	return n
}

func levelOf(r threshold.Range) *Level {
	if r.IsZero() {
		return nil
	}
	low, high, inside := r.Bounds()
	return &Level{Low: low, High: high, Inside: inside}
}

func previewFault(err error) error {
	var q *queryError
	switch {
	case errors.As(err, &q):
		return huma.NewError(http.StatusUnprocessableEntity, fmt.Sprintf("The query fails: %s.", q.text))
	case errors.Is(err, context.DeadlineExceeded):
		return huma.NewError(http.StatusServiceUnavailable, "The query takes too long: name fewer hosts.")
	}
	return err
}
