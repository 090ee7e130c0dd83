// Package track watches what an instance's priority depends on, as whether a process runs, and tells each
// change. It never weighs: haagent/vrrp does the arithmetic.
package track

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	scanEvery  = 200 * time.Millisecond // while none runs: how late a birth is seen at most
	renewEvery = time.Second            // while some run: how late further ones are seen
	maxWatched = 256                    // processes of one name
)

// Process watches whether an executable of that name runs in this host's network namespace, until ctx ends. changed
// is called with the first finding and with each change of it, and must return at once. A death is told by the
// kernel, not found by polling: reason names the last process that went.
func Process(ctx context.Context, name string, changed func(up bool, reason string)) error {
	w := &watcher{name: name, proc: "/proc", changed: changed}
	var err error
	if w.net, err = os.Readlink("/proc/self/ns/net"); err != nil {
		return fmt.Errorf("cannot tell this process's network namespace: %w", err)
	}
	return w.run(ctx)
}

// Running tells whether an executable of that name runs now, as Process would find it.
func Running(name string) (bool, error) {
	w := &watcher{name: name, proc: "/proc"}
	var err error
	if w.net, err = os.Readlink("/proc/self/ns/net"); err != nil {
		return false, fmt.Errorf("cannot tell this process's network namespace: %w", err)
	}
	watched := make(map[int]int)
	err = w.find(watched)
	for _, fd := range watched {
		unix.Close(fd)
	}
	return len(watched) > 0, err
}

type watcher struct {
	name, proc, net string
	changed         func(up bool, reason string)
	told, up        bool
}

func (w *watcher) run(ctx context.Context) error {
	// One eventfd wakes the poll when ctx ends.
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot make an eventfd: %w", err)
	}
	defer unix.Close(wake)
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	watched := make(map[int]int) // process to pidfd
	defer func() {
		for _, fd := range watched {
			unix.Close(fd)
		}
	}()
	for {
		if err := w.find(watched); err != nil {
			return err
		}
		if len(watched) == 0 {
			w.tell(false, "no process "+w.name+" runs")
		} else {
			w.tell(true, "")
		}
		if err := w.wait(ctx, wake, watched); err != nil {
			return err
		}
	}
}

// wait returns when a process has died and its entry is removed, when it is time to look again, or when ctx ended.
func (w *watcher) wait(ctx context.Context, wake int, watched map[int]int) error {
	polled := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
	pids := []int{0}
	timeout := scanEvery
	for pid, fd := range watched {
		polled = append(polled, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		pids = append(pids, pid)
		timeout = renewEvery
	}
	if _, err := unix.Poll(polled, int(timeout.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("cannot wait for processes: %w", err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, p := range polled[1:] {
		if p.Revents == 0 {
			continue
		}
		pid := pids[i+1]
		unix.Close(watched[pid])
		delete(watched, pid)
		if len(watched) == 0 {
			w.tell(false, fmt.Sprintf("process %s (%d) ended", w.name, pid))
		}
	}
	return nil
}

func (w *watcher) tell(up bool, reason string) {
	if w.told && w.up == up {
		return
	}
	w.told, w.up = true, up
	w.changed(up, reason)
}

// find opens a pidfd of each process of that name that is not watched already.
func (w *watcher) find(watched map[int]int) error {
	entries, err := os.ReadDir(w.proc)
	if err != nil {
		return fmt.Errorf("cannot list processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || watched[pid] != 0 || len(watched) >= maxWatched || !w.matches(pid) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended meanwhile
		}
		if !w.matches(pid) { // the number may have been given to another between the look and the open
			unix.Close(fd)
			continue
		}
		watched[pid] = fd
	}
	return nil
}

// matches compares the kernel's name of the process, which is cut at 15 bytes, and the executable's where this
// process may read it. A process that waits to be reaped has no executable and does not count as running.
func (w *watcher) matches(pid int) bool {
	dir := filepath.Join(w.proc, strconv.Itoa(pid))
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil || strings.TrimSuffix(string(comm), "\n") != w.name[:min(len(w.name), 15)] {
		return false
	}
	if net, err := os.Readlink(filepath.Join(dir, "ns/net")); err == nil && net != w.net {
		return false
	}
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	switch {
	case err == nil:
		return len(w.name) <= 15 || filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == w.name
	case errors.Is(err, os.ErrPermission):
		return true
	default:
		return false
	}
}
