package alerter

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"keepwatch/bus"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if code == 0 {
		// nats-server keeps a goroutine of its statistics.
		if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.init.0.func1")); err != nil {
			log.Print(err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is a database, a bus, a mail server and an SMS gateway, all real.
type world struct {
	*testing.T
	d     *db.DB
	bus   *bus.Bus
	conf  conf.Alerter
	mails chan *mail.Message
	sms   chan http.Header // the gateway gets to, text and id as headers
	t0    int64            // ms, an hour ago
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, d: pgtest.New(t), mails: make(chan *mail.Message, 100), sms: make(chan http.Header, 100), t0: time.Now().Add(-time.Hour).UnixMilli()}
	w.exec(noRules)
	var err error
	if w.bus, err = bus.Open(t.Context(), bus.Options{Dir: t.TempDir(), MaxBytes: 64 << 20, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.conf = conf.Default().Alerter
	w.conf.NoDataFor = time.Hour
	w.conf.SMTP.Address = w.mailServer()
	w.conf.SMS.URL = w.gateway() + "/?to={{query .To}}&text={{query .Text}}&id={{.ID}}"
	w.takePlace()
	return w
}

func (w *world) mailServer() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailbox{w}, nil }))
	s.Domain, s.ErrorLog = "mail.example.com", log.New(io.Discard, "", 0)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	w.Cleanup(func() { _, _ = s.Close(), l.Close(); <-done })
	return l.Addr().String()
}

type mailbox struct{ w *world }

func (*mailbox) Reset()                               {}
func (*mailbox) Logout() error                        { return nil }
func (*mailbox) Mail(string, *smtp.MailOptions) error { return nil }
func (*mailbox) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (b *mailbox) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, m.Body); err != nil {
		return err
	}
	b.w.mails <- m
	return nil
}

func (w *world) gateway() string {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.sms <- http.Header{"To": {q.Get("to")}, "Text": {q.Get("text")}, "Id": {q.Get("id")}}
	}))
	w.Cleanup(s.Close)
	return s.URL
}

// takePlace gives the alerter a place in the bus, so that what is published before it runs is judged.
func (w *world) takePlace() {
	ctx, cancel := context.WithCancel(w.Context())
	heard, done := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		done <- w.bus.Consume(ctx, name, bus.ConsumeOptions{Kinds: []bus.Kind{bus.Samples}, FromNew: true}, func(context.Context, []bus.Message) error {
			once.Do(func() { close(heard) })
			return nil
		})
	}()
	for {
		w.publish("hello", 0, 0)
		select {
		case <-heard:
			cancel()
			if err := <-done; err != nil {
				w.Fatal(err)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// run starts an alerter, which ends with the test or when end is called.
func (w *world) run() (end func()) {
	w.Helper()
	a, err := New(Options{Config: w.conf, DB: w.d, Bus: w.bus, URL: "https://watch.example.com", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.Error(err)
			}
		})
	}
	w.Cleanup(end)
	return end
}

func series(metricName string) *metric.Series {
	return metric.MustSeries("web", "lb1", metricName, []metric.Label{{Name: "mode", Value: "busy"}}, metric.Ratio, metric.Gauge)
}

// publish puts one sample on the bus, at so many seconds after t0.
func (w *world) publish(metricName string, second int64, value float64) {
	w.Helper()
	b := &batch.Batch{Samples: []metric.Sample{{Series: series(metricName), Time: w.t0 + second*1000, Value: value}}}
	if err := w.bus.Publish(w.Context(), bus.Samples, "web", b); err != nil {
		w.Fatal(err)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.d.Pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) text(sql string, args ...any) (got string) {
	w.Helper()
	if err := w.d.Pool.QueryRow(w.Context(), sql, args...).Scan(&got); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return got
}

// until polls the database, since what is awaited is a row.
func (w *world) until(what, sql string, args ...any) {
	w.Helper()
	for {
		var ok bool
		if err := w.d.Pool.QueryRow(w.Context(), "SELECT coalesce(("+sql+"), false)", args...).Scan(&ok); err != nil {
			w.Fatalf("%s: %v", sql, err)
		}
		if ok {
			return
		}
		select {
		case <-w.Context().Done():
			w.Fatalf("waited in vain: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// rule makes a threshold: warning over 0.8, critical over 0.9 unless the columns say otherwise.
func (w *world) rule(metricName, columns, values string) {
	w.Helper()
	if columns != "" {
		columns, values = ", "+columns, ", "+values
	}
	w.exec("INSERT INTO rules (name, metric, warning, critical, no_data"+columns+") VALUES ('CPU busy', $1, '0.8', '0.9', false"+values+")", metricName)
	w.exec("INSERT INTO contacts (name, email, phone, language) VALUES ('Ann', 'ann@example.com', '+4912345', 'en'), ('Bo', 'bo@example.com', '', 'zh')")
	w.exec("INSERT INTO rule_contacts SELECT r.id, c.id FROM rules r, contacts c")
}

// history is the states that an alert went through.
func (w *world) history() string {
	w.Helper()
	return w.text("SELECT coalesce(string_agg(to_state, ' ' ORDER BY id), '') FROM alert_events")
}
