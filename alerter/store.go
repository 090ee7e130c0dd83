package alerter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"keepwatch/alerter/message"
	"keepwatch/alerter/rule"
	"keepwatch/metric"
	"keepwatch/schema/db"
)

// storeFor bounds one transaction, so that a server that hangs does not hold up the alerter for ever.
const storeFor = 30 * time.Second

// errOverwritten says that another alerter has stored the same alert since: this one no longer leads.
var errOverwritten = errors.New("another alerter has taken over")

// flush stores what waits, in one transaction. What fails stays, but for a single write that the database refuses by
// itself: it is dropped and counted, since it would hold up all others for ever.
func (e *engine) flush(ctx context.Context) error {
	if len(e.unsaved) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeFor)
	defer cancel()
	err := e.commit(ctx, e.unsaved)
	if refused(err) {
		err = e.commitSingly(ctx)
	}
	if err != nil {
		e.held = true
		if errors.Is(err, errOverwritten) {
			e.fail(err)
		}
		return fmt.Errorf("cannot store alerts: %w", err)
	}
	if e.held { // nothing was taken from the bus meanwhile: that is no silence of the series
		e.held, e.awake = false, time.Now().UnixMilli()
	}
	clear(e.unsaved)
	e.unsaved = e.unsaved[:0]
	return nil
}

// refused reports whether the database takes offence at what is written: the same would be refused again.
func refused(err error) bool {
	var c *db.ConstraintError
	return errors.As(err, &c)
}

func (e *engine) commitSingly(ctx context.Context) error {
	for len(e.unsaved) > 0 {
		w := e.unsaved[0]
		err := e.commit(ctx, e.unsaved[:1])
		if err != nil && !refused(err) {
			return err
		}
		if err != nil {
			dropped.Inc()
			e.opt.Log.Error("the database refuses an alert; it is dropped", "rule", w.watch.name, "series", w.track.series.String(), "err", err)
		}
		e.unsaved = e.unsaved[1:]
	}
	return nil
}

// commit stores machines, the history of their changes and who is to be told, all or nothing.
func (e *engine) commit(ctx context.Context, writes []write) error {
	ids := make(map[*track]int64)
	err := e.opt.DB.InTx(ctx, func(tx *db.Tx) error {
		clear(ids)
		c, err := e.begin(ctx, tx, writes)
		if err != nil {
			return err
		}
		for _, w := range writes {
			if !c.rules[w.watch.id] {
				if err := c.orphan(ctx, w); err != nil {
					return err
				}
				continue
			}
			id, fresh, err := c.alert(ctx, w)
			if err != nil {
				return err
			}
			ids[w.track] = id
			if fresh && w.change != nil {
				if err := c.history(ctx, id, w); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for t, id := range ids {
		t.alert = id
	}
	return nil
}

// commitment is one transaction of the engine.
type commitment struct {
	e        *engine
	tx       *db.Tx
	rules    map[int32]bool // that still exist
	contacts map[int32]db.Contact
	events   map[eventsKey][]message.Event
}

func (e *engine) begin(ctx context.Context, tx *db.Tx, writes []write) (*commitment, error) {
	c := &commitment{e: e, tx: tx, rules: make(map[int32]bool), contacts: make(map[int32]db.Contact), events: make(map[eventsKey][]message.Event)}
	var ids []int32
	tells := false
	for _, w := range writes {
		ids = append(ids, w.watch.id)
		tells = tells || w.change != nil
	}
	rules, err := tx.AlerterLockRules(ctx, ids)
	if err != nil {
		return nil, db.Map(err)
	}
	for _, id := range rules {
		c.rules[id] = true
	}
	if tells {
		return c, c.lockContacts(ctx)
	}
	return c, nil
}

func (c *commitment) lockContacts(ctx context.Context) error {
	contacts, err := c.tx.AlerterLockContacts(ctx)
	if err != nil {
		return db.Map(err)
	}
	for _, p := range contacts {
		c.contacts[p.ID] = p
	}
	return nil
}

// alert stores a machine. It reports false when that has been done before, by a transaction whose outcome was lost.
func (c *commitment) alert(ctx context.Context, w write) (id int64, fresh bool, err error) {
	s, m := w.track.series, w.machine
	labels, err := labelsJSON(s)
	if err != nil {
		return 0, false, err
	}
	machine, err := json.Marshal(m)
	if err != nil {
		return 0, false, fmt.Errorf("cannot write a machine: %w", err)
	}
	id, err = c.tx.AlerterPutAlert(ctx, db.AlerterPutAlertParams{
		Rule: w.watch.id, RuleVersion: w.watch.version, Cluster: s.Cluster, Host: s.Host, Metric: s.Name, Labels: labels,
		State: string(m.State), Since: time.UnixMilli(m.Since), Value: finite(float64(m.Value), m.Level != ""), Machine: machine,
	})
	if err = db.Map(err); !errors.Is(err, db.ErrNotFound) {
		return id, true, err
	}
	have, err := c.tx.AlerterStoredAlert(ctx, db.AlerterStoredAlertParams{Rule: w.watch.id, Cluster: s.Cluster, Host: s.Host, Metric: s.Name, Labels: labels})
	if err != nil {
		return 0, false, db.Map(err)
	}
	if same(have.Machine, m) {
		return have.ID, false, nil
	}
	return 0, false, errOverwritten
}

// same reports whether what is stored is this machine. When one transaction had two of a series and its outcome was
// lost, the first is not found again: the term ends, and the next one reads what is stored.
func same(raw []byte, m rule.Machine) bool {
	have, err := rule.Parse(raw)
	return err == nil && have.Writes == m.Writes && have.State == m.State && have.Since == m.Since
}

// finite is a value as its column takes it: what JSON cannot say is left out.
func finite(v float64, has bool) *float64 {
	if !has || math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

// history records a change and queues who is to be told.
func (c *commitment) history(ctx context.Context, alert int64, w write) error {
	f, err := c.facts(ctx, alert, w)
	if err != nil {
		return err
	}
	event, err := c.tx.AlerterPutEvent(ctx, db.AlerterPutEventParams{
		Alert: alert, Time: time.UnixMilli(w.change.Time), FromState: string(w.change.From), ToState: string(w.change.To),
		Value: finite(w.change.Value, w.change.HasValue), Text: f.EventText(),
	})
	if err != nil {
		return db.Map(err)
	}
	if w.change.To == rule.OK {
		told, err := c.tx.AlerterTold(ctx, db.AlerterToldParams{Alert: alert, Event: event})
		if err != nil {
			return db.Map(err)
		}
		for _, p := range told {
			if err := c.queue(ctx, f, event, p.Contact, p.Channel); err != nil {
				return err
			}
		}
		return nil
	}
	return c.tell(ctx, f, event, w.watch.contacts, w.change.To)
}

type eventsKey struct {
	cluster string
	minute  int64
}

// around gives what happened in the cluster in the ten minutes before.
func (c *commitment) around(ctx context.Context, s *metric.Series, at int64) ([]message.Event, error) {
	key := eventsKey{s.Cluster, at / 60_000}
	if events, ok := c.events[key]; ok {
		return events, nil
	}
	t := time.UnixMilli(at)
	rows, err := c.tx.AlerterEvents(ctx, db.AlerterEventsParams{Cluster: s.Cluster, Since: t.Add(-10 * time.Minute), Until: t.Add(time.Minute)})
	if err != nil {
		return nil, db.Map(err)
	}
	events := make([]message.Event, len(rows))
	for i, r := range rows {
		events[i] = message.Event{Host: r.Host, Time: r.Time.UnixMilli(), Kind: metric.EventKind(r.Kind), Text: r.Text}
	}
	c.events[key] = events
	return events, nil
}
