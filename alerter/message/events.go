package message

import (
	"cmp"
	"slices"

	"keepwatch/metric"
)

// Event is something that happened about the same time.
type Event struct {
	Host string
	Time int64 // ms since the epoch
	Kind metric.EventKind
	Text string
}

// telling picks the n events that most likely say why, in the order in which they happened. What is older than the
// newest counts less, five a second: a failover's own story is over in seconds, and what came before it is another.
func telling(events []Event, host string, n int) []Event {
	var newest int64
	for _, e := range events {
		newest = max(newest, e.Time)
	}
	score := func(e Event) int {
		s := weights[e.Kind] - int(min((newest-e.Time)/200, maxAged))
		if e.Host == host {
			s += 15
		}
		return s
	}
	picked := slices.Clone(events)
	slices.SortStableFunc(picked, func(a, b Event) int {
		return cmp.Or(cmp.Compare(score(b), score(a)), cmp.Compare(b.Time, a.Time))
	})
	picked = picked[:min(n, len(picked))]
	slices.SortStableFunc(picked, func(a, b Event) int { return cmp.Compare(a.Time, b.Time) })
	return picked
}

// maxAged bounds what an event's age costs.
const maxAged = 50

// weights says how much a kind of event tells about why something is wrong: a cause more than a consequence, bad
// news more than good.
var weights = map[metric.EventKind]int{
	metric.EventHostLost: 100, metric.EventVIPConflict: 95, metric.EventVRRPTransition: 90, metric.EventProxyStopped: 85, metric.EventVIPTaken: 80,
	metric.EventServerDown: 75, metric.EventTrackChanged: 60, metric.EventVIPReleased: 55, metric.EventAggregatorLost: 50,
	metric.EventCollectorDropped: 70, metric.EventHostConflict: 65, metric.EventMetricRetyped: 25,
	metric.EventSourceLost: 52, metric.EventSourceFound: 22, metric.EventClockSkew: 58,
	metric.EventHostForgotten: 15, metric.EventCheckDown: 72, metric.EventCheckUp: 28,
	metric.EventVIPConflictEnded: 35, metric.EventConfigReloaded: 45, metric.EventProxyStarted: 40, metric.EventServerUp: 30, metric.EventHostJoined: 20,
}
