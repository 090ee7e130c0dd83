package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"keepwatch/haagent/realtime"
	"keepwatch/haagent/supervise"
	"keepwatch/internal/conf"
	"keepwatch/internal/logs"
	"keepwatch/internal/resident"
)

// runParent starts the agent and watches over it until SIGTERM or SIGINT.
func runParent(args arguments) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	c, err := conf.Load(args.config, os.Environ())
	if err != nil {
		return refusal{err}
	}
	notify, err := notifier()
	if err != nil {
		return err
	}
	var level slog.LevelVar
	log := logs.New(os.Stderr, c.Log, &level).With("part", "haagent")
	if p := c.HAAgent.Realtime; p > 0 {
		_ = realtime.Ask(p) // where it is not allowed the agent says so, once it has found nothing worse
	}
	defer time.AfterFunc(resident.Settling, resident.Slim).Stop()
	return supervise.Run(ctx, supervise.Options{
		// The file that this process runs, even when an upgrade has put another one in its place: the two must
		// understand each other.
		Program: "/proc/self/exe", Args: []string{os.Args[0], asAgent, "--config", args.config, "--data", args.data},
		Env: slices.DeleteFunc(os.Environ(), ofSystemd), Hangup: hangup, Notify: notify, Log: log,
	})
}

// ofSystemd tells the variables that speak of this process and not of its child.
func ofSystemd(variable string) bool {
	for _, name := range []string{"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID="} {
		if strings.HasPrefix(variable, name) {
			return true
		}
	}
	return false
}

// notifier tells systemd, where it started this process and wants to know.
func notifier() (func(state string), error) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("cannot read systemd's WATCHDOG_USEC: %w", err)
	}
	return func(state string) {
		if state != daemon.SdNotifyWatchdog || watchdog > 0 {
			_, _ = daemon.SdNotify(false, state) // systemd is restarting, or there is none
		}
	}, nil
}
