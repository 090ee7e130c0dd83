package track

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

func sh(line string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", line, "sh"}, args...)
}

func TestScript(t *testing.T) {
	dir, err := os.MkdirTemp("", "kwtrack")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the script is another user
		t.Fatal(err)
	}
	verdict := filepath.Join(dir, "verdict")
	write := func(line string) {
		t.Helper()
		if err := os.WriteFile(verdict+".new", []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(verdict+".new", verdict); err != nil {
			t.Fatal(err)
		}
	}
	write("exit 0")
	w := watch(t, conf.Track{Script: sh(`. "$1"`, verdict), Interval: 50 * time.Millisecond, Timeout: time.Second, Rise: 2, Fall: 2}, Options{Scripts: runner(t)}, nil)
	w.next(true, 0, "exit status 0")
	write("echo; echo broken; echo more; exit 3")
	w.next(false, 0, "exit status 3: broken")
	write("echo fine")
	w.next(true, 0, "exit status 0: fine")
	write("trap '' TERM; sleep 1000 & while :; do sleep 1000; done")
	w.next(false, 0, "no answer within 1s")
	write("exit 0")
	w.next(true, 0, "exit status 0")
	write("kill -9 $$")
	w.next(false, 0, "ended by a signal")
}

// What a look may not wait for: the verdict on a script that does not obey comes with the timeout, and no second run
// is begun before the first has ended.
func TestScriptThatHangs(t *testing.T) {
	dir, err := os.MkdirTemp("", "kwtrack")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "pids")
	c := conf.Track{Script: sh(`trap "" TERM; echo $$ >>"$1"; while :; do sleep 1000; done`, out), Interval: 50 * time.Millisecond, Timeout: 300 * time.Millisecond, Fall: 1, Rise: 1}
	w := watch(t, c, Options{Scripts: runner(t)}, nil)
	w.next(false, 0, "no answer within 300ms")
	running := func() (all []int) {
		b, _ := os.ReadFile(out)
		for word := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil && unix.Kill(pid, 0) == nil {
				all = append(all, pid)
			}
		}
		return all
	}
	if got := running(); len(got) != 1 {
		t.Errorf("%v run when the verdict is told, want the one that does not end", got)
	}
	netnstest.Await(t, "a second run", func() error {
		if b, _ := os.ReadFile(out); strings.Count(string(b), "\n") < 2 {
			return os.ErrNotExist
		}
		return nil
	})
	if got := running(); len(got) > 1 {
		t.Errorf("%v run at one time", got)
	}
	w.stop()
	if got := running(); len(got) != 0 {
		t.Errorf("%v still run", got)
	}
}

func TestScriptThatCannotRun(t *testing.T) {
	o := Options{Scripts: runner(t)}
	w := watch(t, conf.Track{Script: []string{"/no/such/check"}, Interval: time.Hour}, o, nil)
	w.next(false, 0, "no such file")
	w = watch(t, conf.Track{Script: []string{"/bin/true"}, User: "kw-no-such-user", Interval: time.Hour}, o, nil)
	w.next(false, 0, "there is no user")
}

func TestFirstLine(t *testing.T) {
	for output, want := range map[string]string{
		"": "", "\n\n": "", "a\nb": ": a", "\n  a b \nc": ": a b", "\x1b[31mred\x00": ": [31mred", "\xff\xfe": ": \ufffd\ufffd",
		strings.Repeat("ä", 200): ": " + strings.Repeat("ä", maxSaid) + "…",
	} {
		if got := firstLine(output); strings.TrimRight(strings.ReplaceAll(got, ":  ", ": "), " ") != want {
			t.Errorf("%q: got %q, want %q", output, got, want)
		}
	}
}
