package extractor

import "keepwatch/collector/frame"

const (
	windowWords = 64
	windowBits  = windowWords * 64
	maxBoots    = 100_000
	forgetBoots = int64(20 * 60 * 1000) // ms of silence
)

// windows remembers which frames were had: of each boot, which of its last sequences. What is older than a window was
// had, too, if it is not older than the first one: one aggregator's frames come in order. It passes for new where it
// may have been missing: the writer knows a sample that it has.
type windows struct {
	boots map[frame.Boot]*window
}

type window struct {
	first uint64 // that was had
	top   uint64
	heard int64
	bits  [windowWords]uint64
}

// mark notes a frame received at now, ms, and reports whether it is new. missing says that it is of those of which
// some may be missing.
func (w *windows) mark(o frame.Origin, now int64, missing bool) bool {
	b := w.boots[o.Boot]
	if b == nil {
		if w.boots == nil || len(w.boots) >= maxBoots {
			w.boots = make(map[frame.Boot]*window)
		}
		b = &window{first: o.Seq}
		w.boots[o.Boot] = b
	}
	b.heard = max(b.heard, now)
	return b.mark(o.Seq, missing)
}

// known reports whether mark would surely find a frame to be no new one, by the frames that missing is not said of.
func (w *windows) known(o frame.Origin) bool {
	b := w.boots[o.Boot]
	return b != nil && o.Seq <= b.top && b.top-o.Seq < windowBits-64 && b.bits[o.Seq/64%windowWords]&(1<<(o.Seq%64)) != 0
}

func (b *window) mark(seq uint64, missing bool) bool {
	word, bit := &b.bits[seq/64%windowWords], uint64(1)<<(seq%64)
	switch {
	case seq > b.top:
		from, to := b.top/64, seq/64
		for i := from + 1; i <= min(to, from+windowWords); i++ {
			b.bits[i%windowWords] = 0
		}
		b.top = seq
	case b.top-seq >= windowBits-64:
		return missing || seq < b.first
	case *word&bit != 0:
		return false
	}
	*word |= bit
	return true
}

// sweep forgets the boots that have been silent for long.
func (w *windows) sweep(now int64) {
	for boot, b := range w.boots {
		if now-b.heard > forgetBoots {
			delete(w.boots, boot)
		}
	}
}

// maxRecent bounds each half of a recent.
const maxRecent = 20_000

// recent remembers at least the last maxRecent keys.
type recent struct {
	young, old map[string]struct{}
}

// add reports whether the key is new, and remembers it.
func (r *recent) add(key string) bool {
	if _, ok := r.young[key]; ok {
		return false
	}
	_, known := r.old[key]
	if r.young == nil || len(r.young) >= maxRecent {
		r.old, r.young = r.young, make(map[string]struct{})
	}
	r.young[key] = struct{}{}
	return !known
}
