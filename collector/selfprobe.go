package collector

import (
	"context"
	"time"

	"keepwatch/collector/state"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// selfProbe tells of the collector itself. A host without any other probe is still heard.
type selfProbe struct {
	c              *Collector
	started, hosts *metric.Series
	dropped        map[state.Dropped]*metric.Series // by What and Reason
}

func newSelfProbe(c *Collector) (*selfProbe, error) {
	p := &selfProbe{c: c, dropped: make(map[state.Dropped]*metric.Series)}
	var err error
	if p.started, err = metric.NewSeries(c.opt.Cluster, c.opt.Host, "keepwatch_collector_start_time_seconds", nil, metric.Seconds, metric.Gauge); err != nil {
		return nil, err
	}
	p.hosts, err = metric.NewSeries(c.opt.Cluster, c.opt.Host, "keepwatch_collector_hosts", nil, metric.NoUnit, metric.Gauge)
	return p, err
}

// Name is "collector".
func (p *selfProbe) Name() string { return "collector" }

// Interval is the collector's own.
func (p *selfProbe) Interval() time.Duration { return 0 }

// Collect tells since when the collector runs, how many hosts it knows, and what of theirs it dropped.
func (p *selfProbe) Collect(_ context.Context, now time.Time, out *batch.Batch) error {
	ms := now.UnixMilli()
	out.Samples = append(out.Samples,
		metric.Sample{Series: p.started, Time: ms, Value: float64(p.c.started.UnixMilli()) / 1000},
		metric.Sample{Series: p.hosts, Time: ms, Value: float64(p.c.state.Hosts())})
	for _, d := range p.c.state.DroppedTotals() {
		s, err := p.droppedSeries(d)
		if err != nil {
			return err
		}
		out.Samples = append(out.Samples, metric.Sample{Series: s, Time: ms, Value: float64(d.Count)})
	}
	return nil
}

func (p *selfProbe) droppedSeries(d state.Dropped) (*metric.Series, error) {
	d.Count = 0
	if s := p.dropped[d]; s != nil {
		return s, nil
	}
	s, err := metric.NewSeries(p.c.opt.Cluster, p.c.opt.Host, "keepwatch_collector_"+d.What+"_dropped_total",
		[]metric.Label{{Name: "reason", Value: d.Reason}}, metric.NoUnit, metric.Counter)
	if err == nil {
		p.dropped[d] = s
	}
	return s, err
}
