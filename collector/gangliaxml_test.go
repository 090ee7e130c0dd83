package collector

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/ganglia"
)

// fakeGmond is hosts by name. A nil Host is one that goes while the document is written.
type fakeGmond map[string]*ganglia.Host

func (f fakeGmond) GmondHosts(dst []string) []string {
	for name := range f {
		dst = append(dst, name)
	}
	return dst
}

func (f fakeGmond) FillGmond(name string, _ int64, h *ganglia.Host) bool {
	if f[name] == nil {
		return false
	}
	*h = *f[name]
	h.Metrics = slices.Clone(h.Metrics)
	return true
}

// GmondSpeaker has all hosts speak for themselves.
func (f fakeGmond) GmondSpeaker(name string) (address string, from netip.Addr, held bool) {
	if f[name] == nil {
		return "", netip.Addr{}, false
	}
	from, _ = netip.ParseAddr(f[name].IP)
	return f[name].IP, from, true
}

func xmlOf(t *testing.T, cfg conf.Gmond, source gmondSource, log io.Writer) *xmlServer {
	t.Helper()
	cfg.XML.AcceptFrom = []string{"local"}
	x, err := newXMLServer(cfg, "lab", source, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestXMLOfHosts(t *testing.T) {
	source := fakeGmond{
		"a":    {Name: "a", IP: "10.0.0.1", TN: 3, TMax: 20, Metrics: []ganglia.Metric{{Name: "m", Value: "<1>", Type: "string"}}},
		"b":    {Name: "b", IP: "10.0.0.2", TN: 9},
		"also": {Name: "also", IP: "10.0.0.2", TN: 2},
		"gone": nil,
	}
	for _, gz := range []bool{false, true} {
		var log, doc bytes.Buffer
		x := xmlOf(t, conf.Gmond{Owner: "o & p", Tags: "t1", XML: conf.GmondXML{Gzip: gz}}, source, &log)
		for range 2 {
			doc.Reset()
			if err := x.answer(&doc); err != nil {
				t.Fatal(err)
			}
		}
		d, rep, err := ganglia.ReadDocument(&doc, ganglia.Limits{})
		if err != nil || rep.Faults > 0 || rep.Gzip != gz {
			t.Fatalf("%+v, %v", rep, err)
		}
		var got []string
		for _, h := range d.Cluster.Hosts {
			got = append(got, fmt.Sprintf("%s %s %s %d", h.Name, h.IP, h.Tags, len(h.Metrics)))
		}
		if want := "a 10.0.0.1 t1 1, also 10.0.0.2 t1 0"; strings.Join(got, ", ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
		if d.Cluster.Name != "lab" || d.Cluster.Owner != "o & p" || d.Cluster.URL != "unspecified" || d.Cluster.LocalTime == 0 {
			t.Errorf("cluster: %+v", d.Cluster)
		}
		if n := strings.Count(log.String(), "two hosts have one address"); n != 1 || !strings.Contains(log.String(), "hidden=b shown=also") {
			t.Errorf("told %d times:\n%s", n, log.String())
		}
	}
}

// A client that connects and never reads is served in a place of its own: the next one has its answer at once.
func TestXMLWhileOneClientNeverReads(t *testing.T) {
	source := make(fakeGmond)
	for i := range 3000 {
		h := &ganglia.Host{Name: fmt.Sprintf("h%d", i), IP: fmt.Sprintf("10.0.%d.%d", i/250, i%250)}
		for j := range 30 {
			h.Metrics = append(h.Metrics, ganglia.Metric{Name: fmt.Sprintf("m%d", j), Value: "1", Type: "float"})
		}
		source[h.Name] = h
	}
	x := xmlOf(t, conf.Gmond{}, source, io.Discard)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- x.server.Serve(ctx, l, func(_ context.Context, c net.Conn) error { return x.answer(c) })
	}()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	stuck, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, rep, err := ganglia.ReadDocument(c, ganglia.Limits{})
	if err != nil || rep.Hosts != 3000 || rep.Metrics != 90_000 {
		t.Errorf("%+v, %v", rep, err)
	}
	if n := x.server.Clients(); n < 1 {
		t.Errorf("%d clients, the stuck one should be there", n)
	}
}

func TestXMLAccessIsChecked(t *testing.T) {
	_, err := newXMLServer(conf.Gmond{XML: conf.GmondXML{AcceptFrom: []string{"10.0.0.0/33"}}}, "lab", fakeGmond{}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "collector.gmond.xml.accept_from") {
		t.Errorf("got %v", err)
	}
}

// The document of 1,000 hosts with 30 metrics.
func BenchmarkXML(b *testing.B) {
	source := make(fakeGmond)
	for i := range 1000 {
		h := &ganglia.Host{Name: fmt.Sprintf("h%d", i), IP: fmt.Sprintf("10.0.%d.%d", i/250, i%250)}
		for j := range 30 {
			h.Metrics = append(h.Metrics, ganglia.Metric{Name: fmt.Sprintf("metric_%d", j), Value: "1234.5", Type: "float", Units: "bytes/sec", Slope: "both",
				Extra: []ganglia.Extra{{Name: "GROUP", Value: "network"}, {Name: "DESC", Value: "Number of bytes in per second"}, {Name: "TITLE", Value: "Bytes Received"}}})
		}
		source[h.Name] = h
	}
	x, err := newXMLServer(conf.Gmond{}, "lab", source, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := x.answer(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/30_000, "ns/metric")
}
