package ui_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// needs is who may make each call. A call that is missing here, or here and missing there, fails the test.
var needs = map[string]string{
	"POST /session": "", "DELETE /session": "", "GET /session": "viewer", "PUT /me": "viewer", "PUT /me/password": "viewer",
	"GET /overview": "viewer", "GET /about": "viewer", "GET /channels": "viewer", "GET /events": "viewer", "GET /ha": "viewer",
	"GET /alerts": "viewer", "GET /alerts/{id}": "viewer", "POST /alerts/{id}/acknowledge": "operator", "DELETE /alerts/{id}/acknowledge": "operator",
	"GET /hosts": "viewer", "GET /hosts/{cluster}/{name}": "viewer", "GET /metrics": "viewer",
	"GET /thresholds": "viewer", "GET /thresholds/{id}": "viewer", "POST /thresholds": "operator", "PUT /thresholds/{id}": "operator",
	"DELETE /thresholds/{id}": "operator", "POST /thresholds/preview": "viewer",
	"GET /contacts": "viewer", "GET /contacts/{id}": "viewer", "POST /contacts": "operator", "PUT /contacts/{id}": "operator",
	"DELETE /contacts/{id}": "operator", "POST /contacts/{id}/test": "operator",
	"GET /notifications": "viewer", "GET /notifications/{id}": "viewer",
	"GET /users": "admin", "POST /users": "admin", "PUT /users/{id}": "admin", "DELETE /users/{id}": "admin", "GET /audit": "admin",
	"GET /stream": "viewer",
}

func TestRoles(t *testing.T) {
	s := start(t)
	clients := []*client{s.client(), s.as("viewer"), s.as("operator"), s.as("admin")}
	rank := map[string]int{"": 0, "viewer": 1, "operator": 2, "admin": 3}
	for _, call := range calls(t, clients[0]) {
		role, ok := needs[call]
		if !ok {
			t.Errorf("%s: who may make it? Add it to needs", call)
			continue
		}
		if role == "" || call == "GET /stream" { // the stream has tests of its own
			continue
		}
		method, path, _ := strings.Cut(call, " ")
		path = "/api/v1" + strings.NewReplacer("{id}", "999999", "{cluster}", "c", "{name}", "n").Replace(path)
		for have, c := range clients {
			var body any
			if method == "POST" || method == "PUT" {
				body = "{}"
			}
			got := c.do(method, path, body).status
			switch {
			case have == 0 && got != 401:
				t.Errorf("%s by nobody: got %d, want 401", call, got)
			case have > 0 && have < rank[role] && got != 403:
				t.Errorf("%s by rank %d: got %d, want 403", call, have, got)
			case have >= rank[role] && (got == 401 || got == 403 || got >= 500):
				t.Errorf("%s by rank %d: got %d", call, have, got)
			}
		}
	}
}

// calls are those of the API's own description.
func calls(t *testing.T, c *client) (all []string) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	c.want(200, "GET", "/api/openapi.json", nil, &doc)
	seen := 0
	for path, methods := range doc.Paths {
		for method := range methods {
			call := strings.ToUpper(method) + " " + strings.TrimPrefix(path, "/api/v1")
			all = append(all, call)
			if _, ok := needs[call]; ok {
				seen++
			}
		}
	}
	if seen != len(needs) {
		t.Errorf("the API has %d of the %d calls of needs", seen, len(needs))
	}
	return all
}
