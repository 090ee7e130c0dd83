// Package repair owns the decisions that make frames survive a lossy network: which frames of which sender are
// missing, when they are asked for again and when they are given up (Tracker); which of its own frames a sender still
// holds and what it answers (Ring); when it says what it has sent (Beats). It never opens a socket, a seal or a clock,
// and never looks into a frame: those are collector/frame's and the collector's, which calls it. Times are ms.
package repair

import (
	"net/netip"
	"slices"

	"keepwatch/collector/frame"
)

const (
	// Grace is how long a frame may be late before it is asked for: networks reorder.
	Grace = int64(50)

	// Tries is how often a frame is asked for. With 36 % of all tries in vain – a fifth of the requests and a fifth of
	// the answers lost – one frame in ten million is given up.
	Tries = 16

	firstWait = int64(100)  // after the first request; each wait is twice the one before
	longWait  = int64(1000) // at most; all in all a frame is given up after 13 s

	asksAtOnce = 64 // requests in one Due
	forget     = int64(2 * 60 * 60 * 1000)
)

// Peer is where a sender is reached: the source of its frames, and which of the asker's sockets they came to.
type Peer struct {
	Addr   netip.AddrPort
	Socket int
}

// Options bound a Tracker.
type Options struct {
	MaxBoots   int   // senders followed, about 150 bytes each; others lose what they lose
	MaxMissing int   // frames missing of one sender at a time
	MaxTotal   int   // and of all
	Grace      int64 // ms; 0: Grace. Askers that lost the same frame do not all ask at once when theirs differ
}

// Tracker finds what is missing. It is not safe for concurrent use.
type Tracker struct {
	opt     Options
	boots   map[frame.Boot]*boot
	waiting []*boot // that miss something
	missing int
	losses  []Loss
	seqs    []uint64
	ranges  []frame.Range
}

// Loss is frames of one sender that were given up.
type Loss struct {
	Boot   frame.Boot
	Frames uint64
}

type boot struct {
	id    frame.Boot
	peer  Peer
	top   uint64 // the highest that was seen, or that the sender told of
	gaps  []gap  // by sequence
	heard int64
	waits bool // is among Tracker.waiting
}

type gap struct {
	seq   uint64
	due   int64 // when it is asked for next
	tries uint8
	past  bool // from before the first frame that was heard: no loss when the sender does not hold it any more
}

// NewTracker makes a Tracker.
func NewTracker(opt Options) *Tracker {
	if opt.Grace <= 0 {
		opt.Grace = Grace
	}
	return &Tracker{opt: opt, boots: make(map[frame.Boot]*boot)}
}

// Saw notes a frame that was opened. missing says that frames before it are missing now, repaired that it had been
// asked for.
func (t *Tracker) Saw(o frame.Origin, peer Peer, now int64) (missing, repaired bool) {
	b := t.boots[o.Boot]
	if b == nil {
		return t.join(o, peer, now), false
	}
	b.heard, b.peer = now, peer
	switch {
	case o.Seq == b.top+1:
		b.top = o.Seq
	case o.Seq > b.top:
		t.note(b, b.top+1, o.Seq-1, now, false)
		b.top = o.Seq
		return true, false
	default:
		i, found := b.find(o.Seq)
		if !found {
			return false, false
		}
		repaired = b.gaps[i].tries > 0
		b.gaps = slices.Delete(b.gaps, i, i+1)
		t.missing--
	}
	return false, repaired
}

func (t *Tracker) join(o frame.Origin, peer Peer, now int64) (missing bool) {
	if len(t.boots) >= t.opt.MaxBoots {
		return false
	}
	b := &boot{id: o.Boot, peer: peer, top: o.Seq, heard: now}
	t.boots[o.Boot] = b
	if o.Seq == 1 || o.Seq > frame.JoinReach {
		return false
	}
	t.note(b, 1, o.Seq-1, now, true)
	return true
}

// Told notes a beat of a sender: it has sent all up to the newest, and what is older than the oldest it holds no more.
func (t *Tracker) Told(beat frame.Beat, now int64) (missing bool) {
	b := t.boots[beat.Boot]
	if b == nil {
		return false
	}
	b.heard = now
	if beat.Newest > b.top {
		t.note(b, b.top+1, beat.Newest, now, false)
		b.top, missing = beat.Newest, true
	}
	i, _ := b.find(beat.Oldest)
	t.give(b, i)
	return missing
}

// note puts sequences from first to last among the missing. What passes the bounds is lost at once, the oldest first.
func (t *Tracker) note(b *boot, first, last uint64, now int64, past bool) {
	room := uint64(max(min(t.opt.MaxMissing-len(b.gaps), t.opt.MaxTotal-t.missing), 0))
	if n := last - first + 1; n > room {
		t.lose(b, n-room)
		first = last - room + 1
	}
	if first > last {
		return
	}
	if !b.waits {
		b.waits = true
		t.waiting = append(t.waiting, b)
	}
	for seq := first; seq <= last; seq++ {
		b.gaps = append(b.gaps, gap{seq: seq, due: now + t.opt.Grace, past: past})
		t.missing++
	}
}

func (b *boot) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(b.gaps, seq, func(g gap, seq uint64) int {
		switch {
		case g.seq < seq:
			return -1
		case g.seq > seq:
			return 1
		}
		return 0
	})
}

// give gives up the first n gaps.
func (t *Tracker) give(b *boot, n int) {
	lost := uint64(0)
	for _, g := range b.gaps[:n] {
		if !g.past {
			lost++
		}
	}
	b.gaps = slices.Delete(b.gaps, 0, n)
	t.missing -= n
	t.lose(b, lost)
}

func (t *Tracker) lose(b *boot, n uint64) {
	if n == 0 {
		return
	}
	for i := range t.losses {
		if t.losses[i].Boot == b.id {
			t.losses[i].Frames += n
			return
		}
	}
	t.losses = append(t.losses, Loss{b.id, n})
}

// Losses gives what was given up since the last call; it is valid until the next call of any method.
func (t *Tracker) Losses() []Loss {
	out := t.losses
	t.losses = t.losses[len(t.losses):]
	return out
}

// Missing is how many frames are missing now.
func (t *Tracker) Missing() int { return t.missing }

// Due calls ask for each request that must be sent now, at most frame.MaxRanges ranges in it, which are valid until ask
// returns. It gives the time at which to call it again, which is never before now+1; 0: when something is missing.
func (t *Tracker) Due(now int64, ask func(of frame.Boot, at Peer, ranges []frame.Range)) (next int64) {
	asked, keep := 0, t.waiting[:0]
	for i, b := range t.waiting {
		if asked >= asksAtOnce { // the others come first the next time
			t.waiting = slices.Concat(t.waiting[i:], keep)
			return now + 1
		}
		at := t.ask(b, now, func(ranges []frame.Range) {
			asked++
			ask(b.id, b.peer, ranges)
		})
		if len(b.gaps) == 0 {
			b.waits = false
			continue
		}
		keep = append(keep, b)
		if next == 0 || at < next {
			next = at
		}
	}
	clear(t.waiting[len(keep):])
	t.waiting = keep
	if next > 0 {
		next = max(next, now+1)
	}
	return next
}

// ask asks for the gaps of one sender whose time has come and gives the time of the next.
func (t *Tracker) ask(b *boot, now int64, ask func([]frame.Range)) (next int64) {
	t.seqs = t.seqs[:0]
	left := b.gaps[:0]
	lost := uint64(0)
	for _, g := range b.gaps {
		if g.due > now+max(longWait, t.opt.Grace) { // the clock was set back
			g.due = now + t.opt.Grace
		}
		if g.due <= now && g.tries >= Tries {
			t.missing--
			if !g.past {
				lost++
			}
			continue
		}
		if g.due <= now && t.fits(g.seq) {
			t.seqs = append(t.seqs, g.seq)
			g.due = now + min(firstWait<<min(g.tries, 10), longWait)
			g.tries++
		}
		if next == 0 || g.due < next {
			next = g.due
		}
		left = append(left, g)
	}
	b.gaps = left
	t.lose(b, lost)
	if len(t.seqs) > 0 {
		t.ranges = frame.AppendRanges(t.ranges[:0], t.seqs)
		ask(t.ranges)
	}
	return next
}

// fits reports whether one request holds another sequence, however apart they are.
func (t *Tracker) fits(seq uint64) bool {
	n := len(t.seqs)
	if n == 0 {
		t.ranges = t.ranges[:0]
	}
	if n >= frame.MaxAsked {
		return false
	}
	if n > 0 && t.seqs[n-1]+1 == seq {
		return true
	}
	if len(t.ranges) >= frame.MaxRanges {
		return false
	}
	t.ranges = append(t.ranges, frame.Range{}) // counts them
	return true
}

// Sweep forgets senders that have been silent for two hours. Call it every minute or so.
func (t *Tracker) Sweep(now int64) {
	for id, b := range t.boots {
		if now-b.heard > forget && len(b.gaps) == 0 {
			delete(t.boots, id)
		}
	}
}
