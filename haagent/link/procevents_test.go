package link

import (
	"encoding/binary"
	"errors"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"keepwatch/internal/netnstest"
)

func TestProcEvents(t *testing.T) {
	e, err := OpenProcEvents()
	if netnstest.Contained() {
		if !errors.Is(err, ErrNoProcEvents) {
			t.Errorf("in a container: got %v, want %v", err, ErrNoProcEvents)
		}
		return
	}
	if err != nil {
		t.Fatalf("this test needs the news of processes, which the kernel gives to root in the initial namespaces: %v", err)
	}
	other, err := OpenProcEvents()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil { // the end of one subscription is not that of another
		t.Errorf("got %v", err)
	}
	cmd := exec.Command("/bin/bash", "-c", "echo -n another >/proc/self/comm")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var seen []int
	if lost, err := e.Read(func(pid int) { seen = append(seen, pid) }); err != nil || lost {
		t.Fatalf("lost %t, %v", lost, err)
	}
	count := 0
	for _, pid := range seen {
		if pid == cmd.Process.Pid {
			count++
		}
	}
	if count != 2 {
		t.Errorf("%d is seen %d times, want as another program and by another name", cmd.Process.Pid, count)
	}
	// So much that the kernel must drop some.
	if err := unix.SetsockoptInt(e.FD(), unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
	}
	if lost, err := e.Read(func(int) {}); err != nil || !lost {
		t.Errorf("lost %t, %v", lost, err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("got %v", err)
	}
	if _, err := e.Read(func(int) {}); err == nil {
		t.Error("a closed one reads")
	}
}

func TestNoProcEventsInAnotherNamespace(t *testing.T) {
	t.Parallel()
	netnstest.New(t).Node("a").Do(func() {
		if _, err := OpenProcEvents(); !errors.Is(err, ErrNoProcEvents) {
			t.Errorf("got %v", err)
		}
	})
}

// procMessage is what the kernel sends when a process becomes another program.
func procMessage(what uint32, pid, tgid int) []byte {
	b := make([]byte, 76)
	binary.NativeEndian.PutUint32(b[16:], cnIdxProc)
	binary.NativeEndian.PutUint32(b[20:], cnValProc)
	binary.NativeEndian.PutUint32(b[36:], what)
	binary.NativeEndian.PutUint32(b[52:], uint32(pid))
	binary.NativeEndian.PutUint32(b[56:], uint32(tgid))
	return b
}

func TestParseProcEvent(t *testing.T) {
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	good := procMessage(procExec, 7, 8)
	if what, pid, ok := parseProcEvent(good, kernel); what != procExec || pid != 8 || !ok {
		t.Errorf("got %d, %d, %t", what, pid, ok)
	}
	wrong := slices.Clone(good)
	wrong[16]++
	for name, ok := range map[string]bool{
		"cut":             second(parseProcEvent(good[:procEventSize-1], kernel)),
		"another's":       second(parseProcEvent(good, &unix.SockaddrNetlink{Pid: 9})),
		"no sender":       second(parseProcEvent(good, nil)),
		"another subject": second(parseProcEvent(wrong, kernel)),
	} {
		if ok {
			t.Errorf("%s: is taken", name)
		}
	}
}

func second(_ uint32, _ int, ok bool) bool { return ok }

func FuzzParseProcEvent(f *testing.F) {
	f.Add(procMessage(procExec, 1, 1))
	f.Add(procMessage(procNone, 0, 0)[:procEventSize])
	f.Fuzz(func(t *testing.T, b []byte) { parseProcEvent(b, &unix.SockaddrNetlink{}) })
}
