// Package postgres runs a private Postgres under the data folder: made with the server binaries that Debian ships,
// reached by a unix socket only, as an ordinary user also when this process is root. It never speaks SQL to the
// running server; schema/db does.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	superuser = "keepwatch"
	database  = "keepwatch"
)

// Options says where and how the server runs.
type Options struct {
	Dir      string            // of the cluster; made if missing
	Settings map[string]string // on top of this package's own, as fsync=off for tests
	Progress func(step string) // told before each step that takes long; may be nil
}

// Server is a running cluster.
type Server struct {
	opt    Options
	dir    string // absolute
	socket string // folder of the socket
	bin    string
	as     identity
	cmd    *exec.Cmd
	exited chan struct{}
	status error // of the server, after exited is closed
}

// Start makes the cluster if there is none, ends a server that a killed predecessor left, and starts one. It
// returns when the server takes connections. When this process dies, however it dies, the server shuts down.
func Start(ctx context.Context, opt Options) (*Server, error) {
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot place the private Postgres: %w", err)
	}
	if opt.Progress == nil {
		opt.Progress = func(string) {}
	}
	s := &Server{opt: opt, dir: dir, exited: make(chan struct{})}
	if s.as, err = who(dir); err != nil {
		return nil, err
	}
	if s.bin, err = binaries(dir); err != nil {
		return nil, err
	}
	if err := s.ensure(ctx); err != nil {
		return nil, err
	}
	if err := s.endLeftOver(ctx); err != nil {
		return nil, err
	}
	if s.socket, err = s.socketDir(); err != nil {
		return nil, err
	}
	if err := s.launch(); err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return s, nil
}

// URL is the address for schema/db.
func (s *Server) URL() string {
	q := url.Values{"host": {s.socket}, "user": {superuser}, "dbname": {database}}
	return "postgres:///?" + q.Encode()
}

// Exited is closed when the server has ended, wanted or not.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Stop ends the server: open transactions are rolled back, what is committed is on disk. It waits at most until
// ctx ends, then ends the server without a checkpoint, which the next start makes up for.
func (s *Server) Stop(ctx context.Context) error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(unix.SIGINT)
	select {
	case <-s.exited:
		return nil
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
	}
	_ = s.cmd.Process.Signal(unix.SIGQUIT)
	select {
	case <-s.exited:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	return errors.New("the private Postgres did not stop in time and was ended without a checkpoint; the next start recovers")
}

// binaries finds the folder of initdb and postgres: of the version that made the cluster, else the newest.
func binaries(dir string) (string, error) {
	version := "*"
	if b, err := os.ReadFile(filepath.Join(dir, "PG_VERSION")); err == nil {
		version = strings.TrimSpace(string(b))
	}
	found, err := filepath.Glob("/usr/lib/postgresql/" + version + "/bin/postgres")
	if err != nil || len(found) == 0 {
		if version != "*" {
			return "", fmt.Errorf("the data in %s was made by Postgres %s, which is not installed: install Debian's package postgresql-%s, or set database.url", dir, version, version)
		}
		return "", errors.New("no Postgres server is installed: install Debian's package postgresql, or set database.url to a server you run")
	}
	newest := found[0]
	for _, f := range found {
		if len(f) > len(newest) || len(f) == len(newest) && f > newest {
			newest = f
		}
	}
	return filepath.Dir(newest), nil
}

// ensure makes the cluster. It is made beside its place and renamed, so that a half-made one is never taken for one.
func (s *Server) ensure(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.dir, "PG_VERSION")); err == nil {
		return nil
	}
	s.opt.Progress("making the database cluster")
	making := s.dir + ".making"
	if err := os.RemoveAll(making); err != nil {
		return fmt.Errorf("cannot clear %s: %w", making, err)
	}
	if err := os.MkdirAll(making, 0o700); err != nil {
		return fmt.Errorf("cannot make the folder of the database: %w", err)
	}
	if err := s.as.own(making); err != nil {
		return err
	}
	initdb := s.command(ctx, "initdb", "-D", making, "-U", superuser, "--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make the database cluster: %w", failure(err, out))
	}
	single := s.command(ctx, "postgres", "--single", "-D", making, "template1")
	single.Stdin = strings.NewReader("CREATE DATABASE " + database + ";\n")
	if out, err := single.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make the database: %w", failure(err, out))
	}
	if err := os.Rename(making, s.dir); err != nil {
		return fmt.Errorf("cannot put the database in its place: %w", err)
	}
	return nil
}

// failure puts the last line that a program wrote into its error.
func failure(err error, out []byte) error {
	out = bytes.TrimSpace(out)
	if bytes.Contains(out, []byte("No space left on device")) {
		return errors.New("no space left on device: free some space and start again")
	}
	if i := bytes.LastIndexByte(out, '\n'); i >= 0 {
		out = out[i+1:]
	}
	return fmt.Errorf("%w: %.300s", err, out)
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin"}
	cmd.Dir = "/"
	cmd.SysProcAttr = s.as.attributes()
	return cmd
}

func (s *Server) launch() error {
	settings := map[string]string{
		"listen_addresses": "", "unix_socket_directories": s.socket, "unix_socket_permissions": "0700",
		"max_connections": "100", "shared_buffers": "256MB", "max_wal_size": "2GB", "wal_compression": "on",
		"jit": "off", "timezone": "UTC", "log_timezone": "UTC",
		"logging_collector": "on", "log_filename": "postgres-%a.log", "log_truncate_on_rotation": "on", "log_rotation_age": "1d",
	}
	for k, v := range s.opt.Settings {
		settings[k] = v
	}
	args := []string{"-D", s.dir}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	s.cmd = s.command(context.Background(), "postgres", args...)
	s.cmd.SysProcAttr.Setpgid = true // Ctrl-C at our terminal must reach us alone: we end it last
	s.cmd.SysProcAttr.Pdeathsig = unix.SIGINT
	var early bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &early, &early
	started := make(chan error, 1)
	go func() {
		// The kernel sends the parent-death signal when the starting thread ends, so this thread must stay.
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			if err = s.cmd.Wait(); err != nil {
				err = failure(err, early.Bytes())
			}
			s.status = err
		}
		close(s.exited)
	}()
	if err := <-started; err != nil {
		s.cmd = nil
		return fmt.Errorf("cannot start the private Postgres: %w", err)
	}
	return nil
}

// awaitReady watches the server's own lock file: its eighth line says when connections are taken.
func (s *Server) awaitReady(ctx context.Context) error {
	told := time.Now()
	for {
		if pid, state := s.lockFile(); pid == s.cmd.Process.Pid && state == "ready" {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the private Postgres ended while starting, see %s: %w", filepath.Join(s.dir, "log"), s.status)
		case <-ctx.Done():
			return fmt.Errorf("the private Postgres did not become ready: %w", context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			s.opt.Progress("waiting for the database to recover")
		}
	}
}
