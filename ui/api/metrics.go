package api

import (
	"context"
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

// metricsFor is how long the list is kept: names come and go seldom.
const metricsFor = 10 * time.Second

func (a *API) listMetrics(ctx context.Context, _ *none) (*items[Metric], error) {
	all, err := a.metrics.get(metricsFor, func() ([]Metric, error) {
		rows, err := a.db.UIMetrics(ctx)
		return each(rows, func(r db.UIMetricsRow) Metric {
			return Metric{Name: r.Metric, Unit: r.Unit, Kind: r.Kind, Hosts: r.Hosts}
		}), err
	})
	return list(all), err
}
