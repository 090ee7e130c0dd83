// Package holders sees a split brain when VRRP itself is cut: it owns what every host of the cluster last said about
// the virtual addresses that it holds, and finds the addresses that two hosts hold at the same time. It never hears,
// sends or stores anything, and never takes one host's word for another's. collector/state gives it the samples of
// keepwatch_vip_held as they come and publishes what it finds.
//
// That two hosts said so is no proof: a host that was killed never says that it lost an address. So an overlap counts
// only when both hosts say so again a second after the later one took the address. The collector of each holder sees
// the overlap too and lets its host say so (Doubt), so that this takes a second and not the probe's interval. A planned
// handover overlaps for less.
package holders

import (
	"cmp"
	"container/list"
	"net/netip"
	"slices"
	"strings"

	"keepwatch/metric"
)

// Bounds and waits; times are ms.
const (
	MaxWords = 10_000    // hosts times addresses; past it the word that is longest ago is forgotten
	Overlap  = 1_000     // after this both must still say that they hold the address
	Again    = 5_000     // in a conflict a holder says again after this
	Fresh    = 20_000    // a word older than this counts no more in a conflict
	Forget   = 3_600_000 // a word older than this is forgotten
)

// Metrics that hosts tell, and the one that this package makes of them.
const (
	Held     = "keepwatch_vip_held"     // 1: the host holds the address of the label vip
	AgentUp  = "keepwatch_ha_up"        // 0: the host's HA agent gives no answer
	Conflict = "keepwatch_vip_conflict" // see Samples
)

// Word is what a host says about one virtual address. Times are ms since the epoch.
type Word struct {
	Cluster, Host, Instance string
	VIP                     string // an address; a prefix length does not matter
	Held                    bool
	Time                    int64 // by the host's clock
	Heard                   int64 // by ours
}

// Table is the words of all hosts. It is not for concurrent use.
type Table struct {
	max      int
	vips     map[vipKey]*vip
	hosts    map[hostKey]int   // its number of words
	order    list.List         // of *word, the latest heard last
	doubtful map[*vip]struct{} // more than one host holds it, by the newest words
	changed  []*vip            // whose conflict began or ended since the last Samples
	ticked   int64             // ms, our clock
	dropped  uint64
}

type (
	vipKey  struct{ cluster, address string }
	hostKey struct{ cluster, host string }
)

type vip struct {
	key      vipKey
	words    []*word // by host and instance
	conflict *conflict
	told     bool           // Samples has told of it once, so it goes on
	marked   *metric.Series // that Samples last gave 1
}

type word struct {
	Word
	vip    *vip
	since  int64 // Time of the first of the words that say Held, none more than Fresh after the one before
	from   int64 // Heard of that
	place  *list.Element
	series *metric.Series // of Samples
}

// New makes a table of at most that many words.
func New(max int) *Table {
	return &Table{max: max, vips: make(map[vipKey]*vip), hosts: make(map[hostKey]int), doubtful: make(map[*vip]struct{})}
}

// Dropped is how many words were forgotten because there were too many.
func (t *Table) Dropped() uint64 { return t.dropped }

// Hear takes a word and appends the event of a conflict that it begins or ends. Of each host the words must come in the
// order in which it said them, and none that came late: that a host said something once confirms nothing now. What is
// no address is passed over.
func (t *Table) Hear(w Word, events []metric.Event) []metric.Event {
	address, ok := parse(w.VIP)
	if !ok {
		return events
	}
	x := t.word(vipKey{w.Cluster, address}, &w)
	if w.Held && (!x.Held || w.Heard-x.Heard > Fresh) {
		x.since, x.from = w.Time, w.Heard
	}
	w.VIP = address
	x.Word = w
	t.order.MoveToBack(x.place)
	if t.order.Len() > t.max {
		t.dropped++
		events = t.forget(t.order.Front().Value.(*word), w.Heard, events)
	}
	return t.judge(x.vip, w.Heard, events)
}

// Silent says that a host's agent is gone: what the host said about its addresses counts no more.
func (t *Table) Silent(cluster, host string, now int64, events []metric.Event) []metric.Event {
	if t.hosts[hostKey{cluster, host}] == 0 {
		return events
	}
	for e := t.order.Front(); e != nil; {
		x := e.Value.(*word)
		e = e.Next()
		if x.Host == host && x.Cluster == cluster {
			events = t.forget(x, now, events)
		}
	}
	return events
}

// Tick forgets what is too old and appends the events of conflicts that end by that.
func (t *Table) Tick(now int64, events []metric.Event) []metric.Event {
	if now < t.ticked {
		t.clockSetBack(now, t.ticked-now)
	}
	t.ticked = now
	for e := t.order.Front(); e != nil && now-e.Value.(*word).Heard > Forget; e = t.order.Front() {
		events = t.forget(e.Value.(*word), now, events)
	}
	doubtful := make([]*vip, 0, len(t.doubtful))
	for v := range t.doubtful {
		doubtful = append(doubtful, v)
	}
	slices.SortFunc(doubtful, func(a, b *vip) int {
		return cmp.Or(cmp.Compare(a.key.cluster, b.key.cluster), cmp.Compare(a.key.address, b.key.address))
	})
	for _, v := range doubtful {
		events = t.judge(v, now, events)
	}
	return events
}

// Away takes a time of that many ms, in which nobody could be heard, out of everybody's silence: our clock was set
// forward, or we did not run. A conflict goes on.
func (t *Table) Away(by, now int64) {
	for e := t.order.Front(); e != nil; e = e.Next() {
		x := e.Value.(*word)
		x.Heard, x.from = min(x.Heard+by, now), min(x.from+by, now)
	}
	for _, v := range t.vips {
		if v.conflict != nil {
			v.conflict.began = min(v.conflict.began+by, now)
		}
	}
}

// clockSetBack keeps the age of what was heard when our clock was set back by that much.
func (t *Table) clockSetBack(now, by int64) {
	for e := t.order.Front(); e != nil; e = e.Next() {
		if x := e.Value.(*word); x.Heard > now {
			x.Heard, x.from = x.Heard-by, x.from-by
		}
	}
	for _, v := range t.vips {
		if v.conflict != nil && v.conflict.began > now {
			v.conflict.began -= by
		}
	}
}

// Doubt reports whether a host should say now what it holds: another one says that it holds the same address.
func (t *Table) Doubt(cluster, host string, now int64) bool {
	if t.hosts[hostKey{cluster, host}] == 0 {
		return false
	}
	for v := range t.doubtful {
		if v.key.cluster != cluster {
			continue
		}
		confirm := v.second() + Overlap
		for _, x := range v.words {
			if x.Host != host || !x.Held {
				continue
			}
			if now >= confirm && x.Heard < confirm || v.conflict != nil && now-x.Heard >= Again {
				return true
			}
		}
	}
	return false
}

// word finds the place of a word, or makes it.
func (t *Table) word(key vipKey, w *Word) *word {
	v := t.vips[key]
	if v == nil {
		v = &vip{key: key}
		t.vips[key] = v
	}
	i, found := slices.BinarySearchFunc(v.words, w, func(x *word, w *Word) int {
		return cmp.Or(cmp.Compare(x.Host, w.Host), cmp.Compare(x.Instance, w.Instance))
	})
	if found {
		return v.words[i]
	}
	x := &word{vip: v, Word: Word{Cluster: w.Cluster, Host: w.Host, Instance: w.Instance, VIP: key.address}}
	x.place = t.order.PushBack(x)
	v.words = slices.Insert(v.words, i, x)
	t.hosts[hostKey{w.Cluster, w.Host}]++
	return x
}

func (t *Table) forget(x *word, now int64, events []metric.Event) []metric.Event {
	t.order.Remove(x.place)
	x.vip.words = slices.DeleteFunc(x.vip.words, func(o *word) bool { return o == x })
	key := hostKey{x.Cluster, x.Host}
	if t.hosts[key]--; t.hosts[key] == 0 {
		delete(t.hosts, key)
	}
	if len(x.vip.words) == 0 {
		delete(t.vips, x.vip.key)
	}
	return t.judge(x.vip, now, events)
}

// parse gives the canonical text of an address that may have a prefix length.
func parse(s string) (string, bool) {
	s, _, _ = strings.Cut(s, "/")
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return "", false
	}
	return a.Unmap().String(), true
}
