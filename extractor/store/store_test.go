package store

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keepwatch/bus"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/internal/postgres"
	"keepwatch/metric"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

var (
	quiet   = slog.New(slog.DiscardHandler)
	storage = conf.Storage{Retention: 48 * time.Hour, Flush: 100 * time.Millisecond}
)

// noBus is for tests that call write themselves.
type noBus struct{}

func (noBus) Consume(ctx context.Context, _ string, _ bus.ConsumeOptions, _ func(context.Context, []bus.Message) error) error {
	<-ctx.Done()
	return nil
}
func (noBus) Lag(context.Context, string, bus.Kind) (uint64, time.Duration, error) { return 0, 0, nil }

func newWriter(t testing.TB, d *db.DB) *Writer {
	t.Helper()
	w, err := New(Options{DB: d, Bus: noBus{}, Config: storage, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func series(host, name string, labels ...string) *metric.Series {
	var ls []metric.Label
	for i := 0; i < len(labels); i += 2 {
		ls = append(ls, metric.Label{Name: labels[i], Value: labels[i+1]})
	}
	return metric.MustSeries("web", host, name, ls, metric.Bytes, metric.Gauge)
}

func message(samples ...metric.Sample) bus.Message {
	return bus.Message{Kind: bus.Samples, Cluster: "web", Batch: &batch.Batch{Samples: samples}}
}

func query(t testing.TB, d *db.DB, sql string, args ...any) string {
	t.Helper()
	var out string
	if err := d.Pool.QueryRow(t.Context(), "SELECT coalesce(string_agg(x::text, E'\n'), '') FROM ("+sql+") AS q(x)", args...).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func mustWrite(t testing.TB, w *Writer, messages ...bus.Message) {
	t.Helper()
	if err := w.write(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
}

func TestSamplesSeriesAndHostsAreWritten(t *testing.T) {
	d := pgtest.New(t)
	w := newWriter(t, d)
	now := time.Now().UnixMilli()
	a, b := series("h1", "disk_used", "device", "sda", "mount", `/a "b" 中`), series("h2", "load")
	up := series("h3", hostUpMetric)
	mustWrite(t, w, message(
		metric.Sample{Series: a, Time: now, Value: math.NaN()}, metric.Sample{Series: a, Time: now - 1, Value: math.Inf(-1)},
		metric.Sample{Series: b, Time: now - 2000, Value: 2.5}, metric.Sample{Series: up, Time: now, Value: 0}))
	got := query(t, d, "SELECT concat_ws(' ', cluster, host, metric, labels, value) FROM samples ORDER BY host, time")
	want := `web h1 disk_used {"mount": "/a \"b\" 中", "device": "sda"} -Infinity
web h1 disk_used {"mount": "/a \"b\" 中", "device": "sda"} NaN
web h2 load {} 2.5
web h3 keepwatch_host_up {} 0`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := query(t, d, "SELECT name || (extract(epoch FROM last_seen) * 1000)::bigint - $1::bigint FROM hosts ORDER BY name", now); got != "h10\nh2-2000" {
		t.Errorf("hosts %q: a silent host is not seen", got)
	}
	if got := query(t, d, "SELECT concat_ws(' ', metric, unit, kind) FROM series ORDER BY 1 LIMIT 1"); got != "disk_used bytes gauge" {
		t.Errorf("series %q", got)
	}
}

// However messages overlap and repeat, over however many writers that start anew, the rows are the set of the samples.
func TestNothingDoubleNothingMissing(t *testing.T) {
	d := pgtest.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := d.Pool.Exec(t.Context(), "TRUNCATE sample_rows"); err != nil {
			rt.Fatal(err)
		}
		now := time.Now().UnixMilli()
		pool := make([]*metric.Series, 8)
		for i := range pool {
			pool[i] = series(fmt.Sprintf("h%d", i/3), "m", "n", fmt.Sprint(i%3))
		}
		want := make(map[string]bool)
		w := newWriter(t, d)
		for range rapid.IntRange(1, 6).Draw(rt, "flushes") {
			var messages []bus.Message
			for range rapid.IntRange(1, 3).Draw(rt, "messages") {
				m := message()
				for range rapid.IntRange(0, 30).Draw(rt, "samples") {
					s := pool[rapid.IntRange(0, len(pool)-1).Draw(rt, "series")]
					at := now - rapid.Int64Range(0, 20).Draw(rt, "time")*5_000_000
					m.Batch.Samples = append(m.Batch.Samples, metric.Sample{Series: s, Time: at, Value: 1})
					want[fmt.Sprintf("%s%s %d", s.Host, s.Label("n"), at)] = true
				}
				messages = append(messages, m)
			}
			mustWrite(t, w, messages...)
			if rapid.Bool().Draw(rt, "restart") {
				w = newWriter(t, d)
			}
		}
		got := strings.Fields(query(t, d, "SELECT host || (labels->>'n') || '/' || (extract(epoch FROM time) * 1000)::bigint FROM samples"))
		if len(got) != len(want) {
			rt.Fatalf("%d rows, want %d", len(got), len(want))
		}
		for _, g := range got {
			if !want[strings.Replace(g, "/", " ", 1)] {
				rt.Fatalf("row %s was never sent", g)
			}
		}
	})
}

func TestTimesOutOfRangeAreDropped(t *testing.T) {
	d := pgtest.New(t)
	w := newWriter(t, d)
	now := time.Now()
	old, future := droppedOld.Get(), droppedFuture.Get()
	s := series("h", "m")
	mustWrite(t, w, message(
		metric.Sample{Series: s, Time: now.Add(-storage.Retention - time.Minute).UnixMilli()},
		metric.Sample{Series: s, Time: now.Add(11 * time.Minute).UnixMilli()},
		metric.Sample{Series: s, Time: now.Add(9 * time.Minute).UnixMilli()},
		metric.Sample{Series: s, Time: now.Add(-storage.Retention + time.Minute).UnixMilli()}))
	if got := query(t, d, "SELECT count(*) FROM sample_rows"); got != "2" {
		t.Errorf("%s rows, want 2", got)
	}
	if o, f := droppedOld.Get()-old, droppedFuture.Get()-future; o != 1 || f != 1 {
		t.Errorf("counted %d old and %d future ones, want 1 and 1", o, f)
	}
}

func TestEventsAreWrittenOnce(t *testing.T) {
	d := pgtest.New(t)
	w := newWriter(t, d)
	e := metric.Event{ID: "b-1", Cluster: "web", Host: "h", Time: 1_700_000_000_123, Kind: metric.EventVIPTaken, Text: "took it", Labels: []metric.Label{{Name: "vip", Value: "10.0.0.1"}}}
	m := bus.Message{Kind: bus.Events, Batch: &batch.Batch{Events: []metric.Event{e, e}}}
	mustWrite(t, w, m)
	mustWrite(t, newWriter(t, d), m)
	if got, want := query(t, d, "SELECT concat_ws(' ', cluster, host, id, time, kind, text, labels) FROM events"), `web h b-1 2023-11-14 22:13:20.123+00 vip_taken took it {"vip": "10.0.0.1"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A batch that Postgres will never take does not keep the sound ones out.
func TestRefusedBatchIsDroppedAlone(t *testing.T) {
	d := pgtest.New(t)
	w := newWriter(t, d)
	bad := bus.Message{Kind: bus.Events, Batch: &batch.Batch{Events: []metric.Event{{ID: "1", Cluster: "web", Host: "h", Kind: "k", Text: "a\x00b"}}}}
	before := droppedRefuse.Get()
	mustWrite(t, w, message(metric.Sample{Series: series("h", "m"), Time: time.Now().UnixMilli()}), bad)
	if got := query(t, d, "SELECT count(*) FROM sample_rows"); got != "1" || droppedRefuse.Get()-before != 1 {
		t.Errorf("%s rows and %d refused, want 1 and 1", got, droppedRefuse.Get()-before)
	}
}

// Nor does a series that is too long for an index.
func TestSeriesTooLongForAnIndexIsDroppedAlone(t *testing.T) {
	d := pgtest.New(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 3000) // of letters in no order: it cannot be compressed
	for i := range text {
		text[i] = byte('A' + rnd.IntN(58))
	}
	if _, err := d.Pool.Exec(t.Context(), fmt.Sprintf("CREATE INDEX ON series ((CASE metric WHEN 'long' THEN $$%s$$ END))", text)); err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, d)
	before := droppedRefuse.Get()
	now := time.Now().UnixMilli()
	mustWrite(t, w, message(metric.Sample{Series: series("h", "m"), Time: now}), message(metric.Sample{Series: series("h", "long"), Time: now}))
	if got := query(t, d, "SELECT count(*) FROM sample_rows"); got != "1" || droppedRefuse.Get()-before != 1 {
		t.Errorf("%s rows and %d refused, want 1 and 1", got, droppedRefuse.Get()-before)
	}
}

func TestUnitAndKindFollowTheSource(t *testing.T) {
	d := pgtest.New(t)
	now := time.Now().UnixMilli()
	mustWrite(t, newWriter(t, d), message(metric.Sample{Series: metric.MustSeries("c", "h", "m", nil, "", metric.Gauge), Time: now}))
	mustWrite(t, newWriter(t, d), message(metric.Sample{Series: metric.MustSeries("c", "h", "m", nil, metric.Seconds, metric.Counter), Time: now + 1}))
	if got := query(t, d, "SELECT concat_ws(' ', unit, kind, (SELECT count(*) FROM sample_rows)) FROM series"); got != "seconds counter 2" {
		t.Errorf("got %s", got)
	}
}

func TestListenersAreTold(t *testing.T) {
	d := pgtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	heard, ready, done := make(chan string, 1), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- d.Listen(ctx, "keepwatch_samples", func() { close(ready) }, func(p string) { heard <- p })
	}()
	<-ready
	now := time.Now().UnixMilli()
	mustWrite(t, newWriter(t, d), message(metric.Sample{Series: series("h", "m"), Time: now}))
	if got, want := <-heard, fmt.Sprintf(`{"newest":%d}`, now); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	cancel()
	<-done
}

func TestPartitionsComeAndGo(t *testing.T) {
	d := pgtest.New(t)
	w := newWriter(t, d)
	now := time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)
	for _, age := range []int{2, 3, 4, 9} {
		if err := d.MakeSampleDay(t.Context(), now.AddDate(0, 0, -age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.maintainOnce(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	days, err := d.ListSampleDays(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, day := range days {
		got = append(got, day.Format("0102"))
	}
	if s := strings.Join(got, " "); s != "1119 1121 1122 1123" {
		t.Errorf("partitions %s, want 1119 (not past its end) and 1121 to 1123", s)
	}
}

// A series whose samples are gone is forgotten, and made anew when it comes back.
func TestForgottenSeriesComeBack(t *testing.T) {
	d := pgtest.New(t)
	w := newWriter(t, d)
	s := series("h", "m")
	now := time.Now()
	mustWrite(t, w, message(metric.Sample{Series: s, Time: now.UnixMilli()}))
	if err := w.forgetSeries(t.Context(), now.Add(storage.Retention+seriesSlack+time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := query(t, d, "SELECT count(*) + (SELECT count(*) FROM hosts) FROM series"); got != "0" {
		t.Fatalf("%s series and hosts are left", got)
	}
	mustWrite(t, w, message(metric.Sample{Series: s, Time: now.UnixMilli() + 6000}))
	if got := query(t, d, "SELECT concat_ws(' ', metric, value, (SELECT count(*) FROM hosts)) FROM samples"); got != "m 0 1" {
		t.Errorf("got %q", got)
	}
}

// last_seen is renewed about once an hour, not with each sample.
func TestLastSeenIsRenewedSparingly(t *testing.T) {
	d := pgtest.New(t)
	w := newWriter(t, d)
	s := series("h", "m")
	base := time.Now().Add(-3 * time.Hour).UnixMilli()
	for _, minutes := range []int64{0, 10, 40} {
		mustWrite(t, w, message(metric.Sample{Series: s, Time: base + minutes*60_000}))
		if got := query(t, d, "SELECT (extract(epoch FROM last_seen) * 1000)::bigint - $1::bigint FROM series", base); got != "0" {
			t.Errorf("after %d minutes it is %s ms later", minutes, got)
		}
	}
	mustWrite(t, w, message(metric.Sample{Series: s, Time: base + 61*60_000}))
	if got := query(t, d, "SELECT (extract(epoch FROM last_seen) * 1000)::bigint - $1::bigint FROM series", base); got != "3660000" {
		t.Errorf("after 61 minutes it is %s ms later", got)
	}
}

// Postgres is stopped again and again while samples flow, at times without a checkpoint: in the end each sample is
// there exactly once.
func TestPostgresGoesAndComesBack(t *testing.T) {
	dir := t.TempDir()
	for p := dir; p != "/"; p = filepath.Dir(p) { // the server runs as another user when we are root
		if st, err := os.Stat(p); err != nil || st.Mode().Perm()&0o5 != 0o5 {
			if err := os.Chmod(p, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	launch := func() *postgres.Server {
		s, err := postgres.Start(t.Context(), postgres.Options{Dir: filepath.Join(dir, "pg"), Settings: map[string]string{"shared_buffers": "32MB"}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	server := launch()
	defer func() { _ = server.Stop(context.Background()) }()
	d, err := db.Open(t.Context(), server.URL(), 6)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(t.Context(), bus.Options{Dir: filepath.Join(dir, "bus"), MaxBytes: 64 << 20, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	w, err := New(Options{DB: d, Bus: b, Config: storage, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	const rounds, batches, hosts = 3, 40, 20
	base := time.Now().UnixMilli() - 1_000_000
	publish := func(round int) {
		for i := range batches {
			in := &batch.Batch{}
			for h := range hosts {
				in.Samples = append(in.Samples, metric.Sample{Series: series(fmt.Sprintf("h%d", h), "m"), Time: base + int64(round*batches+i), Value: float64(i)})
			}
			if err := b.Publish(ctx, bus.Samples, "web", in); err != nil {
				t.Error(err)
			}
		}
	}
	for round := range rounds {
		if round == rounds-1 { // killed while it may be writing
			publish(round)
			kill, now := context.WithCancel(t.Context())
			now()
			_ = server.Stop(kill)
		} else {
			_ = server.Stop(t.Context())
			publish(round)
		}
		server = launch()
	}
	awaitLag(t, b)
	cancel()
	wg.Wait()
	want := fmt.Sprintf("%d %d %d", rounds*batches*hosts, rounds*batches*hosts, hosts)
	if got := query(t, d, "SELECT concat_ws(' ', count(*), count(DISTINCT (host, time)), count(DISTINCT host)) FROM samples"); got != want {
		t.Errorf("rows, different ones, hosts: got %s, want %s", got, want)
	}
}

// awaitLag returns when the writer has done all that is on the bus.
func awaitLag(t *testing.T, b *bus.Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		n, _, err := b.Lag(ctx, Consumer, bus.Samples)
		if err != nil {
			t.Fatalf("the writer did not finish: %v", err)
		}
		if n == 0 {
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}
