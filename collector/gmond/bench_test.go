package gmond

import (
	"fmt"
	"math/rand"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"keepwatch/internal/ganglia"
)

// network is the packets of many hosts with perHost metrics each: those that were captured from gmond, and more of
// the same sort under other names.
type network struct {
	meta, values []datagram
}

type datagram struct {
	b    []byte
	from netip.Addr
}

const perHost = 30

func newNetwork(tb testing.TB, hosts int, floats bool) *network {
	tb.Helper()
	names, data := payloads(tb)
	var ps []Packet // metadata, value, metadata, value, …
	for _, name := range names {
		word, ok := strings.CutPrefix(name, "128-metadata_full-")
		for _, kind := range []string{"134-value_float-", "132-value_uint-", "135-value_double-", "133-value_string-os_"} {
			if floats && kind[:3] != "134" || strings.HasPrefix(kind, "133") && !strings.HasPrefix(word, "os_") {
				continue
			}
			if value := data[strings.TrimSuffix(kind, "os_")+word]; ok && value != nil && len(ps) < 2*perHost {
				ps = append(ps, Packet{}, Packet{})
				for i, d := range [][]byte{data[name], value} {
					if err := Decode(d, &ps[len(ps)-2+i]); err != nil {
						tb.Fatal(err)
					}
				}
			}
		}
	}
	for len(ps) < 2*perHost {
		name := []byte(fmt.Sprintf("disk_used_%02d", len(ps)))
		ps = append(ps, Packet{ID: Metadata, Name: name, Type: []byte("float"), Units: []byte("%"), Slope: Both, TMax: 60},
			Packet{ID: ValueFloat, Name: name, Format: []byte("%.2f"), Number: 12.34})
	}
	n := new(network)
	for h := range hosts {
		from := netip.AddrFrom4([4]byte{10, byte(h >> 16), byte(h >> 8), byte(h)})
		host := []byte(fmt.Sprintf("node%05d.example.org", h))
		for i := range ps {
			p, to, encode := ps[i], &n.values, AppendValue
			if p.ID == Metadata {
				to, encode = &n.meta, AppendMetadata
			}
			p.Host, p.Spoof = host, false
			b, err := encode(nil, &p)
			if err != nil {
				tb.Fatal(err)
			}
			*to = append(*to, datagram{b, from})
		}
	}
	return n
}

func (n *network) feed(tb testing.TB, tab *Table, ds []datagram) {
	var p Packet
	for _, d := range ds {
		if err := Decode(d.b, &p); err != nil {
			tb.Fatal(err)
		}
		if _, err := tab.Add(&p, d.from, 1000); err != nil {
			tb.Fatal(err)
		}
	}
}

// Random order: each packet finds its host, its metric and its own bytes outside the nearest caches.
func BenchmarkDecodeAndAdd(b *testing.B) {
	n := newNetwork(b, 1000, true)
	tab := newTable(b, 1000, 100)
	n.feed(b, tab, n.meta)
	rand.New(rand.NewSource(1)).Shuffle(len(n.values), func(i, j int) { n.values[i], n.values[j] = n.values[j], n.values[i] })
	n.feed(b, tab, n.values)
	ring := make([]byte, 0, 128*len(n.values)) // datagrams lie in the order of their arrival
	for i, d := range n.values {
		ring = append(ring, d.b...)
		n.values[i].b = ring[len(ring)-len(d.b):]
	}
	var p Packet
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		d := &n.values[i]
		if i++; i == len(n.values) {
			i = 0
		}
		if err := Decode(d.b, &p); err != nil {
			b.Fatal(err)
		}
		if res, err := tab.Add(&p, d.from, 2000); err != nil || res.Outcome != Joined {
			b.Fatal(res, err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	_, data := payloads(b)
	d := data["134-value_float-load_one"]
	var p Packet
	b.ReportAllocs()
	for b.Loop() {
		if err := Decode(d, &p); err != nil {
			b.Fatal(err)
		}
	}
}

// What a metric of 10,000 hosts with 30 each holds, its series and its share of the host included.
func BenchmarkMemory(b *testing.B) {
	n := newNetwork(b, 10_000, false)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		tab := newTable(b, 10_000, 100)
		n.feed(b, tab, n.meta)
		n.feed(b, tab, n.values)
		runtime.GC()
		runtime.ReadMemStats(&after)
		held := float64(after.HeapAlloc) - float64(before.HeapAlloc)
		b.ReportMetric(held/float64(tab.Metrics()), "B/metric")
		b.ReportMetric(float64(tab.Bytes())/float64(tab.Metrics()), "estimated-B/metric")
		b.ReportMetric(float64(tab.Metrics()), "metrics")
		runtime.KeepAlive(tab)
	}
}

func BenchmarkSweep(b *testing.B) {
	n := newNetwork(b, 10_000, true)
	tab := newTable(b, 10_000, 100)
	n.feed(b, tab, n.meta)
	n.feed(b, tab, n.values)
	for b.Loop() {
		tab.Sweep(2000, hour)
	}
}

func BenchmarkFill(b *testing.B) {
	n := newNetwork(b, 1000, false)
	tab := newTable(b, 1000, 100)
	n.feed(b, tab, n.meta)
	n.feed(b, tab, n.values)
	names := tab.Names(nil)
	var h ganglia.Host
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if !tab.Fill(names[i%len(names)], 2000, &h) || len(h.Metrics) < 20 {
			b.Fatal(len(h.Metrics))
		}
		i++
	}
}
