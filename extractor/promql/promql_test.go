package promql

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// origin is the time of the first sample; each series has one every 15 s.
var origin = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func at(s int) string { return fmt.Sprint(origin.Add(time.Duration(s) * time.Second).Unix()) }

// fixture: two hosts with a load, a counter per device that resets once, and a series that stops after a minute.
func fixture(t *testing.T) *db.DB {
	t.Helper()
	d := pgtest.New(t)
	ctx := t.Context()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := d.Pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE sample_rows_all PARTITION OF sample_rows DEFAULT")
	add := func(metric, host, labels, kind string, n int, value func(i int) float64) {
		t.Helper()
		var id int32
		if err := d.Pool.QueryRow(ctx, "INSERT INTO series (cluster, host, metric, labels, kind, last_seen) VALUES ('web', $1, $2, $3::jsonb, $4, $5) RETURNING id",
			host, metric, labels, kind, origin).Scan(&id); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			exec("INSERT INTO sample_rows VALUES ($1, $2, $3)", id, origin.Add(time.Duration(i)*15*time.Second), value(i))
		}
	}
	add("node_load1", "lb1", `{}`, "gauge", 41, func(i int) float64 { return 1 })
	add("node_load1", "lb2", `{}`, "gauge", 41, func(i int) float64 { return 3 })
	add("bytes_total", "lb1", `{"device": "eth0"}`, "counter", 41, func(i int) float64 { return float64(i % 20 * 150) })
	add("bytes_total", "lb1", `{"device": "lo", "note": "a\"b"}`, "counter", 41, func(i int) float64 { return float64(i * 15) })
	add("short", "lb2", `{}`, "gauge", 5, func(i int) float64 { return float64(i) })
	return d
}

func handler(d *db.DB, change func(*conf.Query)) http.Handler {
	c := conf.Query{Timeout: 30 * time.Second, MaxSamples: 100_000, Lookback: 5 * time.Minute}
	change(&c)
	return New(Options{DB: d, Config: c, Log: slog.New(slog.DiscardHandler)}).Handler()
}

func get(t testing.TB, h http.Handler, path string, params ...string) (int, string) {
	t.Helper()
	q := url.Values{}
	for i := 0; i < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path+"?"+q.Encode(), nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

// compact writes the answer's result without the labels that all share.
func compact(t *testing.T, body string) string {
	t.Helper()
	var a struct {
		Data struct{ Result json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return string(a.Data.Result)
}

func TestInstantQueries(t *testing.T) {
	h := handler(fixture(t), func(*conf.Query) {})
	f := func(expr string, second int, want string) {
		t.Helper()
		status, body := get(t, h, "/api/v1/query", "query", expr, "time", at(second))
		if status != 200 {
			t.Errorf("%s: status %d: %s", expr, status, body)
			return
		}
		if got := compact(t, body); got != want {
			t.Errorf("%s:\n got %s\nwant %s", expr, got, want)
		}
	}
	now := at(600)
	f(`node_load1`, 600, `[{"metric":{"__name__":"node_load1","cluster":"web","host":"lb1"},"value":[`+now+`,"1"]},{"metric":{"__name__":"node_load1","cluster":"web","host":"lb2"},"value":[`+now+`,"3"]}]`)
	f(`avg by (cluster) (node_load1)`, 600, `[{"metric":{"cluster":"web"},"value":[`+now+`,"2"]}]`)
	f(`sum(node_load1{host=~"lb[12]"})`, 600, `[{"metric":{},"value":[`+now+`,"4"]}]`)
	f(`sum(node_load1{host=~"lb1|lb9"})`, 600, `[{"metric":{},"value":[`+now+`,"1"]}]`)
	f(`sum(node_load1{host!="lb1"})`, 600, `[{"metric":{},"value":[`+now+`,"3"]}]`)
	f(`sum(node_load1{host!~"lb.*"})`, 600, `[]`)
	f(`sum(node_load1{host=~"b1"})`, 600, `[]`)
	f(`count({host="lb1"})`, 600, `[{"metric":{},"value":[`+now+`,"3"]}]`)
	f(`round(rate(bytes_total{device="lo"}[2m]), 0.001)`, 600, `[{"metric":{"cluster":"web","device":"lo","host":"lb1","note":"a\"b"},"value":[`+now+`,"1"]}]`)
	f(`round(rate(bytes_total{device="eth0"}[2m]), 0.001)`, 200, `[{"metric":{"cluster":"web","device":"eth0","host":"lb1"},"value":[`+at(200)+`,"10"]}]`)
	f(`resets(bytes_total{device="eth0"}[10m])`, 599, `[{"metric":{"cluster":"web","device":"eth0","host":"lb1"},"value":[`+at(599)+`,"1"]}]`)
	f(`bytes_total{note=""}`, 0, `[{"metric":{"__name__":"bytes_total","cluster":"web","device":"eth0","host":"lb1"},"value":[`+at(0)+`,"0"]}]`)
	f(`absent(nothing_of_that_name)`, 600, `[{"metric":{},"value":[`+now+`,"1"]}]`)
	f(`short`, 359, `[{"metric":{"__name__":"short","cluster":"web","host":"lb2"},"value":[`+at(359)+`,"4"]}]`)
	f(`short`, 361, `[]`) // older than the lookback
	f(`absent(short)`, 361, `[{"metric":{},"value":[`+at(361)+`,"1"]}]`)
	f(`absent(node_load1{host="lb1"})`, 600, `[]`)
	f(`sum({__name__=~"node_load.|short",host=~".+"})`, 300, `[{"metric":{},"value":[`+at(300)+`,"8"]}]`)
	f(`node_load1{cluster="web",host="lb1"} offset 5m`, 600, `[{"metric":{"__name__":"node_load1","cluster":"web","host":"lb1"},"value":[`+now+`,"1"]}]`)
	f(`max_over_time(short[10m:1m])`, 600, `[{"metric":{"cluster":"web","host":"lb2"},"value":[`+now+`,"4"]}]`)
	f(`1/0`, 600, `[`+now+`,"+Inf"]`)
}

func TestRangeQueryHasGapsWhereThereAreNoSamples(t *testing.T) {
	h := handler(fixture(t), func(c *conf.Query) { c.Lookback = 30 * time.Second })
	status, body := get(t, h, "/api/v1/query_range", "query", "short", "start", at(0), "end", at(150), "step", "30s")
	want := `[{"metric":{"__name__":"short","cluster":"web","host":"lb2"},"values":[[` + at(0) + `,"0"],[` + at(30) + `,"2"],[` + at(60) + `,"4"]]}]`
	if got := compact(t, body); status != 200 || got != want {
		t.Errorf("status %d\n got %s\nwant %s", status, got, want)
	}
}

func TestMetadata(t *testing.T) {
	d := fixture(t)
	if _, err := d.Pool.Exec(t.Context(), "UPDATE series SET last_seen = now()"); err != nil {
		t.Fatal(err)
	}
	h := handler(d, func(*conf.Query) {})
	f := func(want, path string, params ...string) {
		t.Helper()
		status, body := get(t, h, path, params...)
		if want = `{"data":` + want + `,"status":"success"}`; status != 200 || body != want {
			t.Errorf("%s: status %d\n got %s\nwant %s", path, status, body, want)
		}
	}
	f(`["bytes_total","node_load1","short"]`, "/api/v1/label/__name__/values")
	f(`["lb1"]`, "/api/v1/label/host/values", "match[]", "bytes_total")
	f(`["__name__","cluster","device","host","note"]`, "/api/v1/labels")
	f(`[{"__name__":"short","cluster":"web","host":"lb2"}]`, "/api/v1/series", "match[]", "short", "match[]", `{host="lb2",__name__="short"}`)
	f(`{"short":[{"type":"gauge","unit":"","help":""}]}`, "/api/v1/metadata", "metric", "short")
	f(`["bytes_total","node_load1"]`, "/api/v1/label/__name__/values", "limit", "2")
	f(`{"application":"keepwatch","version":"2.45.0"}`, "/api/v1/status/buildinfo")
	f(`"sum by (host) (a)"`, "/api/v1/format_query", "query", "sum  by(host)(a)")
}

func TestRefusals(t *testing.T) {
	h := handler(fixture(t), func(c *conf.Query) { c.MaxSamples = 50 })
	f := func(status int, kind, text, path string, params ...string) {
		t.Helper()
		got, body := get(t, h, path, params...)
		if got != status || !strings.Contains(body, `"errorType":"`+kind+`"`) || !strings.Contains(body, text) {
			t.Errorf("%s %v: status %d, %s; want %d, %s, %q", path, params, got, body, status, kind, text)
		}
	}
	f(400, "bad_data", "parse error", "/api/v1/query", "query", "sum(")
	f(400, "bad_data", "timestamp", "/api/v1/query", "query", "a", "time", "soon")
	f(400, "bad_data", "step", "/api/v1/query_range", "query", "a", "start", "0", "end", "1", "step", "0")
	f(400, "bad_data", "end", "/api/v1/query_range", "query", "a", "start", "2", "end", "1", "step", "1")
	f(400, "bad_data", "11000", "/api/v1/query_range", "query", "a", "start", "0", "end", "100000", "step", "1")
	f(400, "bad_data", "match[]", "/api/v1/series")
	f(400, "bad_data", "limit", "/api/v1/labels", "limit", "-1")
	f(400, "bad_data", "timeout", "/api/v1/query", "query", "a", "timeout", "x")
	f(503, "timeout", "", "/api/v1/query", "query", "node_load1", "timeout", "0.000000001")
	f(422, "execution", "too many samples", "/api/v1/query", "query", "sum_over_time(node_load1[10m])", "time", at(600))
}

// The bound is that of the whole query, not of each selector.
func TestSelectorsShareTheBound(t *testing.T) {
	h := handler(fixture(t), func(c *conf.Query) { c.MaxSamples = 100 })
	if status, body := get(t, h, "/api/v1/query", "query", "sum_over_time(node_load1[10m])", "time", at(600)); status != 200 {
		t.Errorf("one selector: status %d: %s", status, body)
	}
	if status, body := get(t, h, "/api/v1/query", "query", "sum_over_time(node_load1[10m]) + sum_over_time(node_load1[9m])", "time", at(600)); status != 422 {
		t.Errorf("two selectors: status %d: %s", status, body)
	}
}

func TestPostedQueryAndDurationsOfPromQL(t *testing.T) {
	h := handler(fixture(t), func(*conf.Query) {})
	form := url.Values{"query": {"sum(node_load1)"}, "start": {at(0)}, "end": {at(600)}, "step": {"1d"}}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/query_range", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	want := `{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[` + at(0) + `,"4"]]}]},"status":"success"}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
		t.Errorf("status %d\n got %s\nwant %s", w.Code, got, want)
	}
}

func TestSamplesOutOfOrderAreSorted(t *testing.T) {
	o := &one{times: []int64{3, 1, 2}, values: []float64{30, 10, 20}}
	if o.sort(); fmt.Sprint(o.times, o.values) != "[1 2 3] [10 20 30]" {
		t.Errorf("got %v %v", o.times, o.values)
	}
}

func TestDatabaseAway(t *testing.T) {
	d := fixture(t)
	h := handler(d, func(*conf.Query) {})
	d.Close()
	if status, body := get(t, h, "/api/v1/query", "query", "node_load1"); status < 400 || !strings.Contains(body, `"status":"error"`) {
		t.Errorf("status %d: %s", status, body)
	}
}
