package bench

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/collector"
	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

const (
	maxAhead    = 400_000 // samples sent and not yet committed
	maxInSocket = 150     // datagrams sent and not yet taken by the collector
	patience    = 30 * time.Second
)

// generator plays 1,000 hosts. Its series move as those of real hosts do: gauges walk by steps of two decimals,
// counters grow, a third never changes.
type generator struct {
	conn  net.Conn
	hosts []*host
	round int
	base  int64 // ms; rounds are 15 s apart and lie in the past, as many as may be sent at once
	cpu   time.Duration

	datagrams, samples uint64 // sent so far
	rng                *rand.Rand
}

type host struct {
	sealer *frame.Sealer
	batch  batch.Batch
}

func newGenerator(b *testing.B, r *rig) *generator {
	b.Helper()
	keys, err := collector.LoadKeys(nil, r.dir)
	must(b, err)
	conn, err := net.Dial("udp", r.collector.Listeners().Native[0].String())
	must(b, err)
	b.Cleanup(func() { conn.Close() })
	g := &generator{conn: conn, base: time.Now().Add(-24 * time.Hour).UnixMilli(), rng: rand.New(rand.NewPCG(1, 2))}
	for i := range hosts {
		name := fmt.Sprintf("host%04d.example.org", i)
		s, err := frame.NewSealer(frame.SealerOptions{
			Keys: keys, Boot: frame.Boot{Start: time.Now().UnixMilli(), Random: uint64(i + 1)}, Cluster: "bench", Host: name, Payload: 1400,
		})
		must(b, err)
		h := &host{sealer: s}
		for j := range perHost {
			h.batch.Samples = append(h.batch.Samples, metric.Sample{Series: newSeries(name, j), Value: float64(j)})
		}
		g.hosts = append(g.hosts, h)
	}
	return g
}

func newSeries(host string, j int) *metric.Series {
	labels := []metric.Label{{Name: "device", Value: fmt.Sprintf("eth%d", j%4)}}
	switch j % 3 {
	case 0:
		return metric.MustSeries("bench", host, fmt.Sprintf("node_network_transmit_things%d_total", j/4), labels, metric.Bytes, metric.Counter)
	case 1:
		return metric.MustSeries("bench", host, fmt.Sprintf("node_memory_thing%d_bytes", j), nil, metric.Bytes, metric.Gauge)
	}
	return metric.MustSeries("bench", host, fmt.Sprintf("node_some_setting%d", j), nil, metric.NoUnit, metric.Gauge)
}

// send sends that many samples and returns when all are committed.
func (g *generator) send(b *testing.B, samples int) {
	b.Helper()
	runtime.LockOSThread() // the processor time of this thread is the sender's
	defer runtime.UnlockOSThread()
	g.sync(b)
	goal := g.samples + uint64(samples)
	began := selfCPU(unix.RUSAGE_THREAD)
	for g.samples < goal {
		at := g.base + int64(g.round)*15_000
		g.round++
		for _, h := range g.hosts {
			g.move(h, at)
			h.sealer.Seal(&h.batch, frame.Stamp{Now: time.Now(), Interval: 15 * time.Second}, func(d []byte) {
				if _, err := g.conn.Write(d); err != nil {
					b.Fatal(err)
				}
				g.datagrams++
			})
			g.samples += perHost
			g.await(b, "collector", func() bool { return received()+maxInSocket >= g.datagrams })
			g.await(b, "writer", func() bool { return committed()+maxAhead >= g.samples })
		}
	}
	g.cpu += selfCPU(unix.RUSAGE_THREAD) - began
	g.await(b, "writer", func() bool { return committed() >= g.samples })
}

func (g *generator) move(h *host, at int64) {
	for j := range h.batch.Samples {
		s := &h.batch.Samples[j]
		s.Time = at
		switch j % 3 {
		case 0:
			s.Value += float64(g.rng.IntN(100_000))
		case 1:
			s.Value += float64(g.rng.IntN(201)-100) / 100
		}
	}
}

var startReceived, startCommitted uint64

func received() uint64 { return counter("keepwatch_collector_frames_received_total") - startReceived }

// committed leaves out what the extractor says of the hosts itself, which may still be on its way.
func committed() uint64 {
	rows, own := counter("keepwatch_writer_samples_total")-startCommitted, counter("keepwatch_extractor_host_up_samples_total")
	return rows - min(rows, own)
}

func (g *generator) sync(b *testing.B) {
	b.Helper()
	if g.samples == 0 {
		startReceived, startCommitted = counter("keepwatch_collector_frames_received_total"), counter("keepwatch_writer_samples_total")
	}
}

// await waits for a part that is behind.
func (g *generator) await(b *testing.B, part string, caughtUp func() bool) {
	for waited := time.Duration(0); !caughtUp(); waited += time.Millisecond {
		if waited > patience {
			b.Fatalf("the %s stands still: %d datagrams sent, %d received; %d samples sent, %d committed", part, g.datagrams, received(), g.samples, committed())
		}
		time.Sleep(time.Millisecond)
	}
}
