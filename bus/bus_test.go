package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

const childDir = "KEEPWATCH_BUS_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		publishUntilKilled(dir)
		return
	}
	// nats-server keeps a few process-wide goroutines of its logger and statistics.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"))
}

func open(t *testing.T, dir string, maxBytes int64) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Options{Dir: dir, MaxBytes: maxBytes, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func closeBus(t *testing.T, b *Bus) {
	t.Helper()
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func numbered(n int) *batch.Batch {
	s := metric.MustSeries("c", "h", "load", nil, "", metric.Gauge)
	return &batch.Batch{Samples: []metric.Sample{{Series: s, Time: int64(n), Value: float64(n)}}}
}

func publish(t *testing.T, b *Bus, kind Kind, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		in := numbered(i)
		if kind == Events {
			in = &batch.Batch{Events: []metric.Event{{ID: fmt.Sprint(i), Cluster: "c", Host: "h", Time: int64(i), Kind: metric.EventVIPTaken, Text: "t"}}}
		}
		if err := b.Publish(t.Context(), kind, "default", in); err != nil {
			t.Fatal(err)
		}
	}
}

// consume reads as name until want items have come, which it returns; refuse fails the first calls.
func consume(t *testing.T, b *Bus, name string, o ConsumeOptions, want int, refuse int) []int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []int64
	err := b.Consume(ctx, name, o, func(_ context.Context, messages []Message) error {
		if refuse > 0 {
			refuse--
			return errors.New("not now")
		}
		for _, m := range messages {
			for _, s := range m.Batch.Samples {
				got = append(got, s.Time)
			}
			for _, e := range m.Batch.Events {
				got = append(got, e.Time)
			}
		}
		if len(got) >= want {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != want {
		t.Fatalf("%s got %d items, want %d", name, len(got), want)
	}
	return got
}

func checkOrder(t *testing.T, got []int64, first int64) {
	t.Helper()
	for i, v := range got {
		if v != first+int64(i) {
			t.Fatalf("item %d is number %d, want %d", i, v, first+int64(i))
		}
	}
}

func TestEachConsumerHasItsOwnPlaceOverRestarts(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, 16<<20)
	publish(t, b, Samples, 0, 300)
	samples := ConsumeOptions{Kinds: []Kind{Samples}, MaxMessages: 100}
	checkOrder(t, consume(t, b, "writer", samples, 300, 0), 0)
	closeBus(t, b)

	b = open(t, dir, 16<<20)
	defer closeBus(t, b)
	if n, age, err := b.Lag(t.Context(), "writer", Samples); n != 0 || age != 0 || err != nil {
		t.Errorf("lag after all is done: %d messages, %v, %v", n, age, err)
	}
	publish(t, b, Samples, 300, 310)
	if n, age, err := b.Lag(t.Context(), "writer", Samples); n != 10 || age <= 0 || err != nil {
		t.Errorf("lag: %d messages, %v, %v; want 10", n, age, err)
	}
	checkOrder(t, consume(t, b, "writer", samples, 10, 0), 300)
	checkOrder(t, consume(t, b, "alerter", samples, 310, 0), 0)
}

func TestRefusedMessagesComeAgainInOrder(t *testing.T) {
	b := open(t, t.TempDir(), 16<<20)
	defer closeBus(t, b)
	publish(t, b, Samples, 0, 20)
	checkOrder(t, consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples}, MaxMessages: 5}, 20, 2), 0)
}

func TestFromNewBeginsNowAndKeepsItsPlace(t *testing.T) {
	b := open(t, t.TempDir(), 16<<20)
	defer closeBus(t, b)
	publish(t, b, Samples, 0, 5)
	o := ConsumeOptions{Kinds: []Kind{Samples}, FromNew: true}
	ctx, cancel := context.WithCancel(t.Context())
	c := &consumer{bus: b, name: "alerter", kind: Samples, opt: o, log: b.opt.Log}
	if _, err := c.startAfter(ctx); err != nil { // what Consume does first
		t.Fatal(err)
	}
	cancel()
	publish(t, b, Samples, 5, 8)
	checkOrder(t, consume(t, b, "alerter", o, 3, 0), 5)
}

func TestBothKindsInOneConsumer(t *testing.T) {
	b := open(t, t.TempDir(), 16<<20)
	defer closeBus(t, b)
	publish(t, b, Samples, 0, 5)
	publish(t, b, Events, 0, 5)
	consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples, Events}}, 10, 1)
}

// What does not decode is passed over and does not stop what follows.
func TestPoisonIsPassedOver(t *testing.T) {
	b := open(t, t.TempDir(), 16<<20)
	defer closeBus(t, b)
	publish(t, b, Samples, 0, 2)
	for subject, data := range map[string]string{"samples.c": "no batch", "samples.=zz": "", "samples.=4": ""} {
		if _, err := b.js.Publish(t.Context(), subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b, Samples, 2, 4)
	checkOrder(t, consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples}}, 4, 0), 0)
}

// Past max_bytes the oldest go, and the reader counts what it missed.
func TestOldestAreDroppedAndCounted(t *testing.T) {
	b := open(t, t.TempDir(), 1<<20)
	defer closeBus(t, b)
	series := metric.MustSeries("c", "h", "load", nil, "", metric.Gauge)
	const total = 600
	for i := range total {
		in := &batch.Batch{}
		for j := range 1000 {
			in.Samples = append(in.Samples, metric.Sample{Series: series, Time: int64(i), Value: 1 / float64(i*1000+j+1)})
		}
		if err := b.Publish(t.Context(), Samples, "c", in); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.js.Stream(t.Context(), "SAMPLES")
	if err != nil {
		t.Fatal(err)
	}
	state := s.CachedInfo().State
	if state.FirstSeq == 1 || state.Bytes > 1<<20 {
		t.Fatalf("first sequence %d, %d bytes: nothing was dropped", state.FirstSeq, state.Bytes)
	}
	c := &consumer{bus: b, name: "writer", kind: Samples, log: b.opt.Log}
	c.counters()
	before := c.missed.Get()
	if _, err := b.js.Publish(t.Context(), placeSubject("writer", Samples), []byte("0")); err != nil {
		t.Fatal(err)
	}
	consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples}}, int(state.Msgs)*1000, 0)
	if got, want := c.missed.Get()-before, state.FirstSeq-1; got != want {
		t.Errorf("counted %d missed messages, want %d", got, want)
	}
}

func TestLargeBatchIsSplit(t *testing.T) {
	b := open(t, t.TempDir(), 64<<20)
	defer closeBus(t, b)
	series := metric.MustSeries("c", "h", "load", nil, "", metric.Gauge)
	in := &batch.Batch{}
	for i := range batch.MaxSamples + 1000 {
		in.Samples = append(in.Samples, metric.Sample{Series: series, Time: int64(i)})
	}
	if err := b.Publish(t.Context(), Samples, "c", in); err != nil {
		t.Fatal(err)
	}
	checkOrder(t, consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples}}, len(in.Samples), 0), 0)
}

// What is said of many hosts has as many groups as samples, of which a decoder takes fewer.
func TestBatchOfManyHostsIsSplit(t *testing.T) {
	b := open(t, t.TempDir(), 64<<20)
	defer closeBus(t, b)
	in := &batch.Batch{}
	for i := range 2*batch.MaxGroups + 1 {
		series := metric.MustSeries("c", fmt.Sprint("h", i), "up", nil, "", metric.State)
		in.Samples = append(in.Samples, metric.Sample{Series: series, Time: int64(i)})
	}
	if err := b.Publish(t.Context(), Samples, "c", in); err != nil {
		t.Fatal(err)
	}
	checkOrder(t, consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples}}, len(in.Samples), 0), 0)
}

func TestConcurrentPublishersLoseNothing(t *testing.T) {
	b := open(t, t.TempDir(), 64<<20)
	defer closeBus(t, b)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := b.Publish(t.Context(), Samples, fmt.Sprintf("c.%d", w), numbered(w*50+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[int64]bool)
	for _, v := range consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples}, MaxWait: 10 * time.Millisecond}, 400, 0) {
		seen[v] = true
	}
	if len(seen) != 400 {
		t.Errorf("got %d different items, want 400", len(seen))
	}
}

func TestClusterNamesSurviveTheSubject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringMatching(`[a-z.*> =中/-]{1,20}`).Draw(t, "cluster")
		tok := token(want)
		if strings.ContainsAny(tok, ".*> ") {
			t.Fatalf("token %q", tok)
		}
		if got, err := name(tok); err != nil || got != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	})
}

// A process that is killed without warning loses nothing that it had told to be published.
func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := 0
	for acked < 200 {
		var n int
		if _, err := fmt.Fscanln(out, &n); err != nil {
			t.Fatalf("the publisher ended early: %v", err)
		}
		acked = n + 1
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	b := open(t, filepath.Join(dir, "bus"), 64<<20)
	defer closeBus(t, b)
	s, err := b.js.Stream(t.Context(), "SAMPLES")
	if err != nil {
		t.Fatal(err)
	}
	held := int(s.CachedInfo().State.Msgs)
	if held < acked {
		t.Fatalf("%d messages after the kill, %d had been acknowledged", held, acked)
	}
	checkOrder(t, consume(t, b, "writer", ConsumeOptions{Kinds: []Kind{Samples}}, held, 0), 0)
}

func publishUntilKilled(dir string) {
	b, err := Open(context.Background(), Options{Dir: filepath.Join(dir, "bus"), MaxBytes: 64 << 20, Log: slog.New(slog.DiscardHandler)})
	for i := 0; err == nil; i++ {
		if err = b.Publish(context.Background(), Samples, "c", numbered(i)); err == nil {
			_, err = fmt.Println(i)
		}
	}
	fmt.Fprintln(os.Stderr, err)
}
