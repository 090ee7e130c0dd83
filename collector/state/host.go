package state

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"keepwatch/metric"
)

// missedIntervals is how many of its intervals a host may be silent before it is lost.
const missedIntervals = 4

// minInterval keeps a sender that announces no interval from being lost at once.
const minInterval = int64(time.Second / time.Millisecond)

// trustedSkew is how far a sender's clock may be from ours for an event to have the sender's time, which is the same at
// every collector: a clock that is further off is wrong.
const trustedSkew = 2000 // ms

var (
	// ErrTooManyHosts and ErrTooManySeries are the bounds of Options; what would pass them is dropped whole.
	ErrTooManyHosts  = errors.New("too many hosts")
	ErrTooManySeries = errors.New("too many series of one host")

	// ErrTooManyBytes is the bound of all series together.
	ErrTooManyBytes = errors.New("too many bytes of soft state")
)

// channel is one way by which a host is heard. Times are ms since the epoch.
type channel struct {
	heard    int64 // our clock
	sent     int64 // the sender's clock in its last frame; of gmond: heard, rounded down to its interval
	interval int64 // ms
	epoch    int64 // start of the sender: boot, or its gmond in ms; 0 while unknown
}

func (c *channel) deadline() int64 { return c.heard + missedIntervals*c.interval }

type host struct {
	cluster, name string
	address       netip.Addr // source of the last packet
	through       string     // sender of the last frame, when it is another host
	native, gmond channel
	own           netip.Addr // source of its last gmond value that was not spoofed; invalid: others alone speak for it
	told          int64      // when another host last said what it makes of it, which is no sign of its life
	lost          bool
	dropped       uint64 // frames and packets
	anew          int64  // ms, when an event last told that its gmond has started anew
	retyped       int64  // ms, when an event last told of a metric that changed
	first, last   int32  // of State.pending, places + 1
	forgotten     bool   // it is no more in hosts

	agent  map[uint64]*metric.Series // of series, those that collector/holders and collector/share want
	series seriesSet
	fresh  int  // of the visit in progress: new series not yet in series
	marked bool // of the visit in progress: spoken of
}

func (h *host) deadline() int64 { return max(h.native.deadline(), h.gmond.deadline()) }
func (h *host) heard() int64    { return max(h.native.heard, h.gmond.heard) }

// hosts is every host that is known, by cluster and name.
type hosts struct {
	m                   map[string]*host
	maxHosts, maxSeries int
	series              int // of all
	seed                maphash.Seed
	key                 []byte
	room                room
	v                   visit
}

// maxAll bounds the series of all native hosts, 25 bytes each as BenchmarkNativeMemory measures them: max_hosts times
// max_series may be far more than a machine has memory for. gmond.Table has a bound of its own.
const maxAll = 40_000_000

func newHosts(maxHosts, maxSeries int) *hosts {
	return &hosts{m: make(map[string]*host), maxHosts: maxHosts, maxSeries: maxSeries, seed: maphash.MakeSeed()}
}

func appendKey[T []byte | string](dst []byte, cluster, name T) []byte {
	return append(append(append(dst[:0], cluster...), 0), name...)
}

func (hs *hosts) find(cluster, name string) *host {
	hs.key = appendKey(hs.key, cluster, name)
	return hs.m[string(hs.key)]
}

// dropped counts a drop against the host that sent it.
func (hs *hosts) dropped(cluster, name string) {
	if h := hs.find(cluster, name); h != nil {
		h.dropped++
	}
}

// hear notes a sign of life and appends host_joined when the host is new, was lost or started anew. The event's ID
// depends on what the sender sent and not on our clock, so that every collector that hears the host makes the same
// event. A gmond host joins when its heartbeat tells since when it runs; that it has started anew is told once a minute at
// most, since anybody may send heartbeats, each with another start.
func (h *host) hear(events []metric.Event, c *channel, now channel, prefix string) []metric.Event {
	before := *c
	*c = now
	if now.epoch == 0 {
		return events
	}
	var again, text string
	switch {
	case h.lost:
		h.lost = false
		again, text = "-"+strconv.FormatInt(now.sent, 10), "is heard again"
	case before.epoch == now.epoch:
		return events
	case before.epoch == 0:
		text = "is heard"
	case h.through != "":
		return events // its speaker has started anew, not the host
	case c != &h.gmond:
		text = "has started anew"
	case h.anew != 0 && now.heard-h.anew < tellEvery:
		return events
	default:
		h.anew = now.heard
		text = "has started anew"
	}
	id := prefix + "joined-" + strconv.FormatInt(now.epoch, 10) + again
	at := now.sent
	if d := now.heard - now.sent; d > trustedSkew || d < -trustedSkew {
		at = now.heard
	}
	return append(events, h.event(id, metric.EventHostJoined, at, text))
}

// findLost appends host_lost for hosts that are past their deadline and forgets those silent for dmax, gmondDmax where
// gmond packets alone spoke of them.
func (hs *hosts) findLost(events []metric.Event, now, dmax, gmondDmax int64) []metric.Event {
	for key, h := range hs.m {
		limit := dmax
		if h.gmondOnly() {
			limit = gmondDmax
		}
		if now-max(h.heard(), h.told) > limit {
			hs.forget(key, h)
		}
		if h.lost || h.native.epoch == 0 && h.gmond.epoch == 0 || now <= h.deadline() {
			continue
		}
		h.lost = true
		c, prefix := &h.native, ""
		if h.gmond.heard > h.native.heard {
			c, prefix = &h.gmond, "gmond-"
		}
		silent := time.Duration(now-h.heard()) * time.Millisecond
		text := fmt.Sprintf("has been silent for %v, %d times its interval", silent.Round(time.Second), missedIntervals)
		events = append(events, h.event(prefix+"lost-"+strconv.FormatInt(c.sent, 10), metric.EventHostLost, now, text))
	}
	return events
}

func (hs *hosts) forget(key string, h *host) {
	delete(hs.m, key)
	h.forgotten = true
	hs.series -= h.series.len()
}

// away takes a time in which nobody could be heard out of everybody's silence. What was heard in the future counts as heard
// now: who is dead is found lost all the same.
func (hs *hosts) away(by, now int64) {
	for _, h := range hs.m {
		for _, at := range [...]*int64{&h.native.heard, &h.gmond.heard, &h.told, &h.retyped, &h.anew} {
			if *at > 0 {
				*at = min(*at+by, now)
			}
		}
	}
}

func (h *host) event(id string, kind metric.EventKind, at int64, text string) metric.Event {
	e := metric.Event{ID: id, Cluster: h.cluster, Host: h.name, Time: at, Kind: kind, Text: "host " + h.name + " " + text}
	if h.address.IsValid() {
		e.Labels = append(e.Labels, metric.Label{Name: "address", Value: h.address.String()})
	}
	if h.through != "" {
		e.Labels = append(e.Labels, metric.Label{Name: "through", Value: h.through})
	}
	return e
}

// sweepSeries forgets the series that were not seen since the last sweep.
func (hs *hosts) sweepSeries() {
	hs.series = 0
	for _, h := range hs.m {
		h.series.sweep()
		hs.series += h.series.len()
		for hash := range h.agent {
			if !h.series.has(hash) {
				delete(h.agent, hash)
			}
		}
	}
}

// groupByHost brings the samples of one host together, keeping their order: each change of host costs bytes.
func groupByHost(s []metric.Sample) {
	slices.SortStableFunc(s, func(a, b metric.Sample) int { return cmp.Compare(a.Series.Host, b.Series.Host) })
}
