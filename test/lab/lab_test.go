// Package lab_test runs the lab's stories: a whole cluster of real programs in network namespaces. It needs root,
// bin/keepwatch and bin/lab.
package lab_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func lab(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	for _, f := range []string{"../../bin/keepwatch", "../../bin/lab"} {
		if _, err := os.Stat(f); err != nil {
			t.Fatalf("%v: run make build bin/lab first", err)
		}
	}
	return exec.CommandContext(t.Context(), "../../bin/lab", append([]string{"--keepwatch", "../../bin/keepwatch", "--port", "18080"}, args...)...)
}

func namespaces(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("/run/netns")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "kwlab-") {
			names = append(names, e.Name())
		}
	}
	return names
}

// The master dies, the address moves, the right people are told, the node heals, and they are told that too.
func TestFailoverStory(t *testing.T) {
	out, err := lab(t, "--scenario", "failover").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("the story failed: %v", err)
	}
	if left := namespaces(t); len(left) > 0 {
		t.Errorf("namespaces are left behind: %v", left)
	}
}

// A lab that is killed leaves no namespace and no process.
func TestKilledLabIsCleanedUp(t *testing.T) {
	cmd := lab(t)
	in, err := cmd.StdinPipe() // an open prompt
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "starting two web servers") {
			break
		}
	}
	if len(namespaces(t)) == 0 {
		t.Error("the lab has no namespaces, so nothing is proved")
	}
	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for len(namespaces(t)) > 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("namespaces are left behind: %v", namespaces(t))
		case <-tick.C:
		}
	}
}
