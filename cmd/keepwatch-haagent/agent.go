package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"keepwatch/haagent"
	"keepwatch/haagent/realtime"
	"keepwatch/haagent/testament"
	"keepwatch/internal/conf"
	"keepwatch/internal/datafolder"
	"keepwatch/internal/logs"
	"keepwatch/internal/resident"
)

// agent is the process that is the agent.
type agent struct {
	arguments
	level  slog.LevelVar
	log    *slog.Logger
	will   *testament.Writer
	hangup chan os.Signal
	agent  *haagent.Agent
}

// runAgent runs the agent until SIGTERM, SIGINT or the parent's death.
func runAgent(args arguments) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	a := &agent{arguments: args, hangup: make(chan os.Signal, 1)}
	signal.Notify(a.hangup, syscall.SIGHUP)
	defer signal.Stop(a.hangup)
	if err := a.build(); err != nil {
		return refusal{err}
	}
	if err := a.run(ctx); err != nil {
		return err
	}
	return a.will.Close() // with the goodbye
}

// build makes everything that can be refused.
func (a *agent) build() error {
	c, err := conf.Load(a.config, os.Environ())
	if err != nil {
		return err
	}
	a.log = logs.New(os.Stderr, c.Log, &a.level).With("part", "haagent")
	slog.SetDefault(a.log)
	if a.will, err = testament.FromEnv(); err != nil {
		return err
	}
	folder, err := datafolder.Open(a.data) // the agent guards its folder itself
	if err != nil {
		return err
	}
	if a.agent, err = haagent.New(haagent.Options{Config: c.HAAgent, Host: c.Host, DataDir: folder.Path, Log: a.log, Testament: a.will}); err != nil {
		return err
	}
	if p := c.HAAgent.Realtime; p > 0 {
		if err := realtime.Ask(p); err != nil {
			a.log.Warn("the agent is scheduled as any other process, and may be late on a busy host", "err", err)
		}
	}
	return nil
}

func (a *agent) run(ctx context.Context) error {
	resident.Slim() // before the first timer runs: it takes tens of milliseconds
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.agent.Run(ctx) })
	group.Go(func() error { a.attend(ctx); return nil })
	err := group.Wait()
	if errors.Is(err, testament.ErrParentGone) {
		return fmt.Errorf("%w: it was killed; the addresses are handed over", err)
	}
	return err
}

// attend reads the configuration again on each hangup, until ctx ends.
func (a *agent) attend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.hangup:
		}
		a.will.Say(testament.Reloading)
		if err := a.reload(); err != nil {
			a.log.Error("cannot reload; the running configuration stays in force", "err", err)
		} else {
			a.log.Info("reloaded")
		}
		a.will.Say(testament.Running)
	}
}

func (a *agent) reload() error {
	next, err := conf.Load(a.config, os.Environ())
	if err != nil {
		return err
	}
	if err := a.agent.Reload(next.HAAgent); err != nil {
		return fmt.Errorf("%s: %w", a.config, err)
	}
	logs.SetLevel(next.Log, &a.level)
	return nil
}
