package state

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// reader follows the log as an extractor's stream does.
type reader struct {
	cursor Cursor
	next   uint64 // number of the entry that comes next
	last   int64  // time of the one before, by a clock that was never set
}

// logModel is a log, the numbers that its entries hold, and readers at any place of it.
type logModel struct {
	log     *Log
	now     int64   // by the clock
	set     int64   // by how much the clock was set
	most    int64   // the most of it
	count   uint64  // entries appended
	at      []int64 // of each, by a clock that was never set
	readers []*reader
}

func (m *logModel) append(t *rapid.T) {
	size := rapid.SampledFrom([]int{8, 100, 1400, 8900, segmentBytes / 3}).Draw(t, "size")
	for range rapid.IntRange(1, 60).Draw(t, "entries") {
		m.now += rapid.Int64Range(-5, 500).Draw(t, "later") // clocks go back too
		d := make([]byte, size)
		binary.BigEndian.PutUint64(d, m.count)
		m.log.Append(m.now, d)
		m.count++
		m.at = append(m.at, m.log.newest)
	}
}

// setClock sets the clock forward or back.
func (m *logModel) setClock(t *rapid.T) {
	by := rapid.SampledFrom([]int64{-1, 1}).Draw(t, "way") * rapid.Int64Range(leastStep, 2*Window.Milliseconds()).Draw(t, "by")
	m.now, m.set = m.now+by, m.set+by
	m.most = max(m.most, m.set)
	m.log.Expire(m.now)
}

// connect opens a reader that wants all since a time. It must begin at the first entry that is as young and held.
func (m *logModel) connect(t *rapid.T) {
	since := m.now - rapid.Int64Range(-100, 2*Window.Milliseconds()).Draw(t, "since")
	now, r := m.now-m.set, &reader{cursor: m.log.Find(since, m.now), next: m.first()}
	if since -= m.most; since > max(now, m.log.newest) {
		since = 0
	}
	for r.next < m.count && m.at[r.next] < max(since, now-Window.Milliseconds()) {
		r.next++
	}
	if oldest := m.log.Oldest(m.now); r.next < m.count && m.at[r.next]+m.set < oldest {
		t.Fatalf("begins at %d, and the oldest entry is told to be of %d", m.at[r.next]+m.set, oldest)
	}
	m.readers = append(m.readers, r)
}

// read lets a reader take some entries. It gets each once and in order, or is told that it was too slow: then, and
// only then, entries that it had not read are gone.
func (m *logModel) read(t *rapid.T, i int) {
	r := m.readers[i]
	es, changed, ok := m.log.Read(&r.cursor, make([]Entry, 0, rapid.IntRange(1, 100).Draw(t, "room")), m.now)
	if !ok {
		if r.next >= m.first() {
			t.Fatalf("entry %d is held, and its reader was told that it is gone", r.next)
		}
		m.readers = append(m.readers[:i], m.readers[i+1:]...)
		return
	}
	for _, e := range es {
		if got := binary.BigEndian.Uint64(e.Datagram); got != r.next || e.At != m.at[got]+m.set || m.at[got] < r.last {
			t.Fatalf("got entry %d of %d after one of %d, want %d of %d", got, e.At, r.last, r.next, m.at[r.next]+m.set)
		}
		r.next, r.last = r.next+1, m.at[r.next]
	}
	if len(es) > 0 {
		return
	}
	if r.next != m.count {
		t.Fatalf("at the end, but entry %d of %d was not given", r.next, m.count)
	}
	select {
	case <-changed:
		t.Fatal("woken although nothing came")
	default:
	}
}

// first is the number of the first entry that has not been dropped.
func (m *logModel) first() uint64 {
	if len(m.log.segs) == 0 {
		return m.count
	}
	s := m.log.segs[0]
	return binary.BigEndian.Uint64(s.data[s.recs[0].from:])
}

// Whatever is appended and dropped, however slow its readers are, and however the clock is set.
func TestReadersGetEachEntryOnceOrAreTold(t *testing.T) {
	const segment = segmentBytes + segmentRecords*recordSize
	rapid.Check(t, func(t *rapid.T) {
		bytes := int64(segment * rapid.IntRange(1, 4).Draw(t, "segments"))
		m := &logModel{log: newLog(bytes), now: start.UnixMilli()}
		m.log.clock = func() (now, set int64) { return m.now, m.set }
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 10).Draw(t, "what") {
			case 0:
				m.connect(t)
			case 10:
				m.setClock(t)
			case 1:
				m.now += rapid.Int64Range(0, Window.Milliseconds()).Draw(t, "pause")
				m.log.Expire(m.now)
			case 2, 3, 4:
				m.append(t)
			default:
				if len(m.readers) > 0 {
					m.read(t, rapid.IntRange(0, len(m.readers)-1).Draw(t, "reader"))
				}
			}
			if m.log.Bytes() > bytes {
				t.Fatalf("%d bytes, at most %d", m.log.Bytes(), bytes)
			}
		}
	})
}

// The clock is set, and what comes after it has the right time, what came before keeps its age, and nobody who asks by
// the clock as it was, or as it is, misses anything.
func TestClockIsSetUnderTheLog(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, -40 * time.Second, 40 * time.Second, time.Hour} {
		l, now, set := newLog(64<<20), start.UnixMilli(), int64(0)
		l.clock = func() (int64, int64) { return now, set }
		for range 360 { // half of them before it is set
			if now-set == start.Add(90*time.Second).UnixMilli() && set == 0 {
				now, set = now+by.Milliseconds(), by.Milliseconds()
				l.Append(now-set, []byte("on its way when the clock was set"))
			}
			l.Append(now, []byte("one each half second"))
			l.Expire(now)
			now += 500
		}
		read := func(since int64) (at []int64) {
			c := l.Find(since, now)
			es, _, _ := l.Read(&c, make([]Entry, 0, 1000), now)
			for _, e := range es {
				at = append(at, e.At-now)
			}
			return at
		}
		all := read(0)
		if len(all) != 361 || all[0] != -180_000 || all[360] != -500 || !slices.IsSorted(all) || all[180] > -90_000 {
			t.Errorf("set by %v: %d entries, %d to %d ms old, want 361, 180 to 0.5 s", by, len(all), -all[0], -all[len(all)-1])
		}
		if oldest := l.Oldest(now); oldest != now-180_000 {
			t.Errorf("set by %v: the oldest entry is told to be %d ms old, want 180,000", by, now-oldest)
		}
		for name, since := range map[string]int64{"as it is": now - 100_000, "as it was": now - set - 100_000} {
			if got := read(since); len(got) < 201 || by > 0 && name == "as it is" && len(got) > 201 {
				t.Errorf("set by %v, asked by the clock %s for 100 s: %d entries, want 201", by, name, len(got))
			}
		}
		if got := read(now + 7_200_000); len(got) != 361 {
			t.Errorf("set by %v, asked for what is to come: %d entries, want all", by, len(got))
		}
	}
}
