package state

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"keepwatch/collector/gmond"
)

const (
	gmondMetrics = 30
	gmondBatch   = 64 // datagrams that one system call gives
)

// gmondFleet is hosts that send gmond packets, each host all its metrics at once, as gmond's collection groups do.
type gmondFleet struct {
	metadata, values []Datagram
	hosts            []string // of the values
	random           *rand.Rand
	now              time.Time
}

func newGmondFleet(tb testing.TB) *gmondFleet {
	tb.Helper()
	f := &gmondFleet{random: rand.New(rand.NewPCG(3, 4)), now: start}
	units := []string{"%", "KB", "bytes/sec", "packets/sec", " "}
	for h := range fleetHosts {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(h >> 8), byte(h)}), 40_000)
		host := []byte(fmt.Sprintf("web%04d.example.com", h))
		for m := range gmondMetrics {
			p := gmond.Packet{
				ID: gmond.Metadata, Host: host, Name: []byte(fmt.Sprintf("metric_%02d_total", m)), Type: []byte("double"), Units: []byte(units[m%len(units)]),
				Slope: gmond.Both, TMax: 90, Extra: []gmond.Extra{{Name: []byte("GROUP"), Data: []byte("core")}, {Name: []byte("TITLE"), Data: []byte("A metric")}},
			}
			f.metadata = append(f.metadata, Datagram{Data: f.encode(tb, gmond.AppendMetadata, &p), From: from, Spoofs: true})
			p.ID, p.Format = gmond.ValueDouble, []byte("%.2f")
			f.hosts = append(f.hosts, string(host))
			f.values = append(f.values, Datagram{Data: f.encode(tb, gmond.AppendValue, &p), From: from, Spoofs: true})
		}
	}
	return f
}

func (f *gmondFleet) encode(tb testing.TB, app func([]byte, *gmond.Packet) ([]byte, error), p *gmond.Packet) []byte {
	d, err := app(nil, p)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// round gives all values of all hosts anew; a third stay as they are.
func (f *gmondFleet) round() {
	f.now = f.now.Add(20 * time.Second)
	for i := range f.values {
		v := &f.values[i]
		v.At = f.now.Add(time.Duration(i) * 3 * time.Microsecond)
		if f.random.IntN(3) > 0 {
			binary.BigEndian.PutUint64(v.Data[len(v.Data)-8:], math.Float64bits(f.random.Float64()*1000))
		}
	}
}

func (f *gmondFleet) hear(tb testing.TB, s *State, packets []Datagram) {
	for i := 0; i < len(packets); i += gmondBatch {
		if err := s.Gmond(packets[i:min(i+gmondBatch, len(packets))]); err != nil {
			tb.Fatal(err)
		}
	}
}

func (f *gmondFleet) learn(tb testing.TB, s *State) {
	for i := range f.metadata {
		f.metadata[i].At = f.now
	}
	f.hear(tb, s, f.metadata)
	f.round()
	f.hear(tb, s, f.values)
}

// BenchmarkGmond takes the packets of 1,000 gmonds with 30 metrics each in: decode, table, soft state, encode,
// compress, seal, history. One operation is one round of all hosts.
func BenchmarkGmond(b *testing.B) {
	b.Run("order=hosts", func(b *testing.B) { benchGmond(b, newGmondFleet(b)) })
	b.Run("order=mixed", func(b *testing.B) {
		f := newGmondFleet(b)
		f.mix()
		benchGmond(b, f)
	})
}

// mix brings the values into the order in which the packets of hosts that know nothing of each other come: hardly one is
// of the same host as the one before. Their bytes lie in the order of their arrival.
func (f *gmondFleet) mix() {
	f.random.Shuffle(len(f.values), func(i, j int) {
		f.values[i], f.values[j] = f.values[j], f.values[i]
		f.hosts[i], f.hosts[j] = f.hosts[j], f.hosts[i]
	})
	var all []byte
	for i := range f.values {
		all = append(all, f.values[i].Data...)
	}
	for i := range f.values {
		n := len(f.values[i].Data)
		f.values[i].Data, all = all[:n:n], all[n:]
	}
}

func benchGmond(b *testing.B, f *gmondFleet) {
	s := largeState(b, nil)
	f.learn(b, s)
	packets := 0
	var cpu cpuTime
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		f.round()
		b.StartTimer()
		cpu.start(b)
		f.hear(b, s, f.values)
		cpu.stop(b)
		packets += len(f.values)
	}
	cpu.report(b, packets, "packet")
}

// BenchmarkGmondHistory measures what a sample that came in a gmond packet takes of the history, and a host and a
// metric of the rest of the memory.
func BenchmarkGmondHistory(b *testing.B) {
	for b.Loop() {
		f := newGmondFleet(b)
		before := heap()
		s := largeState(b, func(o *Options) { o.MaxBytes = 0 })
		f.learn(b, s)
		b.ReportMetric(float64(heap()-before)/float64(len(f.values)), "B/metric")
		runtime.KeepAlive(s)

		s = largeState(b, nil)
		f.learn(b, s)
		was := logged(s.history)
		for range 10 {
			f.round()
			f.hear(b, s, f.values)
		}
		b.ReportMetric(float64(logged(s.history)-was)/float64(10*len(f.values)), "history-B/sample")
		runtime.KeepAlive(f)
	}
}

// logged is how many bytes of datagrams a log holds.
func logged(l *Log) (n int64) {
	for _, s := range l.segs {
		n += int64(len(s.data)) + int64(len(s.recs))*recordSize
	}
	return n
}
