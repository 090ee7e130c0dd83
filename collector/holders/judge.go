package holders

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepwatch/metric"
)

// conflict is one that has begun and not ended.
type conflict struct {
	id       string // what the IDs of its two events have in common
	host     string // that the events are of
	instance string // of that host
	began    int64  // ms, our clock
}

// holding is the words that say Held, by the order in which the addresses were taken.
func (v *vip) holding() (held []*word) {
	for _, x := range v.words {
		if x.Held {
			held = append(held, x)
		}
	}
	slices.SortStableFunc(held, func(a, b *word) int { return cmp.Compare(a.from, b.from) })
	return held
}

// second is when a second host took the address, by our clock; 0 when no second host holds it.
func (v *vip) second() int64 {
	held := v.holding()
	for _, x := range held {
		if x.Host != held[0].Host {
			return x.from
		}
	}
	return 0
}

// certain is the words of the hosts that have held the address together for Overlap, by host; nil when there is no
// second one.
func (v *vip) certain(now int64) (sure []*word) {
	confirm := v.second() + Overlap
	hosts := 0
	for _, x := range v.words {
		if x.Held && x.Heard >= confirm && now-x.Heard <= Fresh {
			if len(sure) == 0 || sure[len(sure)-1].Host != x.Host {
				hosts++
			}
			sure = append(sure, x)
		}
	}
	if hosts < 2 {
		return nil
	}
	return sure
}

// judge brings a virtual address's doubt and conflict up to date.
func (t *Table) judge(v *vip, now int64, events []metric.Event) []metric.Event {
	var sure []*word
	if v.second() > 0 {
		t.doubtful[v] = struct{}{}
		sure = v.certain(now)
	} else {
		delete(t.doubtful, v)
	}
	switch {
	case len(sure) > 0 && v.conflict == nil:
		t.changed = append(t.changed, v)
		return append(events, v.begin(sure, now))
	case len(sure) == 0 && v.conflict != nil:
		t.changed = append(t.changed, v)
		return append(events, v.end(now))
	}
	return events
}

// begin makes the event of a new conflict. Its ID is made of what the hosts said and not of our clock: every collector
// that heard them makes the same event.
func (v *vip) begin(sure []*word, now int64) metric.Event {
	var since int64
	for _, x := range sure {
		since = max(since, x.since)
	}
	v.conflict = &conflict{id: v.key.address + "-" + strconv.FormatInt(since, 10), host: sure[0].Host, instance: sure[0].Instance, began: v.second()}
	text := fmt.Sprintf("%s is held by %s at the same time, for %v now: traffic to it reaches any of them. Look at the network between them",
		v.key.address, who(sure), age(now, v.conflict.began))
	return v.event("vip-conflict-", metric.EventVIPConflict, now, text, sure)
}

func (v *vip) end(now int64) metric.Event {
	var held []*word
	for _, x := range v.words {
		if x.Held && now-x.Heard <= Fresh {
			held = append(held, x)
		}
	}
	left := "nobody that is heard"
	if len(held) > 0 {
		left = who(held)
	}
	text := fmt.Sprintf("%s is held by %s: the conflict is over after %v", v.key.address, left, age(now, v.conflict.began))
	e := v.event("vip-conflict-ended-", metric.EventVIPConflictEnded, now, text, held)
	v.conflict = nil
	return e
}

func age(now, began int64) time.Duration {
	return (time.Duration(now-began) * time.Millisecond).Round(100 * time.Millisecond)
}

// event is of the conflict's host, so that both of its events are.
func (v *vip) event(prefix string, kind metric.EventKind, now int64, text string, of []*word) metric.Event {
	var names []string
	for _, x := range of[:min(len(of), mostNamed)] {
		names = append(names, fmt.Sprintf("%.60s", x.Host))
	}
	return metric.Event{
		ID: prefix + v.conflict.id, Cluster: v.key.cluster, Host: v.conflict.host, Time: now, Kind: kind, Text: text,
		Labels: []metric.Label{
			{Name: "hosts", Value: strings.Join(names, ", ")}, {Name: "instance", Value: v.conflict.instance}, {Name: "vip", Value: v.key.address},
		},
	}
}

// mostNamed bounds how many holders an event names.
const mostNamed = 5

func who(words []*word) string {
	var names []string
	for _, x := range words[:min(len(words), mostNamed)] {
		names = append(names, fmt.Sprintf("%.60s (instance %.60s)", x.Host, x.Instance))
	}
	if more := len(words) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, " and by ")
}

// Samples appends Conflict: for every address of which two hosts or more have told, one sample for each
// of these hosts, 1 for one host of those in conflict and 0 for the others, so that a conflict is one alert. Without
// all, only the addresses whose conflict began or ended since the last call. Of an address of which it may be shown in a
// moment that two hosts hold it nothing is said: a table that begins in a conflict must not say first that there is none.
func (t *Table) Samples(now int64, all bool, out []metric.Sample) []metric.Sample {
	for _, v := range t.changed {
		out = v.samples(now, out)
	}
	if all {
		for _, v := range t.vips {
			if !slices.Contains(t.changed, v) && !v.unsure(now) {
				out = v.samples(now, out)
			}
		}
	}
	clear(t.changed)
	t.changed = t.changed[:0]
	return out
}

// unsure reports whether a second host holds the address, and whether both will confirm it is not yet known.
func (v *vip) unsure(now int64) bool {
	second := v.second()
	return v.conflict == nil && second > 0 && now-second <= Fresh
}

// Changed reports whether a conflict began or ended since the last Samples.
func (t *Table) Changed() bool { return len(t.changed) > 0 }

func (v *vip) samples(now int64, out []metric.Sample) []metric.Sample {
	if len(v.words) > 0 && v.words[0].Host != v.words[len(v.words)-1].Host {
		v.told = true
	}
	if !v.told {
		return out
	}
	marked := false
	for i, x := range v.words {
		if i > 0 && v.words[i-1].Host == x.Host {
			continue
		}
		if x.series == nil {
			s, err := metric.NewSeries(x.Cluster, x.Host, Conflict, []metric.Label{{Name: "vip", Value: v.key.address}}, metric.NoUnit, metric.State)
			if err != nil {
				continue // names that no series may have
			}
			x.series = s
		}
		value := 0.0
		if v.conflict != nil && v.conflict.host == x.Host {
			value, marked, v.marked = 1, true, x.series
		}
		out = append(out, metric.Sample{Series: x.series, Time: now, Value: value})
	}
	return v.unmark(marked, now, out)
}

// unmark tells of the host of a conflict when it is not among those that tell of the address any more: a series that
// said 1 must not stay so.
func (v *vip) unmark(done bool, now int64, out []metric.Sample) []metric.Sample {
	if done || v.marked == nil {
		return out
	}
	value := 0.0
	if v.conflict != nil {
		value = 1
	}
	if !slices.ContainsFunc(v.words, func(x *word) bool { return x.Host == v.marked.Host }) {
		out = append(out, metric.Sample{Series: v.marked, Time: now, Value: value})
	}
	if v.conflict == nil {
		v.marked = nil
	}
	return out
}
