package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"keepwatch/metric"
	"keepwatch/schema/db"
)

const (
	resolveAtOnce = 5000
	maxRemembered = 4_000_000 // series; past it all are forgotten and asked for again

	// A series' last_seen is renewed when it is 45 to 60 minutes behind: by its number, so that a fleet that began
	// in one minute is not written in one minute.
	renewAfter  = 45 * time.Minute
	renewSpread = 15 * time.Minute

	hostEvery = 5000 // ms between two writes of a host's last_seen

	hostUpMetric = "keepwatch_host_up" // says that a host is silent, so it is no sign of life
)

// known is what is remembered of a series.
type known struct {
	id   int32
	seen int64 // its last_seen in the database, ms
	used int64 // when a sample came last, our clock, ms
	host *hostSeen
}

// hostSeen is when a host spoke last, ms, and what of that the database knows.
type hostSeen struct {
	cluster, name   string
	newest, written int64
}

// table is the series and hosts that have samples. Equal series are equal pointers there, or are asked for again.
type table struct {
	known   map[*metric.Series]*known
	hosts   map[string]*hostSeen
	missing []*metric.Series // of the flush in progress
	when    []int64          // time of the sample that each missing one was met with
	renew   []*known         // of the flush in progress: their last_seen is to be written
}

func newTable() table {
	return table{known: make(map[*metric.Series]*known), hosts: make(map[string]*hostSeen)}
}

func (t *table) host(s *metric.Series) *hostSeen {
	key := s.Cluster + "\x00" + s.Host
	h := t.hosts[key]
	if h == nil {
		h = &hostSeen{cluster: s.Cluster, name: s.Host}
		t.hosts[key] = h
	}
	return h
}

// resolve finds or makes the rows of the missing series.
func (w *Writer) resolve(ctx context.Context) error {
	t := &w.series
	for len(t.missing) > 0 {
		n := min(len(t.missing), resolveAtOnce)
		if err := w.resolveSome(ctx, t.missing[:n], t.when[:n]); err != nil {
			return err
		}
		t.missing, t.when = t.missing[n:], t.when[n:]
	}
	t.missing, t.when = nil, nil
	seriesHeld.Set(float64(len(t.known)))
	return nil
}

func (w *Writer) resolveSome(ctx context.Context, series []*metric.Series, when []int64) error {
	rest, err := w.find(ctx, series)
	if err != nil || len(rest) == 0 {
		return err
	}
	var add db.AddSeriesParams
	for _, i := range rest {
		s := series[i]
		add.Metrics, add.Clusters, add.Hosts = append(add.Metrics, s.Name), append(add.Clusters, s.Cluster), append(add.Hosts, s.Host)
		add.Labels, add.Units = append(add.Labels, labelsJSON(s.Labels)), append(add.Units, string(s.Unit))
		add.Kinds, add.Seen = append(add.Kinds, s.Kind.String()), append(add.Seen, time.UnixMilli(when[i]))
	}
	if err := w.opt.DB.AddSeries(ctx, add); err != nil {
		return fmt.Errorf("cannot add %d series: %w", len(rest), db.Map(err))
	}
	added := make([]*metric.Series, len(rest))
	for j, i := range rest {
		added[j] = series[i]
	}
	if rest, err = w.find(ctx, added); err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d series that were added are not there", len(rest))
	}
	return err
}

// find remembers those of the series that the database has and gives the places of the others. Where unit or kind
// are another now, the database learns it.
func (w *Writer) find(ctx context.Context, series []*metric.Series) (rest []int, err error) {
	var arg db.FindSeriesParams
	for i, s := range series {
		arg.Ords, arg.Metrics, arg.Clusters = append(arg.Ords, int32(i)), append(arg.Metrics, s.Name), append(arg.Clusters, s.Cluster)
		arg.Hosts, arg.Labels = append(arg.Hosts, s.Host), append(arg.Labels, labelsJSON(s.Labels))
	}
	rows, err := w.opt.DB.FindSeries(ctx, arg)
	if err != nil {
		return nil, fmt.Errorf("cannot find %d series: %w", len(series), db.Map(err))
	}
	now := time.Now().UnixMilli()
	var describe db.DescribeSeriesParams
	for _, r := range rows {
		s := series[r.Ord]
		w.series.known[s] = &known{id: r.ID, seen: r.LastSeen.UnixMilli(), used: now, host: w.series.host(s)}
		if string(s.Unit) != r.Unit || s.Kind.String() != r.Kind {
			describe.Ids, describe.Units = append(describe.Ids, r.ID), append(describe.Units, string(s.Unit))
			describe.Kinds = append(describe.Kinds, s.Kind.String())
		}
	}
	if len(describe.Ids) > 0 {
		if err := w.opt.DB.DescribeSeries(ctx, describe); err != nil {
			return nil, fmt.Errorf("cannot describe %d series: %w", len(describe.Ids), db.Map(err))
		}
	}
	for i, s := range series {
		if w.series.known[s] == nil {
			rest = append(rest, i)
		}
	}
	return rest, nil
}

// saw notes a sample of a series and its host. hostUp: it is no sign of life of the host.
func (t *table) saw(k *known, at, now int64, hostUp bool) {
	k.used = now
	if !hostUp {
		k.host.newest = max(k.host.newest, at)
	}
	if at-k.seen > renewAfter.Milliseconds()+int64(k.id)%renewSpread.Milliseconds() {
		k.seen = at
		t.renew = append(t.renew, k)
	}
}

// note writes the last_seen of series and hosts that are due. Of the hosts, the one heard last is always due.
func (w *Writer) note(ctx context.Context, tx *db.Tx) (hosts []*hostSeen, err error) {
	t := &w.series
	if len(t.renew) > 0 {
		var arg db.SeriesSeenParams
		for _, k := range t.renew {
			arg.Ids, arg.Seen = append(arg.Ids, k.id), append(arg.Seen, time.UnixMilli(k.seen))
		}
		if err := tx.SeriesSeen(ctx, arg); err != nil {
			return nil, fmt.Errorf("cannot note when series were seen: %w", db.Map(err))
		}
	}
	var newest *hostSeen
	for _, h := range t.hosts {
		if h.newest-h.written >= hostEvery {
			hosts = append(hosts, h)
		}
		if newest == nil || h.newest > newest.newest {
			newest = h
		}
	}
	if newest != nil && newest.newest > newest.written && newest.newest-newest.written < hostEvery {
		hosts = append(hosts, newest)
	}
	if len(hosts) == 0 {
		return nil, nil
	}
	var arg db.HostsSeenParams
	for _, h := range hosts {
		arg.Clusters, arg.Names, arg.Seen = append(arg.Clusters, h.cluster), append(arg.Names, h.name), append(arg.Seen, time.UnixMilli(h.newest))
	}
	if err := tx.HostsSeen(ctx, arg); err != nil {
		return nil, fmt.Errorf("cannot note when hosts were seen: %w", db.Map(err))
	}
	return hosts, nil
}

// forget drops what is remembered of series whose rows are gone, and of series without samples since before, ms by
// our clock: the decoder of the bus gives them other pointers when they come back.
func (t *table) forget(gone []int32, before int64) {
	ids := make(map[int32]struct{}, len(gone))
	for _, id := range gone {
		ids[id] = struct{}{}
	}
	for s, k := range t.known {
		if _, ok := ids[k.id]; ok || k.used < before {
			delete(t.known, s)
		}
	}
	seriesHeld.Set(float64(len(t.known)))
}

func labelsJSON(labels []metric.Label) string {
	if len(labels) == 0 {
		return "{}"
	}
	m := make(map[string]string, len(labels))
	for _, l := range labels {
		m[l.Name] = l.Value
	}
	b, _ := json.Marshal(m) // a map of strings always can be
	return string(b)
}
