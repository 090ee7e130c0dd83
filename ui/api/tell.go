package api

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"keepwatch/schema/db"
)

// eventOfTable is how the stream calls a change of a table.
var eventOfTable = map[string]string{
	"alerts": "alert", "rules": "rule", "contacts": "contact", "notifications": "notification", "events": "event",
}

type identified struct {
	ID json.RawMessage `json:"id"`
}

// tellChanges gathers changes for a moment and tells each changed row once.
func (h *hub) tellChanges(ctx context.Context) error {
	for {
		g := gathered{told: make(map[string]bool)}
		select {
		case <-ctx.Done():
			return nil
		case <-h.resync:
			g.resync = true
		case p := <-h.changes:
			g.add(p)
		}
		h.gather(ctx, &g)
		h.tellGathered(ctx, &g)
	}
}

// gathered is what changed within a moment, each row once and in order.
type gathered struct {
	told     map[string]bool
	messages []message
	events   []string // ids
	resync   bool
}

func (g *gathered) add(payload string) {
	toldChanges.Inc()
	var c change
	if json.Unmarshal([]byte(payload), &c) != nil {
		return
	}
	name, ok := eventOfTable[c.Table]
	key := name + string(c.ID)
	if !ok || len(c.ID) == 0 || bytes.Equal(c.ID, []byte("null")) || g.told[key] {
		return
	}
	if len(g.told) >= maxGathered {
		g.resync = true
		return
	}
	g.told[key] = true
	if name == "event" {
		var id string
		if json.Unmarshal(c.ID, &id) == nil {
			g.events = append(g.events, id)
		}
		return
	}
	g.messages = append(g.messages, encode(name, identified{c.ID}))
}

func (h *hub) gather(ctx context.Context, g *gathered) {
	enough := time.After(gatherFor)
	for {
		select {
		case <-ctx.Done():
			return
		case <-enough:
			return
		case <-h.resync:
			g.resync = true
		case p := <-h.changes:
			g.add(p)
		}
	}
}

func (h *hub) tellGathered(ctx context.Context, g *gathered) {
	if h.idle() {
		return
	}
	if !g.resync && len(g.events) > 0 {
		rows, err := h.db.UIEventsAfter(ctx, db.UIEventsAfterParams{Ids: g.events, N: maxGathered})
		if err != nil {
			g.resync = true
		}
		for _, r := range rows {
			g.messages = append(g.messages, encode("event", eventOf(r)))
		}
	}
	if g.resync {
		h.tell(encode("resync", struct{}{}))
		return
	}
	for _, m := range g.messages {
		h.tell(m)
	}
}

type newestSample struct {
	NewestSampleAt Time `json:"newest_sample_at"`
}

// tellSamples tells how new the newest sample is, once for all commits of a second.
func (h *hub) tellSamples(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.samples:
		}
		if !h.idle() {
			d, err := h.db.UIData(ctx)
			if err == nil {
				h.tell(encode("samples", newestSample{at(d.Newest)}))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(samplesEach):
		}
	}
}

// measure watches how many rows the database has taken into the partitions of samples.
func (h *hub) measure(ctx context.Context) error {
	var before int64
	var when time.Time
	for {
		n, err := h.db.RowsWritten(ctx, "sample_rows")
		now := time.Now()
		h.mu.Lock()
		h.perSec = nil
		if err == nil && !when.IsZero() && n >= before {
			v := float64(n-before) / now.Sub(when).Seconds()
			h.perSec = &v
		}
		h.mu.Unlock()
		before, when = n, now
		if err != nil {
			when = time.Time{}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rateEach):
		}
	}
}
