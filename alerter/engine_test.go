package alerter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keepwatch/alerter/rule"
	"keepwatch/internal/conf"
	"keepwatch/metric"
	"keepwatch/metric/threshold"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

// lone is an engine with a database and without bus and outboxes.
func lone(t *testing.T) (*world, *engine) {
	t.Helper()
	w := &world{T: t, d: pgtest.New(t), conf: conf.Default().Alerter, t0: time.Now().Add(-time.Hour).UnixMilli()}
	w.exec(noRules)
	return w, w.engine()
}

// noRules takes away the thresholds that every installation has.
const noRules = "TRUNCATE rules RESTART IDENTITY CASCADE"

// What every installation watches for: a virtual address on two hosts, or a check that fails, is critical without
// anybody's doing.
func TestShippedThresholds(t *testing.T) {
	w := &world{T: t, d: pgtest.New(t), conf: conf.Default().Alerter, t0: time.Now().Add(-time.Hour).UnixMilli()}
	e := w.engine()
	w.load(e)
	for name, bad := range map[string]float64{"keepwatch_vip_conflict": 1, "keepwatch_vrrp_conflict": 1, "keepwatch_check_up": 0} {
		state := func() string {
			return w.text("SELECT coalesce(max(state), 'none') FROM alerts WHERE metric = $1", name)
		}
		w.take(e, name, 1, 1-bad)
		if got := state(); got != "none" {
			t.Errorf("%s %v: got %s", name, 1-bad, got)
		}
		w.take(e, name, 2, bad)
		if got := state(); got != "critical" {
			t.Errorf("%s %v: got %s", name, bad, got)
		}
		w.take(e, name, 3, 1-bad)
		if got := state(); got != "ok" {
			t.Errorf("%s %v again: got %s", name, 1-bad, got)
		}
	}
}

// A clock that is wrong, either way, is a warning after a minute.
func TestShippedClockThreshold(t *testing.T) {
	w := &world{T: t, d: pgtest.New(t), conf: conf.Default().Alerter, t0: time.Now().Add(-time.Hour).UnixMilli()}
	e := w.engine()
	w.load(e)
	const name = "keepwatch_host_clock_skew_seconds"
	at := int64(0)
	for _, c := range []struct {
		value float64
		want  string
	}{{5, "none"}, {-5, "none"}, {6, "warning"}, {0, "ok"}, {-3600, "warning"}, {1, "ok"}} {
		for range 6 { // 15 s apart
			at += 15
			w.take(e, name, at, c.value)
		}
		if got := w.text("SELECT coalesce(max(state), 'none') FROM alerts WHERE metric = $1", name); got != c.want {
			t.Errorf("%v s: got %s, want %s", c.value, got, c.want)
		}
	}
}

func (w *world) engine() *engine {
	return newEngine(Options{Config: w.conf, DB: w.d, URL: "https://watch.example.com", Log: slog.New(slog.DiscardHandler)}, w.t0,
		func(err error) { w.Errorf("the term ended: %v", err) })
}

// take judges one sample, at so many seconds after t0, and stores what comes of it.
func (w *world) take(e *engine, metricName string, second int64, value float64) {
	w.Helper()
	e.judge([]metric.Sample{{Series: series(metricName), Time: w.t0 + second*1000, Value: value}}, w.t0+second*1000)
	if err := e.flush(w.Context()); err != nil {
		w.Error(err)
	}
}

func (w *world) load(e *engine) {
	w.Helper()
	if err := e.load(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) queued() string {
	w.Helper()
	return w.text("SELECT coalesce(string_agg(concat_ws(' ', n.kind, n.channel, c.name), ', ' ORDER BY n.id), '') FROM notifications n JOIN contacts c ON c.id = n.contact")
}

func TestWhoIsTold(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.exec(`INSERT INTO contacts (name, email, phone, sms_from, enabled) VALUES ('Early', '', '+2', 'warning', true), ('Off', 'off@example.com', '+3', 'warning', false)`)
	w.exec("INSERT INTO rule_contacts SELECT r.id, c.id FROM rules r, contacts c ON CONFLICT DO NOTHING")
	w.load(e)
	steps := []struct {
		value float64
		want  string
	}{
		{0.1, ""},
		{0.85, "problem mail Ann, problem mail Bo, problem sms Early"},
		{0.95, "problem mail Ann, problem sms Ann, problem mail Bo, problem sms Early"},
		{0.85, "problem mail Ann, problem mail Bo, problem sms Early"},
		{0.1, "recovery mail Ann, recovery sms Ann, recovery mail Bo, recovery sms Early"},
		{0.85, "problem mail Ann, problem mail Bo, problem sms Early"},
		{0.1, "recovery mail Ann, recovery mail Bo, recovery sms Early"}, // Ann got no short message this time
	}
	for i, step := range steps {
		w.exec("UPDATE notifications SET status = 'sent'")
		before := w.queued()
		w.take(e, "cpu", int64(i+1), step.value)
		w.want(fmt.Sprintf("step %d", i), strings.TrimPrefix(strings.TrimPrefix(w.queued(), before), ", "), step.want)
	}
}

func TestRepeatUntilAcknowledged(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.load(e)
	w.take(e, "cpu", 1, 0.85)
	care := func(what, want string) {
		t.Helper()
		if err := e.care(t.Context(), w.t0+5*3600_000); err != nil {
			t.Fatal(err)
		}
		w.want(what, w.queued(), want)
	}
	care("just told", "problem mail Ann, problem mail Bo")
	w.exec("UPDATE notifications SET created_at = now() - interval '5 hours'")
	w.exec("UPDATE alerts SET since = now() - interval '5 hours'")
	care("five hours later", "problem mail Ann, problem mail Bo, repeat mail Ann, repeat mail Bo")
	care("and at once again", "problem mail Ann, problem mail Bo, repeat mail Ann, repeat mail Bo")
	w.want("subject", w.text("SELECT subject FROM notifications WHERE kind = 'repeat' ORDER BY id LIMIT 1"), "STILL WARNING: CPU busy on lb1 (busy), 85 %, for 4 h 59 min")
	w.exec("UPDATE notifications SET created_at = now() - interval '5 hours'")
	w.exec("UPDATE alerts SET acknowledged_by = 'ann', acknowledged_at = now()")
	care("acknowledged", "problem mail Ann, problem mail Bo, repeat mail Ann, repeat mail Bo")
}

func TestOpenAlertsGetTheirNewestValue(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.load(e)
	w.take(e, "cpu", 1, 0.85)
	w.take(e, "cpu", 2, 0.89)
	if err := e.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want("value", w.text("SELECT value::text FROM alerts"), "0.89")
}

// A transaction whose outcome was lost is stored once, however often it is tried.
func TestStoringTwiceIsStoringOnce(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.load(e)
	e.judge([]metric.Sample{{Series: series("cpu"), Time: w.t0 + 1000, Value: 0.95}}, w.t0+1000)
	for range 3 {
		if err := e.commit(t.Context(), e.unsaved); err != nil {
			t.Fatal(err)
		}
	}
	w.want("history", w.history(), "critical")
	w.want("queued", w.queued(), "problem mail Ann, problem sms Ann, problem mail Bo")
}

// Whoever no longer leads, and does not know it yet, overwrites nothing.
func TestStaleLeaderIsStopped(t *testing.T) {
	w, old := lone(t)
	w.rule("cpu", "", "")
	w.load(old)
	w.take(old, "cpu", 1, 0.85)
	leader := w.engine()
	w.load(leader)
	w.take(leader, "cpu", 2, 0.95)
	w.exec("UPDATE alerts SET machine = jsonb_set(machine, '{writes}', to_jsonb((machine->>'writes')::bigint + 60000))") // its clock may differ
	var cause error
	old.fail = func(err error) { cause = err }
	old.judge([]metric.Sample{{Series: series("cpu"), Time: w.t0 + 2000, Value: 0.1}}, w.t0+2000)
	if err := old.flush(t.Context()); !errors.Is(err, errOverwritten) || !errors.Is(cause, errOverwritten) {
		t.Errorf("got %v, and the term ends by %v", err, cause)
	}
	w.want("history", w.history(), "warning critical")
}

// What the database refuses by itself does not hold up the rest.
func TestRefusedWriteIsDroppedAlone(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.load(e)
	w.exec("ALTER TABLE alerts ADD CONSTRAINT odd CHECK (host <> 'odd')")
	odd := metric.MustSeries("web", "odd", "cpu", nil, metric.Ratio, metric.Gauge)
	e.judge([]metric.Sample{{Series: odd, Time: w.t0 + 1000, Value: 0.95}, {Series: series("cpu"), Time: w.t0 + 1000, Value: 0.95}}, w.t0+1000)
	before := dropped.Get()
	if err := e.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if dropped.Get() != before+1 || len(e.unsaved) > 0 {
		t.Errorf("dropped %d, left %d", dropped.Get()-before, len(e.unsaved))
	}
	w.want("hosts", w.text("SELECT string_agg(host, ' ') FROM alerts"), "lb1")
}

func TestSilenceCountsFromWhenTheBusIsUpToDate(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.exec("UPDATE rules SET no_data = true")
	w.load(e)
	w.take(e, "cpu", 1, 0.1)
	tick := func(second int64, upToDate bool, want string) {
		t.Helper()
		if err := e.tick(t.Context(), w.t0+second*1000, upToDate); err != nil {
			t.Fatal(err)
		}
		w.want(fmt.Sprintf("after %d s", second), w.history(), want)
	}
	tick(120, true, "")
	tick(500, false, "")
	tick(620, true, "")
	tick(621, true, "unknown")
}

func TestUnusableRuleHurtsNobodyElse(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.exec("INSERT INTO rules (name, metric, warning) VALUES ('typo', 'cpu', '80%')")
	before := badRules.Get()
	w.load(e)
	if err := e.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := badRules.Get() - before; got != 1 {
		t.Errorf("told %d times, want once", got)
	}
	w.take(e, "cpu", 1, 0.95)
	w.want("history", w.history(), "critical")
}

func TestUnreadableMachineBeginsAnew(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.exec("INSERT INTO alerts (rule, rule_version, cluster, host, metric, labels, state, since, machine) SELECT id, 1, 'web', 'lb1', 'cpu', '{\"mode\": \"busy\"}', 'critical', now() - interval '2 hours', '{}' FROM rules")
	w.load(e)
	w.take(e, "cpu", 1, 0.1)
	w.want("event", w.text("SELECT from_state || ' ' || to_state FROM alert_events"), "critical ok")
}

func TestSweepForgetsWhatIsGone(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.rule2("mem")
	w.load(e)
	w.take(e, "cpu", 1, 0.1)
	w.take(e, "mem", 1, 0.95)
	e.sweep(w.t0 + 25*3600_000)
	var left []string
	for _, v := range e.watches {
		for _, tr := range v.tracks {
			left = append(left, tr.series.Name)
		}
	}
	w.want("left", strings.Join(left, " "), "mem")
}

func (w *world) rule2(metricName string) {
	w.exec("INSERT INTO rules (name, metric, warning, no_data) VALUES ('second', $1, '0.8', false)", metricName)
}

func benchEngine(b *testing.B, watched bool) (*engine, []metric.Sample) {
	b.Helper()
	e := newEngine(Options{Config: conf.Default().Alerter, Log: slog.New(slog.DiscardHandler)}, 0, func(error) {})
	r := db.AlerterRulesRow{ID: 1, Name: "r", Metric: "cpu", Hosts: "web/*", Labels: []byte(`{}`), Transform: threshold.Value, Warning: "0.8", Critical: "0.9", ForSeconds: 60, NoData: true, Enabled: true}
	if !watched {
		r.Metric = "other"
	}
	e.apply([]db.AlerterRulesRow{r})
	samples := make([]metric.Sample, 10_000)
	for i := range samples {
		samples[i].Series = metric.MustSeries("web", fmt.Sprintf("h%d", i), "cpu", nil, metric.Ratio, metric.Gauge)
		samples[i].Value = 0.5
	}
	return e, samples
}

func benchmarkJudge(b *testing.B, watched bool) {
	e, samples := benchEngine(b, watched)
	now := int64(1)
	round := func() {
		now += 1000
		for i := range samples {
			samples[i].Time = now
		}
		e.judge(samples, now)
	}
	round()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		round()
	}
	b.ReportMetric(float64(b.N*len(samples))/b.Elapsed().Seconds(), "samples/s")
	if len(e.unsaved) > 0 {
		b.Fatal("the samples were to be unremarkable")
	}
}

func BenchmarkJudgeUnwatched(b *testing.B) { benchmarkJudge(b, false) }
func BenchmarkJudgeWatched(b *testing.B)   { benchmarkJudge(b, true) }

func TestJudgingAllocatesNothing(t *testing.T) {
	e := newEngine(Options{Config: conf.Default().Alerter, Log: slog.New(slog.DiscardHandler)}, 0, func(error) {})
	e.apply([]db.AlerterRulesRow{{ID: 1, Name: "r", Metric: "cpu", Hosts: "*", Labels: []byte(`{}`), Warning: "0.8", NoData: true, Enabled: true}})
	samples := []metric.Sample{{Series: series("cpu"), Value: 0.5}, {Series: series("mem"), Value: 0.5}}
	now := int64(0)
	round := func() {
		now += 1000
		samples[0].Time, samples[1].Time = now, now
		e.judge(samples, now)
	}
	round()
	if got := testing.AllocsPerRun(100, round); got > 0 {
		t.Errorf("got %v allocations for two samples, want none", got)
	}
}

func TestStoredMachinesAreRead(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.load(e)
	w.take(e, "cpu", 1, 0.95)
	again := w.engine()
	w.load(again)
	tr := again.watches[1].tracks[series("cpu").Key()]
	if tr == nil || tr.machine.State != rule.Critical || tr.machine.Writes == 0 || tr.alert == 0 {
		t.Fatalf("got %+v", tr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.take(again, "cpu", 1, 0.95) // redelivered: nothing to store
	if err := again.flush(ctx); err != nil {
		t.Error(err)
	}
	w.want("history", w.history(), "critical")
}
