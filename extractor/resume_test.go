package extractor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keepwatch/bus"
	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// slack is how far from its time a sample may be stored, ms: an aggregator's clock that is wrong by less is not corrected
// at once.
const slack = 2000

// scenario is what happens to a cluster, drawn beforehand; times are ms since its begin.
type scenario struct {
	seed       uint64
	length     int64
	aggregator []fate
	senders    int
	gmonds     int
	crashes    []outage // of the extractor
	slow       []outage // of the bus: each publish then takes a second and a half
}

// fate is what happens to one aggregator.
type fate struct {
	skew   int64    // of its clock, ms
	steps  []jump   // of its clock
	deaths []outage // it forgets all
	cuts   []int64  // its connections break
	hangs  bool     // while it is dead a connection is not refused but not answered
}

type jump struct{ at, by int64 }

type outage struct{ from, to int64 }

func (o outage) has(at int64) bool { return at >= o.from && at < o.to }

func drawOutages(t *rapid.T, what string, most int, longest, length int64) (out []outage) {
	at := int64(0)
	for range rapid.IntRange(0, most).Draw(t, what) {
		at += rapid.Int64Range(2000, length/2).Draw(t, what+" after")
		to := at + rapid.Int64Range(100, longest).Draw(t, what+" for")
		if to >= length {
			break
		}
		out = append(out, outage{at, to})
		at = to
	}
	return out
}

func drawScenario(t *rapid.T) scenario {
	s := scenario{
		seed: rapid.Uint64().Draw(t, "seed"), length: rapid.Int64Range(20_000, 240_000).Draw(t, "length"),
		senders: rapid.IntRange(1, 3).Draw(t, "senders"), gmonds: rapid.IntRange(0, 2).Draw(t, "gmonds"),
	}
	const skew = 5000
	for i := range rapid.IntRange(2, 3).Draw(t, "aggregators") {
		name := fmt.Sprintf("aggregator %d ", i)
		f := fate{skew: rapid.Int64Range(-skew, skew).Draw(t, name+"skew"), hangs: rapid.Bool().Draw(t, name+"hangs")}
		f.deaths = drawOutages(t, name+"dies", 4, 60_000, s.length)
		for _, o := range drawOutages(t, name+"cut", 3, 1000, s.length) {
			f.cuts = append(f.cuts, o.from)
		}
		if rapid.IntRange(0, 3).Draw(t, name+"clock is set") == 0 {
			// What is below three seconds is corrected no better than to gmondSlack.
			by := rapid.Int64Range(3000, 40_000).Draw(t, name+"by")
			if rapid.Bool().Draw(t, name+"is set back") {
				by = -by
			}
			f.steps = []jump{{rapid.Int64Range(1000, s.length).Draw(t, name+"at"), by}}
		}
		s.aggregator = append(s.aggregator, f)
	}
	s.crashes = drawOutages(t, "extractor crashes", 2, 30_000, s.length)
	s.slow = drawOutages(t, "bus is slow", 2, 20_000, s.length)
	return s
}

// Property: whatever dies, restarts, is cut off or slow, in whatever order frames are heard, every sample that an
// aggregator heard and remembered is published, and by one run of the extractor once.
func TestNothingIsLostOrDoubled(t *testing.T) {
	// The compressors keep channels, which must not be those of a bubble.
	if _, err := batch.Decompress(nil, batch.Compress(nil, nil)); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScenario(rt)
		var wrong []string
		dir := t.TempDir()
		ring := keyring(t)
		synctest.Test(t, func(t *testing.T) { wrong = play(t, s, dir, ring) })
		if len(wrong) > 0 {
			rt.Fatalf("%d samples are wrong:\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
		}
	})
}

// world is a scenario on its way, in a bubble with its own clock.
type world struct {
	s     scenario
	start time.Time
	rnd   *rand.Rand
	ring  *frame.Keyring
	nodes []*node

	mu      sync.Mutex
	spoken  int               // samples so far; the number of each is its value, whatever becomes of its time
	must    map[string]string // sample that must come: why
	taken   []int64           // when each was taken, ms since the epoch
	got     map[string]int    // by the present run
	ever    map[string]bool   // by any
	doubled []string
}

func (w *world) now() int64 { return time.Since(w.start).Milliseconds() }

func play(t *testing.T, s scenario, dir string, ring *frame.Keyring) []string {
	w := &world{
		s: s, start: time.Now(), rnd: rand.New(rand.NewPCG(s.seed, 1)), ring: ring,
		must: make(map[string]string), got: make(map[string]int), ever: make(map[string]bool),
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var addrs []string
	var wg sync.WaitGroup
	for i, f := range s.aggregator {
		n := newNode(w, f, i)
		w.nodes = append(w.nodes, n)
		addrs = append(addrs, n.addr)
		wg.Go(func() { n.live(ctx) })
	}
	wg.Go(func() { w.talk(ctx) })
	wg.Go(func() { w.extract(t, ctx, dir, addrs) })
	// What is owed must have come two minutes after all is well again.
	rest(ctx, time.Duration(s.length)*time.Millisecond+2*time.Minute)
	cancel()
	for _, n := range w.nodes {
		n.wg.Wait()
	}
	wg.Wait()
	wrong := slices.Clone(w.doubled)
	for k, why := range w.must {
		if !w.ever[k] {
			wrong = append(wrong, fmt.Sprintf("%s never came: %s", k, why))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// rest waits on the bubble's clock.
func rest(ctx context.Context, d time.Duration) bool { return pause(ctx, d) }

// extract runs the extractor and lets it crash: what its file holds then is what it knows.
func (w *world) extract(t *testing.T, ctx context.Context, dir string, addrs []string) {
	for i := 0; ; i++ {
		end := time.Duration(1<<62 - 1)
		if i < len(w.s.crashes) {
			end = time.Duration(w.s.crashes[i].from-w.now()) * time.Millisecond
		}
		run, stop := context.WithCancel(ctx)
		b, err := openBook(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Error(err)
			stop()
			return
		}
		opt := &Options{Bus: w, Keys: w.ring, Log: slog.New(slog.DiscardHandler), HostDmax: time.Hour, Interval: 15 * time.Second}
		p, err := newPull(conf.Cluster{Name: "web", Collectors: addrs}, opt, b)
		if err != nil {
			t.Error(err)
			stop()
			return
		}
		p.dial = w.dial
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.run(run) })
		wg.Go(func() {
			if err := p.run(run); err != nil {
				t.Error(err)
			}
		})
		rest(ctx, end)
		stop()
		wg.Wait()
		if ctx.Err() != nil || i >= len(w.s.crashes) {
			return
		}
		w.mu.Lock()
		clear(w.got)
		w.mu.Unlock()
		if !rest(ctx, time.Duration(w.s.crashes[i].to-w.now())*time.Millisecond) {
			return
		}
	}
}

// talk lets the senders speak until the scenario ends.
func (w *world) talk(ctx context.Context) {
	type mouth struct {
		sealer *frame.Sealer
		name   string
		gmond  bool
		next   int64
	}
	var mouths []*mouth
	for i := range w.s.senders + w.s.gmonds {
		m := &mouth{name: fmt.Sprintf("host%d", i), gmond: i >= w.s.senders}
		m.sealer = w.sealer(m.name, uint64(i))
		mouths = append(mouths, m)
	}
	for w.now() < w.s.length {
		for _, m := range mouths {
			if w.now() < m.next {
				continue
			}
			if m.gmond {
				// gmond sends a metric no more often than this.
				m.next = w.now() + 4000 + w.rnd.Int64N(2000)
				w.packet(m.name)
				continue
			}
			m.next = w.now() + 500 + w.rnd.Int64N(1500)
			w.frame(m.sealer, m.name)
		}
		if !rest(ctx, 100*time.Millisecond) {
			return
		}
	}
}

func (w *world) sealer(host string, random uint64) *frame.Sealer {
	s, err := frame.NewSealer(frame.SealerOptions{Keys: w.ring, Boot: frame.Boot{Start: time.Now().UnixMilli(), Random: random}, Cluster: "web", Host: host, Payload: 1400})
	if err != nil {
		panic(err)
	}
	return s
}

func seal(s *frame.Sealer, host, name string, at int64, value int, gmond bool) (out []byte) {
	b := &batch.Batch{Samples: []metric.Sample{{Series: metric.MustSeries("web", host, name, nil, "", metric.Gauge), Time: at, Value: float64(value)}}}
	s.Seal(b, frame.Stamp{Now: time.UnixMilli(at), Interval: 15 * time.Second, Gmond: gmond}, func(d []byte) { out = slices.Clone(d) })
	return out
}

func (w *world) speak() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spoken++
	w.taken = append(w.taken, time.Now().UnixMilli())
}

// frame is heard by every aggregator that lives, by each a little later or twice.
func (w *world) frame(s *frame.Sealer, host string) {
	w.speak()
	d := seal(s, host, "load", time.Now().UnixMilli(), w.spoken, false)
	key := fmt.Sprintf("%s load %d", host, w.spoken)
	for _, n := range w.nodes {
		for range 1 + w.rnd.IntN(8)/7 {
			n.hear(w.rnd.Int64N(300), func() []byte { return d }, func(why string) { w.must[key] = why })
		}
	}
}

// packet is a gmond packet: each aggregator gives it the time at which it came, and makes a frame of its own. One of
// the samples that they make of it must come.
func (w *world) packet(host string) {
	w.speak()
	number := w.spoken
	key := fmt.Sprintf("%s gmond_sensor %d", host, number)
	for _, n := range w.nodes {
		n.hear(w.rnd.Int64N(100), func() []byte {
			return seal(n.sealer, host, "gmond_sensor", n.clock(), number, true)
		}, func(why string) { w.must[key] = why })
	}
}

// Publish takes note of what comes.
func (w *world) Publish(ctx context.Context, _ bus.Kind, _ string, b *batch.Batch) error {
	for _, o := range w.s.slow {
		if o.has(w.now()) && !rest(ctx, 1500*time.Millisecond) {
			return ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range b.Samples {
		if x.Series.Name != "load" && x.Series.Name != "gmond_sensor" {
			continue
		}
		key := fmt.Sprintf("%s %s %.0f", x.Series.Host, x.Series.Name, x.Value)
		w.ever[key] = true
		if off := x.Time - w.taken[int(x.Value)-1]; off > slack || off < -slack {
			w.doubled = append(w.doubled, fmt.Sprintf("%s is stored %d ms off", key, off))
		}
		if w.got[key]++; w.got[key] == 2 {
			w.doubled = append(w.doubled, key+" came twice in one run")
		}
	}
	return nil
}

func (w *world) Consume(ctx context.Context, _ string, _ bus.ConsumeOptions, _ func(context.Context, []bus.Message) error) error {
	<-ctx.Done()
	return nil
}

func (w *world) Lag(context.Context, string, bus.Kind) (uint64, time.Duration, error) {
	return 0, 0, nil
}

func (w *world) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	for _, n := range w.nodes {
		if n.addr == addr {
			return n.accept(ctx)
		}
	}
	return nil, errors.New("no such address")
}
