package state

import (
	"math/bits"
	"slices"
)

// seriesSet is the series of one host, as hashes of their descriptors under a secret seed: 15 to 25 bytes each. A
// host sends the same series in the same order again and again, so the set keeps their order and looks first at the
// one that followed last time. The zero value is an empty set.
type seriesSet struct {
	hashes []uint64 // in the order in which they came first
	heard  []uint64 // a bit for each of them: seen since the last sweep
	slots  []uint32 // hash table by linear probing, a power of two long: place in hashes + 1, or 0
	next   int      // place of the one that is expected
}

func (s *seriesSet) len() int { return len(s.hashes) }

// seen reports whether the series is there, and notes that it was seen.
func (s *seriesSet) seen(hash uint64) bool {
	i := s.next
	if i >= len(s.hashes) || s.hashes[i] != hash {
		if i = s.find(hash); i < 0 {
			return false
		}
	}
	s.heard[i/64] |= 1 << (i % 64)
	if s.next = i + 1; s.next == len(s.hashes) {
		s.next = 0
	}
	return true
}

// has reports whether the series is there.
func (s *seriesSet) has(hash uint64) bool { return s.find(hash) >= 0 }

func (s *seriesSet) find(hash uint64) int {
	if len(s.slots) == 0 {
		return -1
	}
	mask := uint64(len(s.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		switch i := int(s.slots[at]) - 1; {
		case i < 0 || s.hashes[i] == hash:
			return i
		}
	}
}

// add adds a series as seen, unless it is there, and returns how many there are more.
func (s *seriesSet) add(hash uint64) int {
	if s.seen(hash) {
		return 0
	}
	i := len(s.hashes)
	s.hashes = append(s.hashes, hash)
	if i%64 == 0 {
		s.heard = append(s.heard, 0)
	}
	s.heard[i/64] |= 1 << (i % 64)
	if 4*len(s.hashes) > 3*len(s.slots) {
		s.index()
	} else {
		s.put(i)
	}
	return 1
}

func (s *seriesSet) put(i int) {
	mask := uint64(len(s.slots) - 1)
	at := s.hashes[i] & mask
	for s.slots[at] != 0 {
		at = (at + 1) & mask
	}
	s.slots[at] = uint32(i + 1)
}

// index makes the slots anew, at most half of them full.
func (s *seriesSet) index() {
	s.slots = make([]uint32, 1<<bits.Len(uint(2*len(s.hashes)-1)))
	for i := range s.hashes {
		s.put(i)
	}
}

// sweep forgets the series that were not seen since the last sweep.
func (s *seriesSet) sweep() {
	kept := make([]uint64, 0, len(s.hashes))
	for i, hash := range s.hashes {
		if s.heard[i/64]&(1<<(i%64)) != 0 {
			kept = append(kept, hash)
		}
	}
	*s = seriesSet{hashes: slices.Clip(kept), heard: make([]uint64, (len(kept)+63)/64)}
	if len(kept) > 0 {
		s.index()
	}
}
