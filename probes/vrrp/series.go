package vrrp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"keepwatch/haagent/status"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// maxSeries bounds the series that a probe remembers; past it all are forgotten and made anew.
const maxSeries = 10_000

// seriesCache makes each series once, so that it is the same pointer from run to run. It is not for concurrent use.
type seriesCache struct {
	cluster, host string
	known         map[string]*metric.Series
}

func newSeriesCache(cluster, host string) *seriesCache {
	return &seriesCache{cluster: cluster, host: host, known: make(map[string]*metric.Series)}
}

// get gives the series of a name with labels, given as name, value, name, value.
func (c *seriesCache) get(name string, unit metric.Unit, kind metric.Kind, labels ...string) (*metric.Series, error) {
	key := name + "\x00" + strings.Join(labels, "\x00")
	if s := c.known[key]; s != nil {
		return s, nil
	}
	all := make([]metric.Label, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		all = append(all, metric.Label{Name: labels[i], Value: labels[i+1]})
	}
	s, err := metric.NewSeries(c.cluster, c.host, name, all, unit, kind)
	if err != nil {
		return nil, err
	}
	if len(c.known) >= maxSeries {
		clear(c.known)
	}
	c.known[key] = s
	return s, nil
}

// writer appends samples of one moment and remembers what was wrong.
type writer struct {
	cache *seriesCache
	out   *batch.Batch
	ms    int64
	errs  []error
}

func (w *writer) put(name string, kind metric.Kind, v float64, labels ...string) {
	w.add(name, metric.NoUnit, kind, v, labels)
}

func (w *writer) seconds(name string, v time.Duration, labels ...string) {
	w.add(name, metric.Seconds, metric.Gauge, v.Seconds(), labels)
}

func (w *writer) add(name string, unit metric.Unit, kind metric.Kind, v float64, labels []string) {
	s, err := w.cache.get(name, unit, kind, labels...)
	if err != nil {
		if len(w.errs) < 5 {
			w.errs = append(w.errs, err)
		}
		return
	}
	w.out.Samples = append(w.out.Samples, metric.Sample{Series: s, Time: w.ms, Value: v})
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// toEvent turns an event of the agent into one of the pipeline. Long texts are cut: an event that says less is
// better than none.
func toEvent(o *AgentOptions, boot string, e *status.Event) metric.Event {
	out := metric.Event{
		ID: fmt.Sprintf("%s-%d", boot, e.Seq), Cluster: o.Cluster, Host: o.Host, Time: e.Time.UnixMilli(),
		Kind: metric.EventKind(e.Kind), Text: cut(e.Text, metric.MaxEventText),
	}
	for name, value := range e.Labels {
		out.Labels = append(out.Labels, metric.Label{Name: name, Value: cut(value, metric.MaxLabelValue)})
	}
	slices.SortFunc(out.Labels, func(a, b metric.Label) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// cut shortens a text to limit bytes, between characters.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const more = "…"
	end := limit - len(more)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}
