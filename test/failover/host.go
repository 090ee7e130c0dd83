package main

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// host is the testing.TB that internal/netnstest wants, for a program that is no test: what fails ends the rig that
// asked (see try), what must be undone is undone by close.
type host struct {
	testing.TB // nil: netnstest calls the methods below only
	dir        string

	mu   sync.Mutex
	undo []func()
}

// failure is what ends a rig.
type failure struct{ error }

// newHost makes a host with a folder of its own. It lies outside /tmp, which keepalived gets a private one of.
func newHost() (*host, error) {
	dir, err := os.MkdirTemp("/var/tmp", "kwfailover")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	h := &host{dir: dir}
	h.Cleanup(func() { _ = os.RemoveAll(dir) })
	return h, os.Chmod(dir, 0o755) // scripts run as another user
}

func (h *host) Helper()                        {}
func (h *host) Failed() bool                   { return false }
func (h *host) Fatal(args ...any)              { panic(failure{fmt.Errorf("%s", fmt.Sprint(args...))}) }
func (h *host) Fatalf(format string, a ...any) { panic(failure{fmt.Errorf(format, a...)}) }
func (h *host) Errorf(format string, a ...any) { h.Logf(format, a...) }
func (h *host) Logf(format string, a ...any)   { fmt.Fprintf(os.Stderr, format+"\n", a...) }
func (h *host) TempDir() string                { return h.dir }

func (h *host) Cleanup(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.undo = append(h.undo, f)
}

// close undoes everything, the last first.
func (h *host) close() {
	h.mu.Lock()
	undo := h.undo
	h.undo = nil
	h.mu.Unlock()
	for i := len(undo) - 1; i >= 0; i-- {
		undo[i]()
	}
}

// try turns a failure of netnstest within f into an error.
func try(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			failed, ok := r.(failure)
			if !ok {
				panic(r)
			}
			err = failed.error
		}
	}()
	return f()
}
