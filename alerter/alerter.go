// Package alerter judges every sample on the bus by the thresholds in Postgres, keeps the alerts' states, and writes
// who is to be told; its outboxes send. It never reads a socket of the pipeline, draws, or sends what is not a row
// yet. cmd/keepwatch runs it, in as many processes as wanted: one leads, the others wait.
package alerter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/alerter/mail"
	"keepwatch/alerter/message"
	"keepwatch/alerter/outbox"
	"keepwatch/alerter/sms"
	"keepwatch/bus"
	"keepwatch/internal/conf"
	"keepwatch/schema/db"
)

// name is that of the leader's lock and of the place in the bus.
const name = "alerter"

const (
	leadEvery   = time.Second      // how often the lock is tried, and held on to
	reloadEvery = 30 * time.Second // rules are read again, should a notification have been missed; also for repeats
	workers     = 4                // messages of one channel sent at the same time
)

// Bus is what the alerter needs of the bus.
type Bus interface {
	Consume(ctx context.Context, name string, o bus.ConsumeOptions, fn func(ctx context.Context, messages []bus.Message) error) error
	Lag(ctx context.Context, name string, kind bus.Kind) (messages uint64, age time.Duration, err error)
}

// Options are what an Alerter works with.
type Options struct {
	Config conf.Alerter
	DB     *db.DB
	Bus    Bus
	URL    string // of the web app, for links, without a slash at its end
	Log    *slog.Logger
}

// Alerter is one of the alerters of an installation.
type Alerter struct {
	opt  Options
	mail *mail.Sender
	sms  *sms.Sender
}

// New makes an Alerter. An error means that the SMS templates cannot be read.
func New(opt Options) (*Alerter, error) {
	s, err := sms.New(opt.Config.SMS)
	if err != nil {
		return nil, err
	}
	return &Alerter{opt: opt, mail: mail.New(opt.Config.SMTP), sms: s}, nil
}

// Run works whenever this process leads, until ctx ends. It returns nil: a database that is away is waited for.
func (a *Alerter) Run(ctx context.Context) error {
	defer a.sms.Close()
	for {
		err := a.opt.DB.Lead(ctx, name, leadEvery, a.term)
		if ctx.Err() != nil {
			return nil
		}
		a.opt.Log.Warn("alerting is interrupted; trying again", "err", err)
		if !pause(ctx, leadEvery) {
			return nil
		}
	}
}

// term is the work of a leader. All it knows is read from the database at its beginning.
func (a *Alerter) term(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	outboxes, err := a.outboxes()
	if err != nil {
		return err
	}
	e := newEngine(a.opt, time.Now().UnixMilli(), fail)
	if err := e.load(ctx); err != nil {
		return fmt.Errorf("cannot load rules and alerts: %w", err)
	}
	a.opt.Log.Info("leading the alerters", "rules", len(e.watches))
	changed := make(chan struct{}, 1)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return a.opt.Bus.Consume(gctx, name, bus.ConsumeOptions{Kinds: []bus.Kind{bus.Samples}, FromNew: true}, e.take)
	})
	g.Go(func() error { return a.listen(gctx, changed, outboxes) })
	g.Go(func() error { return a.clock(gctx, e, changed) })
	for _, o := range outboxes {
		g.Go(func() error { return o.Run(gctx) })
	}
	err = g.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func (a *Alerter) outboxes() ([]*outbox.Outbox, error) {
	c := a.opt.Config
	byMail, err := outbox.New(outbox.Options{
		DB: a.opt.DB, Channel: "mail", Send: a.mail.Send, Timeout: c.SMTP.Timeout, Workers: workers, Log: a.opt.Log,
		Test: func(language, contact string) message.Mail {
			return message.TestMail(language, contact, a.opt.URL)
		},
	})
	if err != nil {
		return nil, err
	}
	bySMS, err := outbox.New(outbox.Options{
		DB: a.opt.DB, Channel: "sms", Send: a.sms.Send, Timeout: c.SMS.Timeout, Workers: workers, Log: a.opt.Log,
		Test: func(language, contact string) message.Mail {
			return message.Mail{Text: message.TestSMS(language, contact)}
		},
	})
	if err != nil {
		return nil, err
	}
	return []*outbox.Outbox{byMail, bySMS}, nil
}

// listen passes on what the database tells: rules that changed, notifications that wait. While it cannot listen, the
// clock of reloadEvery and the outboxes' own polling stand in.
func (a *Alerter) listen(ctx context.Context, changed chan<- struct{}, outboxes []*outbox.Outbox) error {
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	wake := func() {
		for _, o := range outboxes {
			o.Wake()
		}
	}
	for {
		err := a.opt.DB.Listen(ctx, "keepwatch", func() { tell(); wake() }, func(payload string) {
			var n struct{ Table, Op string }
			if json.Unmarshal([]byte(payload), &n) != nil {
				return // nobody but the triggers of our schema is expected here
			}
			switch {
			case n.Table == "rules":
				tell()
			case n.Table == "notifications" && n.Op == "insert":
				wake()
			}
		})
		if !pause(ctx, leadEvery) {
			return nil
		}
		a.opt.Log.Warn("cannot listen to the database; listening again", "err", err)
	}
}

// clock lets time pass for the engine.
func (a *Alerter) clock(ctx context.Context, e *engine, changed <-chan struct{}) error {
	tick := time.NewTicker(min(max(a.opt.Config.NoDataFor/10, 100*time.Millisecond), 5*time.Second))
	defer tick.Stop()
	slow := time.NewTicker(reloadEvery)
	defer slow.Stop()
	for failing := false; ; {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			err = e.reload(ctx)
		case <-tick.C:
			_, behind, lagErr := a.opt.Bus.Lag(ctx, name, bus.Samples)
			now := time.Now().UnixMilli()
			err = errors.Join(e.dismiss(ctx, now), e.tick(ctx, now, lagErr == nil && behind <= maxLag))
		case <-slow.C:
			err = e.care(ctx, time.Now().UnixMilli())
		}
		if err != nil && ctx.Err() == nil && !failing {
			a.opt.Log.Warn("the alerter cannot reach its rows; trying again", "err", err)
		}
		failing = err != nil
	}
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
