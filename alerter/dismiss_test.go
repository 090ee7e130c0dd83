package alerter

import "testing"

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
