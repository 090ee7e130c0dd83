package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"keepwatch/alerter/delivery"
	"keepwatch/alerter/message"
	"keepwatch/alerter/outbox"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

type fixture struct {
	*testing.T
	d       *db.DB
	contact int32
	alert   int64
}

func setUp(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, d: pgtest.New(t)}
	f.scan(&f.contact, "INSERT INTO contacts (name, email, phone, language) VALUES ('Ann', 'ann@example.com', '+1', 'zh') RETURNING id")
	var ruleID int32
	f.scan(&ruleID, "INSERT INTO rules (name, metric, warning) VALUES ('r', 'up', '1:') RETURNING id")
	f.scan(&f.alert, "INSERT INTO alerts (rule, rule_version, cluster, host, metric, state, since, machine) VALUES ($1, 1, 'c', 'h', 'up', 'warning', now(), '{}') RETURNING id", ruleID)
	return f
}

func (f *fixture) scan(dst any, sql string, args ...any) {
	f.Helper()
	if err := f.d.Pool.QueryRow(f.Context(), sql, args...).Scan(dst); err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
}

func (f *fixture) queue(kind, text string) (id int64) {
	f.Helper()
	f.scan(&id, "INSERT INTO notifications (kind, alert, contact, channel, recipient, text) VALUES ($1, $2, $3, 'mail', 'ann@example.com', $4) RETURNING id", kind, f.alert, f.contact, text)
	return id
}

// run starts an outbox that is ended with the test. end ends it earlier.
func (f *fixture) run(send func(context.Context, delivery.Message) delivery.Result) (o *outbox.Outbox, end func()) {
	f.Helper()
	o, err := outbox.New(outbox.Options{DB: f.d, Channel: "mail", Send: send, Timeout: time.Minute, Workers: 4, Log: slog.New(slog.DiscardHandler),
		Test: func(language, contact string) message.Mail {
			return message.Mail{Subject: "test", Text: language + " for " + contact, HTML: "<p>"}
		}})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	var ended atomic.Bool
	end = func() {
		if cancel(); ended.CompareAndSwap(false, true) {
			if err := <-done; err != nil {
				f.Error(err)
			}
		}
	}
	f.Cleanup(end)
	return o, end
}

// until polls the database, since what is awaited is a row.
func (f *fixture) until(what, sql string, args ...any) {
	f.Helper()
	for {
		var ok bool
		f.scan(&ok, sql, args...)
		if ok {
			return
		}
		select {
		case <-f.Context().Done():
			f.Fatalf("waited in vain: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (f *fixture) tries(id int64) string {
	f.Helper()
	var got string
	f.scan(&got, "SELECT coalesce(string_agg(try || ' ' || outcome || ' ' || error, '; ' ORDER BY try), '') FROM notification_tries WHERE notification = $1", id)
	return got
}

func TestSentAndRecorded(t *testing.T) {
	f := setUp(t)
	id := f.queue("problem", "hello")
	var during string
	_, end := f.run(func(_ context.Context, m delivery.Message) delivery.Result {
		during = f.tries(id) // the try is on record before anything is sent
		if m.ID != id || m.Alert != f.alert || m.To != "ann@example.com" || m.Text != "hello" {
			t.Errorf("got %+v", m)
		}
		return delivery.OK()
	})
	f.until("sent", "SELECT status = 'sent' AND sent_at IS NOT NULL AND tries = 1 FROM notifications WHERE id = $1", id)
	end()
	if during != "1 started " || f.tries(id) != "1 sent " {
		t.Errorf("tries: during it %q, after it %q", during, f.tries(id))
	}
}

func TestRetriesUntilSent(t *testing.T) {
	f := setUp(t)
	id := f.queue("problem", "hello")
	keys := make(chan string, 10)
	var n atomic.Int32
	o, _ := f.run(func(_ context.Context, m delivery.Message) delivery.Result {
		keys <- m.Key
		if n.Add(1) < 3 {
			return delivery.Later("away %d", n.Load())
		}
		return delivery.OK()
	})
	for try := 1; try < 3; try++ {
		f.until("queued again", "SELECT status = 'queued' AND tries = $2 AND next_try > now() + interval '3 seconds' FROM notifications WHERE id = $1", id, try)
		if _, err := f.d.Pool.Exec(t.Context(), "UPDATE notifications SET next_try = now() WHERE id = $1", id); err != nil {
			t.Fatal(err)
		}
		o.Wake()
	}
	f.until("sent", "SELECT status = 'sent' AND last_error = '' FROM notifications WHERE id = $1", id)
	if got := f.tries(id); got != "1 retry away 1; 2 retry away 2; 3 sent " {
		t.Errorf("tries: %q", got)
	}
	if first, second, third := <-keys, <-keys, <-keys; first != second || first != third {
		t.Errorf("the key changed from try to try: %s, %s, %s", first, second, third)
	}
}

func TestGivenUpAtOnce(t *testing.T) {
	f := setUp(t)
	id := f.queue("problem", "hello")
	f.run(func(context.Context, delivery.Message) delivery.Result { return delivery.Never("no such user") })
	f.until("failed", "SELECT status = 'failed' AND last_error = 'no such user' FROM notifications WHERE id = $1", id)
	if got := f.tries(id); got != "1 failed no such user" {
		t.Errorf("tries: %q", got)
	}
}

func TestGivenUpAfterADay(t *testing.T) {
	f := setUp(t)
	id := f.queue("problem", "hello")
	if _, err := f.d.Pool.Exec(t.Context(), "UPDATE notifications SET created_at = now() - interval '25 hours' WHERE id = $1", id); err != nil {
		t.Fatal(err)
	}
	f.run(func(context.Context, delivery.Message) delivery.Result { return delivery.Later("away") })
	f.until("failed", "SELECT status = 'failed' AND last_error = 'given up after 1 tries in 24 h: away' FROM notifications WHERE id = $1", id)
}

func TestTestNotificationIsRenderedAndTriedOnce(t *testing.T) {
	f := setUp(t)
	id := f.queue("test", "")
	f.run(func(_ context.Context, m delivery.Message) delivery.Result {
		if m.Subject != "test" || m.Text != "zh for Ann" {
			t.Errorf("got %+v", m)
		}
		return delivery.Later("connection refused")
	})
	f.until("failed", "SELECT status = 'failed' AND last_error = 'connection refused' AND text = 'zh for Ann' AND html = '<p>' FROM notifications WHERE id = $1", id)
}

// A process that died between claim and outcome: its claim expires, the message is sent by the next one.
func TestClaimOfTheDeadIsTakenOver(t *testing.T) {
	f := setUp(t)
	id := f.queue("problem", "hello")
	if rows, err := f.d.OutboxClaim(t.Context(), db.OutboxClaimParams{Channel: "mail", N: 10, Seconds: 600}); err != nil || len(rows) != 1 {
		t.Fatalf("claimed %d, %v", len(rows), err)
	}
	if rows, err := f.d.OutboxClaim(t.Context(), db.OutboxClaimParams{Channel: "mail", N: 10, Seconds: 600}); err != nil || len(rows) != 0 {
		t.Fatalf("claimed twice: %d, %v", len(rows), err)
	}
	if _, err := f.d.Pool.Exec(t.Context(), "UPDATE notifications SET claimed_until = now() - interval '1 second' WHERE id = $1", id); err != nil {
		t.Fatal(err)
	}
	f.run(func(context.Context, delivery.Message) delivery.Result { return delivery.OK() })
	f.until("sent", "SELECT status = 'sent' AND tries = 2 FROM notifications WHERE id = $1", id)
	if got := f.tries(id); got != "1 retry the process that tried it ended before it knew the outcome; 2 sent " {
		t.Errorf("tries: %q", got)
	}
	// The dead one comes back and wants to record its outcome: too late.
	if n, err := f.d.OutboxDone(t.Context(), db.OutboxDoneParams{ID: id, Try: 1, Status: "failed", Outcome: "failed", Error: "late"}); err != nil || n != 0 {
		t.Errorf("a lost claim recorded its outcome: %d, %v", n, err)
	}
}

func TestRecoveryNeverOvertakesItsProblem(t *testing.T) {
	f := setUp(t)
	problem, recovery := f.queue("problem", "bad"), f.queue("recovery", "good")
	sent := make(chan string, 10)
	var n atomic.Int32
	o, _ := f.run(func(_ context.Context, m delivery.Message) delivery.Result {
		if n.Add(1) == 1 {
			return delivery.Later("away")
		}
		sent <- m.Text
		return delivery.OK()
	})
	f.until("queued again", "SELECT tries = 1 AND status = 'queued' FROM notifications WHERE id = $1", problem)
	f.until("waiting", "SELECT tries = 0 FROM notifications WHERE id = $1", recovery)
	if _, err := f.d.Pool.Exec(t.Context(), "UPDATE notifications SET next_try = now() WHERE id = $1", problem); err != nil {
		t.Fatal(err)
	}
	o.Wake()
	if first, second := <-sent, <-sent; first != "bad" || second != "good" {
		t.Errorf("sent %q, then %q", first, second)
	}
}

// Many messages, two outboxes: each message once, and no more at a time than there are workers.
func TestTwoOutboxesSendEachOnce(t *testing.T) {
	f := setUp(t)
	const count = 60
	if _, err := f.d.Pool.Exec(t.Context(), "INSERT INTO notifications (kind, channel, recipient, text) SELECT 'repeat', 'mail', 'x', 'm' || i FROM generate_series(1, $1) i", count); err != nil {
		t.Fatal(err)
	}
	var sent [2]atomic.Int32
	var most, now [2]atomic.Int32
	for i := range 2 {
		f.run(func(context.Context, delivery.Message) delivery.Result {
			most[i].Store(max(most[i].Load(), now[i].Add(1)))
			defer now[i].Add(-1)
			sent[i].Add(1)
			return delivery.OK()
		})
	}
	f.until("all sent", "SELECT count(*) = $1 FROM notifications WHERE status = 'sent' AND tries = 1", count)
	if total := sent[0].Load() + sent[1].Load(); total != count {
		t.Errorf("sent %d messages, want %d", total, count)
	}
	for i := range 2 {
		if most[i].Load() > 4 {
			t.Errorf("outbox %d sent %d at a time, want at most 4", i, most[i].Load())
		}
	}
}

// What is being sent when the process is to end is finished and recorded.
func TestEndWaitsForWhatIsBeingSent(t *testing.T) {
	f := setUp(t)
	id := f.queue("problem", "hello")
	sending, goOn := make(chan struct{}), make(chan struct{})
	_, end := f.run(func(ctx context.Context, _ delivery.Message) delivery.Result {
		close(sending)
		<-goOn
		if ctx.Err() != nil {
			return delivery.Later("broken off")
		}
		return delivery.OK()
	})
	<-sending
	ended := make(chan struct{})
	go func() { end(); close(ended) }()
	close(goOn)
	<-ended
	f.until("sent", "SELECT status = 'sent' FROM notifications WHERE id = $1", id)
}

func TestNewRefuses(t *testing.T) {
	if _, err := outbox.New(outbox.Options{Channel: "mail", Timeout: time.Second}); err == nil || fmt.Sprint(err) != "cannot make the outbox of mail: want workers and a timeout" {
		t.Errorf("got %v", err)
	}
}
