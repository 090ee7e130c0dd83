package track

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
)

func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	path := filepath.Join(dir, "weight")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(path, text string) {
		t.Helper()
		must(os.WriteFile(path, []byte(text), 0o600))
	}
	w := watch(t, conf.Track{File: path}, Options{}, nil)
	w.next(false, 0, "no such file") // no folder either
	must(os.Mkdir(dir, 0o700))
	write(path, "7\n")
	w.next(true, 7, "has 7")
	write(filepath.Join(dir, "other"), "8")
	write(path, " -254 ")
	w.next(true, -254, "")
	write(path, "255")
	w.next(false, 0, `"255": want a number from -254 to 254`)
	write(filepath.Join(dir, "new"), "+20")
	must(os.Rename(filepath.Join(dir, "new"), path))
	w.next(true, 20, "")
	must(os.Remove(path))
	w.next(false, 0, "no such file")
	write(filepath.Join(dir, "target"), "30")
	must(os.Symlink("target", path))
	w.next(true, 30, "")
	must(os.Rename(path, filepath.Join(dir, "away")))
	w.next(false, 0, "no such file")
	write(path, "0")
	w.next(true, 0, "")
	write(path, "")
	w.next(false, 0, `"": want a number`)
	write(path, "6")
	w.next(true, 6, "")
	must(os.RemoveAll(dir))
	w.next(false, 0, "no such file")
	must(os.Mkdir(dir, 0o700))
	write(path, "5")
	w.next(true, 5, "")
}

// A shell empties a file before it writes to it: that is no fault.
func TestFileInTheMaking(t *testing.T) {
	for _, c := range []struct{ empty, looks, value int }{{0, 1, 7}, {1, 2, 7}, {making - 1, making, 7}, {making, making, 0}, {1000, making, 0}} {
		looks, rests := 0, 0
		f := settled(func() (Finding, bool) {
			if looks++; looks <= c.empty {
				return Finding{}, true
			}
			return Finding{Up: true, Value: 7}, false
		}, func() { rests++ })
		if looks != c.looks || rests != looks-1 || f.Value != c.value || f.Up != (c.value != 0) {
			t.Errorf("empty for %d looks: got %+v after %d looks and %d rests", c.empty, f, looks, rests)
		}
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo, long := filepath.Join(dir, "fifo"), filepath.Join(dir, "long")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(long, []byte(strings.Repeat(" ", maxFile)+"1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{fifo: "is no regular file", dir: "is no regular file", long: "more than 64 bytes"} {
		if f := lookFile(path); f.Up || !strings.Contains(f.Detail, want) {
			t.Errorf("%s: got %+v, want %q", path, f, want)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"", "0", "-254", "254\n", "255", "1 2", "0x10", "９", strings.Repeat("0", 64), strings.Repeat("0", 65)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseNumber(b)
		if err != nil && n != 0 || n < -maxNumber || n > maxNumber || err == nil && len(b) > maxFile {
			t.Errorf("%q: got %d, %v", b, n, err)
		}
	})
}

// event is a struct inotify_event.
func event(mask uint32, name string) []byte {
	b := make([]byte, unix.SizeofInotifyEvent, 64)
	binary.NativeEndian.PutUint32(b[4:], mask)
	padded := append([]byte(name), make([]byte, 16-len(name)%16)...)
	binary.NativeEndian.PutUint32(b[12:], uint32(len(padded)))
	return append(b, padded...)
}

func TestFolderNews(t *testing.T) {
	f := func(what string, b []byte, news, gone bool) {
		t.Helper()
		if n, g := folderNews(b, "weight"); n != news || g != gone {
			t.Errorf("%s: got %t, %t, want %t, %t", what, n, g, news, gone)
		}
	}
	f("nothing", nil, false, false)
	f("ours", event(unix.IN_CLOSE_WRITE, "weight"), true, false)
	f("another's", event(unix.IN_CLOSE_WRITE, "weight2"), false, false)
	f("both", append(event(unix.IN_CREATE, "a"), event(unix.IN_MOVED_TO, "weight")...), true, false)
	f("the folder's end", event(unix.IN_DELETE_SELF, "weight"), true, true)
	f("lost", make([]byte, unix.SizeofInotifyEvent), false, false)
	f("overflow", event(unix.IN_Q_OVERFLOW, "x"), true, false)
	f("cut", event(unix.IN_CREATE, "a")[:20], true, false)
}

func FuzzFolderNews(f *testing.F) {
	f.Add(event(unix.IN_CLOSE_WRITE, "weight"))
	f.Add(event(unix.IN_IGNORED, ""))
	f.Fuzz(func(t *testing.T, b []byte) { folderNews(b, "weight") })
}
