package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/netnstest"
)

// programVariable names the program under test, for the tests of this process alone.
const programVariable = "INTEROP_PROGRAM"

// The virtual addresses of the router web.
const (
	vip1 = "10.7.0.100"
	vip2 = "10.7.0.101"
)

// web is a router as YAML, one that keepalived's of the same name understands. settings are its other keys:
// "priority: 200, interval: 100ms".
func web(settings string) string {
	return "{name: web, interface: eth0, vrid: 51, addresses: [" + vip1 + "/24, " + vip2 + "/24], " + settings + "}"
}

// config is a configuration file with these routers; what is appended to it stands below haagent.
func config(routers ...string) string {
	return "host: ours\nhaagent:\n  script_user: root\n  instances:\n  - " + strings.Join(routers, "\n  - ") + "\n"
}

// ours is our agent on a node, parent and child.
type ours struct {
	*netnstest.Process
	t    testing.TB
	node *netnstest.Node
	dir  string
	http http.Client
}

// shortDir is a folder whose path leaves room for the name of a socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kwio")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// newOurs prepares an agent that has not started.
func newOurs(t testing.TB, node *netnstest.Node, yaml string) *ours {
	t.Helper()
	o := &ours{t: t, node: node, dir: shortDir(t)}
	o.http = http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(o.dir, "data", status.Socket))
	}}}
	o.configure(yaml)
	return o
}

// startOurs starts an agent and waits until it answers.
func startOurs(t testing.TB, node *netnstest.Node, yaml string) *ours {
	t.Helper()
	o := newOurs(t, node, yaml)
	o.start()
	return o
}

// configure writes the file that the next start, or SIGHUP, reads.
func (o *ours) configure(yaml string) {
	o.t.Helper()
	if err := os.WriteFile(o.file(), []byte(yaml), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *ours) file() string { return filepath.Join(o.dir, "keepwatch.yaml") }

func (o *ours) start() {
	o.t.Helper()
	cmd := o.node.Command(os.Getenv(programVariable), "--config", o.file(), "--data", filepath.Join(o.dir, "data"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // KEEPWATCH_ variables would be configuration
	o.Process = o.node.Start(cmd)
	o.t.Cleanup(o.killTree)
	await(o.t, "our agent to answer", func() error {
		s, err := o.status()
		if err != nil {
			return fmt.Errorf("%w; it said: %s", err, o.Output())
		}
		if len(s.Instances) == 0 {
			return errors.New("no instance yet")
		}
		return nil
	})
}

// stop ends the agent as systemd does.
func (o *ours) stop() {
	o.t.Helper()
	o.Signal(syscall.SIGTERM)
	if err := o.Wait(); err != nil {
		o.t.Errorf("our agent ended with %v after SIGTERM; it said:\n%s", err, o.Output())
	}
}

// killTree kills parent and child at one instant, so that neither can say farewell.
func (o *ours) killTree() { killTree(o.Process) }

// killTree stops a process and all below it and kills them, the leaves first: nobody can react to another's death.
func killTree(p *netnstest.Process) {
	p.Signal(syscall.SIGSTOP) // it is ours: the number of a process that is gone gets no signal
	below := descendants(p.PID())
	for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range slices.Backward(below) {
			_ = syscall.Kill(pid, s) // gone is as good
		}
	}
	p.Signal(syscall.SIGKILL)
	_ = p.Wait()
}

// descendants are the processes below one, parents before children.
func descendants(pid int) (all []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // none: the process is gone
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

func (o *ours) get(path string, v any) error {
	r, err := o.http.Get("http://agent" + path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(r.Body)
		return fmt.Errorf("%s: %s", r.Status, b)
	}
	return json.NewDecoder(r.Body).Decode(v)
}

func (o *ours) status() (s status.Status, err error) { return s, o.get("/status", &s) }

// instance is the status of the router of that name.
func (o *ours) instance(name string) (status.Instance, error) {
	s, err := o.status()
	if err != nil {
		return status.Instance{}, err
	}
	for _, i := range s.Instances {
		if i.Name == name {
			return i, nil
		}
	}
	return status.Instance{}, fmt.Errorf("no instance %s", name)
}

// until waits until the router named web is as wanted.
func (o *ours) until(what string, wanted func(status.Instance) error) status.Instance {
	o.t.Helper()
	return o.untilOf("web", what, wanted)
}

func (o *ours) untilOf(name, what string, wanted func(status.Instance) error) (found status.Instance) {
	o.t.Helper()
	await(o.t, "our router "+name+": "+what, func() error {
		i, err := o.instance(name)
		if err != nil {
			return err
		}
		found = i
		return wanted(i)
	})
	return found
}

// await waits until the router named web is in a state, with its addresses as they are in it.
func (o *ours) await(state string) status.Instance {
	o.t.Helper()
	return o.awaitOf("web", state)
}

func (o *ours) awaitOf(name, state string) status.Instance {
	o.t.Helper()
	return o.untilOf(name, "to be "+state, func(i status.Instance) error {
		if i.State != state {
			return fmt.Errorf("it is %s: %s", i.State, i.Reason)
		}
		for _, addr := range i.Addresses {
			if has(o.node, addr) != (state == "master") {
				return fmt.Errorf("it is %s, %s is there: %t", state, addr, has(o.node, addr))
			}
		}
		return nil
	})
}

// hears waits until the router named web, in a state, has accepted so many more advertisements.
func (o *ours) hears(state string, more uint64) status.Instance {
	o.t.Helper()
	before := o.until("to answer", func(status.Instance) error { return nil }) // it may have been started anew just now
	return o.until(fmt.Sprintf("to hear %d more advertisements as %s", more, state), func(i status.Instance) error {
		if i.State != state || i.Received < before.Received+more {
			return fmt.Errorf("it is %s (%s) and heard %d after %d", i.State, i.Reason, i.Received, before.Received)
		}
		return nil
	})
}

func (o *ours) events() []status.Event {
	o.t.Helper()
	var e status.Events
	if err := o.get("/events", &e); err != nil {
		o.t.Fatal(err)
	}
	return e.Items
}

// event waits for an event of a kind whose text has all these parts.
func (o *ours) event(kind string, parts ...string) (found status.Event) {
	o.t.Helper()
	await(o.t, fmt.Sprintf("the event %s with %q", kind, parts), func() error {
		var others []string
		for _, e := range o.events() {
			if e.Kind == kind && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(e.Text, p) }) {
				found = e
				return nil
			}
			others = append(others, e.Kind+": "+e.Text)
		}
		return errors.New(strings.Join(others, "\n"))
	})
	return found
}

// clean fails the test when the agent dropped anything, found anything odd about its peers or met an error.
func (o *ours) clean() {
	o.t.Helper()
	s, err := o.status()
	if err != nil {
		o.t.Fatal(err)
	}
	for _, i := range s.Instances {
		delete(i.Dropped, vrrp.DropIdle.String()) // what came while it was in fault
		if len(i.Dropped) > 0 || i.AddressMismatch > 0 || i.Stalls > 0 || i.LastError != "" {
			o.t.Errorf("our router %s dropped %v, saw %d other address lists, stalled %d times, last error %q", i.Name, i.Dropped, i.AddressMismatch, i.Stalls, i.LastError)
		}
		for _, p := range i.PeersSeen {
			if len(p.Notes) > 0 {
				o.t.Errorf("our router %s finds %v odd about %s", i.Name, p.Notes, p.Address)
			}
		}
	}
}
