package postgres

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func options(t *testing.T) Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "keepwatch-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// Closed to others, as /root is: the server must be able to run there all the same.
	return Options{Dir: filepath.Join(dir, "data", "postgres"), Settings: map[string]string{"shared_buffers": "32MB"}}
}

func start(t *testing.T, opt Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStartStopStart(t *testing.T) {
	opt := options(t)
	for range 2 {
		s := start(t, opt)
		if !strings.Contains(s.URL(), "user=keepwatch") {
			t.Errorf("address %s", s.URL())
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		<-s.Exited()
	}
}

// A server that nobody stopped, as after a kill that also took the parent-death signal, is ended by the next start.
func TestStartEndsWhatAnEarlierRunLeft(t *testing.T) {
	opt := options(t)
	first := start(t, opt)
	second := start(t, opt)
	select {
	case <-first.Exited():
	default:
		t.Error("two servers run on one cluster")
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// When the process that started the server is killed, the server goes too.
func TestServerDiesWithItsParent(t *testing.T) {
	if dir := os.Getenv("KEEPWATCH_TEST_POSTGRES_PARENT"); dir != "" {
		s := start(t, Options{Dir: dir, Settings: map[string]string{"shared_buffers": "32MB"}})
		os.Stdout.WriteString("ready\n")
		<-s.Exited()
		return
	}
	opt := options(t)
	parent := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsParent$")
	parent.Env = append(os.Environ(), "KEEPWATCH_TEST_POSTGRES_PARENT="+opt.Dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: opt.Dir}
	pid, _ := s.lockFile()
	if pid == 0 || !s.isOurs(pid) {
		t.Fatalf("no server runs on %s", opt.Dir)
	}
	if err := parent.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	if !s.gone(t.Context(), pid, 1<<35) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		t.Errorf("process %d outlived its parent", pid)
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	opt := options(t)
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(opt.Dir, "PG_VERSION"), []byte("9.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), opt)
	if err == nil || !strings.Contains(err.Error(), "install Debian's package postgresql-9.1") {
		t.Errorf("got %v, want the package to install", err)
	}
}
