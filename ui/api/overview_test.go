package api

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"

	"keepwatch/schema/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// A client that goes away in the middle of any read costs an error and nothing else.
func TestOverviewOfAClientThatHasGone(t *testing.T) {
	a := New(Options{DB: pgtest.New(t), Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, fill := range []func(context.Context, *Overview) error{a.fillProblems, a.fillHosts, a.fillData, a.fillHappened} {
		if err := fill(ctx, &Overview{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the cancellation", err)
		}
	}
}
