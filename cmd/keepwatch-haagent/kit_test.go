package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/status"
	"keepwatch/internal/netnstest"
)

// beProgram, when set, makes this test program the one under test.
const beProgram = "HAAGENT_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is one agent, parent and child, in a namespace.
type program struct {
	*netnstest.Process
	t    *testing.T
	node *netnstest.Node
	dir  string
	run  []string // put before the program
	http http.Client
}

// newProgram has a folder that everybody can read, with the program in it.
func newProgram(t *testing.T, node *netnstest.Node, config string) *program {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kwha") // short: the path of a socket is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &program{t: t, node: node, dir: dir}
	self, err := os.Executable()
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), copyFile(self, p.file("keepwatch-haagent"), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	p.http = http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", p.file("data/"+status.Socket))
	}}}
	p.configure(config)
	return p
}

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (p *program) file(name string) string { return filepath.Join(p.dir, name) }

func (p *program) configure(config string) {
	p.t.Helper()
	if err := os.WriteFile(p.file("keepwatch.yaml"), []byte(config), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) start(env ...string) *program {
	p.t.Helper()
	args := append(p.run, p.file("keepwatch-haagent"), "--config", p.file("keepwatch.yaml"), "--data", p.file("data"))
	cmd := p.node.Command(args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), beProgram+"=1"), env...)
	p.Process = p.node.Start(cmd)
	return p
}

// web is the configuration of one router.
func web(priority int, interval string) string {
	return fmt.Sprintf("haagent:\n  instances:\n    - {name: web, interface: eth0, vrid: 51, priority: %d, interval: %s, addresses: [10.7.0.100/24]}\n", priority, interval)
}

func (p *program) instances() ([]status.Instance, error) {
	r, err := p.http.Get("http://agent/status")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var s status.Status
	return s.Instances, json.NewDecoder(r.Body).Decode(&s)
}

// await waits until the first instance is in a state and its address where it belongs then.
func (p *program) await(state string) (found status.Instance) {
	p.t.Helper()
	netnstest.Await(p.t, "the agent to be "+state, func() error {
		all, err := p.instances()
		switch {
		case err != nil:
			return fmt.Errorf("%w; it said:\n%s", err, p.Output())
		case len(all) == 0:
			return errors.New("no instance yet")
		case all[0].State != state || p.node.Holds("10.7.0.100") != (state == "master"):
			return fmt.Errorf("it is %s (%s), the address is there: %t", all[0].State, all[0].Reason, p.node.Holds("10.7.0.100"))
		}
		found = all[0]
		return nil
	})
	return found
}

// child is the process that is the agent, not the one of that number.
func (p *program) child(not int) (pid int) {
	p.t.Helper()
	netnstest.Await(p.t, "the agent's process", func() error {
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID()))
		for _, list := range lists { // of each thread
			b, err := os.ReadFile(list)
			for _, text := range strings.Fields(string(b)) {
				if _, err := fmt.Sscan(text, &pid); err == nil && pid != not {
					return nil
				}
			}
			if err != nil {
				return err
			}
		}
		return errors.Join(errors.New("there is none; the parent said:\n"+p.Output()), err)
	})
	return pid
}

func (p *program) kill(pid int, s syscall.Signal) {
	p.t.Helper()
	if err := unix.Kill(pid, s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) says(what string) {
	p.t.Helper()
	netnstest.Await(p.t, "the program to say "+what, func() error {
		if !strings.Contains(p.Output(), what) {
			return errors.New("it said:\n" + p.Output())
		}
		return nil
	})
}

// ends wants an exit code.
func (p *program) ends(code int) {
	p.t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); err == nil && code != 0 || err != nil && (!errors.As(err, &exit) || exit.ExitCode() != code) {
		p.t.Errorf("got %v, want exit code %d; it said:\n%s", err, code, p.Output())
	}
}
