// Package datafolder owns the folder in which a Keepwatch process keeps what must outlive it: it makes it, refuses
// one of another layout and holds the locks of the roles that run on it. It never reads what the parts put there.
// The programs under cmd call it.
package datafolder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// format is the layout of the data folder. A build that changes the layout raises it and says how to move.
const format = "1"

// Folder is the data folder of this process, held against other processes until Close.
type Folder struct {
	Path  string // absolute
	locks []*os.File
}

// Open makes the folder where it is missing, refuses one of another layout, and takes the lock of each role, so that
// two processes never run the same role on one folder.
func Open(path string, roles ...string) (*Folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("cannot place the data folder %q: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the data folder: %w", err)
	}
	d := &Folder{Path: abs}
	if err := d.checkFormat(); err != nil {
		return nil, err
	}
	for _, role := range roles {
		if err := d.Lock(role); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

func (d *Folder) checkFormat() error {
	file := d.File("FORMAT")
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && len(b) == 0: // the power failed before the text was on disk
		if err := os.WriteFile(file, []byte(format+"\n"), 0o644); err != nil {
			return fmt.Errorf("cannot write to the data folder: %w", Full(err))
		}
		return nil
	case err != nil:
		return fmt.Errorf("cannot read the data folder: %w", err)
	}
	if got := strings.TrimSpace(string(b)); got != format {
		return fmt.Errorf("the data folder %s has format %.20q and this build reads %s: start the build that made it, or name another folder with --data", d.Path, got, format)
	}
	return nil
}

// Lock takes the lock of a role. The error names the process that has it.
func (d *Folder) Lock(role string) error {
	f, err := os.OpenFile(d.File(role+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot lock the data folder: %w", Full(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		owner := make([]byte, 16)
		n, _ := f.ReadAt(owner, 0)
		f.Close()
		return fmt.Errorf("the data folder %s is in use by another keepwatch (process %s runs %s): stop it, or name another folder with --data", d.Path, strings.TrimSpace(string(owner[:n])), role)
	}
	d.locks = append(d.locks, f)
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("cannot lock the data folder: %w", Full(err))
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return fmt.Errorf("cannot lock the data folder: %w", Full(err))
	}
	return nil
}

// Close gives the locks back.
func (d *Folder) Close() {
	for _, f := range d.locks {
		f.Close()
	}
	d.locks = nil
}

// File is a path in the folder.
func (d *Folder) File(name string) string { return filepath.Join(d.Path, name) }

// Full says what to do about an error where a full disk is the reason.
func Full(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: free some space and start again; what is stored is safe", err)
	}
	return err
}
