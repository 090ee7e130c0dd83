// Package outbox brings the notifications of one channel, which are rows, to the far side: it claims what is due,
// records each try before it sends and its outcome after, backs off, and gives up with a reason. It never decides who
// is told what. A process that dies between claim and outcome loses nothing: its claim expires and the message is
// tried again, under the same key. The alerter runs one Outbox a channel.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/alerter/delivery"
	"keepwatch/alerter/message"
	"keepwatch/schema/db"
)

const (
	poll      = 5 * time.Second  // how often due retries are looked for
	margin    = 30 * time.Second // how much longer than a send a claim lasts
	grace     = 5 * time.Second  // how long a message that is being sent may take when the process ends
	recordFor = 5 * time.Second  // how long its outcome may take to be recorded then
)

// Options say what an Outbox sends.
type Options struct {
	DB      *db.DB
	Channel string // as notifications.channel: mail or sms
	Send    func(ctx context.Context, m delivery.Message) delivery.Result
	Test    func(language, contact string) message.Mail // what a test notification says
	Timeout time.Duration                               // of one Send
	Workers int                                         // sent at the same time
	Log     *slog.Logger
}

// Outbox sends the notifications of one channel.
type Outbox struct {
	opt  Options
	wake chan struct{}
	busy atomic.Int64
	age  *metrics.Gauge
	done map[delivery.Outcome]*metrics.Counter
}

// New makes an Outbox.
func New(opt Options) (*Outbox, error) {
	if opt.Workers < 1 || opt.Timeout <= 0 {
		return nil, fmt.Errorf("cannot make the outbox of %s: want workers and a timeout", opt.Channel)
	}
	o := &Outbox{opt: opt, wake: make(chan struct{}, 1), done: make(map[delivery.Outcome]*metrics.Counter)}
	o.age = metrics.GetOrCreateGauge(fmt.Sprintf("keepwatch_alerter_queue_age_seconds{channel=%q}", opt.Channel), nil)
	for _, outcome := range []delivery.Outcome{delivery.Sent, delivery.Retry, delivery.GiveUp} {
		o.done[outcome] = metrics.GetOrCreateCounter(fmt.Sprintf("keepwatch_alerter_notifications_total{channel=%q,outcome=%q}", opt.Channel, outcome))
	}
	return o, nil
}

// Wake says that there may be something to send. It never blocks.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends, then waits for what is being sent. It returns nil.
func (o *Outbox) Run(ctx context.Context) error {
	var sending sync.WaitGroup
	defer o.age.Set(0)
	defer sending.Wait()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for failing := false; ; {
		err := o.round(ctx, &sending)
		if err != nil && ctx.Err() == nil && !failing {
			o.opt.Log.Warn("cannot fetch notifications; trying again until it works", "channel", o.opt.Channel, "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		case <-ticker.C:
		}
	}
}

// round claims as many as can be sent at once and sends them. Each that ends wakes the next round.
func (o *Outbox) round(ctx context.Context, sending *sync.WaitGroup) error {
	free := o.opt.Workers - int(o.busy.Load())
	if free < 1 {
		return nil
	}
	rows, err := o.opt.DB.OutboxClaim(ctx, db.OutboxClaimParams{Channel: o.opt.Channel, N: int32(free), Seconds: (o.opt.Timeout + margin).Seconds()})
	if err != nil {
		return db.Map(err)
	}
	for _, row := range rows {
		o.busy.Add(1)
		sending.Go(func() {
			defer o.Wake()
			defer o.busy.Add(-1)
			o.try(ctx, row)
		})
	}
	queue, err := o.opt.DB.OutboxQueue(ctx, o.opt.Channel)
	if err != nil {
		return db.Map(err)
	}
	o.age.Set(queue.AgeSeconds)
	return nil
}

func (o *Outbox) try(ctx context.Context, row db.OutboxClaimRow) {
	if row.Kind == string(message.Test) && row.Text == "" {
		m := o.opt.Test(row.Language, row.ContactName)
		row.Subject, row.Text, row.Html = m.Subject, m.Text, m.HTML
		if err := o.opt.DB.OutboxText(ctx, db.OutboxTextParams{ID: row.ID, Subject: row.Subject, Text: row.Text, Html: row.Html}); err != nil {
			o.opt.Log.Warn("cannot keep the text of a test notification", "notification", row.ID, "err", err)
		}
	}
	m := delivery.Message{
		ID: row.ID, Key: fmt.Sprintf("%d.%d", row.ID, row.CreatedAt.UnixMilli()), To: row.Recipient,
		Subject: row.Subject, Text: row.Text, HTML: row.Html,
	}
	if row.Alert != nil {
		m.Alert = *row.Alert
	}
	result := o.send(ctx, m)
	o.record(ctx, row, result)
}

// send gives the channel its time. When the process is to end, what is being sent gets a little more, since breaking
// it off would mean to send it twice.
func (o *Outbox) send(ctx context.Context, m delivery.Message) delivery.Result {
	sendCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.opt.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-sendCtx.Done():
		}
	})
	defer stop()
	return o.opt.Send(sendCtx, m)
}

// record tries until the outcome is recorded: a message that was sent and not recorded is sent twice.
func (o *Outbox) record(ctx context.Context, row db.OutboxClaimRow, result delivery.Result) {
	v := judge(row.ID, message.Kind(row.Kind), int(row.Tries), time.Duration(row.AgeSeconds*float64(time.Second)), result)
	o.done[v.outcome].Inc()
	log := o.opt.Log.With("notification", row.ID, "channel", o.opt.Channel, "try", row.Tries)
	switch v.outcome {
	case delivery.GiveUp:
		log.Error("a notification was given up", "recipient", row.Recipient, "reason", v.reason)
	case delivery.Retry:
		log.Warn("a notification could not be sent", "again_in", v.delay, "reason", v.reason)
	}
	p := db.OutboxDoneParams{ID: row.ID, Try: row.Tries, Status: v.status, Outcome: string(v.outcome), Error: v.reason, DelaySeconds: v.delay.Seconds()}
	end := time.Now().Add(margin)
	for {
		if err := o.recordOnce(ctx, p); err == nil || time.Now().After(end) || ctx.Err() != nil || !db.Unreachable(err) && !errors.Is(err, db.ErrRetry) {
			if err != nil {
				log.Warn("cannot record the outcome of a notification; it will be sent again", "outcome", v.outcome, "err", err)
			}
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (o *Outbox) recordOnce(ctx context.Context, p db.OutboxDoneParams) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordFor)
	defer cancel()
	_, err := o.opt.DB.OutboxDone(ctx, p)
	return db.Map(err)
}
