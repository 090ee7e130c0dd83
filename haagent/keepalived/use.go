package keepalived

import (
	"slices"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// uses translates a track_* block of an instance or group. own is the instance's interface.
func (t *translator) uses(s *statement, own string) (uses []conf.TrackUse) {
	for _, k := range s.block {
		if t.tooMany(s, len(uses)) {
			break
		}
		name := k.keyword()
		if s.keyword() == "track_interface" && name == own {
			continue // an instance's own interface is always tracked
		}
		at := t.find(k, s.keyword(), name)
		if at < 0 {
			t.notes.Add(k.at, report.Mistake, "%s: there is no %.80q: it is left out", s.keyword(), name)
			continue
		}
		one := &t.tracks[at]
		use := conf.TrackUse{Name: one.value.Name, Weight: one.weight, Reverse: one.reverse}
		if args := k.args(); len(args) > 0 {
			if args[0] != "weight" {
				t.notes.Add(k.at, report.Mistake, "%s %.80q: unknown option %.40q: the entry is left out, as keepalived does", s.keyword(), name, args[0])
				continue
			}
			use.Weight, use.Reverse = t.weight(k, args[1:])
		}
		if slices.ContainsFunc(uses, func(u conf.TrackUse) bool { return u.Name == use.Name }) {
			t.notes.Add(k.at, report.Mistake, "%s %.80q stands twice: the first one counts", s.keyword(), name)
			continue
		}
		one.used = true
		uses = append(uses, use)
	}
	return uses
}

// find is the index of the track that a name means. Those of interfaces and BFD sessions are made when first used.
func (t *translator) find(s *statement, kind, name string) int {
	at := slices.IndexFunc(t.tracks, func(k track) bool { return k.kind == kind && k.name == name })
	if at >= 0 || t.tooMany(s, len(t.tracks)) {
		return at
	}
	var one *track
	switch kind {
	case "track_interface":
		one = t.newTrack(s, kind, name, "link-"+name)
		one.value.Interface = name
	case "track_bfd":
		b := slices.IndexFunc(t.bfd, func(b *bfdSession) bool { return b.name == name })
		if b < 0 {
			return -1
		}
		one = t.newTrack(s, kind, name, "bfd-"+name)
		one.value.BFD = t.bfd[b].value.Name
		one.weight, one.reverse = t.bfd[b].weight, t.bfd[b].reverse
	default:
		return -1
	}
	t.tracks = append(t.tracks, *one)
	return len(t.tracks) - 1
}
