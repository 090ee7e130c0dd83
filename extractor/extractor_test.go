package extractor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"keepwatch/bus"
	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
	"keepwatch/schema/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func keyring(t testing.TB) *frame.Keyring {
	t.Helper()
	k, err := frame.ParseKey(1, strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := frame.NewKeyring(k)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// sender makes sealed datagrams.
type sender struct {
	sealer *frame.Sealer
	host   string
}

func newSender(t testing.TB, ring *frame.Keyring, host string) *sender {
	t.Helper()
	s, err := frame.NewSealer(frame.SealerOptions{Keys: ring, Boot: frame.Boot{Start: time.Now().UnixMilli(), Random: rand.Uint64()}, Cluster: "web", Host: host, Payload: 1400})
	if err != nil {
		t.Fatal(err)
	}
	return &sender{s, host}
}

func (s *sender) frame(name string, at int64, value float64, gmond bool) []byte {
	var out []byte
	b := &batch.Batch{Samples: []metric.Sample{{Series: metric.MustSeries("web", s.host, name, nil, "", metric.Gauge), Time: at, Value: value}}}
	s.sealer.Seal(b, frame.Stamp{Now: time.Now(), Interval: 15 * time.Second, Gmond: gmond}, func(d []byte) { out = slices.Clone(d) })
	return out
}

func (s *sender) event(id string) []byte {
	var out []byte
	b := &batch.Batch{Events: []metric.Event{{ID: id, Cluster: "web", Host: s.host, Time: 1, Kind: metric.EventVIPTaken, Text: "t"}}}
	s.sealer.Seal(b, frame.Stamp{Now: time.Now()}, func(d []byte) { out = slices.Clone(d) })
	return out
}

// aggregator serves the state stream over what it was given.
type aggregator struct {
	t    testing.TB
	ring *frame.Keyring
	ln   net.Listener
	wg   sync.WaitGroup

	mu      sync.Mutex
	entries [][]byte
	at      []int64
	changed chan struct{}
	conns   map[net.Conn]bool
	mute    bool // keeps connections open and says nothing
	asked   []int64
}

func newAggregator(t testing.TB, ring *frame.Keyring) *aggregator {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &aggregator{t: t, ring: ring, ln: ln, changed: make(chan struct{}), conns: make(map[net.Conn]bool)}
	a.wg.Go(a.accept)
	t.Cleanup(a.stop)
	return a
}

func (a *aggregator) addr() string { return a.ln.Addr().String() }

func (a *aggregator) stop() {
	a.ln.Close()
	a.mu.Lock()
	for c := range a.conns {
		c.Close()
	}
	a.mu.Unlock()
	a.wg.Wait()
}

func (a *aggregator) accept() {
	greeter := frame.NewGreeter(a.ring)
	for {
		c, err := a.ln.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		a.conns[c] = true
		a.mu.Unlock()
		a.wg.Go(func() {
			defer func() { a.mu.Lock(); delete(a.conns, c); a.mu.Unlock(); c.Close() }()
			hello := make([]byte, frame.HelloSize)
			if _, err := io.ReadFull(c, hello); err != nil {
				return
			}
			a.mu.Lock()
			w, since, err := greeter.Accept(hello, frame.Nonce{byte(rand.Uint32()), byte(rand.Uint32()), byte(rand.Uint32())}, time.Now())
			a.asked = append(a.asked, since)
			a.mu.Unlock()
			if err == nil {
				a.serve(c, w, since)
			}
		})
	}
}

func (a *aggregator) serve(c net.Conn, w *frame.StreamWriter, since int64) {
	out := w.AppendClock(w.AppendGreeting(nil), time.Now().UnixMilli())
	for i := 0; ; {
		a.mu.Lock()
		for ; i < len(a.entries) && !a.mute; i++ {
			if a.at[i] >= since {
				out = w.AppendFrame(out, a.at[i], a.entries[i])
			}
		}
		changed, mute := a.changed, a.mute
		a.mu.Unlock()
		if !mute {
			out = w.AppendHeartbeat(out, time.Now().UnixMilli(), 0)
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		out = out[:0]
		select {
		case <-changed:
		case <-time.After(frame.Heartbeat):
		}
		// The extractor closes the connection when it ends.
		_ = c.SetReadDeadline(time.Now().Add(time.Microsecond))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			return
		}
	}
}

func (a *aggregator) hear(at int64, datagrams ...[]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range datagrams {
		a.entries, a.at = append(a.entries, d), append(a.at, at)
	}
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *aggregator) silence() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mute = true
}

// sink is the bus.
type sink struct {
	mu      sync.Mutex
	got     map[string]int // series and time: how often
	events  map[string]int
	texts   []string // of events
	changed chan struct{}
}

func newSink() *sink {
	return &sink{got: make(map[string]int), events: make(map[string]int), changed: make(chan struct{}, 1)}
}

func (s *sink) Publish(_ context.Context, _ bus.Kind, cluster string, b *batch.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range b.Samples {
		s.got[fmt.Sprintf("%s/%s %s@%d", cluster, x.Series.Host, x.Series.Name, x.Time)]++
	}
	for _, e := range b.Events {
		s.events[string(e.Kind)+" "+e.ID]++
		s.texts = append(s.texts, e.Text)
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

func (s *sink) Consume(ctx context.Context, _ string, _ bus.ConsumeOptions, _ func(context.Context, []bus.Message) error) error {
	<-ctx.Done()
	return nil
}

func (s *sink) Lag(context.Context, string, bus.Kind) (uint64, time.Duration, error) {
	return 0, 0, nil
}

// await returns when done says so.
func (s *sink) await(t testing.TB, what string, done func() bool) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		s.mu.Lock()
		ok := done()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.changed:
		case <-timeout:
			t.Fatalf("no %s within a minute; got %v", what, s.got)
		}
	}
}

func start(t *testing.T, dir string, s *sink, collectors ...string) (stop func()) {
	t.Helper()
	database := pgtest.New(t)
	leaks := goleak.IgnoreCurrent()
	e, err := New(Options{
		Config: conf.Extractor{Clusters: []conf.Cluster{{Name: "web", Collectors: collectors}}, Storage: conf.Default().Extractor.Storage},
		Keys:   keyring(t), DataDir: dir, Bus: s, DB: database, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := goleak.Find(leaks, goleak.IgnoreAnyFunction("keepwatch/extractor.(*aggregator).serve"), goleak.IgnoreAnyFunction("keepwatch/extractor.(*aggregator).accept")); err != nil {
			t.Error(err)
		}
	})
}

// Two aggregators hear the same; whichever serves, and however it fails, each sample is published once.
func TestFailoverLosesAndDoublesNothing(t *testing.T) {
	for _, how := range []string{"stops", "falls silent"} {
		t.Run(how, func(t *testing.T) {
			ring := keyring(t)
			a, b := newAggregator(t, ring), newAggregator(t, ring)
			host, s := newSender(t, ring, "web1"), newSink()
			both := func(from, to int) {
				now := time.Now().UnixMilli() // by which the senders' clocks are right
				for i := from; i < to; i++ {
					d := host.frame("load", int64(i), 1, false)
					a.hear(now, d)
					b.hear(now+3, d)
				}
			}
			stop := start(t, t.TempDir(), s, a.addr(), b.addr())
			defer stop()
			both(0, 50)
			s.await(t, "first half", func() bool { return countOf(s, "load") == 50 })
			if how == "stops" {
				a.stop()
			} else {
				a.silence()
			}
			both(50, 100)
			s.await(t, "second half", func() bool { return countOf(s, "load") == 100 })
			s.await(t, "event of the loss", func() bool { return s.has("aggregator_lost") })
			stop()
			for k, n := range s.got {
				if n != 1 && strings.Contains(k, "load") {
					t.Errorf("%s was published %d times", k, n)
				}
			}
		})
	}
}

// has says whether an event of that kind came.
func (s *sink) has(kind string) bool {
	for k := range s.events {
		if strings.HasPrefix(k, kind+" ") {
			return true
		}
	}
	return false
}

func countOf(s *sink, name string) (n int) {
	for k := range s.got {
		if strings.Contains(k, name) {
			n++
		}
	}
	return n
}

// A second run begins where the first one ended.
func TestRestartResumes(t *testing.T) {
	ring := keyring(t)
	a := newAggregator(t, ring)
	host, s, dir := newSender(t, ring, "web1"), newSink(), t.TempDir()
	now := time.Now().UnixMilli()
	a.hear(now-300_000, host.frame("old", 1, 1, false))
	a.hear(now, host.frame("load", 1, 1, false))
	stop := start(t, dir, s, a.addr())
	s.await(t, "first sample", func() bool { return countOf(s, "load") == 1 && countOf(s, "old") == 1 })
	stop()
	a.hear(now+1, host.frame("load", 2, 1, false))
	stop = start(t, dir, s, a.addr())
	defer stop()
	s.await(t, "second sample", func() bool { return countOf(s, "load") == 2 })
	stop()
	for k, n := range s.got {
		if n != 1 && strings.Contains(k, "old") {
			t.Errorf("what was long done was published as %s %d times", k, n)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked[0] != 0 || a.asked[1] < now-(otherMargin+sameMargin).Milliseconds()-1000 {
		t.Errorf("asked for %v, want all and then from about %d", a.asked, now)
	}
}

func TestEventsAndGmondSamplesComeOnce(t *testing.T) {
	ring := keyring(t)
	a, b := newAggregator(t, ring), newAggregator(t, ring)
	host, s := newSender(t, ring, "web1"), newSink()
	viaA, viaB := newSender(t, ring, "web1"), newSender(t, ring, "web1")
	now := time.Now().UnixMilli()
	stop := start(t, t.TempDir(), s, a.addr(), b.addr())
	defer stop()
	a.hear(now, host.event("1"), host.event("1"), viaA.frame("gmond_load_one", now-20_000, 1, true), viaA.frame("gmond_load_one", now, 1, true))
	b.hear(now, viaB.frame("gmond_load_one", now-19_990, 1, true), viaB.frame("gmond_load_one", now+7, 1, true), host.event("1"))
	s.await(t, "samples of the first", func() bool { return countOf(s, "node_load1") == 2 })
	a.stop()
	b.hear(time.Now().UnixMilli(), viaB.frame("gmond_load_one", now+20_007, 1, true))
	s.await(t, "sample of the second", func() bool { return s.got[fmt.Sprintf("web/web1 node_load1@%d", now+20_007)] == 1 })
	if n := countOf(s, "node_load1"); n != 3 {
		t.Errorf("got %d gmond samples, want 3: %v", n, s.got)
	}
	if n := s.events["vip_taken 1"]; n != 1 {
		t.Errorf("the event was published %d times", n)
	}
}

// The stream is opened anew when the keys change.
func TestSetKeys(t *testing.T) {
	ring := keyring(t)
	a := newAggregator(t, ring)
	s := newSink()
	e, err := New(Options{Config: conf.Default().Extractor, Cluster: "web", Local: a.addr(), Keys: ring, DataDir: t.TempDir(), Bus: s, DB: pgtest.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	host := newSender(t, ring, "web1")
	a.hear(time.Now().UnixMilli(), host.frame("load", 1, 1, false))
	s.await(t, "sample", func() bool { return countOf(s, "load") == 1 })
	e.SetKeys(keyring(t))
	a.hear(time.Now().UnixMilli(), host.frame("load", 2, 1, false))
	a.hear(time.Now().UnixMilli(), host.frame("load", 3, 1, false))
	s.await(t, "samples after", func() bool { return countOf(s, "load") == 3 })
	if st := e.Status(); st.Clusters[0].Collector != a.addr() || st.Clusters[0].Hosts != 1 {
		t.Errorf("status %+v", st)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text := strings.Join(s.texts, "; "); strings.Contains(text, errNewKeys.Error()) {
		t.Errorf("other keys are no loss of the collector: %s", text)
	}
}

func TestWindowAcceptsEachSequenceOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		seen := make(map[uint64]bool)
		base := rapid.Uint64Range(1, 1<<40).Draw(t, "base")
		for _, d := range rapid.SliceOf(rapid.Uint64Range(0, windowBits-65)).Draw(t, "steps") {
			seq := base + d
			if got := w.mark(seq, false); got == seen[seq] {
				t.Fatalf("sequence %d: new is %v", seq, got)
			}
			seen[seq] = true
		}
	})
}

func TestRecentRemembers(t *testing.T) {
	var r recent
	for i := range 5 * maxRecent {
		if !r.add(fmt.Sprint(i)) {
			t.Fatalf("%d passes for known", i)
		}
	}
	for i := range maxRecent {
		if k := 4*maxRecent + i; r.add(fmt.Sprint(k)) {
			t.Fatalf("%d is forgotten", k)
		}
	}
	if len(r.young)+len(r.old) > 2*maxRecent {
		t.Errorf("%d keys are held", len(r.young)+len(r.old))
	}
}
