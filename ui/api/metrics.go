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

	// Of metrics from a Ganglia network that have no name of our own; empty for all others.
	Title       string `json:"title" doc:"what its sender calls it; empty: nobody says"`
	Description string `json:"description" doc:"what its sender says of it; empty: nothing"`
}

// metricsFor is how long the list is kept: names come and go seldom.
const metricsFor = 10 * time.Second

func (a *API) listMetrics(ctx context.Context, _ *none) (*items[Metric], error) {
	all, err := a.metrics.get(metricsFor, func() ([]Metric, error) {
		rows, err := a.db.UIMetrics(ctx)
		if err != nil {
			return nil, err
		}
		said, err := a.db.UIMetricInfo(ctx)
		about := make(map[string]db.UIMetricInfoRow, len(said))
		for _, s := range said {
			about[s.Metric] = s
		}
		return each(rows, func(r db.UIMetricsRow) Metric {
			s := about[r.Metric]
			return Metric{Name: r.Metric, Unit: r.Unit, Kind: r.Kind, Hosts: r.Hosts, Title: s.Title, Description: s.Description}
		}), err
	})
	return list(all), err
}
