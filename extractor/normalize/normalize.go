// Package normalize owns the decisions that make one vocabulary of what several sources say: the table that gives
// gmond's metrics the names, labels and base units of Keepwatch's own probes, the unwinding of counters that wrap at
// 2^32, and the rules by which several names are one host. It never reads a clock, does I/O or decides what is worth
// keeping: what the table doesn't know passes under its own name. The extractor calls it for every batch.
package normalize

import (
	"math"
	"strings"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

const (
	// prefix is what collectors put before the name of a metric that came in a gmond packet.
	prefix = "gmond_"

	// infoSuffix ends the name of the series that carries a text of gmond in its label value.
	infoSuffix = "_info"

	// metadataName is the series by which collectors tell title, description and units of gmond's metrics.
	metadataName = prefix + "metric" + infoSuffix

	// maxCached bounds the series remembered; past it all are forgotten and found again.
	maxCached = 2_000_000
)

// Hosts gives the name under which a host is kept. What it says of a name may change only between two Sweeps.
type Hosts func(cluster, host string) string

// outcome is what a series becomes.
type outcome struct {
	targets []target // none: its samples are dropped
	counter *counter // nil: not one that can wrap
}

// target is one series that another one becomes: value = scale × the one that came + offset.
type target struct {
	series        *metric.Series
	scale, offset float64
}

// Normalizer turns the series of one cluster into those of the vocabulary. It is not safe for concurrent use.
type Normalizer struct {
	table    *names
	cached   map[*metric.Series]outcome
	counters counters
	further  []metric.Sample
}

// New reads the table that is part of the program.
func New() (*Normalizer, error) {
	t, err := readTable(table)
	if err != nil {
		return nil, err
	}
	return &Normalizer{table: t, cached: make(map[*metric.Series]outcome), counters: newCounters()}, nil
}

// Batch normalizes the samples and events of b in place. A sample whose name has several lines in the table becomes
// several, the further ones at the end. hosts may be nil: every host keeps its name.
func (n *Normalizer) Batch(b *batch.Batch, hosts Hosts) {
	out, further := b.Samples[:0], n.further[:0]
	var last *metric.Series
	var host string
	for _, s := range b.Samples {
		if last == nil || s.Series.Host != last.Host || s.Series.Cluster != last.Cluster {
			last, host = s.Series, s.Series.Host
			if hosts != nil {
				host = hosts(last.Cluster, last.Host)
			}
		}
		if host == s.Series.Host && !strings.HasPrefix(s.Series.Name, prefix) {
			out = append(out, s)
			continue
		}
		o := n.outcome(s.Series, host)
		if o.counter != nil {
			s.Value = n.counters.unwind(o.counter, s.Time, s.Value)
		}
		for i, t := range o.targets {
			x := metric.Sample{Series: t.series, Time: s.Time, Value: finite(t.scale*s.Value + t.offset)}
			if i == 0 {
				out = append(out, x)
			} else {
				further = append(further, x)
			}
		}
	}
	clear(b.Samples[len(out):])
	b.Samples, n.further = append(out, further...), further
	for i := range b.Events {
		if e := &b.Events[i]; hosts != nil {
			e.Host = hosts(e.Cluster, e.Host)
		}
	}
}

// finite keeps a number a number: JSON has no other ones.
func finite(v float64) float64 { return min(max(v, -math.MaxFloat64), math.MaxFloat64) }

// outcome gives what a series becomes whose host is kept under that name.
func (n *Normalizer) outcome(s *metric.Series, host string) outcome {
	if o, ok := n.cached[s]; ok {
		return o
	}
	if len(n.cached) >= maxCached {
		clear(n.cached)
	}
	var o outcome
	if name, ok := strings.CutPrefix(s.Name, prefix); ok {
		o = n.ofGmond(s, host, name)
	} else if to, err := metric.NewSeries(s.Cluster, host, s.Name, s.Labels, s.Unit, s.Kind); err == nil {
		o.targets = []target{{to, 1, 0}}
	} else {
		o.targets = []target{{s, 1, 0}} // a host name that is none
	}
	n.cached[s] = o
	return o
}

// ofGmond gives what a series of gmond becomes; name is its own without the prefix.
func (n *Normalizer) ofGmond(s *metric.Series, host, name string) (o outcome) {
	if s.Name == metadataName {
		return n.ofMetadata(s, host)
	}
	if s.Kind == metric.Counter {
		o.counter = n.counters.of(s.Key())
	}
	original := s.Label("gmond_name") // set where characters of the name had to be replaced
	text, isText := s.Label("value"), false
	if base, ok := strings.CutSuffix(name, infoSuffix); ok && text != "" && s.Kind == metric.State {
		name, isText = base, true
	}
	if original == "" {
		original = name
	}
	for _, m := range n.table.find(original, string(s.Unit), isText) {
		labels := without(s.Labels, "gmond_name", m.textLabel())
		labels = append(labels, m.labels(text)...)
		// A label that gmond's packet brought itself, and that the table adds too, makes no valid series.
		if to, err := metric.NewSeries(s.Cluster, host, m.rule.name, labels, m.rule.unit, m.rule.kind); err == nil {
			o.targets = append(o.targets, target{to, m.scale, m.rule.offset})
		}
	}
	if o.targets == nil {
		o.targets = []target{passing(s, host)}
	}
	return o
}

// passing is the target of a series that the table doesn't know: its name stays, well known units become base units.
func passing(s *metric.Series, host string) target {
	unit, scale, ok := baseUnit(string(s.Unit))
	if !ok {
		unit, scale = s.Unit, 1
	}
	if to, err := metric.NewSeries(s.Cluster, host, s.Name, s.Labels, unit, s.Kind); err == nil {
		return target{to, scale, 0}
	}
	return target{s, 1, 0}
}

// ofMetadata drops what collectors tell of metrics that the table knows, whose meaning is documented. Its label metric
// is the name of the series that the metadata is about.
func (n *Normalizer) ofMetadata(s *metric.Series, host string) outcome {
	name, isText := strings.CutSuffix(strings.TrimPrefix(s.Label("metric"), prefix), infoSuffix)
	if original := s.Label("gmond_name"); original != "" {
		name = original
	}
	if len(n.table.find(name, s.Label("units"), isText)) > 0 {
		return outcome{}
	}
	return outcome{targets: []target{passing(s, host)}}
}

// without copies the labels but for some.
func without(labels []metric.Label, names ...string) []metric.Label {
	out := make([]metric.Label, 0, len(labels)+2)
	for _, l := range labels {
		keep := true
		for _, name := range names {
			keep = keep && l.Name != name
		}
		if keep {
			out = append(out, l)
		}
	}
	return out
}

// Sweep forgets the series met so far, and counters that have been silent for long; call it when the pointers of
// series or the names of hosts may have changed.
func (n *Normalizer) Sweep() {
	clear(n.cached)
	n.counters.sweep()
}

// Wraps gives the counters that have wrapped, by the key of the series that came, for Restore of a later run.
func (n *Normalizer) Wraps() map[string]Wrap { return n.counters.wraps() }

// Restore takes over what Wraps gave in an earlier run. Call it before the first Batch.
func (n *Normalizer) Restore(wraps map[string]Wrap) { n.counters.restore(wraps) }
