package repair

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"keepwatch/collector/frame"
)

var (
	web1  = frame.Boot{Start: 1000, Random: 1}
	peer1 = Peer{netip.MustParseAddrPort("10.0.0.1:4711"), 2}
)

func newTracker() *Tracker { return NewTracker(Options{MaxBoots: 10, MaxMissing: 100, MaxTotal: 150}) }

func saw(t *Tracker, now int64, seqs ...uint64) (repaired int) {
	for _, seq := range seqs {
		if _, r := t.Saw(frame.Origin{Boot: web1, Seq: seq}, peer1, now); r {
			repaired++
		}
	}
	return repaired
}

// due gives what is asked for at now, and when to come again.
func due(t *Tracker, now int64) (asked string, next int64) {
	next = t.Due(now, func(of frame.Boot, at Peer, ranges []frame.Range) {
		asked += fmt.Sprint(of.Random, at.Socket, ranges, " ")
	})
	return asked, next
}

func TestWhatIsMissingIsAskedForUntilItComes(t *testing.T) {
	tr := newTracker()
	saw(tr, 0, 100, 101, 104, 106)
	for _, c := range []struct {
		now   int64
		asked string
		next  int64
	}{
		{0, "", 50}, {49, "", 50}, {50, "1 2 [{102 103} {105 105}] ", 150}, {51, "", 150}, {150, "1 2 [{102 103} {105 105}] ", 350},
	} {
		if asked, next := due(tr, c.now); asked != c.asked || next != c.next {
			t.Errorf("at %d: got %q, %d; want %q, %d", c.now, asked, next, c.asked, c.next)
		}
	}
	if n := saw(tr, 200, 103, 105, 105, 99); n != 2 {
		t.Errorf("%d repaired, want 2: the second 105 is a duplicate, 99 is from before", n)
	}
	var at []int64
	for now := int64(201); tr.Missing() > 0 && now < 60_000; now++ {
		if asked, _ := due(tr, now); asked != "" {
			at = append(at, now)
		}
	}
	if want := []int64{350, 750, 1550, 2550, 3550, 4550, 5550, 6550, 7550, 8550, 9550, 10550, 11550, 12550}; !slices.Equal(at, want) {
		t.Errorf("asked at %v, want %v", at, want)
	}
	if l := tr.Losses(); len(l) != 1 || l[0] != (Loss{web1, 1}) || len(tr.Losses()) != 0 {
		t.Errorf("lost %v, want frame 102 once", l)
	}
	if asked, next := due(tr, 99_999); asked != "" || next != 0 {
		t.Errorf("at the end: %q, %d", asked, next)
	}
}

// The clock is set back by an hour: what is missing, asked for or not, is asked for all the same, and the last frame told of.
func TestClockIsSetBack(t *testing.T) {
	const hour = 3_600_000
	tr := newTracker()
	saw(tr, hour, 100, 102)
	due(tr, hour+50)
	saw(tr, hour+60, 104)
	var b Beats
	b.Sent(hour)
	b.Due(hour + 300)
	if asked, next := due(tr, 1000); asked != "" || next != 1000+Grace {
		t.Errorf("asked %q, next %d; want another grace", asked, next)
	}
	if asked, next := due(tr, 1000+Grace); asked != "1 2 [{101 101} {103 103}] " || next != 1000+Grace+firstWait {
		t.Errorf("asked %q, next %d", asked, next)
	}
	if due, next := b.Due(1000); due || next != 3000 {
		t.Errorf("beat: %v, next %d; want it 2 s later", due, next)
	}
}

func TestReorderingIsNotAskedFor(t *testing.T) {
	tr := newTracker()
	saw(tr, 0, 100, 102)
	if n := saw(tr, 40, 101); n != 0 || tr.Missing() != 0 {
		t.Errorf("%d repaired, %d missing; want none", n, tr.Missing())
	}
	if asked, next := due(tr, 50); asked != "" || next != 0 {
		t.Errorf("asked %q, %d", asked, next)
	}
}

func TestWhoJoinsLateDoesNotAskForThePast(t *testing.T) {
	tr := newTracker()
	saw(tr, 0, frame.JoinReach+1)
	if tr.Missing() != 0 {
		t.Errorf("%d missing, want none", tr.Missing())
	}
	tr = newTracker()
	saw(tr, 0, 4) // the sender has just started
	if asked, _ := due(tr, Grace); asked != "1 2 [{1 3}] " {
		t.Errorf("asked %q", asked)
	}
	tr.Told(frame.Beat{Boot: web1, Oldest: 3, Newest: 4}, 60)
	if tr.Missing() != 1 || len(tr.Losses()) != 0 {
		t.Errorf("%d missing, want frame 3; what was sent before we listened is no loss", tr.Missing())
	}
}

func TestBeatTellsOfTheLastFrameAndOfWhatIsGone(t *testing.T) {
	tr := newTracker()
	if tr.Told(frame.Beat{Boot: web1, Oldest: 1, Newest: 9}, 0) || tr.Missing() != 0 {
		t.Error("a sender that was never heard is asked for nothing")
	}
	saw(tr, 0, 100)
	if !tr.Told(frame.Beat{Boot: web1, Oldest: 90, Newest: 110}, 0) || tr.Missing() != 10 {
		t.Errorf("%d missing, want 10", tr.Missing())
	}
	tr.Told(frame.Beat{Boot: web1, Oldest: 90, Newest: 105}, 1) // an old one, played again
	tr.Told(frame.Beat{Boot: web1, Oldest: 105, Newest: 110}, 2)
	if l := tr.Losses(); tr.Missing() != 6 || len(l) != 1 || l[0].Frames != 4 {
		t.Errorf("%d missing, lost %v; want 6 and 4", tr.Missing(), l)
	}
}

func TestTrackerIsBounded(t *testing.T) {
	tr := newTracker()
	saw(tr, 0, 100, 1000)
	if l := tr.Losses(); tr.Missing() != 100 || len(l) != 1 || l[0].Frames != 799 {
		t.Errorf("%d missing, lost %v; want 100 and 799", tr.Missing(), l)
	}
	for i := range uint64(20) {
		b := frame.Boot{Start: 1, Random: 100 + i}
		tr.Saw(frame.Origin{Boot: b, Seq: 100}, peer1, 0)
		tr.Saw(frame.Origin{Boot: b, Seq: 120}, peer1, 0)
	}
	if len(tr.boots) != 10 || tr.Missing() != 150 {
		t.Errorf("%d senders, %d missing; want 10 and 150", len(tr.boots), tr.Missing())
	}
	for now := int64(0); now < 20_000; now += 10 {
		tr.Due(now, func(_ frame.Boot, _ Peer, r []frame.Range) {
			n := uint64(0)
			for _, x := range r {
				n += x.Last - x.First + 1
			}
			if len(r) > frame.MaxRanges || n > frame.MaxAsked {
				t.Fatalf("a request of %d ranges and %d frames", len(r), n)
			}
		})
	}
	tr.Sweep(forget + 30_000)
	if tr.Missing() != 0 || len(tr.boots) != 0 {
		t.Errorf("%d missing, %d senders left", tr.Missing(), len(tr.boots))
	}
}

// A sender whose frames are all apart is asked in several requests, many senders in several turns, and none is forgotten.
func TestManyAsksTakeTurns(t *testing.T) {
	tr := NewTracker(Options{MaxBoots: 1000, MaxMissing: 1000, MaxTotal: 20_000})
	const gaps = frame.MaxRanges + 2
	for i := range uint64(200) {
		b := frame.Boot{Start: 1, Random: i}
		for seq := uint64(100); seq <= 100+2*gaps; seq += 2 {
			tr.Saw(frame.Origin{Boot: b, Seq: seq}, peer1, 0)
		}
	}
	asked := make(map[frame.Origin]bool)
	now, turns := Grace, 0
	for len(asked) < 200*gaps {
		next := tr.Due(now, func(of frame.Boot, _ Peer, r []frame.Range) {
			for _, x := range r {
				asked[frame.Origin{Boot: of, Seq: x.First}] = true
			}
		})
		if turns++; next <= now || turns > 30 {
			t.Fatalf("turn %d: next is %d at %d, %d asked", turns, next, now, len(asked))
		}
		now = next
	}
	if turns < 4 {
		t.Errorf("%d turns for 200 requests of %d at once", turns, asksAtOnce)
	}
}

func TestRing(t *testing.T) {
	var r Ring
	d := make([]byte, 1000)
	for seq := uint64(1); seq <= 100; seq++ {
		d[0] = byte(seq)
		r.Add(seq, d, int64(seq)*1000)
	}
	if r.Oldest() != 37 { // 64 of them, all but the last 60 older than a minute
		t.Errorf("oldest %d, want 37", r.Oldest())
	}
	var got []byte
	emit := func(d []byte) { got = append(got, d[0]) }
	if gone := r.Answer([]frame.Range{{First: 38, Last: 39}, {First: 99, Last: 200}}, 100_000, emit); gone || !slices.Equal(got, []byte{38, 39, 99, 100}) {
		t.Errorf("got %v, gone %v", got, gone)
	}
	got = nil
	if gone := r.Answer([]frame.Range{{First: 1, Last: 37}}, 100_000, emit); !gone || !slices.Equal(got, []byte{37}) {
		t.Errorf("got %v, gone %v", got, gone)
	}
	for seq := uint64(101); seq <= 6000; seq++ {
		r.Add(seq, d, 101_000)
	}
	if r.bytes > ringBytes || r.Oldest() != 6001-ringBytes/1000 {
		t.Errorf("%d bytes, oldest %d", r.bytes, r.Oldest())
	}
	total := 0
	for range 100 { // requests of one millisecond
		r.Answer([]frame.Range{{First: 5000, Last: 5255}}, 102_000, func(d []byte) { total += len(d) })
	}
	if total > answerBurst || total < answerBurst-1000 {
		t.Errorf("answered %d bytes at once, want about %d", total, answerBurst)
	}
	if r.Answer([]frame.Range{{First: 1, Last: 1}}, 102_000, emit); r.budget < 0 {
		t.Errorf("budget %d", r.budget)
	}
	r.Answer([]frame.Range{{First: 5000, Last: 5255}}, 102_100, func(d []byte) { total += len(d) })
	if want := answerBurst + 255_000; total < want {
		t.Errorf("answered %d bytes in all after 100 ms, want %d or more", total, want)
	}
	r.Add(9000, d, 103_000) // a sequence that does not follow starts it anew
	if r.Oldest() != 9000 || len(r.held) != 1 {
		t.Errorf("oldest %d of %d", r.Oldest(), len(r.held))
	}
}

func TestBeats(t *testing.T) {
	var b Beats
	if due, next := b.Due(5); due || next != 0 {
		t.Error("a beat before any frame")
	}
	b.Sent(1000)
	for _, c := range []struct {
		now  int64
		due  bool
		next int64
	}{{1001, false, 1300}, {1300, true, 3000}, {1301, false, 3000}, {3100, true, 0}, {9000, false, 0}} {
		if due, next := b.Due(c.now); due != c.due || next != c.next {
			t.Errorf("at %d: got %v, %d", c.now, due, next)
		}
	}
}

// network is a sender, a receiver and the way between them.
type network struct {
	tr       *Tracker
	ring     Ring
	now      int64
	arrive   []arrival
	got      map[uint64]bool
	repaired int
	tries    map[uint64]int
	lose     func() bool
	delay    func() int64
	twice    func() bool
}

type arrival struct {
	at   int64
	seq  uint64 // of a frame; 0: beat
	beat frame.Beat
}

func (n *network) send(a arrival) {
	if n.lose() {
		return
	}
	a.at = n.now + n.delay()
	n.arrive = append(n.arrive, a)
	if n.twice() {
		a.at += n.delay()
		n.arrive = append(n.arrive, a)
	}
}

// run lets time pass to the given ms.
func (n *network) run(to int64) {
	for ; n.now < to; n.now++ {
		for i := 0; i < len(n.arrive); i++ {
			a := n.arrive[i]
			if a.at > n.now {
				continue
			}
			n.arrive = slices.Delete(n.arrive, i, i+1)
			i--
			if a.seq == 0 {
				n.tr.Told(a.beat, n.now)
				continue
			}
			n.got[a.seq] = true
			if _, repaired := n.tr.Saw(frame.Origin{Boot: web1, Seq: a.seq}, peer1, n.now); repaired {
				n.repaired++
			}
		}
		n.tr.Due(n.now, func(_ frame.Boot, _ Peer, ranges []frame.Range) {
			for _, r := range ranges {
				for seq := r.First; seq <= r.Last; seq++ {
					n.tries[seq]++
				}
			}
			if n.lose() {
				return
			}
			gone := n.ring.Answer(ranges, n.now, func(d []byte) { n.send(arrival{seq: uint64(d[0]) | uint64(d[1])<<8}) })
			if gone {
				n.send(arrival{beat: n.beat()})
			}
		})
	}
}

func (n *network) beat() frame.Beat {
	return frame.Beat{Boot: web1, Oldest: n.ring.Oldest(), Newest: n.ring.first + uint64(len(n.ring.held)) - 1}
}

func (n *network) frame(seq uint64) {
	n.ring.Add(seq, []byte{byte(seq), byte(seq >> 8)}, n.now)
	n.send(arrival{seq: seq})
}

// Whatever is lost, doubled and out of order: each frame from the first one heard on is delivered, or it is told that
// it was given up, and that happens only when it was asked for as often as it should be.
func TestEverythingIsDeliveredOrToldOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &network{
			tr: NewTracker(Options{MaxBoots: 1, MaxMissing: 1000, MaxTotal: 1000}), got: map[uint64]bool{}, tries: map[uint64]int{},
			twice: func() bool { return rapid.IntRange(0, 9).Draw(t, "twice") == 0 },
			delay: func() int64 { return rapid.Int64Range(1, 90).Draw(t, "delay") },
		}
		never := func() bool { return false }
		first, count := uint64(rapid.IntRange(1, 1000).Draw(t, "first")), uint64(rapid.IntRange(1, 40).Draw(t, "count"))
		n.lose = never
		n.frame(first) // which the listener joins with
		n.run(100)
		n.lose = func() bool { return rapid.IntRange(0, 3).Draw(t, "lost") == 0 }
		for seq := first + 1; seq < first+count; seq++ {
			n.frame(seq)
			n.run(n.now + rapid.Int64Range(0, 40).Draw(t, "pause"))
		}
		n.run(n.now + 100)
		n.lose = never
		n.send(arrival{beat: n.beat()}) // that the last beat is not lost is luck
		n.run(n.now + 15_000)
		lost := uint64(0)
		for _, l := range n.tr.Losses() {
			lost += l.Frames
		}
		for seq := first; seq < first+count; seq++ {
			if !n.got[seq] {
				lost--
				if n.tries[seq] < Tries {
					t.Errorf("frame %d was given up after %d tries", seq, n.tries[seq])
				}
			}
		}
		if lost != 0 || n.tr.Missing() != 0 {
			t.Errorf("%d more told of than lost, %d missing", lost, n.tr.Missing())
		}
	})
}

// With a fifth of all datagrams lost in both directions nothing is lost.
func TestTwentyPercent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	n := &network{
		tr: NewTracker(Options{MaxBoots: 1, MaxMissing: 1000, MaxTotal: 1000}), got: map[uint64]bool{}, tries: map[uint64]int{},
		lose: func() bool { return rnd.IntN(5) == 0 }, twice: func() bool { return rnd.IntN(10) == 0 },
		delay: func() int64 { return 1 + rnd.Int64N(40) },
	}
	const frames = 5000
	var b Beats
	for seq := uint64(1); seq <= frames; seq++ {
		n.frame(seq)
		b.Sent(n.now)
		n.run(n.now + rnd.Int64N(20))
	}
	for end := n.now + 20_000; n.now < end; n.run(n.now + 10) {
		if due, _ := b.Due(n.now); due {
			n.send(arrival{beat: n.beat()})
		}
	}
	if len(n.got) != frames || len(n.tr.Losses()) != 0 || n.repaired < frames/6 {
		t.Errorf("%d of %d frames came, %d repaired, lost %v", len(n.got), frames, n.repaired, n.tr.Losses())
	}
}

func BenchmarkSaw(b *testing.B) {
	tr := NewTracker(Options{MaxBoots: 10_000, MaxMissing: 1000, MaxTotal: 1000})
	b.ReportAllocs()
	seq := uint64(100)
	for b.Loop() {
		seq++
		for i := range uint64(1000) {
			tr.Saw(frame.Origin{Boot: frame.Boot{Start: 1, Random: i}, Seq: seq}, peer1, 0)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/frame")
}
