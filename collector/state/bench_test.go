package state

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

const (
	fleetHosts  = 1000
	fleetSeries = 100
	fleetEvery  = 15 * time.Second
)

// fleet is the hosts of a cluster that send every 15 seconds: half of their series are counters, half gauges, a third
// of the values stay as they are from one round to the next.
type fleet struct {
	senders []sender
	batches []batch.Batch
	random  *rand.Rand
	now     time.Time
	frames  [][]byte // of the round
	memory  []byte   // that they are in
}

func newFleet(tb testing.TB) *fleet {
	tb.Helper()
	f := &fleet{random: rand.New(rand.NewPCG(1, 2)), now: start}
	for h := range fleetHosts {
		name := fmt.Sprintf("web%04d.example.com", h)
		f.senders = append(f.senders, newSender(tb, name, frame.Boot{Start: start.UnixMilli(), Random: uint64(h)}))
		f.batches = append(f.batches, batch.Batch{Samples: hostSamples(name)})
	}
	return f
}

func hostSamples(host string) (out []metric.Sample) {
	add := func(name, label, value string, unit metric.Unit, kind metric.Kind) {
		var labels []metric.Label
		if label != "" {
			labels = []metric.Label{{Name: label, Value: value}}
		}
		out = append(out, metric.Sample{Series: metric.MustSeries("lab", host, name, labels, unit, kind)})
	}
	for i := range fleetSeries / 10 {
		cpu, disk, dev := fmt.Sprint(i), fmt.Sprintf("sd%c", 'a'+i), fmt.Sprintf("eth%d", i)
		add("node_cpu_user_seconds_total", "cpu", cpu, metric.Seconds, metric.Counter)
		add("node_cpu_system_seconds_total", "cpu", cpu, metric.Seconds, metric.Counter)
		add("node_network_receive_bytes_total", "device", dev, metric.Bytes, metric.Counter)
		add("node_network_transmit_bytes_total", "device", dev, metric.Bytes, metric.Counter)
		add("node_network_receive_errors_total", "device", dev, metric.NoUnit, metric.Counter)
		add("node_disk_read_bytes_total", "device", disk, metric.Bytes, metric.Counter)
		add("node_disk_io_time_ratio", "device", disk, metric.Ratio, metric.Gauge)
		add("node_filesystem_avail_bytes", "mountpoint", "/srv/"+disk, metric.Bytes, metric.Gauge)
		add("node_filesystem_size_bytes", "mountpoint", "/srv/"+disk, metric.Bytes, metric.Gauge)
		add(fmt.Sprintf("node_load_average_%d", i), "", "", metric.NoUnit, metric.Gauge)
	}
	return out
}

// round seals what all hosts send next, into memory that it uses again, and returns the number of samples.
func (f *fleet) round() (samples int) {
	f.now = f.now.Add(fleetEvery)
	f.frames, f.memory = f.frames[:0], f.memory[:0]
	for h, s := range f.senders {
		b := f.batches[h] // the Sealer takes parts off its front
		for i := range b.Samples {
			x := &b.Samples[i]
			x.Time = f.now.UnixMilli()
			switch {
			case f.random.IntN(3) == 0:
			case x.Series.Kind == metric.Counter:
				x.Value += float64(f.random.IntN(1_000_000))
			default:
				x.Value = math.Round(f.random.NormFloat64()*100) / 100
			}
		}
		samples += len(b.Samples)
		s.Seal(&b, frame.Stamp{Now: f.now, Interval: fleetEvery}, func(d []byte) {
			from := len(f.memory)
			f.memory = append(f.memory, d...)
			f.frames = append(f.frames, f.memory[from:len(f.memory):len(f.memory)])
		})
	}
	return samples
}

func (f *fleet) hear(tb testing.TB, s *State) {
	for _, d := range f.frames {
		if err := s.Native(d, from, f.now); err != nil {
			tb.Fatal(err)
		}
	}
}

func largeState(tb testing.TB, change func(*Options)) *State {
	return newState(tb, func(o *Options) {
		o.MaxHosts, o.MaxSeries, o.MaxBytes = 10_000, 2000, 256<<20
		if change != nil {
			change(o)
		}
	})
}

// BenchmarkNative takes the frames of 1,000 hosts with 100 series each in: open, unfold, scan, soft state, history.
// One operation is one round of all hosts. What it allocates is the history.
func BenchmarkNative(b *testing.B) {
	s, f := largeState(b, nil), newFleet(b)
	f.round()
	f.hear(b, s)
	samples, frames, bytes := 0, 0, 0
	var cpu cpuTime
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		samples += f.round()
		frames += len(f.frames)
		bytes += len(f.memory)
		b.StartTimer()
		cpu.start(b)
		f.hear(b, s)
		cpu.stop(b)
	}
	cpu.report(b, samples, "sample")
	b.ReportMetric(float64(bytes)/float64(samples), "wire-B/sample")
	b.ReportMetric(float64(samples)/float64(frames), "samples/frame")
}

// cpuTime is what this process used of the processors, garbage collection included. Other programs on the same machine
// make the clock's time longer, and not this.
type cpuTime struct{ began, used time.Duration }

func (c *cpuTime) start(b *testing.B) { c.began = used(b) }
func (c *cpuTime) stop(b *testing.B)  { c.used += used(b) - c.began }

func (c *cpuTime) report(b *testing.B, n int, what string) {
	b.ReportMetric(float64(c.used.Nanoseconds())/float64(n), "cpu-ns/"+what)
	b.ReportMetric(float64(n)/c.used.Seconds(), what+"s/s/core")
}

func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap is what is allocated and reachable, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkNativeMemory measures what a series of a native host takes of the memory, history not counted.
func BenchmarkNativeMemory(b *testing.B) {
	for b.Loop() {
		f := newFleet(b)
		samples := f.round()
		f.frames, f.memory = cloned(f.frames), nil
		before := heap()
		s := largeState(b, func(o *Options) { o.MaxBytes = 0 })
		f.hear(b, s)
		b.ReportMetric(float64(heap()-before)/float64(samples), "B/series")
		runtime.KeepAlive(s)
		runtime.KeepAlive(f)
	}
}

func cloned(frames [][]byte) (out [][]byte) {
	for _, f := range frames {
		out = append(out, bytes.Clone(f))
	}
	return out
}
