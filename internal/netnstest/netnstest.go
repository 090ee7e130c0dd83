// Package netnstest is the kit of tests that need real hosts on a real segment: network namespaces joined by a
// bridge, programs started in them, links and switch ports that can be cut. It never touches the namespace that the
// test itself runs in. Tests that use it need root; without it they fail with a sentence that says so.
package netnstest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// prefix begins the name of every namespace; the number of the test's process follows.
const prefix = "kwtest"

// counter keeps the segments of one process apart.
var counter atomic.Int64

// Net is one segment: a switch, and the nodes that are plugged into it.
type Net struct {
	t     testing.TB
	name  string
	sw    string // namespace of the bridge
	nodes []*Node
}

// New makes a segment that is removed when the test ends. It first removes what earlier test processes left that
// were killed.
func New(t testing.TB) *Net {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces: run it as root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Fatal("this test makes network namespaces: install Debian's package iproute2")
	}
	sweep(t)
	n := &Net{t: t, name: fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), counter.Add(1))}
	n.sw = n.namespace("switch")
	n.mustIP("-n", n.sw, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0", "stp_state", "0", "forward_delay", "0")
	n.mustIP("-n", n.sw, "link", "set", "br0", "up")
	return n
}

// sweep removes the namespaces of processes that are gone.
func sweep(t testing.TB) {
	left, _ := filepath.Glob("/run/netns/" + prefix + "*")
	for _, path := range left {
		name := filepath.Base(path)
		number, _, _ := strings.Cut(strings.TrimPrefix(name, prefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Logf("cannot remove the left namespace %s: %v: %s", name, err, out)
		}
	}
}

// namespace makes one, with duplicate address detection off: a test need not wait for it.
func (n *Net) namespace(role string) string {
	n.t.Helper()
	name := n.name + "-" + role
	n.mustIP("netns", "add", name)
	n.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			n.t.Errorf("cannot remove namespace %s: %v: %s", name, err, out)
		}
	})
	n.mustIP("netns", "exec", name, "sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad")
	n.mustIP("-n", name, "link", "set", "lo", "up")
	return name
}

func (n *Net) mustIP(args ...string) string {
	n.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Contained tells whether this process runs in a container, apart from the system's first processes and users: the
// kernel keeps some news from it then. The numbers are those of the first namespaces (PROC_PID_INIT_INO and
// PROC_USER_INIT_INO of linux/proc_ns.h).
func Contained() bool {
	pid, _ := os.Readlink("/proc/self/ns/pid")
	user, _ := os.Readlink("/proc/self/ns/user")
	return pid != "pid:[4026531836]" || user != "user:[4026531837]"
}

// Node is one host: a namespace with the interface eth0.
type Node struct {
	net       *Net
	Namespace string
	port      string // of the switch
}

// Node plugs a host with these addresses ("10.0.0.1/24", "fd00::1/64") into the segment.
func (n *Net) Node(name string, addrs ...string) *Node {
	n.t.Helper()
	nd := &Node{net: n, port: fmt.Sprintf("p%d", len(n.nodes))}
	nd.Namespace = n.namespace(name)
	n.nodes = append(n.nodes, nd)
	nd.Plug(addrs...)
	return nd
}

// Plug makes the node's eth0, with these addresses, and waits until it can send.
func (nd *Node) Plug(addrs ...string) {
	n := nd.net
	n.t.Helper()
	n.mustIP("link", "add", "eth0", "netns", nd.Namespace, "type", "veth", "peer", "name", nd.port, "netns", n.sw)
	n.mustIP("-n", n.sw, "link", "set", nd.port, "master", "br0", "up")
	for _, a := range addrs {
		nd.IP("addr", "add", a, "dev", "eth0")
	}
	nd.IP("link", "set", "eth0", "up")
	Await(n.t, "link of "+nd.Namespace, func() error {
		if !strings.Contains(nd.IP("-6", "addr", "show", "dev", "eth0", "scope", "link"), "fe80:") {
			return fmt.Errorf("no link-local address yet")
		}
		if out, err := exec.Command("bridge", "-n", n.sw, "link", "show", "dev", nd.port).CombinedOutput(); err != nil || !strings.Contains(string(out), "state forwarding") {
			return fmt.Errorf("the switch does not forward yet: %s, %v", out, err)
		}
		return nil
	})
}

// Unplug removes the node's eth0.
func (nd *Node) Unplug() { nd.IP("link", "del", "eth0") }

// Do runs f in the node's namespace, on a thread of its own: sockets that f opens stay there, goroutines that f
// starts do not. It returns when f does.
func (nd *Node) Do(f func()) {
	nd.net.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		ns, err := os.Open("/run/netns/" + nd.Namespace)
		if err == nil {
			err = errors.Join(unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET), ns.Close())
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		nd.net.t.Fatalf("cannot enter namespace %s: %v", nd.Namespace, err)
	}
}

// IP runs ip in the node's namespace and returns what it prints.
func (nd *Node) IP(args ...string) string {
	nd.net.t.Helper()
	return nd.net.mustIP(append([]string{"-n", nd.Namespace}, args...)...)
}

// SetLink takes the node's own interface up or down.
func (nd *Node) SetLink(up bool) { nd.IP("link", "set", "eth0", word(up)) }

// SetPort takes the switch's side up or down: the node sees its carrier come or go.
func (nd *Node) SetPort(up bool) {
	nd.net.mustIP("-n", nd.net.sw, "link", "set", nd.port, word(up))
}

// SetForwarding has the switch drop all that goes through the node's port, or pass it on again. The carrier stays.
func (nd *Node) SetForwarding(on bool) {
	nd.net.t.Helper()
	const disabled, forwarding = "0", "3" // linux/if_bridge.h, BR_STATE_
	state := disabled
	if on {
		state = forwarding
	}
	if out, err := exec.Command("bridge", "-n", nd.net.sw, "link", "set", "dev", nd.port, "state", state).CombinedOutput(); err != nil {
		nd.net.t.Fatalf("bridge link set: %v: %s", err, out)
	}
}

func word(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// Holds tells whether an address is on the node's eth0.
func (nd *Node) Holds(addr string) bool {
	nd.net.t.Helper()
	return slices.Contains(nd.Addresses(), netip.MustParseAddr(addr))
}

// Addresses lists the addresses of the node's eth0.
func (nd *Node) Addresses() (all []netip.Addr) {
	nd.net.t.Helper()
	for line := range strings.Lines(nd.IP("-o", "addr", "show")) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[1] == "eth0" {
			if p, err := netip.ParsePrefix(fields[3]); err == nil {
				all = append(all, p.Addr())
			}
		}
	}
	return all
}

// Command prepares a program that runs in the node's namespace. The process is the program itself, so it can be
// killed by its number.
func (nd *Node) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", nd.Namespace, name}, args...)...)
}

// Start starts such a program and kills it at the end of the test if it still runs.
func (nd *Node) Start(cmd *exec.Cmd) *Process {
	nd.net.t.Helper()
	out, err := os.CreateTemp(nd.net.t.TempDir(), "output")
	if err != nil {
		nd.net.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		nd.net.t.Fatalf("cannot start %s: %v", strings.Join(cmd.Args, " "), err)
	}
	p := &Process{t: nd.net.t, cmd: cmd, output: out.Name(), ended: make(chan struct{})}
	go func() { p.err = cmd.Wait(); close(p.ended) }()
	nd.net.t.Cleanup(func() {
		p.Signal(syscall.SIGKILL)
		<-p.ended
		if nd.net.t.Failed() {
			nd.net.t.Logf("%s in %s said:\n%s", filepath.Base(cmd.Args[4]), nd.Namespace, p.Output())
		}
	})
	return p
}

// Process is a started program.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	output string
	ended  chan struct{}
	err    error // after ended
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal; a process that has ended is left alone.
func (p *Process) Signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(s)
	}
}

// Wait waits for the end and returns how it ended. It fails the test after a minute.
func (p *Process) Wait() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		p.t.Fatalf("process %d does not end; it said:\n%s", p.PID(), p.Output())
		return nil
	}
}

// Output is what the program printed so far.
func (p *Process) Output() string {
	b, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// patience is how long Await and Wait wait: long, because a busy machine is no failure.
const patience = time.Minute

// Await looks at a condition again and again until it holds; the error of the last look ends the test after a
// minute. what names the condition.
func Await(t testing.TB, what string, condition func() error) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	limit := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("waited a minute for %s: %v", what, err)
		}
		<-look.C
	}
}
