package alerter

import (
	"context"
	"math"
	"time"

	"keepwatch/alerter/message"
	"keepwatch/alerter/rule"
	"keepwatch/schema/db"
)

// facts is what a change is to be told as.
func (c *commitment) facts(ctx context.Context, alert int64, w write) (*message.Facts, error) {
	f := c.e.about(w.watch, w.track)
	f.Kind, f.Alert, f.State, f.From, f.Time, f.Began = message.Problem, alert, w.change.To, w.change.From, w.change.Time, w.change.Began
	f.Value, f.HasValue, f.Closed = w.change.Value, w.change.HasValue, w.closed
	if w.change.To == rule.OK {
		f.Kind = message.Recovery
	}
	var err error
	f.Events, err = c.around(ctx, w.track.series, w.change.Time)
	return f, err
}

// about is what does not depend on the change.
func (e *engine) about(w *watch, t *track) *message.Facts {
	return &message.Facts{
		Rule: w.name, About: w.about, Series: t.series, Transform: w.limits.Transform, Warning: w.limits.Warning,
		Critical: w.limits.Critical, NoData: e.opt.Config.NoDataFor, URL: e.opt.URL, Zone: time.Local,
	}
}

// tell queues for each contact of a rule what its channels take of a state: mail from WARNING on, short messages from
// the contact's own state on. UNKNOWN counts as CRITICAL.
func (c *commitment) tell(ctx context.Context, f *message.Facts, event int64, contacts []int32, state rule.State) error {
	for _, id := range contacts {
		if err := c.queue(ctx, f, event, id, "mail"); err != nil {
			return err
		}
		if p := c.contacts[id]; state.Rank() >= rule.State(p.SmsFrom).Rank() {
			if err := c.queue(ctx, f, event, id, "sms"); err != nil {
				return err
			}
		}
	}
	return nil
}

// queue writes one notification. A contact that is gone, off or without an address for the channel is passed over.
func (c *commitment) queue(ctx context.Context, f *message.Facts, event int64, contact int32, channel string) error {
	p, ok := c.contacts[contact]
	if !ok {
		return nil
	}
	n := db.AlerterQueueParams{Kind: string(f.Kind), Contact: &p.ID, Channel: channel, Recipient: p.Email}
	if f.Alert > 0 {
		n.Alert = &f.Alert
	}
	if event > 0 {
		n.AlertEvent = &event
	}
	if channel == "sms" {
		n.Recipient, n.Text = p.Phone, f.SMS(p.Language)
	} else {
		m := f.Mail(p.Language)
		n.Subject, n.Text, n.Html = m.Subject, m.Text, m.HTML
	}
	if n.Recipient == "" {
		return nil
	}
	return db.Map(c.tx.AlerterQueue(ctx, n))
}

// orphan tells of an alert whose rule was deleted, and all its rows with it: whoever would have been told of the
// problem is told that it is closed.
func (c *commitment) orphan(ctx context.Context, w write) error {
	if w.change == nil || w.closed == "" {
		return nil
	}
	f, err := c.facts(ctx, 0, w)
	if err != nil {
		return err
	}
	f.Closed = message.RuleDeleted
	return c.tell(ctx, f, 0, w.watch.contacts, w.change.From)
}

// care is what is done now and then: rules are read again, open alerts get their newest values, and problems that
// nobody has acknowledged are told again.
func (e *engine) care(ctx context.Context, now int64) error {
	if err := e.reload(ctx); err != nil {
		return err
	}
	if err := e.refresh(ctx); err != nil {
		return err
	}
	if e.opt.Config.Repeat == 0 {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.repeat(ctx, now)
}

// refresh stores the newest values of open alerts, which are shown with them.
func (e *engine) refresh(ctx context.Context) error {
	var p db.AlerterRefreshParams
	e.mu.Lock()
	for _, w := range e.watches {
		for _, t := range w.tracks {
			m := &t.machine
			if t.alert > 0 && m.State != rule.OK && m.Level != "" && !math.IsInf(float64(m.Value), 0) {
				p.Ids, p.Values = append(p.Ids, t.alert), append(p.Values, float64(m.Value))
			}
		}
	}
	e.mu.Unlock()
	if len(p.Ids) == 0 {
		return nil
	}
	return db.Map(e.opt.DB.AlerterRefresh(ctx, p))
}

// repeat tells again of the problems that are due. The database says which: it knows acknowledgements and what was
// told before a restart.
func (e *engine) repeat(ctx context.Context, now int64) error {
	ctx, cancel := context.WithTimeout(ctx, storeFor)
	defer cancel()
	return e.opt.DB.InTx(ctx, func(tx *db.Tx) error {
		due, err := tx.AlerterRepeatDue(ctx, e.opt.Config.Repeat.Seconds())
		if err != nil || len(due) == 0 {
			return db.Map(err)
		}
		c, err := e.begin(ctx, tx, nil)
		if err != nil {
			return err
		}
		if err := c.lockContacts(ctx); err != nil {
			return err
		}
		for _, a := range due {
			if err := c.again(ctx, a, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *commitment) again(ctx context.Context, a db.AlerterRepeatDueRow, now int64) error {
	w := c.e.watches[a.Rule]
	key, err := rowKey(a.Cluster, a.Host, a.Metric, a.Labels)
	if w == nil || err != nil || w.tracks[key] == nil {
		return nil // the rule was changed a moment ago; the next time knows
	}
	t := w.tracks[key]
	m := &t.machine
	if m.State == rule.OK {
		return nil // over, and about to be stored
	}
	f := c.e.about(w, t)
	f.Kind, f.Alert, f.State, f.From, f.Time, f.Began = message.Repeat, a.ID, m.State, m.State, now, m.Began
	f.Value, f.HasValue = float64(m.Value), m.Level != ""
	if f.Events, err = c.around(ctx, t.series, now); err != nil {
		return err
	}
	return c.tell(ctx, f, a.Event, w.contacts, m.State)
}
