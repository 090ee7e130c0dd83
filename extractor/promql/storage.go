package promql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"

	"keepwatch/schema/db"
)

// maxSeries bounds the series of one selector.
const maxSeries = 200_000

// seenSlack is how far behind its newest sample a series' last_seen may be, and a margin.
const seenSlack = 3 * time.Hour

// Errors of selectors that ask for too much.
var (
	errTooManySeries  = fmt.Errorf("the selector matches more than %d series: name a metric, a cluster or a host", maxSeries)
	errTooManySamples = errors.New("the query reads too many samples: shorten the range or match fewer series")
)

// store reads series and samples from Postgres for the engine.
type store struct {
	db         *db.DB
	maxSamples int
}

// Querier implements storage.Queryable.
func (s *store) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{store: s, mint: mint, maxt: maxt}, nil
}

// querier answers for one range of time, in milliseconds.
type querier struct {
	*store
	mint, maxt int64
}

// Close implements storage.LabelQuerier; there is nothing to release.
func (q *querier) Close() error { return nil }

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found, err := q.find(ctx, matchers)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	mint, maxt := q.mint, q.maxt
	if hints != nil {
		if hints.Func == "series" { // only the labels are wanted
			return newSet(found, sorted)
		}
		mint, maxt = hints.Start, hints.End
	}
	if err := q.fill(ctx, found, mint, maxt); err != nil {
		return storage.ErrSeriesSet(err)
	}
	return newSet(found, sorted)
}

// one is a series with its samples.
type one struct {
	id     int32
	labels labels.Labels
	times  []int64
	values []float64
}

// find asks for the series that the equal matchers leave and checks all matchers on them: Postgres narrows down, Go
// decides, so that regular expressions mean what they mean in Prometheus.
func (q *querier) find(ctx context.Context, matchers []*labels.Matcher) ([]*one, error) {
	arg := narrow(matchers)
	arg.Since = time.UnixMilli(q.mint).Add(-seenSlack)
	arg.AtMost = maxSeries + 1
	rows, err := q.db.SelectSeries(ctx, arg)
	if err != nil {
		return nil, fmt.Errorf("cannot read series: %w", db.Map(err))
	}
	if len(rows) > maxSeries {
		return nil, errTooManySeries
	}
	found := make([]*one, 0, len(rows))
	b := labels.NewScratchBuilder(8)
	for i := range rows {
		l, err := seriesLabels(&b, &rows[i])
		if err != nil {
			return nil, err
		}
		if matchesAll(l, matchers) {
			found = append(found, &one{id: rows[i].ID, labels: l})
		}
	}
	return found, nil
}

// narrow turns what matchers demand exactly into the query's parameters.
func narrow(matchers []*labels.Matcher) db.SelectSeriesParams {
	arg := db.SelectSeriesParams{Metrics: []string{}, Clusters: []string{}, Hosts: []string{}}
	exact := make(map[string]string)
	for _, m := range matchers {
		var values []string
		switch m.Type {
		case labels.MatchEqual:
			values = []string{m.Value}
		case labels.MatchRegexp:
			values = m.SetMatches()
		}
		if len(values) == 0 || slices.Contains(values, "") { // an empty value also means: absent
			continue
		}
		switch m.Name {
		case model.MetricNameLabel:
			arg.Metrics = values
		case "cluster":
			arg.Clusters = values
		case "host":
			arg.Hosts = values
		default:
			if m.Type == labels.MatchEqual {
				exact[m.Name] = m.Value
			}
		}
	}
	arg.Labels, _ = json.Marshal(exact) // a map of strings always can be
	return arg
}

func seriesLabels(b *labels.ScratchBuilder, r *db.SelectSeriesRow) (labels.Labels, error) {
	var own map[string]string
	if err := json.Unmarshal(r.Labels, &own); err != nil {
		return labels.EmptyLabels(), fmt.Errorf("cannot read the labels of series %d: %w", r.ID, err)
	}
	b.Reset()
	b.Add(model.MetricNameLabel, r.Metric)
	b.Add("cluster", r.Cluster)
	b.Add("host", r.Host)
	for k, v := range own {
		b.Add(k, v)
	}
	b.Sort()
	return b.Labels(), nil
}

func matchesAll(l labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// fill reads the samples of all series in one query.
func (q *querier) fill(ctx context.Context, found []*one, mint, maxt int64) error {
	if len(found) == 0 || maxt < mint {
		return nil
	}
	byID := make(map[int32]*one, len(found))
	ids := make([]int32, 0, len(found))
	for _, s := range found {
		byID[s.id] = s
		ids = append(ids, s.id)
	}
	rows, err := q.db.SelectSamples(ctx, db.SelectSamplesParams{
		Series: ids, Since: time.UnixMilli(mint), Until: time.UnixMilli(maxt), AtMost: int32(q.maxSamples + 1),
	})
	if err != nil {
		return fmt.Errorf("cannot read samples: %w", db.Map(err))
	}
	if len(rows) > q.maxSamples {
		return errTooManySamples
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Series == rows[0].Series {
			n++
		}
		s := byID[rows[0].Series]
		s.times, s.values = make([]int64, n), make([]float64, n)
		for i, r := range rows[:n] {
			s.times[i], s.values[i] = r.Time.UnixMilli(), r.Value
		}
		rows = rows[n:]
	}
	return nil
}

// LabelValues implements storage.LabelQuerier.
func (q *querier) LabelValues(ctx context.Context, name string, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	found, err := q.find(ctx, matchers)
	if err != nil {
		return nil, nil, err
	}
	distinct := make(map[string]struct{})
	for _, s := range found {
		if v := s.labels.Get(name); v != "" {
			distinct[v] = struct{}{}
		}
	}
	return sortedKeys(distinct), nil, nil
}

// LabelNames implements storage.LabelQuerier.
func (q *querier) LabelNames(ctx context.Context, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	found, err := q.find(ctx, matchers)
	if err != nil {
		return nil, nil, err
	}
	distinct := make(map[string]struct{})
	for _, s := range found {
		s.labels.Range(func(l labels.Label) { distinct[l.Name] = struct{}{} })
	}
	return sortedKeys(distinct), nil, nil
}

func sortedKeys(m map[string]struct{}) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// set is a storage.SeriesSet over what was read.
type set struct {
	all []*one
	i   int
}

func newSet(all []*one, sorted bool) *set {
	if sorted {
		slices.SortFunc(all, func(a, b *one) int { return labels.Compare(a.labels, b.labels) })
	}
	return &set{all: all, i: -1}
}

func (s *set) Next() bool                        { s.i++; return s.i < len(s.all) }
func (s *set) At() storage.Series                { return s.all[s.i] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

// Labels implements storage.Series.
func (o *one) Labels() labels.Labels { return o.labels }

// Iterator implements storage.Series.
func (o *one) Iterator(reuse chunkenc.Iterator) chunkenc.Iterator {
	it, ok := reuse.(*iterator)
	if !ok {
		it = &iterator{}
	}
	*it = iterator{one: o, i: -1}
	return it
}

// iterator walks over the samples of a series.
type iterator struct {
	*one
	i int
}

func (it *iterator) Next() chunkenc.ValueType {
	if it.i < len(it.times) {
		it.i++
	}
	return it.kind()
}

// millis is a time as chunkenc.Iterator has it; under its own name vet does not take Seek for that of io.Seeker.
type millis = int64

func (it *iterator) Seek(t millis) chunkenc.ValueType {
	it.i = max(it.i, 0)
	if it.i < len(it.times) && it.times[it.i] < t {
		ahead, _ := slices.BinarySearch(it.times[it.i:], t)
		it.i += ahead
	}
	return it.kind()
}

func (it *iterator) kind() chunkenc.ValueType {
	if it.i < len(it.times) {
		return chunkenc.ValFloat
	}
	return chunkenc.ValNone
}

func (it *iterator) At() (int64, float64) { return it.times[it.i], it.values[it.i] }
func (it *iterator) AtT() int64           { return it.times[it.i] }
func (it *iterator) AtST() int64          { return 0 }
func (it *iterator) Err() error           { return nil }

func (it *iterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	return it.times[it.i], nil
}

func (it *iterator) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.times[it.i], nil
}
