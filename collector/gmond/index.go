package gmond

// index finds entries by the hash of their host and metric name, and holds them: in slabs that never move, so that a
// hundred thousand metrics are a few hundred pieces of memory, and a packet misses the processor's caches once for its
// slot and once for its entry. (A map of pointers costs three times the bytes a metric and two misses more.) Slabs are
// used again and never given back.
type index struct {
	slots []slot // a power of two of them, at least a quarter free, probed in order
	slabs []*[slabSize]entry
	used  uint32   // entries given out of slabs, ever
	free  []uint32 // of them, given back
	held  int
}

const (
	slabBits = 8
	slabSize = 1 << slabBits
	minSlots = 1 << 10
)

// slot is empty when at is 0, else that of an entry plus 1.
type slot struct {
	hash, at uint32
}

func (x *index) at(n uint32) *entry { return &x.slabs[n>>slabBits][n&(slabSize-1)] }

// find gives the entry of a host's metric, or nil.
func (x *index) find(hash uint32, host, name []byte) *entry {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := x.slots[i]
		switch {
		case s.at == 0:
			return nil
		case s.hash == hash:
			if e := x.at(s.at - 1); e.desc.Name == string(name) && e.host.name == string(host) {
				return e
			}
		}
	}
}

// add makes an entry under a hash and gives its number for at.
func (x *index) add(hash uint32) (n uint32, e *entry) {
	if 4*(x.held+1) > 3*len(x.slots) {
		x.resize(2 * len(x.slots))
	}
	if k := len(x.free) - 1; k >= 0 {
		n, x.free = x.free[k], x.free[:k]
	} else {
		if n = x.used; n&(slabSize-1) == 0 {
			x.slabs = append(x.slabs, new([slabSize]entry))
		}
		x.used++
	}
	x.held++
	x.put(slot{hash, n + 1})
	return n, x.at(n)
}

func (x *index) put(s slot) {
	mask := uint32(len(x.slots) - 1)
	i := s.hash & mask
	for x.slots[i].at != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

// remove gives back entry n, which is under hash. Slots behind its own that were probed past it move up.
func (x *index) remove(hash, n uint32) {
	mask := uint32(len(x.slots) - 1)
	i := hash & mask
	for x.slots[i].at != n+1 {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; x.slots[j].at != 0; j = (j + 1) & mask {
		if home := x.slots[j].hash & mask; (j-home)&mask >= (j-i)&mask {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = slot{}
	*x.at(n) = entry{}
	x.free = append(x.free, n)
	if x.held--; len(x.slots) > minSlots && 8*x.held < len(x.slots) {
		x.resize(len(x.slots) / 2)
	}
}

func (x *index) resize(n int) {
	before := x.slots
	x.slots = make([]slot, max(n, minSlots))
	for _, s := range before {
		if s.at != 0 {
			x.put(s)
		}
	}
}
