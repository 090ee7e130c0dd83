package ui_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
	"keepwatch/ui"
	"keepwatch/ui/auth"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// server is a UI that runs on a database of its own.
type server struct {
	t    testing.TB
	ui   *ui.UI
	db   *db.DB
	url  string
	stop func() error
}

func options(d *db.DB) ui.Options {
	return ui.Options{
		Config:     conf.UI{Listen: "127.0.0.1:0", Session: time.Hour},
		DB:         d,
		Prometheus: http.HandlerFunc(fakePrometheus),
		Channels:   func() (string, string) { return "", "short messages are not set up: set alerter.sms.url" },
		Version:    "test", Cluster: "default",
		Log: slog.New(slog.DiscardHandler),
	}
}

func start(t testing.TB, change ...func(*ui.Options)) *server {
	t.Helper()
	o := options(pgtest.New(t))
	if _, err := o.DB.Pool.Exec(t.Context(), "TRUNCATE rules RESTART IDENTITY CASCADE"); err != nil { // the thresholds that every installation has
		t.Fatal(err)
	}
	for _, f := range change {
		f(&o)
	}
	u, err := ui.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	s := &server{t: t, ui: u, db: o.DB, url: "http://" + u.Addr().String()}
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return s
}

const password = "a good password"

// hashed is made once: a hash takes its time.
var hashed = sync.OnceValues(func() (string, error) { return auth.Hash(context.Background(), password) })

func (s *server) user(name, role string) int32 {
	s.t.Helper()
	hash, err := hashed()
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := s.db.CreateUser(s.t.Context(), db.CreateUserParams{Name: name, Role: role, Password: hash})
	if err != nil {
		s.t.Fatal(err)
	}
	return u.ID
}

// client is somebody's browser.
type client struct {
	t    testing.TB
	url  string
	http *http.Client
}

func (s *server) client() *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &client{t: s.t, url: s.url, http: &http.Client{Jar: jar, Transport: transport}}
}

// as makes a user of a role and signs in.
func (s *server) as(role string) *client {
	s.t.Helper()
	s.user(role+"1", role)
	c := s.client()
	c.want(200, "POST", "/api/v1/session", map[string]string{"name": role + "1", "password": password}, nil)
	return c
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; body is sent as it is when it is a string, else as JSON.
func (c *client) do(method, path string, body any, header ...string) reply {
	c.t.Helper()
	var b []byte
	if text, ok := body.(string); ok {
		b = []byte(text)
	} else if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			c.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, text}
}

// want does a request, checks its status and reads the answer into out unless that is nil.
func (c *client) want(status int, method, path string, body, out any) reply {
	c.t.Helper()
	r := c.do(method, path, body)
	if r.status != status {
		c.t.Fatalf("%s %s: got %d, want %d: %s", method, path, r.status, status, r.body)
	}
	if out != nil {
		if err := json.Unmarshal(r.body, out); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, r.body)
		}
	}
	return r
}

// problem is what a refusal says.
type problem struct {
	Detail string
	Errors []struct{ Message, Location string }
}

// refused does a request that must be refused, and gives the first field's location and the sentence.
func (c *client) refused(status int, method, path string, body any) (location, detail string) {
	c.t.Helper()
	var p problem
	r := c.want(status, method, path, body, &p)
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
		c.t.Errorf("%s %s: the refusal is %s", method, path, ct)
	}
	if p.Detail == "" || !strings.HasSuffix(p.Detail, ".") {
		c.t.Errorf("%s %s: the refusal says no sentence: %s", method, path, r.body)
	}
	if len(p.Errors) > 0 {
		location = p.Errors[0].Location
	}
	return location, p.Detail
}

func (s *server) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.db.Pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%v\n%s", err, sql)
	}
}

func (s *server) count(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.db.Pool.QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// sample stores one value of a series, so many seconds ago, and the host that it is of.
func (s *server) sample(cluster, host, metric, labels string, value float64, ago int) {
	s.t.Helper()
	s.exec(`INSERT INTO hosts (cluster, name, last_seen) VALUES ($1, $2, now() - make_interval(secs => $3))
		ON CONFLICT (cluster, name) DO UPDATE SET last_seen = greatest(hosts.last_seen, excluded.last_seen)`, cluster, host, ago)
	s.exec(`WITH s AS (
			INSERT INTO series (cluster, host, metric, labels, kind) VALUES ($1, $2, $3, $4::jsonb, 'gauge')
			ON CONFLICT (metric, cluster, host, labels) DO UPDATE SET last_seen = now() RETURNING id)
		INSERT INTO sample_rows SELECT id, now() - make_interval(secs => $6), $5 FROM s`, cluster, host, metric, labels, value, ago)
}

// event stores something that happened so many seconds ago.
func (s *server) event(cluster, host, kind, labels string, ago int) string {
	s.t.Helper()
	id := fmt.Sprintf("%s-%s-%d-%s", host, kind, ago, labels)
	s.exec(`INSERT INTO events (cluster, host, id, time, kind, text, labels) VALUES ($1, $2, $3, now() - make_interval(secs => $4), $5, $5, $6::jsonb)`,
		cluster, host, id, ago, kind, labels)
	return id
}

// partition makes room for samples of these days.
func (s *server) partition() {
	s.t.Helper()
	s.exec(`CREATE TABLE IF NOT EXISTS sample_rows_test PARTITION OF sample_rows FOR VALUES FROM (now() - interval '3 days') TO (now() + interval '3 days')`)
}

// rule stores a threshold and gives its id.
func (s *server) rule(name string) int {
	s.t.Helper()
	return s.count(`INSERT INTO rules (name, metric, warning) VALUES ($1, 'node_load1', '10') RETURNING id`, name)
}

// alert stores an alert of a rule and gives its id.
func (s *server) alert(rule int, host, state string) int {
	s.t.Helper()
	return s.count(`INSERT INTO alerts (rule, rule_version, cluster, host, metric, state, since, value, machine)
		VALUES ($1, 1, 'default', $2, 'node_load1', $3, now(), 12, '{}') RETURNING id`, rule, host, state)
}

// fakePrometheus answers a query by its words: one series that was above 80 twice in the day, and one that never was.
func fakePrometheus(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.Contains(r.FormValue("query"), "broken"):
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"query processing would load too many samples"}`)
	case r.URL.Path == "/api/v1/query":
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[
			{"metric":{"host":"a"},"value":[1000,"90"]},{"metric":{"host":"b"},"value":[1000,"10"]}]}}`)
	case r.URL.Path == "/api/v1/query_range":
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[
			{"metric":{"host":"a"},"values":[[0,"90"],[60,"90"],[120,"90"],[180,"10"],[240,"90"],[300,"10"],[360,"90"],[420,"90"],[480,"90"]]},
			{"metric":{"host":"b"},"values":[[0,"10"],[60,"NaN"],[120,"+Inf"]]}]}}`)
	default:
		http.NotFound(w, r)
	}
}
