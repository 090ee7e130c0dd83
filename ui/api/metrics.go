package api

import (
	"context"
	"sync"
	"time"

	"keepwatch/schema/db"
)

// Metric is a name that a threshold may watch.
type Metric struct {
	Name  string `json:"name"`
	Unit  string `json:"unit"`
	Kind  string `json:"kind" enum:"gauge,counter,state"`
	Hosts int64  `json:"hosts" doc:"hosts that have it"`
}

// metricList remembers the list for a while: counting all series takes a second in a large installation, and names
// come and go seldom.
type metricList struct {
	mu    sync.Mutex
	until time.Time
	list  []Metric
}

const rememberMetrics = 30 * time.Second

func (a *API) listMetrics(ctx context.Context, _ *none) (*items[Metric], error) {
	m := &a.metrics
	m.mu.Lock() // one asks, the others wait for the same answer
	defer m.mu.Unlock()
	if now := time.Now(); now.After(m.until) {
		rows, err := a.db.UIMetrics(ctx)
		if err != nil {
			return nil, err
		}
		m.list = each(rows, func(r db.UIMetricsRow) Metric {
			return Metric{Name: r.Metric, Unit: r.Unit, Kind: r.Kind, Hosts: r.Hosts}
		})
		m.until = now.Add(rememberMetrics)
	}
	return list(m.list), nil
}
