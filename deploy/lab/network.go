package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// prefix marks the namespaces as ours: what carries it is removed at the start and at the end.
const prefix = "kwlab-"

const (
	network = "10.99.0."
	vip     = network + "100"
)

// hosts are the namespaces on the bridge and the last byte of their addresses.
var hosts = []struct {
	name string
	addr int
}{{"mon", 2}, {"lb1", 11}, {"lb2", 12}, {"web1", 21}, {"web2", 22}, {"client", 31}}

func address(host string) string {
	for _, h := range hosts {
		if h.name == host {
			return network + strconv.Itoa(h.addr)
		}
	}
	return ""
}

// buildNetwork makes the namespaces, a bridge in one of their own, and a link from each host to it.
func buildNetwork() error {
	removeNetwork()
	var b strings.Builder
	fmt.Fprintf(&b, "netns add %ssw\n", prefix)
	for _, h := range hosts {
		fmt.Fprintf(&b, "netns add %s%s\n", prefix, h.name)
	}
	if err := ip(b.String()); err != nil {
		return err
	}
	if err := ip("-n", prefix+"sw", "link add br0 type bridge mcast_snooping 0\nlink set br0 up\n"); err != nil {
		return err
	}
	for _, h := range hosts {
		ns := prefix + h.name
		if err := ip("-n", prefix+"sw", fmt.Sprintf("link add %s type veth peer name eth0 netns %s\nlink set %s master br0 up\n", h.name, ns, h.name)); err != nil {
			return err
		}
		if err := ip("-n", ns, fmt.Sprintf("link set lo up\nlink set eth0 up\naddress add %s%d/24 dev eth0\nroute add default dev eth0\n", network, h.addr)); err != nil {
			return err
		}
	}
	return nil
}

// ip runs a batch of iproute2 commands, the last argument, with the options before it.
func ip(args ...string) error {
	batch := args[len(args)-1]
	cmd := exec.Command("ip", append(args[:len(args)-1:len(args)-1], "-batch", "-")...)
	cmd.Stdin = strings.NewReader(batch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the lab's network: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// removeNetwork ends every process in our namespaces and removes them. It may be called at any time, twice too.
func removeNetwork() {
	entries, err := os.ReadDir("/run/netns")
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		for _, pid := range processes(strings.TrimPrefix(e.Name(), prefix)) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		_ = exec.Command("ip", "netns", "delete", e.Name()).Run()
	}
}

// processes are the numbers of all that run in a host's namespace.
func processes(host string) (pids []int) {
	out, err := exec.Command("ip", "netns", "pids", prefix+host).Output()
	if err != nil {
		return nil
	}
	for _, f := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// inside runs fn on a thread that is in a host's namespace: a socket that fn makes stays there.
func inside(host string, fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer own.Close()
	ns, err := os.Open("/run/netns/" + prefix + host)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot enter namespace %s: %w", host, err)
	}
	err = fn()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("cannot leave namespace %s: %v", host, back)) // the thread must not serve anything else
	}
	return err
}

func listenInside(host, addr string) (l net.Listener, err error) {
	err = inside(host, func() error {
		l, err = net.Listen("tcp", addr)
		return err
	})
	return l, err
}

// forward copies connections made to l to an address inside a host, until l is closed.
func forward(l net.Listener, host, addr string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			var out net.Conn
			// A dial to a literal address makes its socket on the calling thread.
			if err := inside(host, func() (err error) { out, err = net.Dial("tcp", addr); return err }); err != nil {
				return
			}
			defer out.Close()
			done := make(chan struct{}, 2)
			pipe := func(dst, src net.Conn) {
				_, _ = io.Copy(dst, src)
				if t, ok := dst.(*net.TCPConn); ok {
					_ = t.CloseWrite()
				}
				done <- struct{}{}
			}
			go pipe(out, in)
			go pipe(in, out)
			<-done
			<-done
		}()
	}
}

// setLink cuts or heals a host's cable at the bridge.
func setLink(host string, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return ip("-n", prefix+"sw", fmt.Sprintf("link set %s %s\n", host, state))
}

// holders are the hosts that have the virtual address on their interface.
func holders() (names []string) {
	for _, h := range []string{"lb1", "lb2"} {
		out, err := exec.Command("ip", "-n", prefix+h, "-4", "-o", "address", "show", "to", vip).Output()
		if err == nil && len(bytes.TrimSpace(out)) > 0 {
			names = append(names, h)
		}
	}
	return names
}

// runJanitor waits until its parent is gone, however it went, and removes what the parent built.
func runJanitor(parent io.Reader) error {
	dir := make([]byte, 4096)
	n, _ := parent.Read(dir)
	_, _ = io.Copy(io.Discard, parent)
	removeNetwork()
	path := string(dir[:n])
	if !strings.Contains(path, "keepwatch-lab-") {
		return errors.New("no folder to remove")
	}
	return os.RemoveAll(path)
}
