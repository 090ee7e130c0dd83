package state

import (
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
	what, word string
	errs       []error // none: all others
	tell       string  // what is wrong and what to do, where events tell of it
	counter    *metrics.Counter
}

const (
	manyHosts  = "more hosts than collector.max_hosts; raise it if they are real"
	manySeries = "more series of one host than collector.max_series; raise it if they are right"
	malformed  = "what cannot be read; upgrade the sender, or find who else sends to the port"
)

var frameDrops = reasons("frames", []reason{
	{word: "not_frame", errs: []error{frame.ErrNotFrame}},
	{word: "unknown_key", errs: []error{frame.ErrUnknownKey}, tell: "sealed with a key that this host lacks; give every host the same collector.keys"},
	{word: "seal", errs: []error{frame.ErrSeal}, tell: "a seal that does not fit: changed, forged, or sealed with another key of the same id"},
	{word: "replay", errs: []error{frame.ErrReplay}},
	{word: "stale", errs: []error{frame.ErrStale}, tell: "of an earlier start of a host that has started anew; give no two hosts one name"},
	{word: "too_many_senders", errs: []error{frame.ErrTooMany}, tell: "more senders than twice collector.max_hosts in 20 minutes"},
	{word: "malformed", errs: []error{frame.ErrMalformed, batch.ErrMalformed}, tell: malformed},
	{word: "too_many_hosts", errs: []error{ErrTooManyHosts}, tell: manyHosts},
	{word: "too_many_series", errs: []error{ErrTooManySeries}, tell: manySeries},
	{word: "too_many_bytes", errs: []error{ErrTooManyBytes}, tell: "more series of all hosts than soft state has room for; lower collector.max_series so that it hits who sends most"},
	{word: "other"},
})

var gmondDrops = reasons("gmond_packets", []reason{
	{word: "source", errs: []error{ErrSource}},
	{word: "spoof", errs: []error{errSpoof}, tell: "packets that speak for another host than their sender; list who may in spoof_from"},
	{word: "too_long", errs: []error{ErrTooLong}},
	{word: "malformed", errs: []error{gmond.ErrMalformed}, tell: malformed},
	{word: "unknown_message", errs: []error{gmond.ErrUnknown}},
	{word: "host_name", errs: []error{gmond.ErrHost}, tell: "names that no host may have"},
	{word: "metric_name", errs: []error{gmond.ErrMetric}, tell: "names that no metric may have"},
	{word: "value", errs: []error{gmond.ErrValue}},
	{word: "too_many_hosts", errs: []error{gmond.ErrTooManyHosts, ErrTooManyHosts}, tell: manyHosts},
	{word: "too_many_metrics", errs: []error{gmond.ErrTooManyMetrics}, tell: manySeries},
	{word: "too_many_bytes", errs: []error{gmond.ErrTooManyBytes}, tell: "more hosts and metrics than soft state has room for; find who sends names that never repeat"},
	{word: "other"},
})

var gmondOutcomes = func() (out [gmond.Alive + 1]*metrics.Counter) {
	for o := gmond.Joined; o <= gmond.Alive; o++ {
		out[o] = metrics.GetOrCreateCounter(fmt.Sprintf(`keepwatch_collector_gmond_packets_total{outcome=%q}`, o.String()))
	}
	return out
}()

func reasons(what string, rs []reason) []reason {
	for i := range rs {
		rs[i].what = what
		rs[i].counter = metrics.GetOrCreateCounter(fmt.Sprintf(`keepwatch_collector_%s_dropped_total{reason=%q}`, what, rs[i].word))
	}
	return rs
}
