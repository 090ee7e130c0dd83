// Package run owns how a process starts and ends: the stack of named steps that undo what was opened, the group of
// named roles of which the first to fail ends all, and the reload on SIGHUP. It never decides what is started or in
// which order, or what a reload changes, catches no other signal and exits no process. The commands and the tests that
// run a whole installation call it.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// ErrEnded is what a role's error wraps that ended without an error while it should still run: a part that silently
// does nothing is worse than one that is down.
var ErrEnded = errors.New("ended by itself")

// Group runs roles side by side. The zero value is ready; Log may be set before Run.
type Group struct {
	// Log hears of roles that fail while the group is ending for another's error; nil means slog.Default().
	Log *slog.Logger

	roles []role
}

type role struct {
	name string
	run  func(context.Context) error
}

// Add adds a role: run blocks until ctx ends and owns every goroutine it starts. Not after Run.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.roles = append(g.roles, role{name, run})
}

// Run runs all roles and returns when all have ended. The first error, or the first role that ends by itself, ends
// the context of the others and is returned under the role's name. When ctx ended first, only errors that are not its
// cancellation count: nil is a clean end. A group without roles waits for ctx.
func (g *Group) Run(ctx context.Context) error {
	log := g.Log
	if log == nil {
		log = slog.Default()
	}
	all, inner := errgroup.WithContext(ctx)
	for _, r := range g.roles {
		all.Go(func() error {
			err := r.do(inner)
			if err != nil && inner.Err() != nil && ctx.Err() == nil {
				log.Warn("a role failed while all were ending", "role", r.name, "err", err)
			}
			return err
		})
	}
	if len(g.roles) == 0 {
		<-ctx.Done()
	}
	return all.Wait()
}

// do runs the role and says what its end means.
func (r role) do(ctx context.Context) error {
	err := guard(ctx, r.run)
	switch {
	case ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())):
		return nil
	case err == nil:
		err = ErrEnded
	}
	return fmt.Errorf("%s: %w", r.name, err)
}

// guard turns a panic into an error, so that the other roles end in order and every undo still runs.
func guard(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}
