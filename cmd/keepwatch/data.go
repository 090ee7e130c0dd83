package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dataFormat is the layout of the data folder. A build that changes the layout raises it and says how to move.
const dataFormat = "1"

// dataFolder is the data folder of this process, held against other processes until Close.
type dataFolder struct {
	path  string
	locks []*os.File
}

// openData makes the folder where it is missing, refuses one of another layout, and takes the lock of each role,
// so that two processes never run the same role on one folder.
func openData(path string, roles ...string) (*dataFolder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("cannot place the data folder %q: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the data folder: %w", err)
	}
	d := &dataFolder{path: abs}
	if err := d.checkFormat(); err != nil {
		return nil, err
	}
	for _, role := range roles {
		if err := d.lock(role); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

func (d *dataFolder) checkFormat() error {
	file := filepath.Join(d.path, "FORMAT")
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.WriteFile(file, []byte(dataFormat+"\n"), 0o644); err != nil {
			return fmt.Errorf("cannot write to the data folder: %w", diskFull(err))
		}
		return nil
	case err != nil:
		return fmt.Errorf("cannot read the data folder: %w", err)
	}
	if got := strings.TrimSpace(string(b)); got != dataFormat {
		return fmt.Errorf("the data folder %s has format %.20q and this build reads %s: start the build that made it, or name another folder with --data", d.path, got, dataFormat)
	}
	return nil
}

func (d *dataFolder) lock(role string) error {
	f, err := os.OpenFile(filepath.Join(d.path, role+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot lock the data folder: %w", diskFull(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		owner := make([]byte, 16)
		n, _ := f.ReadAt(owner, 0)
		f.Close()
		return fmt.Errorf("the data folder %s is in use by another keepwatch (process %s runs %s): stop it, or name another folder with --data", d.path, strings.TrimSpace(string(owner[:n])), role)
	}
	d.locks = append(d.locks, f)
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("cannot lock the data folder: %w", diskFull(err))
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return fmt.Errorf("cannot lock the data folder: %w", diskFull(err))
	}
	return nil
}

// Close gives the locks back.
func (d *dataFolder) Close() {
	for _, f := range d.locks {
		f.Close()
	}
	d.locks = nil
}

// file is a path in the folder.
func (d *dataFolder) file(name string) string { return filepath.Join(d.path, name) }

// diskFull says what to do where that is the reason.
func diskFull(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: free some space and start again; what is stored is safe", err)
	}
	return err
}
