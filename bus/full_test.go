package bus

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// When the disk of the bus is full, Publish waits; when there is room again it goes on, and nothing that it had
// acknowledged is missing.
func TestFullDiskIsWaitedOut(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatalf("this test mounts a small disk and must run as root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &watcher{full: make(chan struct{}, 1)}
	b, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "bus"), MaxBytes: 256 << 20, Log: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeBus(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	go func() {
		<-log.full
		_ = os.Remove(ballast)
	}()
	series := metric.MustSeries("c", "h", "load", nil, "", metric.Gauge)
	before := b.retries.Get()
	n := 0
	for ; b.retries.Get() == before || n < 40; n++ { // until it was full once
		in := &batch.Batch{}
		for range 20_000 {
			in.Samples = append(in.Samples, metric.Sample{Series: series, Time: int64(n), Value: rand.Float64()})
		}
		if err := b.Publish(ctx, Samples, "c", in); err != nil {
			t.Fatal(err)
		}
	}
	got := consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples}}, n*20_000, 0)
	for i, at := range got {
		if at != int64(i/20_000) {
			t.Fatalf("item %d is of batch %d, want %d", i, at, i/20_000)
		}
	}
}

// watcher sees that Publish had to wait.
type watcher struct{ full chan struct{} }

func (w *watcher) Enabled(context.Context, slog.Level) bool { return true }
func (w *watcher) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *watcher) WithGroup(string) slog.Handler            { return w }
func (w *watcher) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "the bus does not take messages; trying until it does" {
		select {
		case w.full <- struct{}{}:
		default:
		}
	}
	return nil
}
