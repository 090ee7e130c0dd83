package ui_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"keepwatch/ui"
)

// stream is an open stream of changes.
type stream struct {
	t    testing.TB
	in   *bufio.Scanner
	body io.Closer
}

// stream opens one and waits for its greeting. Should nothing ever come, the request ends after a minute.
func (c *client) stream() *stream {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", c.url+"/api/v1/stream", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { res.Body.Close() })
	if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || ct != "text/event-stream" {
		c.t.Fatalf("got %d %s", res.StatusCode, ct)
	}
	s := &stream{t: c.t, in: bufio.NewScanner(res.Body), body: res.Body}
	s.next("hello")
	return s
}

// next reads on to an event of a kind and gives its data.
func (s *stream) next(kind string) (data object) {
	s.t.Helper()
	for s.in.Scan() {
		if s.in.Text() != "event: "+kind {
			continue
		}
		s.in.Scan()
		text, ok := strings.CutPrefix(s.in.Text(), "data: ")
		if err := json.Unmarshal([]byte(text), &data); !ok || err != nil {
			s.t.Fatalf("%s with %q: %v", kind, s.in.Text(), err)
		}
		return data
	}
	s.t.Fatalf("the stream ended before %s: %v", kind, s.in.Err())
	return nil
}

// listening waits until the server hears of changes: until then a change is not told, as the client knows.
func (s *server) listening() {
	s.t.Helper()
	for s.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'") < 2 {
		if s.t.Context().Err() != nil {
			s.t.Fatal("the server never listens")
		}
	}
}

func TestStreamTellsWhatChanges(t *testing.T) {
	s := start(t)
	c := s.as("operator")
	s.listening()
	in := c.stream()
	rule := s.rule("load")
	if got := in.next("rule"); got["id"] != float64(rule) {
		t.Errorf("rule %v, want %d", got, rule)
	}
	alert := s.alert(rule, "web1", "critical")
	if got := in.next("alert"); got["id"] != float64(alert) {
		t.Errorf("alert %v, want %d", got, alert)
	}
	id := s.event("default", "lb1", "vip_taken", `{"vip": "10.0.0.1"}`, 1)
	if got := in.next("event"); got["id"] != id || got["kind"] != "vip_taken" || fmt.Sprint(got["labels"]) != "map[vip:10.0.0.1]" {
		t.Errorf("event %v", got)
	}
	c.want(201, "POST", "/api/v1/contacts", goodContact(), nil)
	in.next("contact")
	s.exec("INSERT INTO hosts (cluster, name) VALUES ('c', 'h')")
	s.exec("NOTIFY keepwatch_samples")
	if got := in.next("samples"); got["newest_sample_at"] == nil {
		t.Errorf("samples %v", got)
	}
	in.next("ping")
	in.next("ping")
}

// A flood of changes is told as one, not as thousands.
func TestStreamGathersFloods(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	s.listening()
	in := c.stream()
	s.exec(`INSERT INTO contacts (name, email) SELECT 'c' || n, 'x@example.org' FROM generate_series(1, 5000) n`)
	in.next("resync")
}

// When the database was away, clients must ask for everything again.
func TestStreamHealsWithTheDatabase(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	s.listening()
	in := c.stream()
	s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`)
	in.next("resync")
	s.listening()
	rule := s.rule("load")
	if got := in.next("rule"); got["id"] != float64(rule) {
		t.Errorf("rule %v, want %d", got, rule)
	}
}

func TestStreamNeedsSignIn(t *testing.T) {
	s := start(t)
	s.client().refused(401, "GET", "/api/v1/stream", nil)
}

// The server ends with streams open, and leaves nothing running.
func TestStopWithOpenStreams(t *testing.T) {
	var ignore goleak.Option
	s := start(t, func(*ui.Options) { ignore = goleak.IgnoreCurrent() }) // the database is open by then
	c := s.as("viewer")
	in := c.stream()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for in.in.Scan() { // to the end
	}
	if err := in.in.Err(); err != nil {
		t.Errorf("the stream was cut, not ended: %v", err)
	}
	in.body.Close()
	c.http.CloseIdleConnections()
	goleak.VerifyNone(t, ignore)
}
