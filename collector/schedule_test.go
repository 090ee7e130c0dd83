package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/listen"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"

	"pgregory.net/rapid"
)

// fake is a probe that does as it is told.
type fake struct {
	name     string
	interval time.Duration
	collect  func(ctx context.Context, now time.Time, out *batch.Batch) error
	watch    func(ctx context.Context, emit func(*batch.Batch)) error
}

func (f *fake) Name() string            { return f.name }
func (f *fake) Interval() time.Duration { return f.interval }
func (f *fake) Collect(ctx context.Context, now time.Time, out *batch.Batch) error {
	return f.collect(ctx, now, out)
}

type fakeWatcher struct{ fake }

func (f *fakeWatcher) Watch(ctx context.Context, emit func(*batch.Batch)) error {
	return f.watch(ctx, emit)
}

// newQuiet makes a collector without any socket that receives, and with these probes alone.
func newQuiet(t *testing.T, log *slog.Logger) *Collector {
	t.Helper()
	cfg := conf.Default().Collector
	cfg.Native.Group, cfg.Gmond.Receive, cfg.Serve.Listen, cfg.Probes.Host.Enabled = "", nil, "", false
	c, err := New(Options{Config: cfg, Cluster: "lab", Host: "web1", DataDir: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTableMakesWhatIsAskedFor(t *testing.T) {
	c := newQuiet(t, nil)
	defer c.Close()
	names := func(cfg conf.Probes) (out []string) {
		t.Helper()
		full := c.conf
		full.Probes = cfg
		set, err := c.buildProbes(full)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range set.status() {
			out = append(out, s.Name)
		}
		return out
	}
	if got := fmt.Sprint(names(conf.Probes{})); got != "[collector]" {
		t.Errorf("nothing asked for: got %s", got)
	}
	c.opt.HAAgent = true
	all := conf.Probes{
		Host:    conf.HostProbe{Enabled: true},
		HAProxy: []conf.HAProxyProbe{{Name: "edge", Socket: "/run/a.sock"}, {Name: "inner", Socket: "/run/b.sock"}},
		VRRP:    conf.VRRPProbe{Listen: []string{"lo"}},
		SNMP:    []conf.SNMPProbe{{Host: "switch1", Target: "192.0.2.1", Version: "2c", Timeout: time.Second}},
	}
	if got := names(all); len(got) != 7 {
		t.Errorf("got %q, want collector, host, two haproxy, two vrrp and one snmp", got)
	}
	all.HAProxy[1].Name = "edge"
	full := c.conf
	full.Probes = all
	if _, err := c.buildProbes(full); err == nil || !strings.Contains(err.Error(), "two probes are named") {
		t.Errorf("two of one name: got %v", err)
	}
	full.Probes = conf.Probes{HAProxy: []conf.HAProxyProbe{{}}}
	if _, err := c.buildProbes(full); err == nil || !strings.HasPrefix(err.Error(), "collector.probes.haproxy[0]: ") {
		t.Errorf("no socket: got %v", err)
	}
}

func TestFirstRunIsSoonAndTheRestInPhase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(time.Hour)).Draw(t, "interval"))
		now := time.Unix(0, rapid.Int64Range(0, 2e18).Draw(t, "now"))
		phase := rapid.Uint64().Draw(t, "phase")
		first, next := delays(now, interval, phase)
		if first < 0 || first >= firstWithin || next < first+interval/2 || next >= first+interval/2+interval {
			t.Fatalf("interval %v: first after %v, next after %v", interval, first, next)
		}
		if got, want := now.Add(next).UnixNano()%int64(interval), int64(phase%uint64(interval)); got != want {
			t.Fatalf("second run at phase %d, want %d", got, want)
		}
	})
}

// runs lets probes run for some time of a clock that jumps, and gives what the state heard.
func runs(t *testing.T, c *Collector, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := c.runProbes(ctx); err != nil {
		t.Error(err)
	}
}

func TestProbesRunAtTheirIntervalAndFailuresAreSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newQuiet(t, slog.New(slog.NewTextHandler(&log, nil)))
		defer c.Close()
		count := map[string]int{}
		var mu sync.Mutex
		told := func(name string, err func() error) *fake {
			return &fake{name: name, interval: 10 * time.Second, collect: func(ctx context.Context, _ time.Time, _ *batch.Batch) error {
				mu.Lock()
				count[name]++
				mu.Unlock()
				if name == "hangs" {
					<-ctx.Done()
				}
				return err()
			}}
		}
		c.set = &probeSet{pulse: time.Minute}
		for _, p := range []*fake{
			told("works", func() error { return nil }),
			told("fails", func() error { return errors.New("no such socket") }),
			told("panics", func() error { panic("index out of range") }),
			told("hangs", func() error { return context.DeadlineExceeded }),
		} {
			if err := c.set.add(c.opt, p, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		runs(t, c, 101*time.Second)
		for _, name := range []string{"works", "fails", "panics"} {
			if n := count[name]; n < 10 || n > 11 {
				t.Errorf("%s: ran %d times in 101 s, want 10 or 11", name, n)
			}
		}
		if n := count["hangs"]; n < 5 || n > 11 {
			t.Errorf("hangs: ran %d times, want each to end at its interval", n)
		}
		for _, s := range c.Status().Probes {
			if want := s.Name != "works"; (s.Error != "") != want || s.Ran.IsZero() {
				t.Errorf("%s: status %+v", s.Name, s)
			}
		}
		if n := strings.Count(log.String(), "no such socket"); n != 1 {
			t.Errorf("the same error was logged %d times, want once:\n%s", n, &log)
		}
	})
}

func TestWatcherIsCalledAgainAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newQuiet(t, nil)
		defer c.Close()
		var calls []time.Time
		w := &fakeWatcher{fake{name: "w", interval: 4 * time.Second, collect: func(context.Context, time.Time, *batch.Batch) error { return nil },
			watch: func(ctx context.Context, emit func(*batch.Batch)) error {
				calls = append(calls, time.Now())
				emit(&batch.Batch{Events: []metric.Event{{ID: fmt.Sprint(len(calls)), Cluster: "lab", Host: "web1", Kind: metric.EventVIPTaken}}})
				if len(calls) == 6 {
					<-ctx.Done()
					return nil
				}
				if len(calls) == 2 {
					panic("oops")
				}
				return errors.New("gone")
			}}}
		c.set = &probeSet{pulse: time.Minute}
		if err := c.set.add(c.opt, w, time.Minute); err != nil {
			t.Fatal(err)
		}
		runs(t, c, time.Minute)
		var pauses []time.Duration
		for i := 1; i < len(calls); i++ {
			pauses = append(pauses, calls[i].Sub(calls[i-1]))
		}
		if got, want := fmt.Sprint(pauses), "[500ms 1s 2s 4s 4s]"; got != want {
			t.Errorf("pauses: got %s, want %s", got, want)
		}
	})
}

func TestEventsGoOutAgainTwice(t *testing.T) {
	var r resend
	e := func(id string) metric.Event { return metric.Event{ID: id} }
	r.add([]metric.Event{e("a")})
	step := func(want string, fresh ...metric.Event) {
		t.Helper()
		var ids []string
		for _, e := range r.append(nil) {
			ids = append(ids, e.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		r.add(fresh)
	}
	step("a", e("b"))
	step("a b")
	step("b")
	step("")
	for i := range 2 * maxResend {
		r.add([]metric.Event{e(fmt.Sprint(i))})
	}
	if got := r.append(nil); len(got) != maxResend || got[0].ID != fmt.Sprint(maxResend) {
		t.Errorf("got %d events from %q, want the newest %d", len(got), got[0].ID, maxResend)
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	a, err := LoadKeys(nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v; want mode 0600", st.Mode(), err)
	}
	b, err := LoadKeys(nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	var sealed []byte
	s, err := frame.NewSealer(frame.SealerOptions{Keys: a, Cluster: "lab", Host: "h", Payload: 1400})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s.Seal(&batch.Batch{Events: []metric.Event{{ID: "1", Cluster: "c", Host: "h", Kind: "k"}}}, frame.Stamp{Now: now}, func(d []byte) { sealed = append(sealed, d...) })
	o, err := frame.NewOpener(frame.OpenerOptions{Keys: b})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Open(sealed, now); err != nil {
		t.Errorf("the key read again is another one: %v", err)
	}
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte(testKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{open: "chmod 600", short: "want 64 hexadecimal digits", filepath.Join(dir, "none"): "no such file"} {
		if _, err := LoadKeys([]conf.Key{{ID: 1, File: file}}, dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", file, err, want)
		}
	}
}

// BenchmarkReceive sends frames over loopback: socket, seal, scan, history. What the kernel dropped is not counted.
func BenchmarkReceive(b *testing.B) {
	dir := b.TempDir()
	cfg := conf.Default().Collector
	cfg.Native = conf.Native{Listen: "127.0.0.1:0", Payload: 1400}
	cfg.Gmond.Receive, cfg.Serve.Listen, cfg.Probes.Host.Enabled = nil, "127.0.0.1:0", false
	c, err := New(Options{Config: cfg, Cluster: "lab", Host: "agg", DataDir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ring, err := LoadKeys(nil, dir)
	if err != nil {
		b.Fatal(err)
	}
	sealer, err := frame.NewSealer(frame.SealerOptions{Keys: ring, Boot: frame.Boot{Start: time.Now().UnixMilli(), Random: 5}, Cluster: "lab", Host: "web1", Payload: 1400})
	if err != nil {
		b.Fatal(err)
	}
	in := &batch.Batch{}
	for i := range 250 {
		in.Samples = append(in.Samples, metric.Sample{Series: metric.MustSeries("lab", "web1", fmt.Sprintf("node_metric_number_%d", i), nil, "", metric.Gauge), Value: float64(i)})
	}
	send, err := listen.OpenSender(context.Background(), []listen.SendChannel{{To: c.Listeners().Native[0].String()}}, listen.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer send.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	taken := make(chan int, 1024)
	done := make(chan error, 1)
	go func() {
		done <- c.sockets.native[0].Run(ctx, func(ps []listen.Packet) {
			c.takeNative(0, ps)
			taken <- len(ps)
		})
	}()
	b.ReportAllocs()
	for b.Loop() {
		frames := 0
		for range 100 {
			sealer.Seal(in, frame.Stamp{Now: time.Now(), Interval: time.Minute}, func(d []byte) {
				if _, err := send.Send(d); err != nil {
					b.Error(err)
				}
				frames++
			})
		}
		for frames > 0 {
			frames -= <-taken
		}
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "frames/s")
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
	if st := c.state.Status(time.Now()); len(st.Hosts) != 1 || st.Hosts[0].Series != 250 || st.Hosts[0].Address != netip.MustParseAddr("127.0.0.1").String() {
		b.Errorf("got %+v", st.Hosts)
	}
}
