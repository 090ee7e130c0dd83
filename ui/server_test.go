package ui_test

import (
	"errors"
	"strings"
	"testing"

	"context"
	"net/http"

	"keepwatch/schema/pgtest"
	"keepwatch/ui"
)

func TestHealth(t *testing.T) {
	ready := error(nil)
	s := start(t, func(o *ui.Options) {
		o.Ready = func(context.Context) error { return ready }
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("keepwatch_up 1\n")) })
	})
	c := s.client()
	c.want(200, "GET", "/healthz", nil, nil)
	var r struct {
		Ready bool
		Why   string
		Age   *float64 `json:"newest_sample_age_seconds"`
	}
	if c.want(200, "GET", "/readyz", nil, &r); !r.Ready || r.Age != nil {
		t.Errorf("got %+v", r)
	}
	s.exec("INSERT INTO hosts (cluster, name) VALUES ('c', 'h')")
	if c.want(200, "GET", "/readyz", nil, &r); r.Age == nil {
		t.Error("the age of the newest sample is not told")
	}
	ready = errors.New("the bus does not answer")
	if c.want(503, "GET", "/readyz", nil, &r); r.Ready || r.Why != "the bus does not answer" {
		t.Errorf("got %+v", r)
	}
	if got := c.want(200, "GET", "/metrics", nil, nil); string(got.body) != "keepwatch_up 1\n" {
		t.Errorf("got %s", got.body)
	}
}

func TestWithoutDatabase(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	s.db.Close()
	c.want(200, "GET", "/healthz", nil, nil)
	c.want(503, "GET", "/readyz", nil, nil)
	r := c.do("GET", "/api/v1/hosts", nil)
	if r.status < 500 || !strings.Contains(string(r.body), `"detail"`) {
		t.Errorf("got %d: %s", r.status, r.body)
	}
}

func TestHeaders(t *testing.T) {
	s := start(t)
	c := s.client()
	for _, path := range []string{"/", "/healthz", "/api/v1/hosts", "/nothing/here", "/assets/none.js"} {
		h := c.do("GET", path, nil).header
		if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestAnswersAreCompressed(t *testing.T) {
	s := start(t)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	res, err := s.client().http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Encoding"); got != "gzip" {
		t.Errorf("got %q, want gzip", got)
	}
}

func TestPortInUse(t *testing.T) {
	s := start(t)
	o := options(pgtest.New(t))
	o.Config.Listen = s.ui.Addr().String()
	_, err := ui.New(o)
	if err == nil || !strings.Contains(err.Error(), "is in use by another program; set ui.listen") {
		t.Errorf("got %v", err)
	}
	o.Config.Listen = "192.0.2.1:1"
	if _, err = ui.New(o); err == nil || !strings.Contains(err.Error(), "ui.listen") {
		t.Errorf("got %v", err)
	}
}
