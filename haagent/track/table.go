package track

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// table finds processes of a name in the kernel's table of them.
type table struct {
	name string
	proc string // where it is mounted
	net  string // the network namespace of the thread that asks
}

func newTable(name string) (table, error) {
	t := table{name: name, proc: "/proc"}
	var err error
	if t.net, err = os.Readlink("/proc/thread-self/ns/net"); err != nil {
		return t, fmt.Errorf("cannot tell this process's network namespace: %w", err)
	}
	return t, nil
}

// number is a name of digits; else 0.
func number(name string) int {
	if name == "" || name[0] < '1' || name[0] > '9' {
		return 0
	}
	n, err := strconv.Atoi(name)
	if err != nil {
		return 0
	}
	return n
}

// maxComm is how many bytes of a name the kernel keeps.
const maxComm = 15

// matches compares the kernel's name of the process, which is cut, and the executable's where this process may read
// it. A process that waits to be reaped does not count as running.
func (t *table) matches(pid int) bool {
	dir := filepath.Join(t.proc, strconv.Itoa(pid))
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil || !t.called(comm) {
		return false
	}
	if net, err := os.Readlink(filepath.Join(dir, "ns/net")); err == nil && net != t.net {
		return false
	}
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	switch {
	case err == nil:
		return t.executes(exe)
	case errors.Is(err, os.ErrPermission):
		return !ended(dir)
	default:
		return false
	}
}

// another tells whether a process that matched, and had that executable, is surely another by now. What cannot be read
// says nothing: a process whose first thread has ended has no executable to show, and may run on. Nor does a name that
// the executable's file was given since, as by an upgrade that moves it aside.
func (t *table) another(pid int, had os.FileInfo) bool {
	dir := filepath.Join(t.proc, strconv.Itoa(pid))
	if comm, err := os.ReadFile(filepath.Join(dir, "comm")); err == nil && !t.called(comm) {
		return true
	}
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	return err == nil && !t.executes(exe) && !os.SameFile(had, t.image(pid))
}

// image is the executable of a process, wherever its file is by now; nil where it may not be looked at.
func (t *table) image(pid int) os.FileInfo {
	image, err := os.Stat(filepath.Join(t.proc, strconv.Itoa(pid), "exe"))
	if err != nil {
		return nil
	}
	return image
}

// called compares the kernel's name of a process.
func (t *table) called(comm []byte) bool {
	return strings.TrimSuffix(string(comm), "\n") == t.name[:min(len(t.name), maxComm)]
}

// executes compares the name of an executable, which only a name that the kernel cuts depends on.
func (t *table) executes(exe string) bool {
	return len(t.name) <= maxComm || filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == t.name
}

// ended tells whether a process waits to be reaped, where its executable may not be read, which it has no more.
func ended(dir string) bool {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return true
	}
	// The name, in parentheses, may have parentheses itself: the state follows the last one (proc(5)).
	_, after, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return !found || len(after) == 0 || after[0] == 'Z' || after[0] == 'X'
}
