package extractor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

const (
	hostUpMetric = "keepwatch_host_up"
	hostUpEvery  = 15_000 // ms
	missed       = 4      // intervals that a host may be silent
	minInterval  = 1000   // ms
	maxHosts     = 500_000
)

// heard notes which hosts the samples of a frame speak of.
func (t *taker) heard(samples []metric.Sample, f *frame.Frame, at int64, l *load) {
	interval := f.Interval.Milliseconds()
	if interval == 0 {
		interval = t.interval
	}
	now := promise{Heard: at, Interval: max(interval, minInterval)}
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	var last *metric.Series
	for i := range samples {
		s := samples[i].Series
		if last != nil && s.Host == last.Host && s.Cluster == last.Cluster {
			continue
		}
		last = s
		h := t.host(s)
		switch {
		case h == nil:
		case f.Gmond:
			h.Gmond = later(h.Gmond, now)
		case s.Host == f.Host && s.Cluster == f.Cluster:
			t.spoke(h, now, l)
			h.Native = later(h.Native, now)
		default:
			h.Native = later(h.Native, now)
		}
	}
}

// later is the newer of two promises: what comes a second time from another aggregator may be older.
func later(had, now promise) promise {
	if now.Heard < had.Heard {
		return had
	}
	return now
}

// host gives the life of the host that a series names, as it names it; nil when there are too many.
func (t *taker) host(s *metric.Series) *hostLife {
	h := t.page.Hosts[string(t.key(s.Cluster, s.Host))]
	if h == nil {
		if len(t.page.Hosts) >= maxHosts {
			hostsRefused.Inc()
			return nil
		}
		h = &hostLife{}
		if !t.join(string(t.hostKey), h) {
			return nil
		}
		t.page.Hosts[string(t.hostKey)] = h
	}
	return h
}

func (t *taker) key(cluster, host string) []byte {
	t.hostKey = append(append(append(t.hostKey[:0], cluster...), 0), host...)
	return t.hostKey
}

// hostsDue says of every host whether it is up, once every 15 s. While no aggregator can be pulled nothing is said: who
// does not hear must not say that others are silent.
func (t *taker) hostsDue(now int64, l *load) {
	if now < t.tick && now >= t.tick-2*hostUpEvery { // earlier still: a clock was set back
		return
	}
	at := now - now%hostUpEvery
	t.tick = at + hostUpEvery
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	t.forget(at, l)
	from := len(l.b.Samples)
	for _, k := range t.page.kept {
		t.named(k, at, l)
		k.up = at <= k.deadline()
		value := 0.0
		if k.up {
			value = 1
		} else if at <= t.unbroken+missed*k.interval() {
			continue // it may have spoken in the hole
		}
		l.b.Samples = append(l.b.Samples, metric.Sample{Series: k.series, Time: at, Value: value})
	}
	hostUpSamples.Add(len(l.b.Samples) - from)
	slices.SortFunc(l.b.Samples[from:], func(a, b metric.Sample) int { return strings.Compare(a.Series.Key(), b.Series.Key()) })
	t.skewsDue(at, l)
}

// forget drops the names that have been silent for host_dmax, unless they may have spoken in a hole that was just now.
func (t *taker) forget(at int64, l *load) {
	var before map[string]*keptHost
	spoke := false
	for key, h := range t.page.Hosts {
		if at-max(h.Native.Heard, h.Gmond.Heard) > t.hostDmax && at > t.unbroken+missed*max(h.Native.Interval, h.Gmond.Interval) {
			if before == nil {
				before = maps.Clone(t.page.kept)
			}
			delete(t.page.Hosts, key)
			h.leave(t.page)
			spoke = spoke || h.Own.Heard > 0
		}
	}
	if spoke { // others may have the name now
		t.regroup(at, nil)
	}
	t.page.leaves(before, at)
	t.farewells(l)
}

func (p promise) deadline() int64 { return p.Heard + missed*p.Interval }

func (h *hostLife) deadline() int64 { return max(h.Native.deadline(), h.Gmond.deadline()) }

// keptHost is a host as it is kept: under one name, by whatever names it is heard.
type keptHost struct {
	name   string
	series *metric.Series // of keepwatch_host_up
	lives  []*hostLife    // in order of their names
	up     bool
}

// A host that several sources speak of is up while any of them does.
func (k *keptHost) deadline() (at int64) {
	for _, h := range k.lives {
		at = max(at, h.deadline())
	}
	return at
}

func (k *keptHost) interval() (ms int64) {
	for _, h := range k.lives {
		ms = max(ms, h.Native.Interval, h.Gmond.Interval)
	}
	return ms
}

// keep puts a life under a name; false when the name, which may come from the file, is none.
func (p *page) keep(h *hostLife, cluster, name string) bool {
	key := cluster + "\x00" + name
	k := p.kept[key]
	if k == nil {
		s, err := metric.NewSeries(cluster, name, hostUpMetric, nil, metric.NoUnit, metric.State)
		if err != nil {
			return false
		}
		k = &keptHost{name: name, series: s}
		if p.kept == nil {
			p.kept = make(map[string]*keptHost)
		}
		p.kept[key] = k
	}
	h.kept, h.nameTold = k, 0
	k.lives = append(k.lives, h)
	slices.SortFunc(k.lives, func(a, b *hostLife) int { return strings.Compare(a.name, b.name) })
	return true
}

// leave takes a life from the host under which it was kept.
func (h *hostLife) leave(p *page) {
	k := h.kept
	k.lives = slices.DeleteFunc(k.lives, func(o *hostLife) bool { return o == h })
	if len(k.lives) == 0 {
		delete(p.kept, k.series.Cluster+"\x00"+k.name)
	}
	h.kept = nil
}

// conflictEvent tells that a name keeps its own host, as the rules would make it another that lives.
func (t *taker) conflictEvent(h, owner *hostLife, kept string, rule string, at int64) (metric.Event, bool) {
	t.conflicts++
	e := metric.Event{
		ID: fmt.Sprintf("extractor-conflict-%d-%d", at, t.conflicts), Cluster: h.cluster, Host: h.name, Time: at, Kind: metric.EventHostConflict,
		Text: fmt.Sprintf("%.250s and %.250s both run a collector and would both be kept as %.250s (%.60s): they are two hosts, so %.250s keeps its own name; correct extractor.hosts",
			owner.name, h.name, kept, rule, h.name),
		Labels: []metric.Label{{Name: "kept", Value: kept}, {Name: "other", Value: owner.name}, {Name: "rule", Value: rule}},
	}
	return e, e.Check() == nil
}
