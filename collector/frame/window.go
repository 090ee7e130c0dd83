package frame

const (
	windowWords = 128
	windowBits  = windowWords * 64
	windowSize  = windowBits - 64 // the word that is being filled anew holds no old sequences
)

// window remembers which of the last windowSize sequences were seen, as a ring of bits (RFC 6479).
type window struct {
	top   uint64 // highest sequence seen
	floor uint64 // this and all below it count as seen
	bits  [windowWords]uint64
}

// fresh reports whether seq may still be accepted; it changes nothing.
func (w *window) fresh(seq uint64) bool {
	switch {
	case seq <= w.floor:
		return false
	case seq > w.top:
		return true
	case w.top-seq >= windowSize:
		return false
	}
	return w.bits[seq/64%windowWords]&(1<<(seq%64)) == 0
}

// mark records seq, which must be fresh.
func (w *window) mark(seq uint64) {
	if seq > w.top {
		from, to := w.top/64, seq/64
		for i := from + 1; i <= min(to, from+windowWords); i++ {
			w.bits[i%windowWords] = 0
		}
		w.top = seq
	}
	w.bits[seq/64%windowWords] |= 1 << (seq % 64)
}
