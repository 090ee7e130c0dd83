package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// identity is the user that the server runs as. Postgres refuses to run as root.
type identity struct {
	root     bool // this process is root and the server must not be
	uid, gid int
	reach    bool // the folder lies below one that the user may not enter
}

func who(dir string) (identity, error) {
	if os.Geteuid() != 0 {
		return identity{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return identity{}, errors.New("the private Postgres needs the user postgres, which Debian's package postgresql makes: install it, or set database.url")
		}
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return identity{root: true, uid: uid, gid: gid, reach: !enterable(filepath.Dir(dir))}, nil
}

// enterable reports whether others may pass through every folder on the way to dir.
func enterable(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		if fi, err := os.Stat(dir); err == nil && fi.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func (id identity) own(path string) error {
	if !id.root {
		return nil
	}
	if err := os.Chown(path, id.uid, id.gid); err != nil {
		return fmt.Errorf("cannot give %s to the database's user: %w", path, err)
	}
	return nil
}

// attributes drop root. Where the folder lies below one that only root may enter, as /root, the server keeps the
// one capability that lets it pass.
func (id identity) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{}
	if id.root {
		a.Credential = &syscall.Credential{Uid: uint32(id.uid), Gid: uint32(id.gid)}
		if id.reach {
			a.AmbientCaps = []uintptr{unix.CAP_DAC_READ_SEARCH}
		}
	}
	return a
}

// socketDir makes the folder of the socket: beside the cluster, or below the system's temporary folder where that
// path would be longer than a socket's may be (107 bytes).
func (s *Server) socketDir() (string, error) {
	dir := filepath.Join(filepath.Dir(s.dir), "postgres.run")
	if len(dir)+len("/.s.PGSQL.5432.lock") > 100 {
		sum := sha256.Sum256([]byte(s.dir))
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("keepwatch-%x", sum[:8]))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot make the folder of the database's socket: %w", err)
	}
	if err := s.as.own(dir); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o700)
}

// lockFile reads postmaster.pid: the server's process and, once there, its state word.
func (s *Server) lockFile() (pid int, state string) {
	b, err := os.ReadFile(filepath.Join(s.dir, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(b), "\n")
	pid, _ = strconv.Atoi(strings.TrimSpace(lines[0]))
	if len(lines) > 7 {
		state = strings.TrimSpace(lines[7])
	}
	return pid, state
}

// endLeftOver ends a server that still runs on this cluster. Its process is known by its working folder, which
// Postgres makes its data folder: a process number alone may have been given to somebody else.
func (s *Server) endLeftOver(ctx context.Context) error {
	pid, _ := s.lockFile()
	if pid <= 1 || !s.isOurs(pid) {
		return nil
	}
	s.opt.Progress("ending the database server that an earlier run left")
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGKILL} {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot end the Postgres that runs on %s (process %d): %w", s.dir, pid, err)
		}
		if s.gone(ctx, pid, 20*time.Second) {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("a Postgres runs on %s and does not end: process %d", s.dir, pid)
}

func (s *Server) isOurs(pid int) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(s.dir)
	return err == nil && cwd == real
}

func (s *Server) gone(ctx context.Context, pid int, within time.Duration) bool {
	limit := time.NewTimer(within)
	defer limit.Stop()
	for s.isOurs(pid) {
		select {
		case <-ctx.Done():
			return false
		case <-limit.C:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}
