package share

import (
	"cmp"
	"slices"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

type targetKey struct{ cluster, host, check, target string }

// target is what all vantage points say of one check's target.
type target struct {
	key    targetKey
	views  []*view // by vantage
	series *metric.Series
	dirty  bool
	until  int64 // ms: it is not judged before, by our clock; 0: a late word begins a wait
	cause  int64 // ms: the newest word since it was judged, by its sender's clock

	known  bool // value holds; see combine
	value  float64
	change bool  // value is another than was said
	said   int64 // ms: stamp of the last sample
}

// view is what one vantage point says. Times are ms.
type view struct {
	vantage  string
	up       bool
	looked   bool  // up was told
	interval int64 // ms; 0 while unknown, or when it looks no more
	quorum   int
	time     int64 // of View, by its clock
	heard    int64 // of View, by ours
	last     int64 // of any word, by ours

	saidView, saidInterval, saidQuorum frame.Origin
}

// life is for how long a view counts.
func (v *view) life() int64 { return v.interval * 5 / 2 }

func (v *view) fresh(now int64) bool {
	return v.looked && v.interval > 0 && v.quorum > 0 && now-v.heard <= v.life()
}

func (t *Table) hearView(w Word, heard int64) {
	s := w.Series
	key := targetKey{s.Cluster, s.Host, s.Label("check"), s.Label("target")}
	vantage := s.Label("vantage")
	if key.check == "" || key.target == "" || vantage == "" {
		return
	}
	x, v := t.view(key, vantage)
	if v == nil {
		t.dropped++
		return
	}
	if !v.hear(&w, heard) {
		return
	}
	v.last = heard
	if w.Late && x.until == 0 {
		x.until = heard + settle
	}
	x.cause = max(x.cause, w.Time)
	x.dirt(t)
}

// hear takes a word, unless one of its kind that was said after it has been heard.
func (v *view) hear(w *Word, heard int64) bool {
	said := &v.saidView
	switch w.Series.Name {
	case Interval:
		said = &v.saidInterval
	case Quorum:
		said = &v.saidQuorum
	}
	if before(w.Origin, *said) {
		return false
	}
	*said = w.Origin
	switch w.Series.Name {
	case View:
		v.up, v.looked, v.time, v.heard = w.Value == 1, true, w.Time, heard
	case Interval:
		v.interval = 0
		if w.Value > 0 && w.Value <= maxInterval {
			v.interval = int64(w.Value * 1000)
		}
	case Quorum:
		v.quorum = 0
		if w.Value >= 1 && w.Value <= MaxVantage {
			v.quorum = int(w.Value)
		}
	}
	return true
}

// view finds the place of a view, or makes it; nil when there are too many.
func (t *Table) view(key targetKey, vantage string) (*target, *view) {
	x := t.targets[key]
	if x != nil {
		if i, found := x.find(vantage); found {
			return x, x.views[i]
		}
	}
	if t.nView >= t.maxViews {
		return nil, nil
	}
	if x == nil {
		labels := []metric.Label{{Name: "check", Value: key.check}, {Name: "target", Value: key.target}}
		series, err := metric.NewSeries(key.cluster, key.host, Up, labels, metric.NoUnit, metric.State)
		if err != nil {
			return nil, nil // names that no series may have
		}
		x = &target{key: key, series: series}
		t.targets[key] = x
	}
	v := &view{vantage: vantage}
	i, _ := x.find(vantage)
	x.views = slices.Insert(x.views, i, v)
	t.nView++
	return x, v
}

func (x *target) find(vantage string) (int, bool) {
	return slices.BinarySearchFunc(x.views, vantage, func(v *view, name string) int { return cmp.Compare(v.vantage, name) })
}

func (x *target) dirt(t *Table) {
	if !x.dirty {
		x.dirty = true
		t.dirty = append(t.dirty, x)
	}
}

// waits reports whether a late word came a moment ago. Such words come in the order in which they were said, long after
// they were: what one of them says may be over by the next, so it is no news before that had time to come.
func (x *target) waits(now int64) bool {
	if left := x.until - now; 0 < left && left <= settle {
		return true
	}
	x.until = 0
	return false
}

// judge brings the targets of which something was heard up to date, those that wait at a later Tick.
func (t *Table) judge(now int64) {
	for i, x := range t.dirty {
		t.dirty[i] = nil
		x.dirty = false
		if x.waits(now) {
			continue
		}
		known, value := x.combine(t.began, now)
		if known && (!x.known || value != x.value) {
			x.cause = max(x.cause, x.expired(now))
			if value == 1 {
				x.cause = max(x.cause, x.heardAll(t.began, now))
			}
			if !x.change {
				x.change = true
				t.changed = append(t.changed, x)
			}
		}
		x.known, x.value = known, value
	}
	t.dirty = t.dirty[:0]
}

// expired is when the last of the views that are not fresh ceased to be, by its sender's clock.
func (x *target) expired(now int64) (at int64) {
	for _, v := range x.views {
		if !v.fresh(now) {
			at = max(at, v.time+v.life())
		}
	}
	return at
}

// combine is 0 when at least the quorum of the fresh views say down, else 1. It is not known without a fresh view, nor
// while fewer than the quorum are fresh and one of them says down, nor is it 1 before all who look had the time of an
// interval to be heard since began: a table that begins while a check is down must not say up first. Where vantage
// points want different quorums, as while a configuration is rolled out, the largest counts.
func (x *target) combine(began, now int64) (known bool, value float64) {
	fresh, down, quorum := 0, 0, 0
	for _, v := range x.views {
		if !v.fresh(now) {
			continue
		}
		fresh++
		quorum = max(quorum, v.quorum)
		if !v.up {
			down++
		}
	}
	switch {
	case fresh == 0:
		return false, 1
	case down >= quorum:
		return true, 0
	default:
		return (down == 0 || fresh >= quorum) && now >= x.heardAll(began, now), 1
	}
}

// heardAll is when all who look had the time of an interval to be heard.
func (x *target) heardAll(began, now int64) int64 {
	var interval int64
	for _, v := range x.views {
		if v.fresh(now) {
			interval = max(interval, v.interval)
		}
	}
	return began + interval + settle
}

// Changed reports whether Up of a target has become another since the last Samples.
func (t *Table) Changed(now int64) bool {
	t.judge(now)
	return len(t.changed) > 0
}

// Samples appends Up of the targets of which it is known: 0 when at least the quorum of the fresh views say down, else
// 1; see combine. A view is fresh for two and a half intervals. With all, that is of every target with the time stamp,
// which is the same at all collectors; without, of those alone that have changed since the last call, with the time of
// the word that did it. A target's samples never go back in time.
func (t *Table) Samples(now, stamp int64, all bool, out []metric.Sample) []metric.Sample {
	t.judge(now)
	for i, x := range t.changed {
		t.changed[i] = nil
		x.change = false
		out = x.sample(max(min(x.cause, now), x.said+1), out)
	}
	t.changed = t.changed[:0]
	if !all {
		return out
	}
	for _, x := range t.targets {
		if stamp > x.said {
			out = x.sample(stamp, out)
		}
	}
	return out
}

func (x *target) sample(at int64, out []metric.Sample) []metric.Sample {
	if !x.known {
		return out
	}
	x.said, x.cause = at, 0
	return append(out, metric.Sample{Series: x.series, Time: at, Value: x.value})
}

func (t *Table) sweepViews(now int64) {
	for key, x := range t.targets {
		before := len(x.views)
		x.views = slices.DeleteFunc(x.views, func(v *view) bool { return now-v.last > forget })
		t.nView -= before - len(x.views)
		if len(x.views) == 0 && !x.change {
			delete(t.targets, key)
		}
	}
}
