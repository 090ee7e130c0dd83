// Package normalize owns the table that gives samples which came in gmond packets the names, labels and base units
// that Keepwatch's own probes use. It never reads a clock, keeps values or decides what is worth keeping: what the
// table doesn't know passes as it is. The extractor calls it for every batch.
package normalize

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// prefix is what collectors put before the name of a metric that came in a gmond packet.
const prefix = "gmond_"

// The table, a line for each target of a gmond name. Units are those of gmond's own metrics (libmetrics, modules of
// gmond 3.7): memory in units of 1,024 bytes, disks of 10^9 bytes, CPU in percent. value = scale × gmond's + offset.
//
//go:embed gmond.csv
var table string

// maxCached bounds the series remembered; past it all are forgotten and found again.
const maxCached = 2_000_000

// rule is one line of the table.
type rule struct {
	name          string
	labels        []metric.Label
	unit          metric.Unit
	kind          metric.Kind
	scale, offset float64
}

// target is a rule for one series.
type target struct {
	series        *metric.Series
	scale, offset float64
}

// Normalizer turns series into those of the table. It is not safe for concurrent use.
type Normalizer struct {
	rules  map[string][]rule
	cached map[*metric.Series][]target
}

// New reads the table that is part of the program.
func New() (*Normalizer, error) {
	rules, err := parse(table)
	if err != nil {
		return nil, fmt.Errorf("cannot read the table of gmond names: %w", err)
	}
	return &Normalizer{rules: rules, cached: make(map[*metric.Series][]target)}, nil
}

func parse(text string) (map[string][]rule, error) {
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	rules := make(map[string][]rule)
	for i, l := range lines[1:] {
		r, err := parseRule(l)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		rules[prefix+l[0]] = append(rules[prefix+l[0]], r)
	}
	return rules, nil
}

func parseRule(l []string) (r rule, err error) {
	r = rule{name: l[1], unit: metric.Unit(l[3])}
	for part := range strings.FieldsSeq(l[2]) {
		name, value, _ := strings.Cut(part, "=")
		r.labels = append(r.labels, metric.Label{Name: name, Value: value})
	}
	var bad [3]error
	r.kind, bad[0] = metric.ParseKind(l[4])
	r.scale, bad[1] = strconv.ParseFloat(l[5], 64)
	r.offset, bad[2] = strconv.ParseFloat(l[6], 64)
	return r, errors.Join(bad[:]...)
}

// Batch normalizes the samples of b in place. A sample whose name has several lines in the table becomes several,
// the further ones at the end.
func (n *Normalizer) Batch(b *batch.Batch) {
	for i := range b.Samples {
		s := &b.Samples[i]
		if !strings.HasPrefix(s.Series.Name, prefix) {
			continue
		}
		v := s.Value
		for j, t := range n.targets(s.Series) {
			value := t.scale*v + t.offset
			if j == 0 {
				s.Series, s.Value = t.series, value
				continue
			}
			b.Samples = append(b.Samples, metric.Sample{Series: t.series, Time: b.Samples[i].Time, Value: value})
		}
	}
}

// targets gives what a series becomes: at least one, itself when the table doesn't know it.
func (n *Normalizer) targets(s *metric.Series) []target {
	if ts, ok := n.cached[s]; ok {
		return ts
	}
	if len(n.cached) >= maxCached {
		clear(n.cached)
	}
	var ts []target
	for _, r := range n.rules[s.Name] {
		labels := append(append([]metric.Label(nil), s.Labels...), r.labels...)
		// A label that gmond's packet brought itself, and that the table adds too, makes no valid series.
		if to, err := metric.NewSeries(s.Cluster, s.Host, r.name, labels, r.unit, r.kind); err == nil {
			ts = append(ts, target{to, r.scale, r.offset})
		}
	}
	if ts == nil {
		ts = []target{{s, 1, 0}}
	}
	n.cached[s] = ts
	return ts
}

// Sweep forgets the series met so far; call it when their pointers may have changed.
func (n *Normalizer) Sweep() { clear(n.cached) }
