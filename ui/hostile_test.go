package ui_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type localCaller struct {
	t       testing.TB
	handler http.Handler
}

func (l *localCaller) do(method, path string, body any) *httptest.ResponseRecorder {
	l.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(l.t.Context(), method, path, bytes.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return w
}

// Whatever is sent, the answer is a refusal and never a fault of the server.
func TestHostileInput(t *testing.T) {
	s := start(t)
	c := s.as("admin")
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	bodies := []string{
		"", "{", "null", "[]", `""`, "1", `{"a":}`, "\x00", "\xff\xfe", `{"name":"\u0000"}`, deep, strings.Repeat("[", 500_000),
		`{"name":` + strings.Repeat("9", 400_000) + `}`, `{"id":1e999}`, strings.Repeat("a", 2<<20),
		`{"name":"a","name":"b"}`, `{"contacts":[1e99],"version":-1}`, `{"labels":{"a":{"b":1}}}`, `{"name":"` + strings.Repeat("x", 900_000) + `"}`,
	}
	for _, call := range calls(t, c) {
		method, path, _ := strings.Cut(call, " ")
		if method == "GET" || method == "DELETE" {
			continue
		}
		for _, id := range []string{"1", "0", "-1", "x", "99999999999999999999", "%00", "1%2f2"} {
			at := "/api/v1" + strings.ReplaceAll(path, "{id}", id)
			for i, b := range bodies {
				if id != "1" && i > 3 {
					break
				}
				if r := c.do(method, at, b); r.status < 400 || r.status >= 500 {
					t.Errorf("%s %s with %.30q: got %d: %.200s", method, at, b, r.status, r.body)
				}
			}
		}
	}
	if got := c.do("POST", "/api/v1/contacts", strings.Repeat("a", 2<<20)).status; got != 413 {
		t.Errorf("a body of 2 MiB: got %d, want 413", got)
	}
	if got := c.do("POST", "/api/v1/contacts", `{}`, "Content-Type", "text/plain").status; got != 415 {
		t.Errorf("a form of another site could send text/plain: got %d, want 415", got)
	}
}

func TestHostileQueries(t *testing.T) {
	s := start(t)
	c := s.as("admin")
	words := []string{"%00", "%ff", "%F0%28%8C%28", "-1", "999999999999999999999", "1e9", "%27%3B+DROP+TABLE+users%3B--", strings.Repeat("x", 3000), "9999-99-99T00:00:00Z", "0000-01-01T00:00:00Z", "294277-01-01T00:00:00Z"}
	for _, path := range []string{
		"/alerts?state=", "/alerts?host=", "/alerts?rule=", "/alerts?limit=", "/alerts/", "/hosts/c/", "/hosts/", "/events?cluster=", "/events?host=",
		"/events?kind=", "/events?since=", "/events?until=", "/events?limit=", "/notifications?limit=", "/notifications?status=", "/notifications/",
		"/audit?limit=", "/thresholds/", "/contacts/", "/users/",
	} {
		for _, w := range words {
			if r := c.do("GET", "/api/v1"+path+w, nil); r.status >= 500 {
				t.Errorf("%s%.40s: got %d: %s", path, w, r.status, r.body)
			}
		}
	}
	if r := c.do("GET", "/api/v1/hosts", nil, "X-Big", strings.Repeat("x", 100<<10)); r.status != 431 {
		t.Errorf("a header of 100 KiB: got %d, want 431", r.status)
	}
	if n := s.count("SELECT count(*) FROM users"); n != 1 {
		t.Errorf("%d users", n)
	}
}

func TestUnknownCalls(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	for _, path := range []string{"/api/", "/api/v1/nothing", "/api/v2/hosts", "/api/openapi.yaml"} {
		c.refused(404, "GET", path, nil)
	}
	if r := c.do("PATCH", "/api/v1/hosts", "{}"); r.status != 404 && r.status != 405 {
		t.Errorf("PATCH: got %d", r.status)
	}
}
