package state

import (
	"cmp"
	"slices"
)

// room is the hosts that give way when all places are taken and a sealed frame brings another host: those that gmond
// packets alone speak of, which anybody can make up.
type room struct {
	silent []silent // who has been silent for longest at the end
	looked int64    // ms, when they were looked for
}

type silent struct {
	h     *host
	heard int64
}

// gmondOnly reports whether no frame speaks of the host.
func (h *host) gmondOnly() bool { return h.native.heard == 0 && h.told == 0 }

// makeRoom forgets, of the hosts that give way, the one that has been silent for longest, and reports whether there was
// one. A burst of new hosts does not walk all hosts for each: what one walk found serves until it is used up, since who was
// not heard after it has been silent for longer than who was, and there is at most one walk a second.
func (hs *hosts) makeRoom(now int64) bool {
	if len(hs.room.silent) == 0 && (now-hs.room.looked >= 1000 || now < hs.room.looked) {
		hs.room.look(hs.m, now)
	}
	for n := len(hs.room.silent); n > 0; n-- {
		s := hs.room.silent[n-1]
		hs.room.silent = hs.room.silent[:n-1]
		if h := s.h; !h.forgotten && !h.marked && h.gmondOnly() && h.gmond.heard == s.heard {
			hs.forget(string(appendKey(nil, h.cluster, h.name)), h)
			return true
		}
	}
	return false
}

func (r *room) look(all map[string]*host, now int64) {
	r.looked = now
	for _, h := range all {
		if h.gmondOnly() {
			r.silent = append(r.silent, silent{h, h.gmond.heard})
		}
	}
	slices.SortFunc(r.silent, func(a, b silent) int { return cmp.Compare(b.heard, a.heard) })
}

// tidy lets go of hosts that may be forgotten meanwhile.
func (r *room) tidy() { r.silent = nil }
