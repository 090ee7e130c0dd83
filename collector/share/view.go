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
	since  int64 // ms: since when it is listened to without a break, by our clock; see broke
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
	active   bool  // it goes on looking
	interval int64 // ms; the last one when it looks no more
	quorum   int
	time     int64 // of View, by its clock
	heard    int64 // of View, by ours
	began    int64 // when it began to look, or did so again after a silence, by ours
	left     int64 // when it ceased to be, by ours
	last     int64 // of any word, by ours

	saidView, saidInterval, saidQuorum frame.Origin
}

// life is for how long a view counts.
func (v *view) life() int64 { return v.interval * 5 / 2 }

func (v *view) fresh(now int64) bool {
	return v.looked && v.active && v.quorum > 0 && now-v.heard <= v.life()
}

// end is when a view counts no more, by our clock.
func (v *view) end() int64 {
	end := v.heard + v.life()
	if !v.active {
		end = min(end, v.left)
	}
	return end
}

// gone reports whether a view has ended less than an interval ago: who looks in its place may not have been heard.
func (v *view) gone(now int64) bool {
	return v.looked && v.quorum > 0 && !v.fresh(now) && now <= v.end()+v.interval+settle
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
	if x.broke(heard) {
		x.since = heard
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
		if !v.fresh(heard) { // it was killed, and looks again
			v.began = heard
		}
		v.up, v.looked, v.time, v.heard = w.Value == 1, true, w.Time, heard
	case Interval:
		v.hearInterval(w.Value, heard)
	case Quorum:
		v.quorum = 0
		if w.Value >= 1 && w.Value <= MaxVantage {
			v.quorum = int(w.Value)
		}
	}
	return true
}

func (v *view) hearInterval(seconds float64, heard int64) {
	was := v.active
	v.active = seconds > 0 && seconds <= maxInterval
	switch {
	case v.active && !was:
		v.began = heard
	case was && !v.active:
		v.left = heard
	}
	if v.active {
		v.interval = int64(seconds * 1000)
	}
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
		x = &target{key: key, series: series, since: t.began}
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
		known, value := x.combine(now)
		if known && (!x.known || value != x.value) {
			x.cause = max(x.cause, x.expired(value, now))
			if value == 1 {
				x.cause = max(x.cause, x.heardAll(now))
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

// expired is when the last of the views that are not fresh ceased to be, by its sender's clock, or no more stood in the way
// of an up.
func (x *target) expired(value float64, now int64) (at int64) {
	for _, v := range x.views {
		if v.fresh(now) {
			continue
		}
		end := v.end()
		if value == 1 && !v.up && !v.gone(now) {
			end += v.interval + settle
		}
		at = max(at, end+v.time-v.heard)
	}
	return at
}

// broke reports whether we have heard nobody for so long that others than those who are heard next may have been missed.
func (x *target) broke(now int64) bool {
	var interval, last int64
	for _, v := range x.views {
		if v.active {
			interval = max(interval, v.interval)
		}
		last = max(last, v.last)
	}
	return interval > 0 && now-last > interval*3/2
}

// combine is 0 when at least the quorum of the fresh views say down, else 1. It is not known without a fresh view, nor
// while fewer than the quorum are fresh and one of them says down. It becomes 1 only when all who look had the time to be
// heard: since we listen, and since a view that said down is gone; see heardAll and unheard. Where vantage points
// want different quorums, as while a configuration is rolled out, the largest counts.
func (x *target) combine(now int64) (known bool, value float64) {
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
	enough := func(down int) bool { return down == 0 || fresh >= quorum && down < quorum }
	switch {
	case fresh == 0:
		return false, 1
	case down >= quorum:
		return true, 0
	case x.known && x.value == 1:
		return enough(down), 1
	default:
		return now >= x.heardAll(now) && enough(down+x.unheard(now)), 1
	}
}

// unheard is how many views that said down are gone while nobody has begun to look in their place.
func (x *target) unheard(now int64) int {
	gone, down, first := 0, 0, now
	for _, v := range x.views {
		if v.gone(now) {
			gone++
			first = min(first, v.heard)
			if !v.up {
				down++
			}
		}
	}
	for _, v := range x.views {
		if v.fresh(now) && v.began >= first {
			gone--
		}
	}
	return max(min(down, gone), 0)
}

// heardAll is when all who look had the time of an interval to be heard.
func (x *target) heardAll(now int64) int64 {
	var interval int64
	for _, v := range x.views {
		if v.fresh(now) {
			interval = max(interval, v.interval)
		}
	}
	return x.since + interval + settle
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
