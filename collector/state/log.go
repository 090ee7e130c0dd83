package state

import (
	"sort"
	"sync"
	"time"
)

const (
	segmentBytes   = 256 << 10
	segmentRecords = 1024
	recordSize     = 16 // of an entry, beside its datagram

	leastStep = 1000   // ms; a clock that was set by less was not set
	stepOver  = 10_000 // ms after the clock was set, times that were taken before it are still under way
)

// Log holds the datagrams of the last ten minutes as they came, bounded by bytes. It is made of segments that are
// only ever appended to, so a reader uses what it was given after the lock is gone, and dropping the oldest segment
// frees it as soon as the last reader has let go of it. It is safe for concurrent use.
//
// Its order and the age of what it holds do not hang on the clock, which may be set: inside, times are even, as of a
// clock that never was. Who reads is told when a datagram came by what the clock says while it reads.
type Log struct {
	maxBytes int64
	clock    func() (now, set int64) // what the clock says, and by how much it was set forward since the start, ms

	mu      sync.Mutex
	segs    []*segment
	first   uint64 // number of segs[0]
	ended   int    // entries of the segment dropped last
	bytes   int64  // of all segments, as allocated
	newest  int64  // even ms; what comes later is never older
	set     int64  // by how much the clock was set, ms
	setAt   int64  // when that was seen last, even ms; 0: never
	most    int64  // the most that it was ever set, ms
	changed chan struct{}
}

type segment struct {
	data []byte
	recs []entry
}

type entry struct {
	at       int64 // even ms
	from, to uint32
}

// Entry is one datagram of the log. Its bytes never change.
type Entry struct {
	At       int64 // when it came, ms since the epoch by the clock as it is now; never less than that of the entry before
	Datagram []byte
}

// Cursor is a place in the log.
type Cursor struct {
	seg uint64
	rec int
}

func newLog(maxBytes int64) *Log {
	start := time.Now()
	return &Log{maxBytes: maxBytes, clock: func() (now, set int64) {
		t := time.Now()
		return t.UnixMilli(), t.UnixMilli() - start.UnixMilli() - t.Sub(start).Milliseconds()
	}}
}

// even turns a time that the clock gave, or may have given just before it was set, into one that does not hang on that.
func (l *Log) even(at int64) int64 {
	now, set := l.clock()
	if d := set - l.set; d >= leastStep || d <= -leastStep {
		l.set, l.setAt, l.most = set, now-set, max(l.most, set)
	}
	if l.setAt > 0 && now-l.set-l.setAt < stepOver {
		at = min(at, now)
	}
	return at - l.set
}

// Append copies one datagram that came at that time, ms. It drops the oldest segments when there are too many bytes.
func (l *Log) Append(at int64, datagram []byte) {
	if l.maxBytes == 0 || len(datagram) > segmentBytes {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = max(l.newest, l.even(at))
	s := l.tail(len(datagram))
	from := uint32(len(s.data))
	s.data = append(s.data, datagram...)
	s.recs = append(s.recs, entry{l.newest, from, uint32(len(s.data))})
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func (l *Log) tail(n int) *segment {
	if len(l.segs) > 0 {
		s := l.segs[len(l.segs)-1]
		if len(s.data)+n <= cap(s.data) && len(s.recs) < cap(s.recs) {
			return s
		}
	}
	const size = segmentBytes + segmentRecords*recordSize
	for len(l.segs) > 0 && l.bytes+size > l.maxBytes {
		l.drop()
	}
	s := &segment{data: make([]byte, 0, segmentBytes), recs: make([]entry, 0, segmentRecords)}
	l.segs = append(l.segs, s)
	l.bytes += size
	return s
}

func (l *Log) drop() {
	l.ended = len(l.segs[0].recs)
	l.segs[0] = nil
	l.segs = l.segs[1:]
	l.first++
	l.bytes -= segmentBytes + segmentRecords*recordSize
}

// Expire drops the segments that hold nothing younger than the window.
func (l *Log) Expire(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.even(now)
	for len(l.segs) > 0 && l.segs[0].recs[len(l.segs[0].recs)-1].at < now-Window.Milliseconds() {
		l.drop()
	}
}

// Find gives the place of the first entry that came at since, ms, or later; entries older than the window are passed
// over. After the clock was set back, whoever asks may mean the clock as it was or as it is: the place is good for both,
// an earlier one than it need be for one of them. Of a time that is yet to come it is the first of all.
func (l *Log) Find(since, now int64) Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.even(now)
	if since -= l.most; since > max(now, l.newest) {
		since = 0
	}
	since = max(since, now-Window.Milliseconds())
	i := sort.Search(len(l.segs), func(i int) bool {
		recs := l.segs[i].recs
		return recs[len(recs)-1].at >= since
	})
	if i == len(l.segs) {
		return l.end()
	}
	recs := l.segs[i].recs
	return Cursor{l.first + uint64(i), sort.Search(len(recs), func(j int) bool { return recs[j].at >= since })}
}

func (l *Log) end() Cursor {
	if len(l.segs) == 0 {
		return Cursor{seg: l.first}
	}
	return Cursor{l.first + uint64(len(l.segs)) - 1, len(l.segs[len(l.segs)-1].recs)}
}

// Read appends entries from the cursor on to dst, at most cap(dst) in all, and moves the cursor behind them. ok is
// false when the cursor's entries have been dropped: the reader was too slow. At the end it appends nothing, gives a
// channel that is closed by the next Append, and marks now: what comes later is not older than now.
func (l *Log) Read(c *Cursor, dst []Entry, now int64) (out []Entry, changed <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.even(now)
	if c.seg < l.first {
		if c.seg+1 < l.first || c.rec < l.ended {
			return dst, nil, false
		}
		*c = Cursor{seg: l.first} // it had read all that was dropped
	}
	for len(dst) < cap(dst) && c.seg-l.first < uint64(len(l.segs)) {
		s := l.segs[c.seg-l.first]
		if c.rec >= len(s.recs) {
			if c.seg-l.first == uint64(len(l.segs))-1 {
				break
			}
			*c = Cursor{seg: c.seg + 1}
			continue
		}
		r := s.recs[c.rec]
		dst = append(dst, Entry{r.at + l.set, s.data[r.from:r.to:r.to]})
		c.rec++
	}
	if len(dst) > 0 {
		return dst, nil, true
	}
	l.newest = max(l.newest, now)
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return dst, l.changed, true
}

// Oldest is when the oldest entry came, ms; now when there is none.
func (l *Log) Oldest(now int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.even(now)
	if len(l.segs) == 0 {
		return now + l.set
	}
	return max(l.segs[0].recs[0].at, now-Window.Milliseconds()) + l.set
}

// Bytes is the memory that the log holds.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}
