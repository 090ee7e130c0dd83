package notify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"keepwatch/haagent/script"
	"keepwatch/internal/conf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started is a notifier that runs; stop ends it and waits.
func started(t *testing.T, log *slog.Logger) (n *Notifier, stop func()) {
	t.Helper()
	scripts, err := script.NewRunner("")
	if err != nil {
		t.Fatal(err)
	}
	n = New(Options{Scripts: scripts, Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	return n, func() {
		t.Helper()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		scripts.Close()
	}
}

// folder is one in which programs of another user may write.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kwnotify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// await reads a file again and again until it is as wanted.
func await(t *testing.T, path, want string) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for limit := time.Now().Add(time.Minute); read(t, path) != want; <-look.C {
		if time.Now().After(limit) {
			t.Fatalf("%s: got %q, want %q", path, read(t, path), want)
		}
	}
}

func sh(line string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", line, "sh"}, args...)
}

func TestProgramsGetKeepalivedsArguments(t *testing.T) {
	out := filepath.Join(folder(t), "out")
	program := func(as string) []string { return []string{"/bin/sh", "-c", `echo "$@" >>"$0"`, out, as} }
	to := conf.Notify{Master: program("master"), Backup: program("backup"), Fault: program("fault"), Stop: program("stop"), Any: program("any")}
	n, stop := started(t, slog.New(slog.DiscardHandler))
	n.Tell(to, KindInstance, "web", StateBackup, 100)
	n.Tell(to, KindInstance, "web", StateMaster, 150)
	n.Tell(to, KindInstance, "web", StateFault, 0)
	n.Tell(to, KindInstance, "web", StateStop, 150)
	want := "backup\nany INSTANCE web BACKUP 100\nmaster\nany INSTANCE web MASTER 150\nfault\nany INSTANCE web FAULT 0\nstop\nany INSTANCE web STOP 150\n"
	await(t, out, want)
	n.Tell(conf.Notify{Any: program("any")}, KindGroup, "g", StateMaster, 254)
	await(t, out, want+"any GROUP g MASTER 254\n")
	stop()
	if n.Dropped() != 0 {
		t.Errorf("%d dropped", n.Dropped())
	}
}

// A program that hangs holds up its own instance only, and at the end it gives way to what STOP asks for.
func TestHangingProgram(t *testing.T) {
	dir := folder(t)
	out, hangs := filepath.Join(dir, "out"), filepath.Join(dir, "hangs")
	n, stop := started(t, slog.New(slog.DiscardHandler))
	one := conf.Notify{
		Master: sh(`echo >>"$1"; trap "" TERM; while :; do sleep 1000; done`, hangs), Backup: sh(`echo never >>"$1"`, out),
		Stop: sh(`echo stop >>"$1"`, out),
	}
	n.Tell(one, KindInstance, "one", StateMaster, 150)
	await(t, hangs, "\n")
	n.Tell(one, KindInstance, "one", StateBackup, 150)
	n.Tell(one, KindInstance, "one", StateStop, 150)
	n.Tell(conf.Notify{Master: sh(`echo other >>"$1"`, out)}, KindInstance, "two", StateMaster, 150)
	await(t, out, "other\n")
	stop()
	if got := read(t, out); got != "other\nstop\n" || n.Dropped() != 1 {
		t.Errorf("got %q, %d dropped", got, n.Dropped())
	}
}

func TestEndOfALongStopProgram(t *testing.T) {
	n, stop := started(t, slog.New(slog.DiscardHandler))
	n.Tell(conf.Notify{Stop: sh("sleep 1000")}, KindInstance, "web", StateStop, 150)
	stop()
}

func TestProgramsThatFailAreLogged(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, stop := started(t, slog.New(slog.NewTextHandler(f, nil)))
	n.Tell(conf.Notify{Master: sh("echo broken; exit 3"), Any: []string{"/no/such"}}, KindInstance, "web", StateMaster, 150)
	stop()
	for _, want := range []string{"status=3 output=broken", "/no/such", "of=web state=MASTER"} {
		if got := read(t, log); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTellNeverWaits(t *testing.T) {
	n := New(Options{Log: slog.New(slog.DiscardHandler)})
	for i := range 3 * maxWaiting {
		n.Tell(conf.Notify{FIFO: "/never"}, KindInstance, fmt.Sprint(i), StateMaster, i%255)
	}
	if n.Dropped() != 2*maxWaiting {
		t.Errorf("%d dropped", n.Dropped())
	}
	if e, ok := n.waiting.pop(); !ok || e.name != fmt.Sprint(2*maxWaiting) {
		t.Errorf("the oldest is %q", e.name)
	}
}

func BenchmarkTell(b *testing.B) {
	n := New(Options{Log: slog.New(slog.DiscardHandler)})
	to := conf.Notify{Master: []string{"/bin/true"}}
	b.ReportAllocs()
	for b.Loop() {
		n.Tell(to, KindInstance, "web", StateMaster, 150)
	}
}

func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // writable too, so that it sees no end before the first writer
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	n, stop := started(t, slog.New(slog.DiscardHandler))
	to := conf.Notify{FIFO: path}
	n.Tell(to, KindInstance, "web", StateBackup, 100)
	n.Tell(to, KindGroup, "g one", StateMaster, 150)
	lines := bufio.NewScanner(reader)
	for _, want := range []string{`INSTANCE "web" BACKUP 100`, `GROUP "g one" MASTER 150`} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("got %q, %v, want %q", lines.Text(), lines.Err(), want)
		}
	}
	n.Tell(to, KindInstance, "web", StateStop, 100)
	stop()
	if !lines.Scan() || lines.Text() != `INSTANCE "web" STOP 100` || n.Dropped() != 0 {
		t.Errorf("got %q, %d dropped", lines.Text(), n.Dropped())
	}
}

// readAll reads what is in a pipe now.
func readAll(fd int) []string {
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case n > 0 && err == nil:
			all = append(all, buf[:n]...)
		case len(all) == 0:
			return nil
		default:
			return strings.Split(strings.TrimSuffix(string(all), "\n"), "\n")
		}
	}
}

// Nobody reads: the last 256 lines wait, and the pipe is tried again each second, with a reader that comes, goes and
// comes again.
func TestPipeWithoutReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "fifo")
		n := New(Options{Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		to := conf.Notify{FIFO: path}
		for i := range maxLines + 10 {
			n.Tell(to, KindInstance, fmt.Sprint(i), StateMaster, 1)
			synctest.Wait()
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeNamedPipe|0o600 {
			t.Fatalf("got %v, %v", info, err)
		}
		if n.Dropped() != 10 {
			t.Errorf("%d dropped, want 10", n.Dropped())
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(retryEvery)
		synctest.Wait()
		got := readAll(fd)
		if len(got) != maxLines || got[0] != `INSTANCE "10" MASTER 1` || got[maxLines-1] != fmt.Sprintf(`INSTANCE "%d" MASTER 1`, maxLines+9) {
			t.Errorf("got %d lines from %q to %q", len(got), got[0], got[len(got)-1])
		}
		_ = unix.Close(fd)
		n.Tell(to, KindInstance, "web", StateBackup, 1)
		synctest.Wait()
		if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(retryEvery)
		synctest.Wait()
		if got := readAll(fd); len(got) != 1 || got[0] != `INSTANCE "web" BACKUP 1` {
			t.Errorf("the reader that came again got %q", got)
		}
		_ = unix.Close(fd)
		n.Tell(to, KindInstance, "web", StateStop, 1)
		cancel()
		begin := time.Now()
		<-ended
		if took := time.Since(begin); took != 0 || n.Dropped() != 11 {
			t.Errorf("the end took %s, %d dropped", took, n.Dropped())
		}
	})
}

// The reader hangs: the pipe fills up, then the queue, and the end waits five seconds for it, not longer.
func TestFullPipe(t *testing.T) {
	for _, reads := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "fifo")
			if err := unix.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			n := New(Options{Log: slog.New(slog.DiscardHandler)})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- n.Run(ctx) }()
			told := uint64(0)
			for ; n.Dropped() < 100; told++ {
				n.Tell(conf.Notify{FIFO: path}, KindInstance, strings.Repeat("x", 100), StateMaster, 150)
				synctest.Wait()
			}
			begin := time.Now()
			cancel()
			if reads {
				time.Sleep(time.Second)
				before := uint64(len(readAll(fd)))
				<-ended
				got := before + uint64(len(readAll(fd)))
				if got+100 != told || n.Dropped() != 100 {
					t.Errorf("%d told, %d read, %d dropped", told, got, n.Dropped())
				}
				return
			}
			<-ended
			if took := time.Since(begin); took < endStop || took > endStop+retryEvery || n.Dropped() != 100+maxLines {
				t.Errorf("the end took %s, %d dropped", took, n.Dropped())
			}
		})
	}
}

func TestNoPipe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{file: "is no named pipe", dir: "is no named pipe", filepath.Join(dir, "none", "fifo"): "cannot make"} {
		p := pipe{path: path, fd: -1}
		if err := p.write("line\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if read(t, file) != "kept" {
		t.Errorf("the file is %q", read(t, file))
	}
}

func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		r, model := newRing[int](limit), []int(nil)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				v := rapid.Int().Draw(t, "v")
				lost := r.push(v)
				model = append(model, v)
				if want := len(model) > limit; lost != want {
					t.Fatalf("lost is %t", lost)
				} else if want {
					model = model[1:]
				}
			},
			"pop": func(t *rapid.T) {
				v, ok := r.pop()
				if ok != (len(model) > 0) || ok && v != model[0] {
					t.Fatalf("got %d, %t, want %v", v, ok, model)
				}
				model = model[min(1, len(model)):]
			},
			"unpop": func(t *rapid.T) {
				v := rapid.Int().Draw(t, "v")
				if lost := r.unpop(v); lost != (len(model) == limit) {
					t.Fatalf("lost is %t", lost)
				} else if !lost {
					model = append([]int{v}, model...)
				}
			},
		})
	})
}
