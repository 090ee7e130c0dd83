package collector

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"keepwatch/internal/netnstest"

	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread that is in the network namespace of that host. Sockets that f opens and programs
// that it starts stay there; the thread ends with f.
func inNamespace(t *testing.T, nd *netnstest.Node, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread must not be used for anything else
		file, err := os.Open("/run/netns/" + nd.Namespace)
		if err == nil {
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
			file.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// hosts are as many network namespaces on one segment, each with eth0 and the default route over it.
func hosts(t *testing.T, n int) (all []*netnstest.Node) {
	t.Helper()
	segment := netnstest.New(t)
	for i := range n {
		nd := segment.Node(fmt.Sprintf("h%d", i+1), fmt.Sprintf("10.77.0.%d/24", i+1))
		nd.IP("route", "add", "default", "dev", "eth0")
		all = append(all, nd)
	}
	return all
}

// program finds a program that a test needs.
func program(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: apt-get install %s", err, debianPackage)
	}
	return path
}
