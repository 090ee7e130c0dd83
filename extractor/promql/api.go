package promql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"keepwatch/schema/db"
)

// Bounds of a request, as Prometheus has them.
const (
	maxPoints = 11_000  // of one series of a range query
	maxForm   = 1 << 20 // bytes of a POSTed form
	recently  = 24 * time.Hour
)

// Handler serves Prometheus' HTTP API below /api/v1/: query, query_range, series, labels, label/NAME/values,
// metadata and status/buildinfo, by GET and, where Prometheus takes it, POST.
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	both := func(path string, f func(*http.Request) (any, error)) {
		mux.Handle("GET "+path, e.serve(f))
		mux.Handle("POST "+path, e.serve(f))
	}
	both("/api/v1/query", e.instant)
	both("/api/v1/query_range", e.ranged)
	both("/api/v1/series", e.series)
	both("/api/v1/labels", e.labelNames)
	both("/api/v1/format_query", e.format)
	mux.Handle("GET /api/v1/label/{name}/values", e.serve(e.labelValues))
	mux.Handle("GET /api/v1/metadata", e.serve(e.metadata))
	mux.Handle("GET /api/v1/status/buildinfo", e.serve(func(*http.Request) (any, error) {
		return map[string]string{"version": "2.45.0", "application": "keepwatch"}, nil
	}))
	return mux
}

// apiError has one of Prometheus' error types.
type apiError struct {
	status int
	kind   string
	err    error
}

func (e *apiError) Error() string { return e.err.Error() }
func (e *apiError) Unwrap() error { return e.err }

func badData(err error) error { return &apiError{http.StatusBadRequest, "bad_data", err} }

func badParameter(name string, err error) error {
	return badData(fmt.Errorf("invalid parameter %q: %w", name, err))
}

// classify gives an error of the engine or the storage its type and status.
func classify(err error) *apiError {
	var known *apiError
	var tooMany promql.ErrTooManySamples
	var timeout promql.ErrQueryTimeout
	var canceled promql.ErrQueryCanceled
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return &apiError{http.StatusServiceUnavailable, "timeout", err}
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return &apiError{499, "canceled", err}
	case db.Unreachable(err):
		return &apiError{http.StatusServiceUnavailable, "unavailable", errors.New("the database cannot be reached; samples are kept and it is tried again")}
	case errors.As(err, &tooMany), errors.Is(err, errTooManySamples), errors.Is(err, errTooManySeries):
		return &apiError{http.StatusUnprocessableEntity, "execution", err}
	}
	return &apiError{http.StatusUnprocessableEntity, "execution", err}
}

func (e *Engine) serve(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		data, err := e.answer(r, f)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			a := classify(err)
			w.WriteHeader(a.status)
			write(w, map[string]any{"status": "error", "errorType": a.kind, "error": a.Error()})
			return
		}
		write(w, map[string]any{"status": "success", "data": data})
	})
}

func (e *Engine) answer(r *http.Request, f func(*http.Request) (any, error)) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, badData(err)
	}
	timeout := e.timeout
	if text := r.FormValue("timeout"); text != "" {
		d, err := duration(text)
		if err != nil {
			return nil, badParameter("timeout", err)
		}
		timeout = min(timeout, d)
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	return f(r.WithContext(ctx))
}

func write(w http.ResponseWriter, v any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the reader is gone
}

func (e *Engine) instant(r *http.Request) (data any, err error) {
	at, err := timeParameter(r, "time", time.Now())
	if err != nil {
		return nil, err
	}
	err = e.query(r.Context(), r.FormValue("query"), at, at, 0, func(res *promql.Result) { data = result(res.Value) })
	return data, err
}

func (e *Engine) ranged(r *http.Request) (data any, err error) {
	start, err := timeParameter(r, "start", time.Time{})
	if err != nil {
		return nil, err
	}
	end, err := timeParameter(r, "end", time.Time{})
	if err != nil {
		return nil, err
	}
	step, err := duration(r.FormValue("step"))
	switch {
	case err != nil:
		return nil, badParameter("step", err)
	case step <= 0:
		return nil, badParameter("step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	case end.Before(start):
		return nil, badParameter("end", errors.New("end timestamp must not be before start time"))
	case end.Sub(start)/step > maxPoints:
		return nil, badData(fmt.Errorf("exceeded maximum resolution of %d points per timeseries: enlarge the step", maxPoints))
	}
	err = e.query(r.Context(), r.FormValue("query"), start, end, step, func(res *promql.Result) { data = result(res.Value) })
	return data, err
}

func (e *Engine) format(r *http.Request) (any, error) {
	expr, err := e.parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		return nil, badParameter("query", err)
	}
	return expr.Pretty(0), nil
}

// selecting are the sets of matchers and the time range that the metadata endpoints take.
func (e *Engine) selecting(r *http.Request) (sets [][]*labels.Matcher, q storage.Querier, err error) {
	now := time.Now()
	start, err := timeParameter(r, "start", now.Add(-recently))
	if err != nil {
		return nil, nil, err
	}
	end, err := timeParameter(r, "end", now)
	if err != nil {
		return nil, nil, err
	}
	if sets, err = e.parser.ParseMetricSelectors(r.Form["match[]"]); err != nil {
		return nil, nil, badParameter("match[]", err)
	}
	q, err = e.store.Querier(start.UnixMilli(), end.UnixMilli())
	return sets, q, err
}

func (e *Engine) series(r *http.Request) (any, error) {
	sets, q, err := e.selecting(r)
	if err != nil {
		return nil, err
	}
	if len(sets) == 0 {
		return nil, badData(errors.New("no match[] parameter provided"))
	}
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	out := []map[string]string{}
	seen := make(map[string]bool)
	for _, matchers := range sets {
		found := q.Select(r.Context(), true, &storage.SelectHints{Func: "series"}, matchers...)
		for found.Next() {
			l := found.At().Labels()
			if key := l.String(); !seen[key] {
				seen[key] = true
				out = append(out, l.Map())
			}
		}
		if err := found.Err(); err != nil {
			return nil, err
		}
	}
	return cut(out, most), nil
}

func (e *Engine) labelNames(r *http.Request) (any, error) {
	return e.union(r, func(q storage.Querier, matchers []*labels.Matcher) ([]string, error) {
		names, _, err := q.LabelNames(r.Context(), nil, matchers...)
		return names, err
	})
}

func (e *Engine) labelValues(r *http.Request) (any, error) {
	name := r.PathValue("name")
	return e.union(r, func(q storage.Querier, matchers []*labels.Matcher) ([]string, error) {
		values, _, err := q.LabelValues(r.Context(), name, nil, matchers...)
		return values, err
	})
}

func (e *Engine) union(r *http.Request, ask func(storage.Querier, []*labels.Matcher) ([]string, error)) (any, error) {
	sets, q, err := e.selecting(r)
	if err != nil {
		return nil, err
	}
	if len(sets) == 0 {
		sets = [][]*labels.Matcher{nil}
	}
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	all := make(map[string]struct{})
	for _, matchers := range sets {
		some, err := ask(q, matchers)
		if err != nil {
			return nil, err
		}
		for _, s := range some {
			all[s] = struct{}{}
		}
	}
	return cut(sortedKeys(all), most), nil
}

func (e *Engine) metadata(r *http.Request) (any, error) {
	rows, err := e.store.db.MetricMetadata(r.Context(), time.Now().Add(-recently))
	if err != nil {
		return nil, fmt.Errorf("cannot read metadata: %w", db.Map(err))
	}
	type entry struct {
		Type string `json:"type"`
		Unit string `json:"unit"`
		Help string `json:"help"`
	}
	out := make(map[string][]entry, len(rows))
	only := r.FormValue("metric")
	for _, m := range rows {
		if only != "" && m.Metric != only {
			continue
		}
		kind := m.Kind
		if kind == "state" { // Prometheus knows no such type
			kind = "gauge"
		}
		out[m.Metric] = []entry{{Type: kind, Unit: m.Unit}}
	}
	return out, nil
}
