package extractor

import (
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
func (t *taker) heard(samples []metric.Sample, f *frame.Frame, at int64) {
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
		if h := t.host(s); h != nil && f.Gmond {
			h.Gmond = now
		} else if h != nil {
			h.Native = now
		}
	}
}

func (t *taker) host(s *metric.Series) *hostLife {
	t.hostKey = append(append(append(t.hostKey[:0], s.Cluster...), 0), s.Host...)
	h := t.page.Hosts[string(t.hostKey)]
	if h == nil {
		if len(t.page.Hosts) >= maxHosts {
			hostsRefused.Inc()
			return nil
		}
		h = &hostLife{}
		t.page.Hosts[string(t.hostKey)] = h
	}
	return h
}

// hostsDue says of every host whether it is up, once every 15 s of the aggregator's time. While no aggregator can be
// pulled nothing is said: who does not hear must not say that others are silent.
func (t *taker) hostsDue(now int64, l *load) {
	if now < t.tick {
		return
	}
	at := now - now%hostUpEvery
	t.tick = at + hostUpEvery
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	from := len(l.b.Samples)
	for key, h := range t.page.Hosts {
		if at-max(h.Native.Heard, h.Gmond.Heard) > t.hostDmax {
			delete(t.page.Hosts, key)
			continue
		}
		if h.series == nil && !h.name(key) {
			delete(t.page.Hosts, key)
			continue
		}
		h.up = at <= max(h.Native.deadline(), h.Gmond.deadline())
		value := 0.0
		if h.up {
			value = 1
		} else if at <= t.unbroken+missed*max(h.Native.Interval, h.Gmond.Interval) {
			continue // it may have spoken in the hole
		}
		l.b.Samples = append(l.b.Samples, metric.Sample{Series: h.series, Time: at, Value: value})
	}
	hostUpSamples.Add(len(l.b.Samples) - from)
	slices.SortFunc(l.b.Samples[from:], func(a, b metric.Sample) int { return strings.Compare(a.Series.Key(), b.Series.Key()) })
}

func (p promise) deadline() int64 { return p.Heard + missed*p.Interval }

// name makes the host's series; false when the key, which may come from the file, names no host.
func (h *hostLife) name(key string) bool {
	cluster, host, _ := strings.Cut(key, "\x00")
	s, err := metric.NewSeries(cluster, host, hostUpMetric, nil, metric.NoUnit, metric.State)
	h.series = s
	return err == nil
}
