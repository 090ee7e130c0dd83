package state

import (
	"fmt"
	"hash/maphash"
	"net/netip"

	"keepwatch/collector/frame"
	"keepwatch/collector/holders"
	"keepwatch/collector/share"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// visit is one frame on its way in. Nothing that it changes stays unless it is committed.
type visit struct {
	hs      *hosts
	now     int64 // ms
	h       *host // of the group
	touched []*host
	made    []*host
	fresh   []freshSeries
	words   []holders.Word // of the HA agents
	silent  []*host        // whose HA agent gives no answer
	checks  []share.Word   // of collectors that share checks
}

type freshSeries struct {
	h    *host
	hash uint64
}

func (hs *hosts) visit(now int64) *visit {
	v := &hs.v
	*v = visit{hs: hs, now: now, touched: v.touched[:0], made: v.made[:0], fresh: v.fresh[:0], words: v.words[:0], silent: v.silent[:0], checks: v.checks[:0]}
	return v
}

// Group finds the host of the samples that follow, or makes it.
func (v *visit) Group(cluster, name []byte) (known bool, err error) {
	hs := v.hs
	hs.key = appendKey(hs.key, cluster, name)
	h := hs.m[string(hs.key)]
	known = h != nil
	if h == nil {
		if len(hs.m) >= hs.maxHosts && !hs.makeRoom(v.now) {
			return false, fmt.Errorf("%w: %d, and now %q", ErrTooManyHosts, len(hs.m), name)
		}
		h = &host{cluster: string(cluster), name: string(name)}
		hs.m[string(hs.key)] = h
		v.made = append(v.made, h)
	}
	if !h.marked {
		h.marked = true
		v.touched = append(v.touched, h)
	}
	v.h = h
	return known, nil
}

// Sample looks whether the series is one that its host has sent before.
func (v *visit) Sample(s batch.Raw) (known bool, err error) {
	h := v.h
	hash := maphash.Bytes(v.hs.seed, s.Desc)
	if h.series.seen(hash) {
		if len(h.agent) > 0 {
			v.agent(h, hash, s)
		}
		return true, nil
	}
	if h.series.len()+h.fresh >= v.hs.maxSeries {
		return false, fmt.Errorf("%w: %d of %q", ErrTooManySeries, h.series.len(), h.name)
	}
	if v.hs.series+len(v.fresh) >= maxAll {
		return false, fmt.Errorf("%w: %d series of %d hosts", ErrTooManyBytes, v.hs.series, len(v.hs.m))
	}
	h.fresh++
	v.fresh = append(v.fresh, freshSeries{h, hash})
	return false, v.newAgent(h, hash, s)
}

// newAgent looks at a series that is new whether it is one of an HA agent or of a shared check.
func (v *visit) newAgent(h *host, hash uint64, s batch.Raw) error {
	if !batch.Named(s.Desc, holders.Held) && !batch.Named(s.Desc, holders.AgentUp) && !isCheck(s.Desc) {
		return nil
	}
	series, err := batch.Series(h.cluster, h.name, s.Desc)
	if err != nil {
		return err
	}
	if h.agent == nil {
		h.agent = make(map[uint64]*metric.Series)
	}
	h.agent[hash] = series
	v.agent(h, hash, s)
	return nil
}

// agent notes what an HA agent says of its addresses, or that it does not answer, and what is said of a shared check.
func (v *visit) agent(h *host, hash uint64, s batch.Raw) {
	series := h.agent[hash]
	switch {
	case series == nil:
	case series.Name == holders.Held:
		v.words = append(v.words, holders.Word{
			Cluster: h.cluster, Host: h.name, Instance: series.Label("instance"), VIP: series.Label("vip"), Held: s.Value == 1, Time: s.Time,
		})
	case series.Name != holders.AgentUp:
		v.checks = append(v.checks, share.Word{Series: series, Time: s.Time, Value: s.Value})
	case s.Value == 0:
		v.silent = append(v.silent, h)
	}
}

// date notes from which frame the words are. Those of HA agents in one that came late are passed over: they are said again,
// and that a host held an address once is no proof that it does.
func (v *visit) date(origin frame.Origin, late bool) {
	if late {
		v.words, v.silent = v.words[:0], v.silent[:0]
	}
	for i := range v.checks {
		v.checks[i].Origin, v.checks[i].Late = origin, late
	}
}

func (v *visit) abort() {
	v.clear()
	for _, h := range v.made {
		v.hs.key = appendKey(v.hs.key, h.cluster, h.name)
		delete(v.hs.m, string(v.hs.key))
	}
}

func (v *visit) clear() {
	for _, h := range v.touched {
		h.fresh, h.marked = 0, false
	}
}

// commit makes the visit stay and appends the events of hosts that came.
func (v *visit) commit(events []metric.Event, f *frame.Frame, from netip.Addr) []metric.Event {
	now := v.now
	v.clear()
	for _, s := range v.fresh {
		v.hs.series += s.h.series.add(s.hash)
	}
	for _, h := range v.touched {
		if f.Derived {
			h.told = now
			continue
		}
		h.address, h.through = from, ""
		if h.name != f.Host {
			h.through = f.Host
		}
		c := channel{heard: now, sent: f.Sent, interval: max(f.Interval.Milliseconds(), minInterval), epoch: f.Boot.Start}
		if h.native.epoch > c.epoch {
			c.epoch = h.native.epoch // of two senders that speak of one host, the later start counts
		}
		events = h.hear(events, &h.native, c, "")
	}
	return events
}
