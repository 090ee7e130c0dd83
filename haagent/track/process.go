package track

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/link"
	"keepwatch/internal/conf"
)

// How late a birth is seen at most. Where the kernel tells of births, only a child that becomes no other program is
// found by looking, and then a look is a second thought.
const (
	scanEvery   = 200 * time.Millisecond // while too few run
	renewEvery  = time.Second            // while enough run
	scanResync  = 10 * time.Second       // the same, where the kernel tells of births
	leastWatch  = 256                    // processes of one name that are watched at most, or at_least
	pollAnyTime = time.Hour
)

// watchProcess watches whether enough executables of a name run in this host's network namespace. A death is told by
// the kernel, through a descriptor of the process, and so is a birth where this process may hear of it: nothing is
// found by polling alone.
func watchProcess(ctx context.Context, c conf.Track, t *teller) error {
	w := &watcher{teller: t, atLeast: max(c.AtLeast, 1), absence: absence{delay: c.Delay}, watched: make(map[int]process)}
	var err error
	if w.table, err = newTable(c.Process); err != nil {
		return err
	}
	if w.events, err = link.OpenProcEvents(); err != nil && !errors.Is(err, link.ErrNoProcEvents) {
		return err
	}
	defer w.close()
	return w.run(ctx)
}

// lookProcess tells whether enough run now.
func lookProcess(c conf.Track) Finding {
	w := &watcher{atLeast: max(c.AtLeast, 1), watched: make(map[int]process)}
	defer w.close()
	var err error
	if w.table, err = newTable(c.Process); err == nil {
		err = w.scan()
	}
	if err != nil {
		return Finding{Detail: err.Error()}
	}
	return Finding{Up: w.enough(), Detail: w.detail()}
}

type watcher struct {
	*teller
	table
	absence
	atLeast int
	events  *link.ProcEvents // nil: the kernel tells this process nothing
	watched map[int]process  // by process
	ended   int              // the last that did, since one was found
}

type process struct {
	fd    int         // pidfd
	image os.FileInfo // of the executable; nil where it may not be looked at
}

func (w *watcher) close() {
	for _, x := range w.watched {
		unix.Close(x.fd)
	}
	if w.events != nil {
		_ = w.events.Close()
	}
}

func (w *watcher) enough() bool { return len(w.watched) >= w.atLeast }

func (w *watcher) detail() string {
	switch n := len(w.watched); {
	case n == 0 && w.ended != 0:
		return fmt.Sprintf("process %s (%d) ended", w.name, w.ended)
	case n == 0:
		return "no process " + w.name + " runs"
	case w.atLeast == 1:
		return "process " + w.name + " runs"
	default:
		return fmt.Sprintf("%d of %d processes %s run", min(n, w.atLeast), w.atLeast, w.name)
	}
}

func (w *watcher) run(ctx context.Context) error {
	// One eventfd wakes the poll when ctx ends.
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot make an eventfd: %w", err)
	}
	defer unix.Close(wake)
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer func() {
		if !stop() {
			<-woken // the descriptor must not be another's by then
		}
	}()
	scanned := time.Time{}
	for {
		now := time.Now()
		if now.Sub(scanned) >= w.rhythm() {
			if err := w.scan(); err != nil {
				return err
			}
			scanned = now
		}
		up, again := w.step(now, w.enough())
		if again == 0 {
			w.tell(Finding{Up: up, Detail: w.detail()})
			again = pollAnyTime
		}
		rescan, err := w.wait(wake, min(again, scanned.Add(w.rhythm()).Sub(now)))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case rescan:
			scanned = time.Time{}
		}
	}
}

// rhythm is the time between two looks at all processes.
func (w *watcher) rhythm() time.Duration {
	switch {
	case w.events != nil && (len(w.watched) == 0 || w.enough()):
		return scanResync
	case w.enough():
		return renewEvery
	default:
		return scanEvery
	}
}

// wait returns when processes have died or may have been born, or when the time is over. rescan tells that all must
// be looked at: after deaths that leave too few, since a child that took over is not known yet, and after news that
// was lost.
func (w *watcher) wait(wake int, limit time.Duration) (rescan bool, err error) {
	polled := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}, {Fd: -1, Events: unix.POLLIN}}
	if w.events != nil {
		polled[1].Fd = int32(w.events.FD())
	}
	pids := make([]int, 2, 2+len(w.watched))
	for pid, x := range w.watched {
		polled = append(polled, unix.PollFd{Fd: int32(x.fd), Events: unix.POLLIN})
		pids = append(pids, pid)
	}
	milliseconds := (max(limit, 0) + time.Millisecond - 1) / time.Millisecond
	if _, err := unix.Poll(polled, int(milliseconds)); err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("cannot wait for processes: %w", err)
	}
	for i := 2; i < len(polled); i++ {
		if polled[i].Revents == 0 {
			continue
		}
		w.forget(pids[i])
		w.ended = pids[i]
		rescan = rescan || !w.enough()
	}
	if polled[1].Revents == 0 {
		return rescan, nil
	}
	lost, err := w.events.Read(w.consider)
	return rescan || lost, err
}

// scan considers all processes.
func (w *watcher) scan() error {
	// Names only, unsorted: the host may have thousands.
	dir, err := os.Open(w.proc)
	if err != nil {
		return fmt.Errorf("cannot list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("cannot list processes: %w", err)
	}
	for _, name := range names {
		if pid := number(name); pid > 0 {
			w.consider(pid)
		}
	}
	return nil
}

// consider opens a descriptor of a process of that name that is not watched already, and gives up that of one that has
// become another since: a child carries its parent's name until it becomes the program that it was made for.
func (w *watcher) consider(pid int) {
	if x, known := w.watched[pid]; known {
		if w.another(pid, x.image) {
			w.forget(pid)
		}
		return
	}
	if len(w.watched) >= max(leastWatch, w.atLeast) || !w.matches(pid) {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended meanwhile
	}
	if !w.matches(pid) { // the number may have been given to another between the look and the open
		unix.Close(fd)
		return
	}
	w.watched[pid], w.ended = process{fd, w.image(pid)}, 0
}

func (w *watcher) forget(pid int) {
	unix.Close(w.watched[pid].fd)
	delete(w.watched, pid)
}

// absence lets a thing that was there be missing for a while before it counts as gone.
type absence struct {
	delay   time.Duration
	present bool      // counts as there
	since   time.Time // missing; zero while it is there
}

// step tells whether the thing counts as there; again is when to ask again while its absence is forgiven, else 0.
func (a *absence) step(now time.Time, there bool) (present bool, again time.Duration) {
	if there {
		a.present, a.since = true, time.Time{}
		return true, 0
	}
	if a.since.IsZero() {
		a.since = now
	}
	if left := a.delay - now.Sub(a.since); a.present && left > 0 {
		return true, left
	}
	a.present = false
	return false, 0
}
