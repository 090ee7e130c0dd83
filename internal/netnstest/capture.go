package netnstest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Wire hears all that reaches a node's interface, whoever it is for.
type Wire struct {
	t    testing.TB
	file *os.File
	buf  []byte
}

// Capture begins to hear.
func (nd *Node) Capture() *Wire {
	nd.net.t.Helper()
	w := &Wire{t: nd.net.t, buf: make([]byte, 1<<16)}
	nd.Do(func() {
		const all = uint16(unix.ETH_P_ALL)
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(all<<8|all>>8))
		if err != nil {
			nd.net.t.Errorf("cannot capture in %s: %v", nd.Namespace, err)
			return
		}
		w.file = os.NewFile(uintptr(fd), "capture in "+nd.Namespace)
	})
	if w.file == nil {
		nd.net.t.FailNow()
	}
	nd.net.t.Cleanup(func() { _ = w.file.Close() })
	return w
}

// Await waits for a packet, which begins with its IP header, and returns it; what names it. It fails the test after a
// minute. The packet is valid until the next call.
func (w *Wire) Await(what string, is func(packet []byte) bool) []byte {
	w.t.Helper()
	_ = w.file.SetReadDeadline(time.Now().Add(patience)) // a closed file fails to read, too
	for {
		n, err := w.file.Read(w.buf)
		if err != nil {
			w.t.Fatalf("%s: waited a minute for %s: %v", w.file.Name(), what, err)
		}
		if is(w.buf[:n]) {
			return w.buf[:n]
		}
	}
}
