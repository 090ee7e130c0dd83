package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxAnswer bounds the answer to a PromQL query that is asked from here, in bytes.
const maxAnswer = 128 << 20

type point struct {
	time  time.Time
	value float64
}

type pointSeries struct{ points []point }

// queryError is a refusal by the PromQL engine, in its words.
type queryError struct{ text string }

func (e *queryError) Error() string { return "cannot query: " + e.text }

// ask sends PromQL to the query API inside this process: at one time when step is 0, else over a span that ends then.
func (a *API) ask(ctx context.Context, expr string, end time.Time, span, step time.Duration) ([]pointSeries, error) {
	if a.o.Prometheus == nil {
		return nil, errors.New("cannot query: this process has no PromQL engine")
	}
	seconds := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
	form := url.Values{"query": {expr}}
	path := "/api/v1/query"
	if step == 0 {
		form.Set("time", seconds(end))
	} else {
		path = "/api/v1/query_range"
		form.Set("start", seconds(end.Add(-span)))
		form.Set("end", seconds(end))
		form.Set("step", strconv.Itoa(int(step.Seconds())))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path+"?"+form.Encode(), nil)
	if err != nil {
		return nil, err
	}
	w := &answer{header: http.Header{}, status: http.StatusOK}
	a.o.Prometheus.ServeHTTP(w, r)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return w.series()
}

// answer keeps what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answer) Header() http.Header    { return w.header }
func (w *answer) WriteHeader(status int) { w.status = status }
func (w *answer) Write(b []byte) (int, error) {
	if w.body.Len()+len(b) > maxAnswer {
		return 0, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return w.body.Write(b)
}

// pair is [seconds, "value"].
type pair [2]json.RawMessage

func (p pair) point() (point, error) {
	var seconds float64
	var text string
	if err := errors.Join(json.Unmarshal(p[0], &seconds), json.Unmarshal(p[1], &text)); err != nil {
		return point{}, err
	}
	v, err := strconv.ParseFloat(text, 64)
	return point{time.UnixMilli(int64(seconds * 1000)), v}, err
}

func (w *answer) series() ([]pointSeries, error) {
	var a struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Value  *pair
				Values []pair
			}
		}
	}
	if err := json.Unmarshal(w.body.Bytes(), &a); err != nil {
		return nil, fmt.Errorf("cannot read the answer to a query (status %d): %w", w.status, err)
	}
	if a.Status != "success" {
		return nil, &queryError{a.Error}
	}
	var out []pointSeries
	for _, r := range a.Data.Result {
		if r.Value != nil {
			r.Values = append(r.Values, *r.Value)
		}
		s := pointSeries{points: make([]point, 0, len(r.Values))}
		for _, v := range r.Values {
			p, err := v.point()
			if err != nil {
				return nil, fmt.Errorf("cannot read a point of the answer to a query: %w", err)
			}
			s.points = append(s.points, p)
		}
		if len(s.points) > 0 {
			out = append(out, s)
		}
	}
	return out, nil
}
