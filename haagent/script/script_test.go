package script

import (
	"bytes"
	"context"
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

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("KW_BARE") != "" {
		bare()
		return
	}
	goleak.VerifyTestMain(m)
}

func runner(t *testing.T, user string) *Runner {
	t.Helper()
	r, err := NewRunner(user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test takes other users: run it as root")
	}
}

func sh(line string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", line, "sh"}, args...)
}

func TestRun(t *testing.T) {
	r := runner(t, "")
	f := func(name string, c Command, code int, output string) {
		t.Helper()
		res, err := r.Run(t.Context(), c)
		if err != nil || res.ExitCode != code || res.TimedOut || res.Output != output {
			t.Errorf("%s: got %+v, %v, want %d and %q", name, res, err, code, output)
		}
	}
	f("good", Command{Argv: sh("echo fine")}, 0, "fine\n")
	f("found in PATH", Command{Argv: []string{"echo", "fine"}}, 0, "fine\n")
	f("bad, both streams", Command{Argv: sh("echo out; echo err >&2; exit 3")}, 3, "out\nerr\n")
	f("no shell", Command{Argv: []string{"/bin/echo", "$HOME;", "*"}}, 0, "$HOME; *\n")
	f("ended by a signal", Command{Argv: sh("kill -9 $$")}, -1, "")
	f("stdin", Command{Argv: []string{"/bin/cat"}}, 0, "")
	f("folder", Command{Argv: []string{"/bin/pwd"}}, 0, "/\n")
	f("environment", Command{Argv: []string{"/usr/bin/env"}, Env: []string{"A=b"}}, 0, "PATH="+Path+"\nLANG=C\nA=b\n")
	f("bounded output", Command{Argv: sh("head -c 1000000 /dev/zero | tr '\\0' x")}, 0, strings.Repeat("x", MaxOutput))
	f("a child that holds the pipe", Command{Argv: sh("sleep 3 & echo done")}, 0, "done\n")
}

func TestWhatCannotRun(t *testing.T) {
	r := runner(t, "")
	f := func(want string, argv ...string) {
		t.Helper()
		if _, err := r.Run(t.Context(), Command{Argv: argv}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", argv, err, want)
		}
	}
	f("without a name")
	f("no such file", "/no/such/program")
	f("want an absolute path", "bin/true")
	f("want an absolute path", "")
	f("name it with its folder", "kw-no-such-program")
	f("permission denied", "/etc/passwd")
	r.Close()
	if _, err := r.Run(t.Context(), Command{Argv: []string{"/bin/true"}}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
}

// gone waits until a process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	limit := time.After(time.Minute)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		select {
		case <-limit:
			t.Fatalf("process %d still runs: %s", pid, state)
		case <-look.C:
		}
	}
}

func pids(t *testing.T, output string) (all []int) {
	t.Helper()
	for word := range strings.FieldsSeq(output) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("got %q", output)
		}
		all = append(all, n)
	}
	return all
}

func TestTimeout(t *testing.T) {
	r := runner(t, "")
	for name, line := range map[string]string{
		"obeys TERM":                 "echo $$; sleep 1000",
		"ignores TERM":               "trap '' TERM; echo $$; while :; do sleep 1000; done",
		"forks":                      "sleep 1000 & echo $$ $!; wait",
		"obeys, its child does not":  "(trap '' TERM; sleep 1000; sleep 1000) & echo $$ $!; trap 'exit 7' TERM; wait",
		"prints for ever":            "echo $$; yes",
		"closes its output":          "echo $$; exec >&- 2>&-; sleep 1000",
		"forks and prints for ever":  "yes & echo $$; wait",
		"answers TERM with children": "trap 'sleep 1000 & sleep 1000 & exit 0' TERM; echo $$; sleep 1000 & wait",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overdue := 0
			res, err := r.Run(t.Context(), Command{Argv: sh(line), Timeout: 300 * time.Millisecond, Overdue: func() { overdue++ }})
			if err != nil || !res.TimedOut || overdue != 1 {
				t.Fatalf("got %+v, %v, overdue %d times", res, err, overdue)
			}
			if first, _, _ := strings.Cut(res.Output, "\n"); first != "" && first != "y" {
				for _, pid := range pids(t, first) {
					gone(t, pid)
				}
			}
		})
	}
}

func TestEndOfContextKillsAtOnce(t *testing.T) {
	r := runner(t, "")
	path := filepath.Join(open(t), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.Run(ctx, Command{Argv: sh(`trap "" TERM; echo $$ >"$1.new"; mv "$1.new" "$1"; while :; do sleep 1000; done`, path)})
		ended <- err
	}()
	var b []byte
	for limit := time.Now().Add(time.Minute); len(b) == 0; b, _ = os.ReadFile(path) {
		if time.Now().After(limit) {
			t.Fatal("the program does not start")
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	gone(t, pids(t, string(b))[0])
	if _, err := r.Run(ctx, Command{Argv: sh("exit 0")}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended before: got %v", err)
	}
}

// open is a folder in which everybody may write.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kwscript")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestUser(t *testing.T) {
	needRoot(t)
	f := func(standard, wanted, want string) {
		t.Helper()
		r := runner(t, standard)
		res, err := r.Run(t.Context(), Command{Argv: sh("id -u; id -G"), User: wanted})
		if err != nil || res.Output != want {
			t.Errorf("default %q, user %q: got %q, %v, want %q", standard, wanted, res.Output, err, want)
		}
	}
	f("", "", "65534\n65534\n")
	f("", "daemon", "1\n1\n")
	f("daemon", "", "1\n1\n")
	f("daemon", "65534", "65534\n65534\n")
	f("root", "", "0\n0\n")
	if _, err := NewRunner("kw-no-such-user"); err == nil || !strings.Contains(err.Error(), "there is no user") {
		t.Errorf("got %v", err)
	}
	u := &users{own: 65534, known: map[string]identity{}}
	if _, err := u.find("daemon"); err == nil || !strings.Contains(err.Error(), "CAP_SETUID") {
		t.Errorf("without the right: got %v", err)
	}
	for _, name := range []string{"", "nobody", "65534"} {
		if id, err := u.find(name); err != nil || id.credential != nil || id.uid != 65534 {
			t.Errorf("own user as %q: got %+v, %v", name, id, err)
		}
	}
	if len(u.known) != 2 {
		t.Errorf("known are %v", u.known)
	}
	if u.forget(); len(u.known) != 0 {
		t.Errorf("known are still %v", u.known)
	}
}

func TestRootRunsOnlyWhatIsRoots(t *testing.T) {
	needRoot(t)
	dir, err := os.MkdirTemp("/root", "kwscript")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "a", "b", "check")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nid -u\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(open(t), "check")
	if err := os.Symlink(path, outside); err != nil {
		t.Fatal(err)
	}
	inside, relative, loop := filepath.Join(dir, "link"), filepath.Join(dir, "relative"), filepath.Join(dir, "loop")
	for link, to := range map[string]string{inside: outside, relative: "a/../a/b/check", loop: loop} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	r := runner(t, "root")
	f := func(path, want string) {
		t.Helper()
		res, err := r.Run(t.Context(), Command{Argv: []string{path}})
		if want == "" && (err != nil || res.Output != "0\n") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %+v, %v, want %q", path, res, err, want)
		}
	}
	f(path, "")
	f(relative, "")
	f(outside, "writable by everybody")
	f(inside, "writable by everybody")
	f(loop, "symbolic links")
	f(filepath.Join(dir, "none"), "no such file")
	at := filepath.Join(dir, "a")
	_ = os.Chmod(at, 0o775)
	f(path, "")
	_ = os.Chown(at, 0, 1)
	_ = os.Chmod(at, 0o775)
	f(path, "writable by group 1")
	_ = os.Chmod(at, 0o755)
	f(path, "")
	_ = os.Chown(path, 1, 0)
	f(path, "belongs to user 1")
}

// bare is what the test binary does as an unprivileged process with an ambient capability: it runs a program and
// prints that program's capabilities after its own.
func bare() {
	own, _ := os.ReadFile("/proc/thread-self/status")
	r, err := NewRunner("")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	for range 8 {
		res, err := r.Run(context.Background(), Command{Argv: []string{"/bin/grep", "Cap", "/proc/self/status"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(res.Output)
	}
	for line := range strings.Lines(string(own)) {
		if strings.HasPrefix(line, "Cap") {
			fmt.Print("Own", line)
		}
	}
}

func TestNoCapabilityIsInherited(t *testing.T) {
	needRoot(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"KW_BARE=1", "GOTRACEBACK=all"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	has := fmt.Sprintf("%016x", 1<<unix.CAP_NET_ADMIN)
	if !strings.Contains(string(out), "OwnCapAmb:\t"+has) || !strings.Contains(string(out), "OwnCapEff:\t"+has) {
		t.Fatalf("the process itself has no ambient capability, so this proves nothing: %s", out)
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		if n := strings.Count("\n"+string(out), "\n"+set+":\t"+strings.Repeat("0", 16)); n != 8 {
			t.Errorf("%s is empty in %d of 8 runs: %s", set, n, out)
		}
	}
}

// Whenever a run is given up, also while its program is just being started, nothing of it is left when Run returns.
func TestGivenUpWhileItStarts(t *testing.T) {
	r := runner(t, "")
	mark := fmt.Sprintf("1000.%d", os.Getpid())
	for i := range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i)*30*time.Microsecond, cancel)
		if _, err := r.Run(ctx, Command{Argv: []string{"sleep", mark}}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		all, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range all {
			if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(mark)) {
				t.Fatalf("%s is left after run %d", path, i)
			}
		}
	}
}
