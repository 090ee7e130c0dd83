package run

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken")

func untilEnd(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestGroupEndsCleanly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var g Group
		g.Add("ui", untilEnd)
		g.Add("collector", func(ctx context.Context) error { <-ctx.Done(); return nil })
		start := time.Now()
		if err := g.Run(ctx); err != nil {
			t.Errorf("got %v, want a clean end", err)
		}
		if got := time.Since(start); got != time.Hour {
			t.Errorf("ended after %s, want 1h", got)
		}
	})
}

func TestGroupFirstErrorEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		g := Group{Log: slog.New(slog.NewTextHandler(&logged, nil))}
		ended := false
		g.Add("alerter", func(context.Context) error { time.Sleep(time.Minute); return errBroken })
		g.Add("ui", func(ctx context.Context) error { <-ctx.Done(); ended = true; return ctx.Err() })
		g.Add("extractor", func(ctx context.Context) error { <-ctx.Done(); return errors.New("cannot flush") })
		err := g.Run(t.Context())
		if !errors.Is(err, errBroken) || err.Error() != "alerter: broken" || !ended {
			t.Errorf("got %v, other ended %v; want alerter: broken, true", err, ended)
		}
		if !strings.Contains(logged.String(), "role=extractor") || strings.Contains(logged.String(), "role=ui") {
			t.Errorf("logged %s, want the extractor's error only", &logged)
		}
	})
}

func TestGroupRoleEnds(t *testing.T) {
	f := func(run func(context.Context) error, want string) {
		t.Helper()
		var g Group
		g.Add("haagent", run)
		g.Add("ui", untilEnd)
		if err := g.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f(func(context.Context) error { return nil }, "haagent: ended by itself")
	f(func(context.Context) error { panic("boom") }, "haagent: panic: boom\n")
	f(func(context.Context) error { return context.Canceled }, "haagent: context canceled")
}

// TestGroupErrorAfterStop: what fails on the way out of a clean stop is told.
func TestGroupErrorAfterStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var g Group
	g.Add("extractor", func(ctx context.Context) error { <-ctx.Done(); return errBroken })
	if err := g.Run(ctx); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
	if err := new(Group).Run(ctx); err != nil {
		t.Errorf("no roles: got %v", err)
	}
}

func TestUndoOrder(t *testing.T) {
	var s Stack
	var got []string
	push := func(name string, err error) {
		s.Push(name, func(context.Context) error { got = append(got, name); return err })
	}
	push("database", errBroken)
	push("bus", nil)
	s.Push("collector", func(context.Context) error { panic("boom") })
	push("http server", errors.New("busy"))

	err := s.Undo(t.Context())
	if want := "http server bus database"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v in it", err, errBroken)
	}
	lines := strings.Split(err.Error(), "\n")
	if lines[0] != "cannot stop http server: busy" || lines[1] != "cannot stop collector: panic: boom" || lines[len(lines)-1] != "cannot stop database: broken" {
		t.Errorf("got %q", lines)
	}
	if err := s.Undo(t.Context()); err != nil || len(got) != 3 {
		t.Errorf("second time: got %v and %q, want nothing", err, got)
	}
}

func TestUndoBoundsEveryStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		s := Stack{Timeout: 5 * time.Second, Slow: 2 * time.Second, Log: slog.New(slog.NewTextHandler(&logged, nil))}
		release, done := make(chan struct{}), false
		s.Push("database", func(context.Context) error { done = true; return nil })
		s.Push("slow", func(context.Context) error { time.Sleep(3 * time.Second); return nil })
		s.Push("obedient", untilEnd)
		s.Push("stuck", func(context.Context) error { <-release; return nil })
		start := time.Now()
		err := s.Undo(t.Context())
		if got, want := time.Since(start), 5*time.Second+grace+5*time.Second+3*time.Second; got != want {
			t.Errorf("took %s, want %s", got, want)
		}
		want := "cannot stop stuck: given up waiting: context deadline exceeded\ncannot stop obedient: context deadline exceeded"
		if !errors.Is(err, ErrGivenUp) || err.Error() != want || !done {
			t.Errorf("got %v, database closed %v; want %s, true", err, done, want)
		}
		for _, name := range []string{"step=stuck", "step=obedient", "step=slow"} {
			if !strings.Contains(logged.String(), name) {
				t.Errorf("%s is not in the log:\n%s", name, &logged)
			}
		}
		if strings.Contains(logged.String(), "step=database") {
			t.Errorf("a fast step is in the log:\n%s", &logged)
		}
		close(release)
	})
}

// TestUndoHurried: the end of the caller's context ends the steps.
func TestUndoHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Stack
		s.Push("server", untilEnd)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := s.Undo(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %s, want the deadline after 1s", err, time.Since(start))
		}
	})
}

func TestReloadOnHangup(t *testing.T) {
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ignored := make(chan os.Signal, 1) // a signal before OnHangup listens does not end the test
	signal.Notify(ignored, syscall.SIGHUP)
	defer signal.Stop(ignored)
	reloads, ended := make(chan int), make(chan error)
	go func() {
		n := 0
		ended <- OnHangup(ctx, slog.New(slog.NewTextHandler(&log, nil)), func() error {
			if n++; n == 1 {
				reloads <- n
				return errBroken
			}
			reloads <- n
			return nil
		})
	}()
	for want := 1; want <= 2; want++ {
		for got := 0; got < want; {
			if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			select {
			case got = <-reloads:
			case <-time.After(50 * time.Millisecond): // it does not listen yet
			}
		}
	}
	cancel()
	for {
		select {
		case <-reloads: // of a signal that was sent once too often
			continue
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		}
		break
	}
	if n := strings.Count(log.String(), "stays in force\" err=broken"); n != 1 {
		t.Errorf("%d refusals are told, want 1:\n%s", n, log.String())
	}
}
