package testament

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// FDVariable names the environment variable that tells an agent the number of its end of the socket.
const FDVariable = "HAAGENT_PARENT_FD"

// highFD is the least number that the agent's end of the socket gets: above all others. The kernel closes the files
// of a dead process from the highest number down, and a packet socket, of which an agent has some for each router,
// takes 10 ms and more. So, with 20 routers, the parent's farewells leave 2 ms after a kill and not 500 ms, measured.
const highFD = 1000

const (
	// BeatInterval is the pause between two signs of life.
	BeatInterval = 500 * time.Millisecond
	// again is the pause until what a full socket did not take is tried again.
	again = 5 * time.Millisecond
)

// ErrParentGone is how Run ends when the parent has died: nobody would carry out a testament any more.
var ErrParentGone = errors.New("the process that watches over the HA agent is gone")

// Writer is the agent's side. The zero value and nil do nothing: so an agent runs without a parent.
type Writer struct {
	file *os.File // nil: no parent

	mu      sync.Mutex
	fd      int
	wills   map[string]*slot
	state   slot
	scratch []byte
	late    chan struct{} // has a token when something could not be sent
}

// slot is the newest record of its kind.
type slot struct {
	record []byte
	unsent bool
	empty  bool // a will with nothing to do
}

// FromEnv takes the agent's end of the socket that FDVariable names. Without the variable there is no parent, and the
// Writer does nothing. The variable is unset and the socket marked, so that no program that the agent starts has it.
func FromEnv() (*Writer, error) {
	text, ok := os.LookupEnv(FDVariable)
	if !ok {
		return &Writer{}, nil
	}
	if err := os.Unsetenv(FDVariable); err != nil {
		return nil, fmt.Errorf("cannot take %s out of the environment: %w", FDVariable, err)
	}
	fd, err := strconv.ParseUint(text, 10, 16)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s is %.20q: it is set by the parent of an HA agent, do not set it", FDVariable, text)
	}
	domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	kind, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE) // fails as the one before
	if err != nil || domain != unix.AF_UNIX || kind != unix.SOCK_SEQPACKET {
		return nil, fmt.Errorf("%s is %d, which is no socket of an HA agent's parent: do not set it", FDVariable, fd)
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, highFD)
	if errors.Is(err, unix.EINVAL) { // the host allows fewer files
		high, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	}
	if err == nil {
		err = errors.Join(unix.Close(int(fd)), unix.SetNonblock(high, true))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the parent's socket: %w", err)
	}
	return NewWriter(os.NewFile(uintptr(high), "testament")), nil
}

// NewWriter writes to the second file of Pair, which must not block; Close closes it.
func NewWriter(child *os.File) *Writer {
	w := &Writer{file: child, fd: -1, wills: make(map[string]*slot), late: make(chan struct{}, 1)}
	if raw, err := child.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { w.fd = int(fd) }) // a closed file has none: every write fails
	}
	return w
}

// Set tells the parent an instance's newest will. It never waits: when the socket is full, the newest state is kept
// and sent by Run. It is for the failover path, right after an address was taken or let go. An error means that the
// will cannot be written at all; the parent keeps the one before.
func (w *Writer) Set(will Will) error {
	if w == nil || w.file == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	record, err := appendWill(w.scratch[:0], &will)
	if err != nil {
		return err
	}
	s := w.wills[will.Instance]
	if s == nil {
		s = &slot{}
		w.wills[will.Instance] = s
	}
	w.scratch, s.record = s.record, record
	s.unsent, s.empty = true, will.Empty()
	err = w.send(s)
	w.forget(will.Instance, s)
	return err
}

// forget drops a will that is empty and told. The caller holds mu.
func (w *Writer) forget(instance string, s *slot) {
	if s.empty && !s.unsent {
		delete(w.wills, instance)
	}
}

// Say tells the parent the agent's state. It never waits.
func (w *Writer) Say(state State) {
	if w == nil || w.file == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.record, w.state.unsent = append(w.state.record[:0], recordState, byte(state)), true
	_ = w.send(&w.state) // two bytes are never too many
}

// send writes a record if the socket takes it now, and keeps it for Run where it does not. Of a socket that is broken
// Run finds out. The error is that no socket of this host takes so much. The caller holds mu.
func (w *Writer) send(s *slot) error {
	_, err := unix.Write(w.fd, s.record)
	if s.unsent = err != nil && !errors.Is(err, unix.EMSGSIZE); s.unsent {
		select {
		case w.late <- struct{}{}:
		default: // it has a token
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot send a will of %d bytes, raise the sysctl net.core.wmem_max: %w", len(s.record), err)
	}
	return nil
}

// sendLate tries all that waits.
func (w *Writer) sendLate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for instance, s := range w.wills {
		if s.unsent {
			_ = w.send(s) // Set told of the only error
			w.forget(instance, s)
		}
	}
	if w.state.unsent {
		_ = w.send(&w.state)
	}
}

// Run sends a sign of life every BeatInterval for which alive says yes, and what Set and Say could not send. It
// returns ErrParentGone when the parent has died, and nil after ctx ended. Without a parent it waits for ctx.
func (w *Writer) Run(ctx context.Context, alive func() bool) error {
	if w == nil || w.file == nil {
		<-ctx.Done()
		return nil
	}
	gone := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	go func() {
		defer close(gone)
		w.untilGone()
	}()
	beat := time.NewTicker(BeatInterval)
	defer beat.Stop()
	retry := time.NewTimer(again) // what Set and Say could not send before Run
	defer retry.Stop()
	for {
		select {
		case <-gone:
			if ctx.Err() != nil {
				return nil
			}
			return ErrParentGone
		case <-beat.C:
			if alive() {
				w.mu.Lock()
				_, _ = unix.Write(w.fd, []byte{recordBeat}) // a full socket has the parent's attention anyway
				w.mu.Unlock()
			}
		case <-w.late:
			retry.Reset(again)
		case <-retry.C:
			w.sendLate()
		}
	}
}

// untilGone returns when the parent's end is closed or ctx has ended: the parent never writes.
func (w *Writer) untilGone() {
	var b [1]byte
	for {
		if _, err := w.file.Read(b[:]); err != nil {
			return
		}
	}
}

// Close sends what waits if the socket takes it, and closes it.
func (w *Writer) Close() error {
	if w == nil || w.file == nil {
		return nil
	}
	w.sendLate()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fd = -1
	return w.file.Close()
}

// HasParent tells whether somebody stands by to carry the testament out.
func (w *Writer) HasParent() bool { return w != nil && w.file != nil }
