package track

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxFile    = 64
	maxNumber  = 254
	fileResync = 10 * time.Second
	// unwatched is how often a file is looked at whose folder cannot be watched, because it is not there mostly.
	unwatched = time.Second
	// calm is the least time between two looks.
	calm = time.Millisecond
	// making is how many looks an empty file may be in the making.
	making = 20
)

// lookFile reads the number in a file.
func lookFile(path string) Finding {
	f, _ := readNumber(path)
	return f
}

// readNumber reads the number in a file. empty tells that the file is there but has nothing in it, as between the
// two steps in which a shell writes it.
func readNumber(path string) (f Finding, empty bool) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a named pipe must not hold us up
	if err != nil {
		return Finding{Detail: "cannot read the file: " + err.Error()}, false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return Finding{Detail: path + " is no regular file"}, false
	}
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return Finding{Detail: "cannot read the file: " + err.Error()}, false
	}
	n, err := parseNumber(b)
	if err != nil {
		return Finding{Detail: path + ": " + err.Error()}, len(b) == 0
	}
	return Finding{Up: true, Value: n, Detail: fmt.Sprintf("%s has %d", path, n)}, false
}

// settled reads until the file is not empty, for a bounded time: a shell empties a file before it writes to it, and
// that is no fault.
func settled(read func() (f Finding, empty bool), rest func()) Finding {
	for looks := 1; ; looks++ {
		f, empty := read()
		if !empty || looks == making {
			return f
		}
		rest()
	}
}

func parseNumber(b []byte) (int, error) {
	if len(b) > maxFile {
		return 0, fmt.Errorf("more than %d bytes: want a number from -%d to %d", maxFile, maxNumber, maxNumber)
	}
	text := strings.TrimSpace(string(b))
	n, err := strconv.Atoi(text)
	if err != nil || n < -maxNumber || n > maxNumber {
		return 0, fmt.Errorf("%q: want a number from -%d to %d", text, maxNumber, maxNumber)
	}
	return n, nil
}

// watchFile follows a file by what happens in its folder, so that one that is renamed over it is seen too. A file
// behind a link to another folder is seen by the regular looks only.
func watchFile(ctx context.Context, path string, t *teller) error {
	for ctx.Err() == nil {
		w, err := newFolderWatch(path)
		if err != nil {
			t.tell(lookFile(path))
			rest(ctx, unwatched)
			continue
		}
		w.follow(ctx, func() {
			f := settled(func() (Finding, bool) { return readNumber(path) }, func() { rest(ctx, calm) })
			if ctx.Err() == nil {
				t.tell(f)
			}
		})
	}
	return ctx.Err()
}

// rest waits, until ctx ends at most.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// folderWatch hears of one name in a folder.
type folderWatch struct {
	file *os.File
	name string
	buf  [4096]byte
}

func newFolderWatch(path string) (*folderWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch files: %w", err)
	}
	// Not each write but its end: in between a file may be empty.
	const events = unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
		unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), events); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot watch %s: %w", filepath.Dir(path), err)
	}
	return &folderWatch{file: os.NewFile(uintptr(fd), "inotify"), name: filepath.Base(path)}, nil
}

// follow calls look at once and after each event, until ctx ends, the folder is gone or it is time to begin anew: the
// path may lead to another folder by now.
func (w *folderWatch) follow(ctx context.Context, look func()) {
	stop := context.AfterFunc(ctx, func() { _ = w.file.Close() })
	defer func() {
		stop()
		_ = w.file.Close()
	}()
	if w.file.SetReadDeadline(time.Now().Add(fileResync)) != nil {
		return
	}
	for {
		look()
		for news := false; !news; {
			n, err := w.file.Read(w.buf[:])
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return // the time is over, or the watch is
			}
			var gone bool
			if news, gone = folderNews(w.buf[:n], w.name); gone {
				return
			}
		}
		rest(ctx, calm)
	}
}

// folderNews reads struct inotify_event of inotify(7). Events that do not name another file are news.
func folderNews(b []byte, name string) (news, gone bool) {
	for len(b) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(b[4:])
		size := uint64(binary.NativeEndian.Uint32(b[12:]))
		b = b[unix.SizeofInotifyEvent:]
		if size > uint64(len(b)) {
			return true, false
		}
		of := strings.TrimRight(string(b[:size]), "\x00")
		b = b[size:]
		if mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_IGNORED|unix.IN_UNMOUNT) != 0 {
			return true, true
		}
		news = news || of == name || mask&unix.IN_Q_OVERFLOW != 0
	}
	return news, false
}
