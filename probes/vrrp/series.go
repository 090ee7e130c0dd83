package vrrp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
func (c *seriesCache) get(name string, kind metric.Kind, labels ...string) (*metric.Series, error) {
	key := name + "\x00" + strings.Join(labels, "\x00")
	if s := c.known[key]; s != nil {
		return s, nil
	}
	all := make([]metric.Label, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		all = append(all, metric.Label{Name: labels[i], Value: labels[i+1]})
	}
	s, err := metric.NewSeries(c.cluster, c.host, name, all, metric.NoUnit, kind)
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
	s, err := w.cache.get(name, kind, labels...)
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

// samples appends all that the agent's state says.
func (p *Agent) samples(out *batch.Batch, now time.Time, s status.Status) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := writer{cache: p.series, out: out, ms: now.UnixMilli()}
	p.put(out, p.upOf, now, 1)
	for i := range s.Instances {
		w.instance(&s.Instances[i])
	}
	for _, t := range s.Tracks {
		w.put("keepwatch_ha_track_up", metric.State, truth(t.Up), "track", t.Name)
	}
	if s.Proxy != nil {
		w.put("keepwatch_ha_proxy_up", metric.State, truth(s.Proxy.Up), "engine", s.Proxy.Engine)
		w.put("keepwatch_ha_proxy_restarts_total", metric.Counter, float64(s.Proxy.Restarts), "engine", s.Proxy.Engine)
	}
	return errors.Join(w.errs...)
}

func (w *writer) instance(i *status.Instance) {
	vrid := strconv.Itoa(i.VRID)
	w.put("keepwatch_vrrp_state", metric.State, float64(i.StateNumber), "instance", i.Name, "vrid", vrid, "interface", i.Interface, "family", i.Family)
	gauge := func(name string, v int) { w.put(name, metric.Gauge, float64(v), "instance", i.Name, "vrid", vrid) }
	gauge("keepwatch_vrrp_priority", i.Priority)
	gauge("keepwatch_vrrp_priority_configured", i.PriorityConfigured)
	for _, vip := range i.Addresses {
		w.put("keepwatch_vip_held", metric.State, truth(slices.Contains(i.Held, vip)), "instance", i.Name, "vip", vip)
	}
	counter := func(name string, v uint64) {
		w.put(name, metric.Counter, float64(v), "instance", i.Name, "vrid", vrid)
	}
	counter("keepwatch_vrrp_advertisements_sent_total", i.Sent)
	counter("keepwatch_vrrp_advertisements_received_total", i.Received)
	counter("keepwatch_vrrp_advertisements_discarded_total", i.Discarded)
	counter("keepwatch_vrrp_address_mismatch_total", i.AddressMismatch)
	counter("keepwatch_vrrp_transitions_total", i.Transitions)
	counter("keepwatch_vrrp_stalls_total", i.Stalls)
	for reason, n := range i.Dropped {
		w.put("keepwatch_vrrp_advertisements_dropped_total", metric.Counter, float64(n), "instance", i.Name, "vrid", vrid, "reason", reason)
	}
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
