package collector

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
	"keepwatch/metric"
)

// lossy has a host's kernel drop a fifth of what comes from other hosts by UDP.
func lossy(t *testing.T, nd *netnstest.Node) {
	t.Helper()
	program(t, "nft", "nftables")
	rules := `add table inet loss
add chain inet loss input { type filter hook input priority 0; }
add rule inet loss input iifname eth0 meta l4proto udp numgen random mod 100 < 20 counter drop`
	cmd := nd.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	t.Cleanup(func() {
		out, err := nd.Command("nft", "list", "chain", "inet", "loss", "input").CombinedOutput()
		if err != nil || strings.Contains(string(out), "packets 0 ") {
			t.Errorf("nothing was dropped: %v: %s", err, out)
		}
	})
}

// quiet is a configuration of a collector that sends what the test publishes, and little else.
func quiet(t *testing.T) conf.Collector {
	cfg := testConf(t)
	cfg.Interval = time.Hour
	cfg.Probes = conf.Probes{}
	cfg.Gmond.Receive, cfg.Gmond.XML.Listen = nil, ""
	return cfg
}

const seriesOfTest = "repair_test"

// publishAll publishes batches of three samples each, with the numbers from first to behind, exclusively.
func publishAll(c *Collector, host string, first, behind int) {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for i := first; i < behind; i++ {
		b := &batch.Batch{}
		for j := range 3 {
			s := metric.MustSeries("lab", host, seriesOfTest, []metric.Label{{Name: "number", Value: fmt.Sprint(j)}}, "", metric.Gauge)
			b.Samples = append(b.Samples, metric.Sample{Series: s, Time: int64(1_795_000_000_000 + i), Value: float64(i)})
		}
		c.Publish(b)
		<-tick.C
	}
}

// goOn publishes something else twice a second, as a host does: the last frame of all and both its beats may be lost.
func goOn(t *testing.T, c *Collector, host string) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		other := metric.MustSeries("lab", host, "other", nil, "", metric.Gauge)
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				c.Publish(&batch.Batch{Samples: []metric.Sample{{Series: other, Time: now.UnixMilli()}}})
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// stored reads a stream until n different samples of a host's test series have come, and fails when one comes twice.
func stored(t *testing.T, r *frame.StreamReader, host string, n int) {
	t.Helper()
	got := make(map[string]bool)
	var dec batch.Decoder
	for len(got) < n {
		rec, err := r.Next()
		if err != nil || rec.Err != nil {
			t.Fatalf("%v, %v; %d of %d samples came", err, rec.Err, len(got), n)
		}
		if rec.Heartbeat {
			continue
		}
		var b batch.Batch
		if err := dec.Decode(rec.Frame.Payload, &b); err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Samples {
			if s.Series.Host != host || s.Series.Name != seriesOfTest {
				continue
			}
			key := fmt.Sprintf("%s %d", s.Series.Key(), s.Time)
			if got[key] {
				t.Fatalf("%s came twice", key)
			}
			if s.Value != float64(s.Time-1_795_000_000_000) {
				t.Fatalf("%s is %v", key, s.Value)
			}
			got[key] = true
		}
	}
}

// With a fifth of all datagrams dropped at both hosts – frames, requests, answers, beats – every sample that one host
// sends is in the other's state, by multicast and by unicast, over IPv4 and IPv6.
func TestFrameLossIsRepaired(t *testing.T) {
	const batches = 700
	for name, ways := range map[string]func(from, to *conf.Native){
		"multicast": func(_, _ *conf.Native) {},
		"unicast": func(f, to *conf.Native) {
			f.Group, to.Group = "", ""
			to.Listen = "10.77.0.2:8660"
			f.SendTo = []string{to.Listen}
		},
		"IPv6 multicast": func(f, to *conf.Native) { f.Group, to.Group = "[ff05::72]:8660", "[ff05::72]:8660" },
	} {
		t.Run(name, func(t *testing.T) {
			nds := hosts(t, 2)
			for i, nd := range nds {
				nd.IP("addr", "add", fmt.Sprintf("fd77::%d/64", i+1), "dev", "eth0", "nodad")
				nd.IP("-6", "route", "add", "default", "dev", "eth0")
			}
			from, to := quiet(t), quiet(t)
			to.Keys = from.Keys
			ways(&from.Native, &to.Native)
			a, _ := start(t, nds[0], "web1", from)
			b, _ := start(t, nds[1], "web2", to)
			reader := stream(t, nds[1], b, 0)
			publishAll(a, "web1", 0, 1) // the first frame lets the listener know of the sender
			netnstest.Await(t, "first frame", func() error {
				if _, _, ok := b.state.SenderOf(a.boot); !ok {
					return errors.New("not heard yet")
				}
				return nil
			})
			lossy(t, nds[0])
			lossy(t, nds[1])
			repaired, lost := framesRepaired.Get(), framesLost.Get()
			publishAll(a, "web1", 1, batches)
			stop := goOn(t, a, "web1")
			stored(t, reader, "web1", 3*batches)
			stop()
			if n := framesRepaired.Get() - repaired; n < batches/10 {
				t.Errorf("%d of %d frames were repaired, want about a fifth", n, batches)
			}
			if n := framesLost.Get() - lost; n != 0 {
				t.Errorf("%d frames are lost", n)
			}
		})
	}
}

// relay passes datagrams on between a port of its own and a receiver, late, out of order and some of them twice, in
// both directions, as one UDP flow.
func relay(t *testing.T, ctx context.Context, listen, to string) (run func()) {
	t.Helper()
	front, err := net.ListenPacket("udp", listen)
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { front.Close(); back.Close() })
	var peer netip.AddrPort
	var mu sync.Mutex
	pass := func(wg *sync.WaitGroup, read func([]byte) (int, error), write func([]byte)) {
		buf := make([]byte, 1<<16)
		for {
			n, err := read(buf)
			if err != nil {
				if ctx.Err() != nil {
					return
				}
				continue // of a receiver that was down
			}
			for range 1 + rand.IntN(2) {
				d := append([]byte(nil), buf[:n]...)
				wg.Go(func() {
					late := time.NewTimer(time.Duration(rand.IntN(80)) * time.Millisecond)
					defer late.Stop()
					<-late.C
					write(d)
				})
			}
		}
	}
	return func() {
		var wg sync.WaitGroup
		wg.Go(func() {
			pass(&wg, func(b []byte) (int, error) {
				n, from, err := front.(*net.UDPConn).ReadFromUDPAddrPort(b)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					peer = from
				}
				return n, err
			}, func(d []byte) { _, _ = back.Write(d) })
		})
		wg.Go(func() {
			pass(&wg, back.Read, func(d []byte) {
				mu.Lock()
				defer mu.Unlock()
				_, _ = front.(*net.UDPConn).WriteToUDPAddrPort(d, peer)
			})
		})
		wg.Wait()
	}
}

// Through a network that delays, reorders and doubles everything, behind one address as behind NAT, each sample comes
// once.
func TestReorderedAndDoubledFrames(t *testing.T) {
	nd := hosts(t, 1)[0]
	from, to := quiet(t), quiet(t)
	to.Keys = from.Keys
	to.Native.Group, to.Native.Listen = "", "127.0.0.1:8662"
	from.Native.Group, from.Native.SendTo = "", []string{"127.0.0.1:8661"}
	ctx, cancel := context.WithCancel(t.Context())
	var run func()
	inNamespace(t, nd, func() error {
		run = relay(t, ctx, "127.0.0.1:8661", to.Native.Listen)
		return nil
	})
	done := make(chan struct{})
	go func() { run(); close(done) }()
	defer func() { cancel(); <-done }()
	from.Serve.Listen = ""
	a, _ := start(t, nd, "web1", from)
	b, _ := start(t, nd, "web2", to)
	reader := stream(t, nd, b, 0)
	lost := framesLost.Get()
	const batches = 500
	publishAll(a, "web1", 0, batches)
	stored(t, reader, "web1", 3*batches)
	if n := framesLost.Get() - lost; n != 0 {
		t.Errorf("%d frames are lost", n)
	}
}

// The last frame is lost, and there is no next one for an hour: the beat tells of it.
func TestLossOfTheLastFrameIsSeen(t *testing.T) {
	nds := hosts(t, 2)
	from, to := quiet(t), quiet(t)
	to.Keys = from.Keys
	a, _ := start(t, nds[0], "web1", from)
	b, _ := start(t, nds[1], "web2", to)
	reader := stream(t, nds[1], b, 0)
	publishAll(a, "web1", 0, 1)
	stored(t, reader, "web1", 3)
	drop := func(args ...string) {
		t.Helper()
		if out, err := nds[1].Command("nft", args...).CombinedOutput(); err != nil {
			t.Fatalf("nft: %v: %s", err, out)
		}
	}
	program(t, "nft", "nftables")
	drop("add", "table", "inet", "loss")
	drop("add", "chain", "inet", "loss", "input", "{ type filter hook input priority 0; }")
	drop("add", "rule", "inet", "loss", "input", `iifname eth0 meta l4proto udp @th,64,24 0x4b5746 drop`) // frames, "KWF", alone: the beats pass
	publishAll(a, "web1", 1, 2)                                                                           // the beats of the first are put off by the second
	drop("flush", "ruleset")
	stored(t, reader, "web1", 3)
}

// A frame that was recorded is refused by a collector that has started anew.
func TestRecordedFramesAreRefusedAfterARestart(t *testing.T) {
	nd := hosts(t, 1)[0]
	cfg := quiet(t)
	cfg.Native.Group, cfg.Native.Listen = "", "127.0.0.1:8660"
	ring, err := LoadKeys(cfg.Keys, "")
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := frame.NewSealer(frame.SealerOptions{Keys: ring, Boot: frame.Boot{Start: 1000, Random: 1}, Cluster: "lab", Host: "web9", Payload: 1400})
	if err != nil {
		t.Fatal(err)
	}
	var recorded []byte
	b := &batch.Batch{Samples: []metric.Sample{{Series: metric.MustSeries("lab", "web9", seriesOfTest, nil, "", metric.Gauge), Time: 1}}}
	sealer.Seal(b, frame.Stamp{Now: time.UnixMilli(2000), Interval: time.Minute}, func(d []byte) { recorded = append([]byte(nil), d...) })
	dir := t.TempDir()
	for i, want := range []error{nil, frame.ErrReplay} {
		var c *Collector
		inNamespace(t, nd, func() (err error) {
			c, err = New(Options{Config: cfg, Cluster: "lab", Host: "web1", DataDir: dir})
			return err
		})
		if err := c.state.Native(recorded, netip.Addr{}, time.Now()); !errors.Is(err, want) {
			t.Errorf("start %d: got %v, want %v", i, err, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// Frames are as long as the interface takes, or as configured.
func TestFramesFitTheMTU(t *testing.T) {
	nd := hosts(t, 1)[0]
	nd.IP("link", "set", "eth0", "mtu", "1000")
	cfg := quiet(t)
	a, _ := start(t, nd, "web1", cfg)
	wire := nd.Capture()
	b := &batch.Batch{}
	for i := range 3000 {
		s := metric.MustSeries("lab", "web1", fmt.Sprintf("%s_%d", seriesOfTest, i), nil, "", metric.Gauge)
		b.Samples = append(b.Samples, metric.Sample{Series: s, Time: 1, Value: float64(i)})
	}
	a.Publish(b)
	longest := 0
	for range 10 {
		p := wire.Await("a frame", func(p []byte) bool { return p[9] == 17 && len(p) > 28+3 && string(p[28:31]) == "KWF" })
		if p[6]&0x3f != 0 || p[7] != 0 {
			t.Fatalf("a frame was cut into fragments: % x", p[:20])
		}
		longest = max(longest, len(p))
	}
	if longest > 1000 || longest < 900 {
		t.Errorf("the longest of the packets has %d bytes, want a little less than 1000", longest)
	}
}
