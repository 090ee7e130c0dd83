package share

import (
	"cmp"
	"slices"

	"keepwatch/collector/frame"
)

type memberKey struct{ cluster, kind, check string }

// member is one collector that stands ready for one check.
type member struct {
	said  frame.Origin
	heard int64 // ms, by our clock
	ready bool
}

func (t *Table) hearMember(w Word, heard int64) {
	s := w.Series
	key := memberKey{s.Cluster, s.Label("kind"), s.Label("check")}
	if key.kind == "" || key.check == "" {
		return
	}
	of := t.members[key]
	m := of[s.Host]
	if m == nil {
		if t.nMember >= t.maxMembers {
			t.dropped++
			return
		}
		if of == nil {
			of = make(map[string]*member)
			t.members[key] = of
		}
		m = &member{}
		of[s.Host] = m
		t.nMember++
	}
	if before(w.Origin, m.said) {
		return
	}
	*m = member{said: w.Origin, heard: heard, ready: w.Value == 1}
}

// Runs reports whether self is one of the members that run a check: those of the best ranks, as many as it wants vantage
// points. Self counts as living whether it was heard or not.
func (t *Table) Runs(c *Check, self string, now int64) bool {
	key, mine := c.Kind+"/"+c.Name, uint64(0)
	better := 0
	for host, m := range t.members[memberKey{c.Cluster, c.Kind, c.Name}] {
		if host == self || !m.living(c, now) {
			continue
		}
		if mine == 0 {
			mine = weight(key, self)
		}
		if w := weight(key, host); w > mine || w == mine && host < self {
			better++
		}
	}
	return better < max(c.Vantage, 1)
}

// Runners is the members that run a check, best rank first, and how many living members there are.
func (t *Table) Runners(c *Check, self string, now int64) (runners []string, living int) {
	all := []string{self}
	for host, m := range t.members[memberKey{c.Cluster, c.Kind, c.Name}] {
		if host != self && m.living(c, now) {
			all = append(all, host)
		}
	}
	Rank(c.Kind+"/"+c.Name, all)
	return all[:min(len(all), max(c.Vantage, 1))], len(all)
}

// living is who stands ready and was heard within one and a half of the check's intervals: before a second one has
// passed others have taken over.
func (m *member) living(c *Check, now int64) bool {
	return m.ready && now-m.heard <= c.Interval.Milliseconds()*3/2
}

// Rank sorts members in place by their weight for a check, the heaviest first, and returns them. A member's weight
// depends on its name and the check's alone.
func Rank(check string, members []string) []string {
	slices.SortFunc(members, func(a, b string) int {
		return cmp.Or(cmp.Compare(weight(check, b), weight(check, a)), cmp.Compare(a, b))
	})
	return members
}

// weight is FNV-1a over both names, mixed by the finalizer of SplitMix64: FNV alone puts names that differ in their
// last byte close together, so that one member would win most checks.
func weight(check, member string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, s := range [2]string{check, member} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
		h *= prime // a NUL, which is in no name, ends each
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func (t *Table) sweepMembers(now int64) {
	for key, of := range t.members {
		for host, m := range of {
			if now-m.heard > forget {
				delete(of, host)
				t.nMember--
			}
		}
		if len(of) == 0 {
			delete(t.members, key)
		}
	}
}
