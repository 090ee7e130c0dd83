package promql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
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

// maxCached bounds the label sets remembered.
const maxCached = 500_000

// store reads series and samples from Postgres for the engine.
type store struct {
	db         *db.DB
	maxSamples int

	mu     sync.Mutex
	labels map[int32]labels.Labels // by the series' id, which never means another
}

// Querier implements storage.Queryable.
func (s *store) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{store: s, mint: mint, maxt: maxt}, nil
}

// querier answers for one range of time, in milliseconds.
type querier struct {
	*store
	mint, maxt int64
	read       atomic.Int64 // samples, by all selectors of the query
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
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range rows {
		l, err := q.seriesLabels(&b, &rows[i])
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

func (s *store) seriesLabels(b *labels.ScratchBuilder, r *db.SelectSeriesRow) (labels.Labels, error) {
	if l, ok := s.labels[r.ID]; ok {
		return l, nil
	}
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
	if s.labels == nil || len(s.labels) >= maxCached {
		s.labels = make(map[int32]labels.Labels)
	}
	l := b.Labels()
	s.labels[r.ID] = l
	return l, nil
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
	var last *one
	err := q.db.EachSample(ctx, ids, mint, maxt, func(series int32, at int64, value float64) error {
		if q.read.Add(1) > int64(q.maxSamples) {
			return errTooManySamples
		}
		if last == nil || last.id != series {
			last = byID[series]
		}
		last.times, last.values = append(last.times, at), append(last.values, value)
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read samples: %w", err)
	}
	for _, s := range found {
		s.sort()
	}
	return nil
}

// sort puts the samples in the order of their times, which they mostly have.
func (o *one) sort() {
	if !slices.IsSorted(o.times) {
		sort.Sort((*byTime)(o))
	}
}

// byTime is a series as sort.Interface.
type byTime one

func (b *byTime) Len() int           { return len(b.times) }
func (b *byTime) Less(i, j int) bool { return b.times[i] < b.times[j] }
func (b *byTime) Swap(i, j int) {
	b.times[i], b.times[j] = b.times[j], b.times[i]
	b.values[i], b.values[j] = b.values[j], b.values[i]
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
