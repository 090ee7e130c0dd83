package alerter

import (
	"testing"
	"time"
)

// forgets writes the event of a forgotten host, at so many seconds after t0.
func (w *world) forgets(host string, second int64) {
	w.Helper()
	w.exec("INSERT INTO events (cluster, host, id, time, kind, text) VALUES ('web', $1, 'forgotten-' || $2::bigint, to_timestamp($2 / 1000.0), 'host_forgotten', '')", host, w.t0+second*1000)
}

func (w *world) dismiss(e *engine, second int64) {
	w.Helper()
	if err := e.dismiss(w.Context(), w.t0+second*1000); err != nil {
		w.Fatal(err)
	}
}

// The alert of a forgotten host ends, whoever was told of it is told why, and silence makes no new one.
func TestForgottenHost(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.exec("UPDATE rules SET no_data = true")
	w.load(e)
	state := func(what, want string) {
		t.Helper()
		w.want(what, w.text("SELECT state FROM alerts"), want)
	}
	const hour = 3600
	w.take(e, "cpu", 1, 0.95)
	w.dismiss(e, 2*hour)
	state("no event", "critical")
	w.forgets("lb1", 1)
	w.dismiss(e, 2*hour)
	state("forgotten earlier", "critical")
	w.forgets("lb2", 100)
	w.dismiss(e, 2*hour)
	state("another host", "critical")
	w.forgets("lb1", 100)
	w.dismiss(e, 121) // alerter.no_data_for is 2 min
	state("not silent for long yet: what was sent may be on its way", "critical")
	w.dismiss(e, 122)
	state("forgotten", "ok")
	w.want("event", w.text("SELECT text FROM alert_events ORDER BY id DESC LIMIT 1"), "closed: the host is forgotten; that is no recovery")
	w.want("told", w.queued(), "problem mail Ann, problem sms Ann, problem mail Bo, recovery mail Ann, recovery sms Ann, recovery mail Bo")
	w.want("subject", w.text("SELECT left(subject, 30) FROM notifications WHERE kind = 'recovery' AND channel = 'mail' ORDER BY id LIMIT 1"), "CLOSED: CPU busy on lb1 (busy)")
	if err := e.tick(t.Context(), w.t0+10*hour*1000, true); err != nil {
		t.Fatal(err)
	}
	state("silent for ten hours", "ok")
	w.take(e, "cpu", 20*hour, 0.95)
	state("back", "critical")
	w.dismiss(e, 40*hour)
	state("back, and silent again", "critical")
}

// A host that is given another name is not silent under the old one: nobody is told of what was well, nor twice of what
// was not.
func TestRenamedHost(t *testing.T) {
	w, e := lone(t)
	w.t0 = time.Now().UnixMilli() - 4000 // the event is of late
	w.rule("cpu", "", "")
	w.rule2("mem")
	w.exec("UPDATE rules SET no_data = true")
	w.load(e)
	w.take(e, "cpu", 1, 0.1)
	w.take(e, "mem", 1, 0.95)
	w.forgets("lb1", 2)
	w.exec(`UPDATE events SET labels = '{"as": "lb"}'`)
	for second := int64(5); second < 1000; second += 5 {
		w.dismiss(e, second)
		if err := e.tick(t.Context(), w.t0+second*1000, true); err != nil {
			t.Fatal(err)
		}
	}
	w.want("history", w.history(), "warning ok")
	if left := len(e.watches[1].tracks) + len(e.watches[2].tracks); left != 0 {
		t.Errorf("%d series are watched yet", left)
	}
	w.take(e, "cpu", 999, 0.95)
	w.want("its name is another host's: history", w.history(), "warning ok critical")
}

// What was well, or was closed, before the alerter was started, and has not been heard since, is no silence.
func TestClosedBeforeTheStart(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.exec("UPDATE rules SET no_data = true")
	w.load(e)
	w.take(e, "cpu", 1, 0.95)
	w.forgets("lb1", 100)
	w.dismiss(e, 2*3600)
	next := w.engine()
	w.load(next)
	if err := next.tick(t.Context(), time.Now().Add(time.Hour).UnixMilli(), true); err != nil {
		t.Fatal(err)
	}
	w.want("history", w.history(), "critical ok")
}

// An alerter that was away, or died before it could store the end, ends the alert when it leads.
func TestForgottenWhileNobodyLed(t *testing.T) {
	w, e := lone(t)
	w.rule("cpu", "", "")
	w.load(e)
	w.take(e, "cpu", 1, 0.95)
	w.forgets("lb1", 100)
	next := w.engine()
	w.load(next)
	w.dismiss(next, 2*3600)
	w.want("history", w.history(), "critical ok")
}

// The running alerter looks by itself.
func TestForgottenIsSeen(t *testing.T) {
	w := newWorld(t)
	w.conf.NoDataFor = 1
	w.rule("cpu", "", "")
	w.run()
	w.publish("cpu", 1, 0.95)
	w.until("critical", "SELECT state = 'critical' FROM alerts")
	w.forgets("lb1", 2)
	w.until("closed", "SELECT state = 'ok' FROM alerts")
}

// The writer was away for longer than silence may be, so the newest samples are not in the database: what waits for its
// time goes on waiting.
func TestWaitGoesOnWhileNothingIsWritten(t *testing.T) {
	w, e := lone(t)
	w.t0 = time.Now().UnixMilli() - 900_000
	w.rule("cpu", "for_seconds", "1200")
	w.exec("UPDATE rules SET no_data = true")
	w.load(e)
	second := int64(0)
	for ; second < 900; second += 30 {
		w.take(e, "cpu", second, 0.95)
	}
	next := w.engine()
	next.awake = w.t0 + second*1000 // when it begins
	w.load(next)
	for ; second <= 1200; second += 30 {
		w.take(next, "cpu", second, 0.95)
	}
	w.want("history", w.history(), "critical")
}
