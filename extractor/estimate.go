package extractor

// Times and offsets are ms. An offset is what must be added to a clock to make it ours. Delay makes what is observed of
// one too large, never too small.
const (
	skewLeast = 1_000 // an offset below it is none
	skewMoved = 2_000 // an offset stands until it has grown by more than this
	skewFell  = 750   // or fallen by more than this, which rounding alone does not do
	skewSpan  = 3     // observations on end must say that it has grown: one of them may have been late

	beatSure   = 30_000 // but of heartbeats that did not lie about: one that has grown by so much is true at once
	skewApart  = 5_000  // but of frames: those that were sent together are late together, and count once
	maxSteps   = 16     // of a sender's clock that are remembered
	rememberMs = 15 * 60 * 1000
)

// estimate is the offset of a clock that is told often and in time: an aggregator's. It must be found better than to
// gmondSlack together with that of another aggregator.
type estimate struct {
	Offset int64 `json:"offset"`

	last [skewSpan]int64
	n    int
}

// estimateHolds is how exact an estimate is: it does not change with every word.
const estimateHolds = 400

// set takes an offset that is no older than a moment.
func (e *estimate) set(offset int64) {
	e.n = 0
	if moved := offset - e.Offset; moved > estimateHolds || moved < -estimateHolds {
		e.Offset = offset
	}
}

// observe takes one that may be too large by a delay.
func (e *estimate) observe(offset int64) {
	e.last[e.n%skewSpan] = offset
	e.n++
	switch moved := offset - e.Offset; {
	case moved >= -skewFell && moved <= skewMoved:
		e.n = 0
		return
	case moved > skewMoved && moved < beatSure:
		if e.n < skewSpan {
			return
		}
		offset = min(e.last[0], e.last[1], e.last[2])
	}
	e.Offset, e.n = offset, 0
}

func quantise(offset int64) int64 {
	switch {
	case offset >= skewLeast:
		return (offset + 500) / 1000 * 1000
	case offset <= -skewLeast:
		return (offset - 500) / 1000 * 1000
	}
	return 0
}

// offsets are those of one boot of a sender. A frame's times are always corrected by the same amount, whenever and from
// whichever aggregator it is pulled: what it is hangs on its sequence alone.
type offsets struct {
	Steps []step `json:"steps"` // in order of From
	Top   uint64 `json:"top"`   // highest sequence that was observed
	Sent  int64  `json:"sent"`  // when it was sent, by the sender's clock

	grown   [skewSpan]int64 // offsets of the last frames on end that came so late
	n       int
	counted int64 // Sent of the last of them
}

// step is what a clock was corrected by from a sequence on.
type step struct {
	From   uint64 `json:"from"`
	Offset int64  `json:"offset"` // whole seconds
	At     int64  `json:"at"`     // our time
}

// now is the offset in force.
func (o *offsets) now() int64 {
	if len(o.Steps) == 0 {
		return 0
	}
	return o.Steps[len(o.Steps)-1].Offset
}

// of is what the frame with that sequence is corrected by.
func (o *offsets) of(seq uint64) int64 {
	for i := len(o.Steps) - 1; i > 0; i-- {
		if seq >= o.Steps[i].From {
			return o.Steps[i].Offset
		}
	}
	if len(o.Steps) == 0 {
		return 0
	}
	return o.Steps[0].Offset
}

// observe takes the next frame of the sequence, which was sent when the sender's clock said sent, and was received at
// our time received. It may have come late by any time: frames that were lost are sent again. It reports whether the
// offset in force has changed.
func (o *offsets) observe(seq uint64, sent, received int64) (changed bool) {
	offset := received - sent
	before, first := o.now(), len(o.Steps) == 0
	back := sent < o.Sent-skewLeast // later frames are sent later: the clock was set back
	o.Top, o.Sent = seq, sent
	switch moved := offset - before; {
	case first:
	case moved < -skewFell, moved > skewMoved && back:
	case moved <= skewMoved:
		o.n = 0
		return false
	default:
		var sure bool
		if offset, sure = o.late(offset, sent); !sure {
			return false
		}
	}
	o.n = 0
	if offset = quantise(offset); offset == before && !first {
		return false
	}
	o.step(step{seq, offset, received})
	return true
}

// late counts a frame that came later than the clock in force explains. Delays differ, and what came late at once was
// sent over a time: only frames that were sent apart and are late by the same make it the clock.
func (o *offsets) late(offset, sent int64) (least int64, sure bool) {
	if o.n > 0 && sent-o.counted < skewApart {
		return 0, false
	}
	o.grown[o.n%skewSpan] = offset
	o.n++
	o.counted = sent
	least, most := min(o.grown[0], o.grown[1], o.grown[2]), max(o.grown[0], o.grown[1], o.grown[2])
	return least, o.n >= skewSpan && most-least <= skewFell
}

// step notes a change, and forgets those that no frame needs any more.
func (o *offsets) step(s step) {
	for len(o.Steps) >= maxSteps || len(o.Steps) > 1 && s.At-o.Steps[1].At > rememberMs {
		o.Steps = o.Steps[1:]
	}
	o.Steps = append(o.Steps, s)
}
