package api

import (
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keepwatch/schema/db"
)

// Time is written in UTC with milliseconds: 2026-11-21T05:41:00.123Z.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	return json.Marshal(t.UTC().Format(timeLayout))
}

// UnmarshalJSON reads any RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &t.Time) }

// Schema describes the time to huma.
func (Time) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time"}
}

func at(t time.Time) Time { return Time{t} }

func atOrNull(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	return &Time{*t}
}

// labelsOf reads a jsonb object of strings, which is what every writer of labels writes.
func labelsOf(raw json.RawMessage) map[string]string {
	m := map[string]string{}
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return map[string]string{}
	}
	return m
}

// Event is something that happened once.
type Event struct {
	ID      string            `json:"id"`
	Cluster string            `json:"cluster"`
	Host    string            `json:"host"`
	Time    Time              `json:"time"`
	Kind    string            `json:"kind" doc:"what happened, as vrrp_transition, vip_taken, server_down"`
	Text    string            `json:"text"`
	Labels  map[string]string `json:"labels"`
}

func eventOf(e db.Event) Event {
	return Event{ID: e.ID, Cluster: e.Cluster, Host: e.Host, Time: at(e.Time), Kind: e.Kind, Text: e.Text, Labels: labelsOf(e.Labels)}
}

// each maps a list; the result is never nil, since JSON's null is not a list.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// settleSchemas says of arrays that they are never null, and of levels that they may be, which huma cannot tell from
// the types.
func settleSchemas(doc *huma.OpenAPI) {
	if levels := doc.Components.Schemas.Map()["Levels"]; levels != nil {
		for name, s := range levels.Properties {
			levels.Properties[name] = &huma.Schema{OneOf: []*huma.Schema{s, {Type: "null"}}}
		}
	}
	seen := map[*huma.Schema]bool{}
	var visit func(s *huma.Schema)
	visit = func(s *huma.Schema) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.Type == huma.TypeArray {
			s.Nullable = false
		}
		visit(s.Items)
		for _, p := range s.Properties {
			visit(p)
		}
	}
	for _, s := range doc.Components.Schemas.Map() {
		visit(s)
	}
}

// endOfTime is later than any event.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
