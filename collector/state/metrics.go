package state

import (
	"errors"
	"fmt"

	"keepwatch/collector/frame"
	"keepwatch/collector/gmond"
	"keepwatch/internal/batch"

	"github.com/VictoriaMetrics/metrics"
)

var (
	framesTotal   = metrics.GetOrCreateCounter(`keepwatch_collector_frames_received_total`)
	samplesTotal  = metrics.GetOrCreateCounter(`keepwatch_collector_samples_received_total`)
	tooLargeTotal = metrics.GetOrCreateCounter(`keepwatch_collector_items_too_large_total`)

	streamClients  = metrics.GetOrCreateGauge(`keepwatch_collector_stream_clients`, nil)
	hostsKnown     = metrics.GetOrCreateGauge(`keepwatch_collector_hosts`, nil)
	vipWordsLost   = metrics.GetOrCreateCounter(`keepwatch_collector_vip_words_dropped_total`)
	checkWordsLost = metrics.GetOrCreateCounter(`keepwatch_collector_check_words_dropped_total`)
	historyBytes   = metrics.GetOrCreateGauge(`keepwatch_collector_history_bytes`, nil)
)

// reason is a kind of drop with its counter.
type reason struct {
	err     error
	word    string
	counter *metrics.Counter
}

var frameDrops = reasons("frames_dropped", []reason{
	{err: frame.ErrNotFrame, word: "not_frame"},
	{err: frame.ErrUnknownKey, word: "unknown_key"},
	{err: frame.ErrSeal, word: "seal"},
	{err: frame.ErrReplay, word: "replay"},
	{err: frame.ErrStale, word: "stale"},
	{err: frame.ErrTooMany, word: "too_many_senders"},
	{err: frame.ErrMalformed, word: "malformed"},
	{err: batch.ErrMalformed, word: "malformed"},
	{err: ErrTooManyHosts, word: "too_many_hosts"},
	{err: ErrTooManySeries, word: "too_many_series"},
	{word: "other"},
})

var gmondDrops = reasons("gmond_packets_dropped", []reason{
	{err: gmond.ErrMalformed, word: "malformed"},
	{err: gmond.ErrUnknown, word: "unknown_message"},
	{err: gmond.ErrHost, word: "host_name"},
	{err: gmond.ErrMetric, word: "metric_name"},
	{err: gmond.ErrValue, word: "value"},
	{err: gmond.ErrTooManyHosts, word: "too_many_hosts"},
	{err: ErrTooManyHosts, word: "too_many_hosts"},
	{err: gmond.ErrTooManyMetrics, word: "too_many_metrics"},
	{err: errPending, word: "too_fast"},
	{word: "other"},
})

var gmondOutcomes = func() (out [gmond.Asked + 1]*metrics.Counter) {
	for o := gmond.Joined; o <= gmond.Asked; o++ {
		out[o] = metrics.GetOrCreateCounter(fmt.Sprintf(`keepwatch_collector_gmond_packets_total{outcome=%q}`, o.String()))
	}
	return out
}()

func reasons(name string, rs []reason) []reason {
	for i := range rs {
		rs[i].counter = metrics.GetOrCreateCounter(fmt.Sprintf(`keepwatch_collector_%s_total{reason=%q}`, name, rs[i].word))
	}
	return rs
}

func count(rs []reason, err error) {
	for _, r := range rs {
		if r.err == nil || errors.Is(err, r.err) {
			r.counter.Inc()
			return
		}
	}
}

func countFrame(err error) {
	if err != nil {
		count(frameDrops, err)
		return
	}
	framesTotal.Inc()
}

func countGmond(o gmond.Outcome, err error) {
	if err != nil {
		count(gmondDrops, err)
		return
	}
	gmondOutcomes[o].Inc()
}
