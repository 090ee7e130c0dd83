package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxFile bounds one file of /proc or /sys. /proc/stat of a machine with thousands of interrupts and
// /proc/diskstats of one with thousands of disks stay below 1 MiB.
const maxFile = 4 << 20

// Tree reads files below a root into one buffer that it uses again: what Read returned is good until the next Read.
type Tree struct {
	root string
	buf  []byte
}

// NewTree reads below root; empty: the machine's own files.
func NewTree(root string) *Tree { return &Tree{root: root} }

// Read returns what the file holds. path is absolute, as "/proc/stat". The system calls are made directly: an
// os.File costs four allocations a file, and this reads hundreds of files a run.
func (t *Tree) Read(path string) ([]byte, error) {
	name := path
	if t.root != "" {
		name = filepath.Join(t.root, path)
	}
	fd, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", name, err)
	}
	b, err := t.readAll(fd)
	unix.Close(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", name, err)
	}
	return b, nil
}

func open(name string) (int, error) {
	for {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func (t *Tree) readAll(fd int) ([]byte, error) {
	if t.buf == nil {
		t.buf = make([]byte, 32<<10)
	}
	n := 0
	for {
		m, err := unix.Read(fd, t.buf[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, err
		case m <= 0:
			return t.buf[:n], nil
		}
		if n += m; n < len(t.buf) {
			continue
		}
		if n >= maxFile {
			return nil, fmt.Errorf("it is longer than %d bytes", maxFile)
		}
		t.buf = append(t.buf, make([]byte, len(t.buf))...)
	}
}

// optional says that the error means a kernel or device without the file: not there, not supported, switched off.
func optional(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) ||
		errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOTDIR)
}

// readUint reads a file that holds one number.
func (t *Tree) readUint(path string) (uint64, error) {
	b, err := t.Read(path)
	if err != nil {
		return 0, err
	}
	v, ok := ParseUint(bytes.TrimSpace(b))
	if !ok {
		return 0, fmt.Errorf("cannot read %q: %.40q is no number", path, b)
	}
	return v, nil
}
