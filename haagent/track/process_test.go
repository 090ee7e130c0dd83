package track

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/haagent/link"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// unique is a name that no other test process uses.
func unique(name string) string { return fmt.Sprintf("kw%d%s", os.Getpid(), name) }

// program is a copy of an executable under another name.
func program(t *testing.T, of, name string) string {
	t.Helper()
	b, err := os.ReadFile(of)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// command prepares a program, in the node's namespace when there is one.
func command(at *netnstest.Node, path string, args ...string) *exec.Cmd {
	if at != nil {
		return at.Command(path, args...)
	}
	return exec.Command(path, args...)
}

func start(t *testing.T, at *netnstest.Node, path string) *exec.Cmd {
	t.Helper()
	cmd := command(at, path, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// places are where the kernel tells of births, and where it does not: it tells nobody in a container.
func places(t *testing.T, f func(t *testing.T, at *netnstest.Node)) {
	t.Run("told", func(t *testing.T) {
		e, err := link.OpenProcEvents()
		if netnstest.Contained() {
			if !errors.Is(err, link.ErrNoProcEvents) {
				t.Fatalf("in a container: got %v, want %v", err, link.ErrNoProcEvents)
			}
			f(t, nil)
			return
		}
		if err != nil {
			t.Fatalf("this test needs the news of processes, which the kernel gives to root in the initial namespaces: %v", err)
		}
		_ = e.Close()
		f(t, nil)
	})
	t.Run("not told", func(t *testing.T) { f(t, netnstest.New(t).Node("a")) })
}

func TestProcessIsSeenToComeAndGo(t *testing.T) {
	places(t, func(t *testing.T, at *netnstest.Node) {
		for _, name := range []string{unique("a"), unique("-with-a-long-name")} {
			path := program(t, "/bin/sleep", name)
			w := watch(t, conf.Track{Process: name}, Options{}, at)
			w.next(false, 0, "no process "+name)
			first := start(t, at, path)
			w.next(true, 0, "process "+name+" runs")
			_ = first.Process.Kill() // not reaped: a process that waits for that is gone all the same
			w.next(false, 0, fmt.Sprintf("process %s (%d) ended", name, first.Process.Pid))
			start(t, at, path)
			w.next(true, 0, "")
			if f := lookAt(at, conf.Track{Process: name}); !f.Up {
				t.Errorf("a look finds %+v", f)
			}
			w.stop()
		}
	})
}

// lookAt looks in the node's namespace when there is one.
func lookAt(at *netnstest.Node, c conf.Track) (f Finding) {
	if at == nil {
		f, _ = Look(c)
		return f
	}
	at.Do(func() { f, _ = Look(c) })
	return f
}

func TestAtLeast(t *testing.T) {
	places(t, func(t *testing.T, at *netnstest.Node) {
		name := unique("many")
		path := program(t, "/bin/sleep", name)
		w := watch(t, conf.Track{Process: name, AtLeast: 3}, Options{}, at)
		w.next(false, 0, "no process")
		first := start(t, at, path)
		start(t, at, path)
		start(t, at, path)
		w.next(true, 0, "3 of 3 processes "+name+" run")
		_ = first.Process.Kill()
		w.next(false, 0, "2 of 3 processes "+name+" run")
		if f := lookAt(at, conf.Track{Process: name, AtLeast: 3}); f.Up {
			t.Errorf("a look finds %+v", f)
		}
	})
}

// A process whose child goes on in its place, without becoming another program, is never gone.
func TestChildThatTakesOver(t *testing.T) {
	places(t, func(t *testing.T, at *netnstest.Node) {
		name := unique("fork")
		path := program(t, "/bin/sh", name)
		w := watch(t, conf.Track{Process: name}, Options{}, at)
		w.next(false, 0, "")
		cmd := command(at, path, "-c", "(while :; do sleep 1000; done) & echo $!; read line; exit 0")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		w.next(true, 0, "")
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		child, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		_ = in.Close()
		_ = cmd.Wait()
		watches(t, child)
		_ = syscall.Kill(child, syscall.SIGKILL)
		w.next(false, 0, fmt.Sprintf("process %s (%d) ended", name, child))
	})
}

// watches waits until this process has a descriptor of that one, and none of a process that has ended.
func watches(t *testing.T, pid int) {
	t.Helper()
	netnstest.Await(t, "a descriptor of the child alone", func() error {
		all, _ := filepath.Glob("/proc/self/fdinfo/*")
		found := false
		for _, path := range all {
			info, err := os.ReadFile(path)
			if err != nil {
				continue // closed meanwhile
			}
			if strings.Contains(string(info), "\nPid:\t-1\n") { // proc_pid_fdinfo(5)
				return errors.New("there is one of a process that has ended")
			}
			found = found || strings.Contains(string(info), fmt.Sprintf("\nPid:\t%d\n", pid))
		}
		if !found {
			return errors.New("there is none")
		}
		return nil
	})
}

// A process that becomes another program does not count any more. Every child that is made to run a program is one:
// until then it carries its parent's name, and may be seen with it.
func TestAnotherProgram(t *testing.T) {
	places(t, func(t *testing.T, at *netnstest.Node) {
		for _, name := range []string{unique("was"), unique("-was-a-long-name")} {
			path := program(t, "/bin/sh", name)
			// The kernel's name stays where it is cut: then the executable's tells.
			then := program(t, "/bin/sleep", (name + "-now")[:min(len(name)+4, maxComm+1)])
			w := watch(t, conf.Track{Process: name}, Options{}, at)
			w.next(false, 0, "no process "+name)
			cmd := command(at, path, "-c", `read line; exec "$0" 1000`, then)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			w.next(true, 0, "process "+name+" runs")
			_ = in.Close()
			w.next(false, 0, "no process "+name)
			w.stop()
		}
	})
}

// An upgrade moves the file of a program that runs aside: that is no other program.
func TestMovedAside(t *testing.T) {
	name := unique("-is-a-long-name")
	path := program(t, "/bin/sleep", name)
	pid := start(t, nil, path).Process.Pid
	table, err := newTable(name)
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{table: table, atLeast: 1, watched: make(map[int]process)}
	defer w.close()
	netnstest.Await(t, "the program", func() error {
		if w.consider(pid); !w.enough() {
			return errors.New("it does not count")
		}
		return nil
	})
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if w.consider(pid); !w.enough() {
		t.Error("it counts no more")
	}
}

// A process that takes another name counts from then on.
func TestNewName(t *testing.T) {
	name := unique("name")
	w := watch(t, conf.Track{Process: name}, Options{}, nil)
	w.next(false, 0, "")
	cmd := exec.Command("/bin/bash", "-c", "echo -n "+name+" >/proc/self/comm; read line")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.next(true, 0, "")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	w.next(false, 0, "")
}

// The name of another must not do: neither one that only begins alike nor a process of another host on this kernel.
func TestOthersDoNotCount(t *testing.T) {
	name := unique("-with-a-long-name")
	pid := start(t, nil, program(t, "/bin/sleep", name)).Process.Pid
	w, err := newTable(name)
	if err != nil {
		t.Fatal(err)
	}
	netnstest.Await(t, "the program", func() error {
		if !w.matches(pid) {
			return errors.New("it does not count")
		}
		return nil
	})
	for _, other := range []string{name[:maxComm], name[:5], name + "r"} {
		if w.name = other; w.matches(pid) != (other == name[:maxComm]) {
			t.Errorf("as %s: got %t", other, w.matches(pid))
		}
	}
	w.name, w.net = name, "net:[1]"
	if w.matches(pid) {
		t.Error("a process in another network namespace counts")
	}
}

func TestEnded(t *testing.T) {
	for stat, want := range map[string]bool{
		"7 (sleep) S 1 7": false, "7 (sleep) R 1 7": false, "7 (sleep) Z 1 7": true, "7 (sleep) X 1 7": true,
		"7 (a) Z) S 1 7": false, "7 (a) S) Z 1 7": true, "": true, "7 (sleep)": true, "7 (sleep) ": true,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ended(dir); got != want {
			t.Errorf("%q: got %t", stat, got)
		}
	}
	if !ended("/no/such") {
		t.Error("a process that is not there has not ended")
	}
}

func TestAbsence(t *testing.T) {
	begin := time.Unix(1, 0)
	a := absence{delay: 10 * time.Second}
	f := func(after int, there, present bool, again int) {
		t.Helper()
		got, wait := a.step(begin.Add(time.Duration(after)*time.Second), there)
		if got != present || wait != time.Duration(again)*time.Second {
			t.Errorf("got %t and %s, want %t and %ds", got, wait, present, again)
		}
	}
	f(0, false, false, 0) // never seen: nothing to forgive
	f(1, true, true, 0)
	f(2, false, true, 10)
	f(5, false, true, 7)
	f(6, true, true, 0) // came back
	f(7, false, true, 10)
	f(16, false, true, 1)
	f(17, false, false, 0)
	f(18, false, false, 0)
	f(19, true, true, 0)
	a = absence{}
	f(20, true, true, 0)
	f(21, false, false, 0)
}

func TestDelay(t *testing.T) {
	name := unique("delay")
	path := program(t, "/bin/sleep", name)
	w := watch(t, conf.Track{Process: name, Delay: 100 * time.Millisecond}, Options{}, nil)
	w.next(false, 0, "")
	first := start(t, nil, path)
	w.next(true, 0, "")
	killed := time.Now()
	_ = first.Process.Kill()
	w.next(false, 0, "ended")
	if late := time.Since(killed); late < 100*time.Millisecond {
		t.Errorf("its absence is told after %s already", late)
	}
}

func TestNumber(t *testing.T) {
	for name, want := range map[string]int{"": 0, "0": 0, "1": 1, "4194304": 4194304, "self": 0, "-1": 0, "1x": 0, "99999999999999999999": 0} {
		if got := number(name); got != want {
			t.Errorf("%q: got %d", name, got)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	t, err := newTable("kwtrack-none")
	if err != nil {
		b.Fatal(err)
	}
	w := &watcher{table: t, atLeast: 1, watched: map[int]process{}}
	for b.Loop() {
		if err := w.scan(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNoTable(t *testing.T) {
	w := &watcher{table: table{name: "x", proc: "/no/such"}}
	if err := w.scan(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
