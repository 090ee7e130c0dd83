package track

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type change struct {
	up     bool
	reason string
}

func next(t *testing.T, c <-chan change) change {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("no change is told")
		return change{}
	}
}

// sleeper is an executable of a name that nobody else has.
func sleeper(t *testing.T, name string) string {
	t.Helper()
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, sleep, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func start(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestProcessIsSeenToComeAndGo(t *testing.T) {
	for _, name := range []string{"kwtrack", "kwtrack-with-a-long-name"} {
		t.Run(name, func(t *testing.T) {
			path := sleeper(t, name)
			changes := make(chan change, 8)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- Process(ctx, name, func(up bool, reason string) { changes <- change{up, reason} }) }()
			if c := next(t, changes); c.up || !strings.Contains(c.reason, "no process "+name) {
				t.Fatalf("before: got %+v", c)
			}
			first := start(t, path)
			if c := next(t, changes); !c.up {
				t.Fatalf("started: got %+v", c)
			}
			_ = first.Process.Kill()
			if c := next(t, changes); c.up || !strings.Contains(c.reason, "ended") {
				t.Fatalf("killed: got %+v", c)
			}
			_ = first.Wait()
			start(t, path)
			if c := next(t, changes); !c.up {
				t.Fatalf("started again: got %+v", c)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The name of another must not do: neither one that only begins alike nor a process of another host on this kernel.
func TestOthersDoNotCount(t *testing.T) {
	start(t, sleeper(t, "kwtrack-other"))
	w := &watcher{name: "kwtrack", proc: "/proc"}
	net, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	w.net = net
	if w.matches(os.Getpid()) {
		t.Error("the test program counts as kwtrack")
	}
	own, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	w.name = strings.TrimSpace(string(own))
	if exe, _ := os.Executable(); len(w.name) == 15 {
		w.name = filepath.Base(exe)
	}
	if !w.matches(os.Getpid()) {
		t.Errorf("the test program does not count as %s", w.name)
	}
	w.net = "net:[1]"
	if w.matches(os.Getpid()) {
		t.Error("a process in another network namespace counts")
	}
}
