package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Stack remembers how to undo what was opened. Push a step the moment that the thing exists; a start that fails half
// way and a clean stop then undo the same way, last in first out. The zero value is ready.
type Stack struct {
	// Timeout bounds each step; 0 means 10 s.
	Timeout time.Duration
	// Slow is how long a step may take without being logged; 0 means 1 s.
	Slow time.Duration
	// Log hears of slow steps and of steps given up; nil means slog.Default().
	Log *slog.Logger

	mu    sync.Mutex
	steps []step
}

type step struct {
	name string
	undo func(context.Context) error
}

// ErrGivenUp is what the error of a step wraps that had not ended when its time was over. Its goroutine is left
// behind: the process is about to end, and one thing that hangs must not keep the others from being closed.
var ErrGivenUp = errors.New("given up waiting")

// grace is how long a step may take beyond its context's end, to return the error of it.
const grace = 500 * time.Millisecond

// Push adds a step. The name says what is undone: "database", "http server".
func (s *Stack) Push(name string, undo func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, step{name, undo})
}

// Undo runs all steps, the last pushed first, each with its own timeout, whatever became of the others, and forgets
// them: a second Undo does nothing. Its ctx must not be the one whose end led here, or every step is hurried: pass a
// fresh one, whose end then means "now, please". The error joins those of the steps, each under its name.
func (s *Stack) Undo(ctx context.Context) error {
	var errs []error
	for {
		one, ok := s.pop()
		if !ok {
			return errors.Join(errs...)
		}
		if err := s.run(ctx, one); err != nil {
			errs = append(errs, fmt.Errorf("cannot stop %s: %w", one.name, err))
		}
	}
}

func (s *Stack) pop() (one step, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.steps) - 1
	if last < 0 {
		return step{}, false
	}
	one, s.steps = s.steps[last], s.steps[:last]
	return one, true
}

func (s *Stack) run(ctx context.Context, one step) error {
	timeout, slow, log := s.Timeout, s.Slow, s.Log
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	if slow <= 0 {
		slow = time.Second
	}
	if log == nil {
		log = slog.Default()
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- guard(ctx, one.undo) }()

	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		last := time.NewTimer(grace)
		defer last.Stop()
		select {
		case err = <-done:
		case <-last.C:
			err = fmt.Errorf("%w: %w", ErrGivenUp, ctx.Err())
		}
	}
	if took := time.Since(start); took >= slow {
		log.Warn("stopping took long", "step", one.name, "seconds", took.Seconds(), "err", err)
	}
	return err
}
