package repair

import (
	"bytes"

	"keepwatch/collector/frame"
)

// Bounds of a Ring, and of what it answers.
const (
	ringAge   = int64(60_000) // ms
	ringLeast = 64            // frames that are held however old they are: the sender may speak once an hour
	ringBytes = 4 << 20

	answerRate  = 4 << 20 // bytes a second
	answerBurst = 1 << 20 // bytes
)

// Ring holds the frames that a sender sent last. It is not safe for concurrent use.
type Ring struct {
	first  uint64 // sequence of held[0]
	held   []held
	bytes  int
	budget int // bytes that may be answered
	filled int64
}

type held struct {
	at       int64
	datagram []byte
}

// Add copies a frame that was sent at now. Sequences must follow one upon the other.
func (r *Ring) Add(seq uint64, datagram []byte, now int64) {
	if len(r.held) == 0 || seq != r.first+uint64(len(r.held)) {
		*r = Ring{first: seq, budget: r.budget, filled: r.filled}
	}
	r.held = append(r.held, held{now, bytes.Clone(datagram)})
	r.bytes += len(datagram)
	n := 0
	for r.bytes > ringBytes || len(r.held)-n > ringLeast && r.held[n].at < now-ringAge {
		r.bytes -= len(r.held[n].datagram)
		r.held[n].datagram = nil
		n++
	}
	r.held = r.held[n:]
	r.first += uint64(n)
}

// Oldest is the sequence of the oldest frame held.
func (r *Ring) Oldest() uint64 { return r.first }

// Answer calls emit for each frame of the ranges that is held, as far as the bound of bytes a second allows: who asks
// for more asks again. gone says that some are held no more, which a beat tells; it may be answered too.
func (r *Ring) Answer(ranges []frame.Range, now int64, emit func(datagram []byte)) (gone bool) {
	r.fill(now)
	for _, x := range ranges {
		if x.First < r.first {
			gone = true
		}
		for seq := max(x.First, r.first); seq <= x.Last && seq < r.first+uint64(len(r.held)); seq++ {
			d := r.held[seq-r.first].datagram
			if r.budget < len(d) {
				return false
			}
			r.budget -= len(d)
			emit(d)
		}
	}
	const beat = 64 // bytes
	if gone && r.budget < beat {
		return false
	}
	if gone {
		r.budget -= beat
	}
	return gone
}

func (r *Ring) fill(now int64) {
	if passed := now - r.filled; passed > 0 {
		r.budget = int(min(int64(r.budget)+min(passed, 1000)*answerRate/1000, answerBurst))
	}
	r.filled = now
}

// Beats says when a sender tells what it has sent, so that the loss of its last frame is seen without waiting for the
// next one.
type Beats struct {
	sent int64
	told int
}

// When a beat follows the last frame: the first late enough for a probe run to be over, the second in case that one is lost.
var beatsAfter = [...]int64{300, 2000}

// Sent notes a frame.
func (b *Beats) Sent(now int64) { *b = Beats{sent: now} }

// Due reports whether a beat is due at now, which is then taken for sent, and when the next one is; 0: after the next
// frame.
func (b *Beats) Due(now int64) (due bool, next int64) {
	if b.sent == 0 {
		return false, 0
	}
	b.sent = min(b.sent, now) // the clock may have been set back
	for b.told < len(beatsAfter) && now >= b.sent+beatsAfter[b.told] {
		b.told++
		due = true
	}
	if b.told < len(beatsAfter) {
		next = b.sent + beatsAfter[b.told]
	}
	return due, next
}
