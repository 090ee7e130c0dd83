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
