package up_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keepwatch/internal/netnstest"
)

// agents lists the processes of the HA agent on a data folder: the parent first, then its child.
func agents(data string) (pids []int) {
	lists, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lists {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(string(b), "\x00")
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err != nil || filepath.Base(args[0]) != "keepwatch-haagent" || !strings.Contains(string(b), data) {
			continue
		}
		if args[1] == "agent" {
			pids = append(pids, pid)
		} else {
			pids = append([]int{pid}, pids...)
		}
	}
	return pids
}

// The HA agent is a program of its own that 'keepwatch up' starts, starts again, tells to reload and ends.
func TestUpRunsTheAgent(t *testing.T) {
	place := newPlace(t)
	config, err := os.ReadFile(place.config)
	if err != nil {
		t.Fatal(err)
	}
	configure := func(addresses string) {
		t.Helper()
		text := string(config) + "haagent: {instances: [{name: web, interface: eth0, vrid: 51, priority: 200, interval: 100ms, addresses: [" + addresses + "]}]}\n"
		if err := os.WriteFile(place.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("10.7.0.100/24")
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	up := node.Start(node.Command(binary(t), "up", "--config", place.config, "--data", place.data))
	holds := func(addr string, want bool) {
		t.Helper()
		netnstest.Await(t, fmt.Sprintf("%s to be there: %t", addr, want), func() error {
			if node.Holds(addr) != want {
				return errors.New(up.Output())
			}
			return nil
		})
	}
	status := func(want string) {
		t.Helper()
		netnstest.Await(t, "the status to have "+want, func() error {
			out, err := exec.Command(binary(t), "status", "--data", place.data).CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				return fmt.Errorf("%s: %w", out, err)
			}
			return nil
		})
	}
	holds("10.7.0.100", true)
	status(`"state": "master"`)

	configure("10.7.0.100/24, 10.7.0.101/24")
	up.Signal(syscall.SIGHUP)
	holds("10.7.0.101", true)

	before := agents(place.data)
	if len(before) != 2 {
		t.Fatalf("%d processes are the agent, want parent and child", len(before))
	}
	for _, pid := range before { // both at once: nobody is left to take the addresses off but the kernel
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	netnstest.Await(t, "another agent", func() error {
		if now := agents(place.data); len(now) != 2 || now[0] == before[0] {
			return fmt.Errorf("got %v after %v; keepwatch said:\n%s", now, before, up.Output())
		}
		return nil
	})
	holds("10.7.0.100", true)

	up.Signal(syscall.SIGKILL) // the agent ends with it, and in order
	holds("10.7.0.100", false)
	netnstest.Await(t, "the agent to end", func() error {
		if left := agents(place.data); len(left) > 0 {
			return fmt.Errorf("%v still run", left)
		}
		return nil
	})
}

// 'keepwatch haagent' is the other program.
func TestHAAgentCommand(t *testing.T) {
	out, err := exec.Command(binary(t), "haagent", "--data", t.TempDir()).CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "keepwatch-haagent: haagent cannot run this configuration") && !strings.Contains(string(out), "\nkeepwatch-haagent: haagent cannot run this configuration") {
		t.Errorf("got %s, %v", out, err)
	}
	alone := filepath.Join(t.TempDir(), "keepwatch")
	if err := os.Link(binary(t), alone); err != nil {
		if out, err := exec.Command("cp", binary(t), alone).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	out, err = exec.Command(alone, "haagent").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "keepwatch: keepwatch-haagent is a program of its own, which is missing beside this one: build it with make build") {
		t.Errorf("got %s, %v", out, err)
	}
}
