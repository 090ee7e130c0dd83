package state

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// reader follows the log as an extractor's stream does.
type reader struct {
	cursor Cursor
	next   uint64 // number of the entry that comes next
	last   int64  // time of the one before
}

// logModel is a log, the numbers that its entries hold, and readers at any place of it.
type logModel struct {
	log     *Log
	now     int64
	count   uint64  // entries appended
	at      []int64 // of each
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

// connect opens a reader that wants all since a time. It must begin at the first entry that is as young and held.
func (m *logModel) connect(t *rapid.T) {
	since := m.now - rapid.Int64Range(-100, 2*Window.Milliseconds()).Draw(t, "since")
	r := &reader{cursor: m.log.Find(since, m.now), next: m.first()}
	for r.next < m.count && m.at[r.next] < max(since, m.now-Window.Milliseconds()) {
		r.next++
	}
	if oldest := m.log.Oldest(m.now); r.next < m.count && m.at[r.next] < oldest {
		t.Fatalf("begins at %d, and the oldest entry is told to be of %d", m.at[r.next], oldest)
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
		if got := binary.BigEndian.Uint64(e.Datagram); got != r.next || e.At != m.at[got] || e.At < r.last {
			t.Fatalf("got entry %d of %d after one of %d, want %d of %d", got, e.At, r.last, r.next, m.at[r.next])
		}
		r.next, r.last = r.next+1, e.At
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

// Whatever is appended and dropped, and however slow its readers are.
func TestReadersGetEachEntryOnceOrAreTold(t *testing.T) {
	const segment = segmentBytes + segmentRecords*recordSize
	rapid.Check(t, func(t *rapid.T) {
		bytes := int64(segment * rapid.IntRange(1, 4).Draw(t, "segments"))
		m := &logModel{log: newLog(bytes), now: start.UnixMilli()}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				m.connect(t)
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
