package testament

import (
	"fmt"
	"os"
	"time"
)

// maxWills bounds what a parent keeps: more virtual routers than one host can have with 255 on each interface.
const maxWills = 4096

// News is what one record brought.
type News struct {
	Will  *Will // nil: no will
	State State // of the agent, as last said
	Said  bool  // State came with this record
}

// Reader is the parent's side. It keeps the newest will of each instance. Its methods are for one goroutine.
type Reader struct {
	file  *os.File
	buf   []byte
	wills map[string]Will
	state State
}

// NewReader reads the first file of Pair; Close closes it.
func NewReader(parent *os.File) *Reader {
	return &Reader{file: parent, buf: make([]byte, maxRecord+1), wills: make(map[string]Will)}
}

// Next waits for a record until a moment. The error is io.EOF when the agent's end is closed, which its death does,
// and wraps os.ErrDeadlineExceeded when the moment came first, ErrGarbage when no agent wrote the record.
func (r *Reader) Next(until time.Time) (News, error) {
	if err := r.file.SetReadDeadline(until); err != nil {
		return News{}, fmt.Errorf("cannot wait for the HA agent: %w", err)
	}
	n, err := r.file.Read(r.buf)
	if err != nil {
		return News{}, err
	}
	return r.take(r.buf[:n])
}

func (r *Reader) take(b []byte) (News, error) {
	switch {
	case len(b) == 0 || len(b) > maxRecord:
		return News{}, fmt.Errorf("%w: %d bytes", ErrGarbage, len(b))
	case b[0] == recordWill:
		w, err := decodeWill(b[1:])
		if err != nil {
			return News{}, err
		}
		if _, known := r.wills[w.Instance]; !known && len(r.wills) == maxWills {
			return News{}, fmt.Errorf("%w: more than %d instances", ErrGarbage, maxWills)
		}
		if w.Empty() {
			delete(r.wills, w.Instance)
		} else {
			r.wills[w.Instance] = w
		}
		return News{Will: &w, State: r.state}, nil
	case b[0] == recordBeat && len(b) == 1:
		return News{State: r.state}, nil
	case b[0] == recordState && len(b) == 2 && State(b[1]) <= Gone:
		r.state = State(b[1])
		return News{State: r.state, Said: true}, nil
	}
	return News{}, fmt.Errorf("%w: %d bytes that begin with %d", ErrGarbage, len(b), b[0])
}

// Wills are the newest of each instance that has something to do. They are the Reader's own until the next call of
// Next.
func (r *Reader) Wills() map[string]Will { return r.wills }

// State is what the agent said last.
func (r *Reader) State() State { return r.state }

// Close closes the parent's end: the agent ends then.
func (r *Reader) Close() error { return r.file.Close() }
