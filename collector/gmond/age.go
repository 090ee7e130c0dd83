package gmond

// turns is in how many calls of Sweep the metrics of every host are looked at once: gmond does so each five minutes.
const turns = 5

const (
	// silentMetric is how long a metric without dmax may be silent although its host is heard, ms. gmond would keep it
	// until it ends, and so a host whose metrics change their names would fill its share.
	silentMetric = 24 * hour

	// maxForgotten is after how many metrics, forgotten with their hosts, one Sweep leaves further silent hosts to the
	// next, when a whole network falls silent. The last host goes whole, however many it has.
	maxForgotten = 50_000
)

// Sweep forgets hosts that have been silent for longer than hostDmax ms, which 0 makes never, and metrics that have
// been silent for longer than their own dmax, by the later of value and metadata (gmond goes by the metadata alone and
// forgets metrics whose values keep coming). Call it once a minute: it looks at each host, but at a part of the metrics.
func (t *Table) Sweep(now, hostDmax int64) {
	t.turn = (t.turn + 1) % turns
	budget := maxForgotten
	for name, h := range t.hosts {
		switch {
		case hostDmax > 0 && now-h.heard > hostDmax:
			if budget <= 0 {
				continue
			}
			budget -= len(h.metrics) + 1
			for _, n := range h.metrics {
				t.forget(n)
			}
			t.bytes -= h.cost()
			delete(t.hosts, name)
		case h.turn == t.turn:
			t.sweepMetrics(h, now, max(hostDmax, silentMetric))
		}
	}
}

func (t *Table) sweepMetrics(h *host, now, silent int64) {
	kept := h.metrics[:0]
	for _, n := range h.metrics {
		e, limit := t.entries.at(n), silent
		if e.desc.DMax > 0 {
			limit = int64(e.desc.DMax) * second
		}
		if now-e.seen() > limit {
			t.forget(n)
			continue
		}
		kept = append(kept, n)
	}
	h.metrics = kept
}

// seen is when the last value or metadata of e came, ms.
func (e *entry) seen() int64 {
	if e.desc.knowledge == told {
		return max(e.valued, int64(e.meta)*second)
	}
	return max(e.valued, int64(e.first)*second)
}

// Away takes a time of that many ms, in which nobody could be heard, out of everybody's silence: our clock was set
// forward, or we did not run. What came in the future, by a clock that has been set back, counts as having come now: who
// falls silent then is told as silent, and metadata is asked for and published again in its time.
func (t *Table) Away(by, now int64) {
	for _, h := range t.hosts {
		for _, at := range [...]*int64{&h.heard, &h.first.heard, &h.other.heard, &h.warned} {
			if *at > 0 {
				*at = min(*at+by, now)
			}
		}
		for _, n := range h.metrics {
			t.entries.at(n).away(by, now)
		}
	}
}

func (e *entry) away(by, now int64) {
	s := seconds(now)
	if e.id != 0 {
		e.valued = min(e.valued+by, now)
	}
	if e.first > 0 {
		e.first = min(e.first+uint32(by/second), s)
	}
	if e.desc.knowledge != told {
		s += askLast
	}
	if e.meta > 0 {
		e.meta = min(e.meta+uint32(by/second), s)
	}
}
