package alerter

import (
	"fmt"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/bus"
	"keepwatch/schema/db"
)

// subjects takes n mails and gives "recipient: subject", sorted.
func (w *world) subjects(n int) string {
	w.Helper()
	var all []string
	for range n {
		var m *mail.Message
		select {
		case m = <-w.mails:
		case <-w.Context().Done():
			w.Fatal("a mail did not arrive")
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			w.Error(err)
		}
		all = append(all, m.Header.Get("To")+": "+subject)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func (w *world) want(what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

func TestFromSampleToMailAndSMS(t *testing.T) {
	w := newWorld(t)
	w.rule("cpu", "description", "'Look at the top processes.'")
	w.exec("INSERT INTO events (cluster, host, id, time, kind, text) VALUES ('web', 'lb2', '1', to_timestamp($1::float8 / 1000), 'vrrp_transition', 'VI_1: master to fault')", w.t0)
	w.run()
	w.publish("cpu", 1, 0.5)
	w.publish("cpu", 2, 0.85)
	w.want("mails of the warning", w.subjects(2), "<ann@example.com>: WARNING: CPU busy on lb1 (busy), 85 %\n<bo@example.com>: 警告：lb1 CPU busy（busy），85 %")
	w.publish("cpu", 3, 0.97)
	w.want("mails of the critical", w.subjects(2), "<ann@example.com>: CRITICAL: CPU busy on lb1 (busy), 97 %\n<bo@example.com>: 严重：lb1 CPU busy（busy），97 %")
	sms := <-w.sms
	w.want("short message", sms.Get("To")+" "+sms.Get("Text"), "+4912345 CRITICAL lb1 cpu busy 97 %. lb2: VI_1: master to fault")
	w.exec("UPDATE alerts SET acknowledged_by = 'ann', acknowledged_at = now(), ack_comment = 'on it'")
	w.publish("cpu", 4, 0.98)
	w.publish("cpu", 63, 0.1)
	w.want("mails of the recovery", w.subjects(2), "<ann@example.com>: OK: CPU busy on lb1 (busy), 10 %, after 1 min 1 s\n<bo@example.com>: 正常：lb1 CPU busy（busy），10 %，持续了 1 分钟 1 秒")
	w.want("short message of the recovery", (<-w.sms).Get("Text"), "OK lb1 cpu busy 10 %, after 1 min 1 s")
	w.until("all sent", "SELECT count(*) = 8 FROM notifications WHERE status = 'sent' AND tries = 1")
	w.want("history", w.history(), "warning critical ok")
	w.want("row", w.text("SELECT concat_ws(' ', state, value, cluster, host, metric, labels, acknowledged_by, ack_comment) FROM alerts"), `ok 0.1 web lb1 cpu {"mode": "busy"} `)
	w.want("text in the mail", w.text(`SELECT concat(text LIKE '%Look at the top processes.%', text LIKE '%lb2: VI_1: master to fault%', text LIKE '%https://watch.example.com/alerts/' || alert || '%') FROM notifications WHERE contact = (SELECT id FROM contacts WHERE name = 'Ann') AND channel = 'mail' AND kind = 'problem' ORDER BY id LIMIT 1`), "ttt")
	if n := len(w.mails) + len(w.sms); n > 0 {
		t.Errorf("%d messages too many", n)
	}
}

func TestRestartInTheMiddleOfFor(t *testing.T) {
	w := newWorld(t)
	w.rule("cpu", "for_seconds", "60")
	end := w.run()
	w.publish("cpu", 1, 0.95)
	w.until("the wait is stored", "SELECT state = 'ok' AND machine->>'level' = 'critical' FROM alerts")
	end()
	w.publish("cpu", 31, 0.95) // judged after the restart
	w.run()
	w.publish("cpu", 60, 0.95)
	w.publish("cpu", 61, 0.95)
	w.until("critical", "SELECT state = 'critical' AND since = to_timestamp($1::float8 / 1000) FROM alerts", w.t0+61_000)
	w.want("history", w.history(), "critical")
}

// A wait that ended before the restart is not taken for one that goes on.
func TestRestartAfterAnEndedWait(t *testing.T) {
	w := newWorld(t)
	w.rule("cpu", "for_seconds", "60")
	end := w.run()
	w.publish("cpu", 1, 0.95)
	w.publish("cpu", 2, 0.1)
	w.until("the end is stored", "SELECT machine->>'level' = 'ok' FROM alerts")
	end()
	w.run()
	w.publish("cpu", 100, 0.95)
	w.publish("cpu", 159, 0.95)
	w.publish("cpu", 160, 0.95)
	w.until("critical", "SELECT state = 'critical' AND since = to_timestamp($1::float8 / 1000) FROM alerts", w.t0+160_000)
}

func TestOneLeadsTheOtherTakesOver(t *testing.T) {
	w := newWorld(t)
	w.rule("cpu", "for_seconds", "10")
	first := w.run()
	w.publish("cpu", 1, 0.95)
	w.until("the wait is stored", "SELECT count(*) = 1 FROM alerts")
	w.run()
	w.publish("cpu", 5, 0.95)
	first()
	w.publish("cpu", 11, 0.95)
	w.until("critical", "SELECT state = 'critical' FROM alerts")
	w.subjects(2)
	w.want("history", w.history(), "critical")
	w.until("sent once", "SELECT count(*) = 3 FROM notifications WHERE status = 'sent' AND tries = 1")
}

// While the rows cannot be written nothing is lost, and nothing is told twice afterwards.
func TestDatabaseAwayHoldsBack(t *testing.T) {
	w := newWorld(t)
	w.rule("cpu", "", "")
	w.run()
	w.publish("cpu", 1, 0.5)
	w.until("leading", "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
	w.exec("ALTER TABLE alert_events RENAME TO away")
	failures := metrics.GetOrCreateCounter(`keepwatch_bus_consume_failures_total{consumer="alerter",stream="samples"}`)
	before := failures.Get()
	w.publish("cpu", 2, 0.95)
	w.publish("cpu", 3, 0.1)
	w.publish("cpu", 4, 0.99)
	for failures.Get() == before { // the alerter has tried
		w.text("SELECT '' FROM pg_sleep(0.001)")
	}
	w.want("rows", w.text("SELECT count(*)::text FROM alerts"), "0")
	if n, _, err := w.bus.Lag(t.Context(), name, bus.Samples); err != nil || n == 0 {
		t.Errorf("messages that wait: %d, %v", n, err)
	}
	w.exec("ALTER TABLE away RENAME TO alert_events")
	w.until("caught up", "SELECT state = 'critical' AND value = 0.99 FROM alerts")
	w.want("history", w.history(), "critical ok critical")
	w.subjects(6)
	w.until("told", "SELECT count(*) = 9 FROM notifications WHERE status = 'sent'")
}

// The process died between the row and the message: the next one sends it.
func TestDiedBetweenRowAndMessage(t *testing.T) {
	w := newWorld(t)
	w.rule("cpu", "", "")
	good := w.conf.SMTP.Address
	w.conf.SMTP.Address = "127.0.0.1:1" // nobody listens
	end := w.run()
	w.publish("cpu", 1, 0.95)
	w.until("tried", "SELECT count(*) = 2 FROM notifications WHERE channel = 'mail' AND status = 'queued' AND tries = 1 AND last_error LIKE '%connection refused%'")
	end()
	w.exec("UPDATE notifications SET next_try = now()")
	rows, err := w.d.OutboxClaim(t.Context(), db.OutboxClaimParams{Channel: "mail", N: 10, Seconds: 0}) // and never completed
	if err != nil || len(rows) != 2 {
		t.Fatalf("claimed %d, %v", len(rows), err)
	}
	w.conf.SMTP.Address = good
	w.run()
	w.subjects(2)
	w.until("sent", "SELECT count(*) = 2 FROM notifications WHERE channel = 'mail' AND status = 'sent' AND tries = 3")
	w.want("tries", w.text("SELECT string_agg(outcome, ' ' ORDER BY notification, try) FROM notification_tries JOIN notifications n ON n.id = notification WHERE channel = 'mail'"),
		"retry retry sent retry retry sent")
}

func TestSilenceIsUnknown(t *testing.T) {
	w := newWorld(t)
	w.conf.NoDataFor = time.Second
	w.rule("cpu", "", "")
	w.exec("UPDATE rules SET no_data = true")
	w.run()
	w.publish("cpu", 1, 0.5)
	w.until("unknown", "SELECT state = 'unknown' FROM alerts")
	w.want("mails", w.subjects(2), "<ann@example.com>: UNKNOWN: CPU busy on lb1 (busy)\n<bo@example.com>: 未知：lb1 CPU busy（busy）")
	w.want("short message", (<-w.sms).Get("Text"), "UNKNOWN lb1 cpu busy no data for 1 s")
	w.publish("cpu", 100, 0.5)
	w.until("ok again", "SELECT count(*) >= 1 FROM alert_events WHERE from_state = 'unknown' AND to_state = 'ok' AND value = 0.5")
}

// A series that was heard before the start and never since is silent too.
func TestSilenceSinceBeforeTheStart(t *testing.T) {
	w := newWorld(t)
	w.conf.NoDataFor = time.Second
	w.rule("cpu", "", "")
	w.exec("UPDATE rules SET no_data = true")
	w.exec("INSERT INTO series (cluster, host, metric, labels, kind) VALUES ('web', 'lb1', 'cpu', '{\"mode\": \"busy\"}', 'gauge')")
	day := time.Now().UTC().Truncate(24 * time.Hour)
	w.exec(fmt.Sprintf("CREATE TABLE sample_rows_test PARTITION OF sample_rows FOR VALUES FROM ('%s') TO ('%s')",
		day.Add(-24*time.Hour).Format(time.RFC3339), day.Add(48*time.Hour).Format(time.RFC3339)))
	w.exec("INSERT INTO sample_rows SELECT id, now() - interval '1 minute', 0.5 FROM series")
	w.run()
	w.until("unknown", "SELECT state = 'unknown' FROM alerts")
}

func TestChangedRules(t *testing.T) {
	tests := []struct {
		name, change string
		until        string // after the change alone
		text         string // of the event that closes it
		subject      string // to Ann
	}{
		{"switched off", "UPDATE rules SET enabled = false, version = version + 1", "SELECT state = 'ok' FROM alerts",
			"closed: its threshold was switched off", "CLOSED: CPU busy on lb1 (busy)"},
		{"no longer about this host", "UPDATE rules SET hosts = 'db*', version = version + 1", "SELECT state = 'ok' FROM alerts",
			"closed: its threshold was changed and no longer covers this series", "CLOSED: CPU busy on lb1 (busy)"},
		{"deleted", "DELETE FROM rules", "SELECT count(*) = 3 FROM notifications WHERE kind = 'recovery' AND alert IS NULL", "", "CLOSED: CPU busy on lb1 (busy)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.rule("cpu", "", "")
			w.run()
			w.publish("cpu", 1, 0.95)
			w.until("critical", "SELECT state = 'critical' FROM alerts")
			w.subjects(2)
			w.exec(tt.change)
			w.until("closed", tt.until)
			if got := w.subjects(2); !strings.HasPrefix(got, "<ann@example.com>: "+tt.subject) {
				t.Errorf("mails: got %s", got)
			}
			if tt.text != "" {
				w.want("event", w.text("SELECT text FROM alert_events ORDER BY id DESC LIMIT 1"), tt.text)
			}
		})
	}
}

// A new limit is what the next sample is judged by; the alert is the same one, and stays acknowledged.
func TestRaisedLimit(t *testing.T) {
	w := newWorld(t)
	w.rule("cpu", "", "")
	w.run()
	w.publish("cpu", 1, 0.95)
	w.until("critical", "SELECT state = 'critical' FROM alerts")
	w.exec("UPDATE alerts SET acknowledged_by = 'ann', acknowledged_at = now()")
	w.exec("UPDATE rules SET critical = '0.99', version = version + 1")
	for second := int64(2); w.text("SELECT state FROM alerts") == "critical"; second++ {
		w.publish("cpu", second, 0.95)
	}
	w.want("after the change", w.text("SELECT concat_ws(' ', state, acknowledged_by) FROM alerts"), "warning ann")
	w.want("history", w.history(), "critical warning")
}

func TestDisabledWhileNobodyLed(t *testing.T) {
	w := newWorld(t)
	w.rule("cpu", "", "")
	end := w.run()
	w.publish("cpu", 1, 0.95)
	w.until("critical", "SELECT state = 'critical' FROM alerts")
	end()
	w.exec("UPDATE rules SET enabled = false, version = version + 1")
	w.run()
	w.until("closed", "SELECT state = 'ok' FROM alerts")
	w.exec("UPDATE rules SET enabled = true, version = version + 1")
	for second := int64(2); w.text("SELECT state FROM alerts") == "ok"; second++ {
		w.publish("cpu", second, 0.95)
	}
	w.want("history", w.history(), "critical ok critical")
}

func TestTestNotification(t *testing.T) {
	w := newWorld(t)
	w.conf.SMS.URL = ""
	w.rule("cpu", "", "")
	w.run()
	w.exec("INSERT INTO notifications (kind, contact, channel, recipient, text) SELECT 'test', id, 'mail', email, '' FROM contacts WHERE name = 'Bo'")
	w.exec("INSERT INTO notifications (kind, contact, channel, recipient, text) SELECT 'test', id, 'sms', phone, '' FROM contacts WHERE name = 'Ann'")
	w.want("mail", w.subjects(1), "<bo@example.com>: Keepwatch：测试消息")
	w.until("answers", "SELECT count(*) = 2 FROM notifications WHERE channel = 'mail' AND status = 'sent' OR channel = 'sms' AND status = 'failed' AND last_error = 'no SMS gateway is configured: set alerter.sms.url'")
}
