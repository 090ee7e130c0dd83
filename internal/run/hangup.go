package run

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// OnHangup reloads on each SIGHUP until ctx ends. What reload refuses leaves the running configuration in force.
func OnHangup(ctx context.Context, log *slog.Logger, reload func() error) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-hangup:
		}
		if err := reload(); err != nil {
			log.Error("cannot reload; the running configuration stays in force", "err", err)
		}
	}
}
