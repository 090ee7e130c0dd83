package collector

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/listen"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
	"keepwatch/metric"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func testConf(t *testing.T) conf.Collector {
	t.Helper()
	cfg := conf.Default().Collector
	cfg.Interval = time.Second
	cfg.Serve.Listen = "127.0.0.1:0"
	cfg.Gmond.XML.Listen = "" // it is opened when the collector runs, which is outside of the test's namespaces
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(testKey), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Keys = []conf.Key{{ID: 1, File: file}}
	return cfg
}

// start makes a collector in a namespace and runs it until stop or the end of the test.
func start(t *testing.T, nd *netnstest.Node, host string, cfg conf.Collector) (c *Collector, stop func()) {
	t.Helper()
	inNamespace(t, nd, func() (err error) {
		c, err = New(Options{Config: cfg, Cluster: "lab", Host: host, DataDir: t.TempDir()})
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("collector %q: %v", host, err)
		}
	}
	t.Cleanup(stop)
	return c, stop
}

// stream connects to a collector's state stream.
func stream(t *testing.T, nd *netnstest.Node, c *Collector, since int64) *frame.StreamReader {
	t.Helper()
	ring, err := LoadKeys(c.opt.Config.Keys, "")
	if err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	inNamespace(t, nd, func() (err error) {
		conn, err = net.Dial("tcp", c.Listeners().Serve.String())
		return err
	})
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil { // what does not come fails the test
		t.Fatal(err)
	}
	var nonce frame.Nonce
	if _, err := rand.Read(nonce[:]); err != nil {
		t.Fatal(err)
	}
	hello, err := frame.NewHello(ring, nonce, since, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(hello.Bytes[:]); err != nil {
		t.Fatal(err)
	}
	return frame.NewStreamReader(bufio.NewReader(conn), hello)
}

// read reads records until each of want, as "HOST METRIC" or "HOST EVENTKIND", has come. It gives what came by name.
func read(t *testing.T, r *frame.StreamReader, want ...string) map[string]metric.Sample {
	t.Helper()
	missing := make(map[string]bool)
	for _, w := range want {
		missing[w] = true
	}
	got := make(map[string]metric.Sample)
	var dec batch.Decoder
	for len(missing) > 0 {
		rec, err := r.Next()
		if err != nil || rec.Err != nil {
			t.Fatalf("%v, %v; still missing %v", err, rec.Err, missing)
		}
		if rec.Heartbeat {
			continue
		}
		var b batch.Batch
		if err := dec.Decode(rec.Frame.Payload, &b); err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Samples {
			got[s.Series.Host+" "+s.Series.Name] = s
			delete(missing, s.Series.Host+" "+s.Series.Name)
		}
		for _, e := range b.Events {
			delete(missing, e.Host+" "+string(e.Kind))
		}
	}
	return got
}

const gmondConf = `
globals { daemonize = no setuid = no host_dmax = 0 send_metadata_interval = 1 module_dir = "/usr/lib/x86_64-linux-gnu/ganglia" }
cluster { name = "lab" }
udp_send_channel { mcast_join = 239.2.11.71 port = 8649 mcast_if = eth0 }
udp_recv_channel { mcast_join = 239.2.11.71 port = 8649 mcast_if = eth0 bind = 239.2.11.71 }
tcp_accept_channel { bind = 127.0.0.1 port = 8649 }
modules { module { name = "core_metrics" } module { name = "load_module" path = "modload.so" } module { name = "cpu_module" path = "modcpu.so" } module { name = "sys_module" path = "modsys.so" } }
collection_group { collect_once = yes time_threshold = 2 metric { name = "heartbeat" } }
collection_group { collect_every = 1 time_threshold = 1 metric { name = "load_one" value_threshold = 0 } }
collection_group { collect_once = yes time_threshold = 1 metric { name = "os_name" } metric { name = "cpu_num" } }
`

// A gmond and a gmetric of Debian, on the same host and the same group and port, show up with their metrics.
func TestGmondAndGmetricAreHeard(t *testing.T) {
	gmond, gmetric := program(t, "gmond", "ganglia-monitor"), program(t, "gmetric", "ganglia-monitor")
	nd := hosts(t, 1)[0]
	file := filepath.Join(t.TempDir(), "gmond.conf")
	if err := os.WriteFile(file, []byte(gmondConf), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := testConf(t)
	cfg.Gmond.Receive[0].AcceptFrom = []string{"10.77.0.0/24"}
	c, _ := start(t, nd, "agg", cfg)
	nd.Start(nd.Command(gmond, "-c", file, "-f"))
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	out, err := nd.Command(gmetric, "-c", file, "-n", "queue length", "-v", "42", "-t", "uint32", "-u", "jobs", "-S", "10.0.0.9:batch1").CombinedOutput()
	if err != nil {
		t.Fatalf("gmetric: %v: %s", err, out)
	}
	got := read(t, stream(t, nd, c, 0), "agg host_joined", name+" gmond_load_one", name+" gmond_os_name_info",
		name+" gmond_cpu_num", name+" gmond_heartbeat", name+" host_joined", "batch1 gmond_queue_length", "agg keepwatch_probe_up")
	if s := got["batch1 gmond_queue_length"]; s.Value != 42 || s.Series.Unit != "jobs" || s.Series.Label("source") != "gmond" || s.Series.Label("gmond_name") != "queue length" {
		t.Errorf("gmetric: got %v of %v", s, s.Series)
	}
	if s := got[name+" gmond_os_name_info"]; s.Series.Label("value") != "Linux" {
		t.Errorf("os_name: got %v", s.Series)
	}
	var hosts []string
	for _, h := range c.Status().State.Hosts {
		hosts = append(hosts, fmt.Sprintf("%s gmond=%v native=%v", h.Name, h.Gmond, h.Native))
	}
	for _, want := range []string{"agg gmond=false native=true", "batch1 gmond=true native=false", name + " gmond=true native=false"} {
		if !strings.Contains(strings.Join(hosts, "\n"), want) {
			t.Errorf("status lists %q, want %q", hosts, want)
		}
	}
}

// Two collectors on two hosts hear each other and each serves both; when one is killed the other goes on and tells.
func TestTwoCollectorsShareOneState(t *testing.T) {
	nodes := hosts(t, 2)
	a, b := nodes[0], nodes[1]
	cfg := testConf(t)
	ca, stopA := start(t, a, "web1", cfg)
	cb, _ := start(t, b, "web2", cfg)
	want := []string{"web1 keepwatch_probe_up", "web2 keepwatch_probe_up", "web1 node_load1", "web2 node_load1", "web1 host_joined", "web2 host_joined"}
	ra, rb := stream(t, a, ca, 0), stream(t, b, cb, 0)
	read(t, ra, want...)
	read(t, rb, want...)
	for _, h := range cb.Status().State.Hosts {
		if h.Name == "web1" && h.Address != "10.77.0.1" {
			t.Errorf("web1 was heard from %q, want 10.77.0.1", h.Address)
		}
	}
	before := time.Now()
	stopA()
	read(t, rb, "web1 host_lost", "web2 keepwatch_probe_up")
	for _, h := range cb.Status().State.Hosts {
		if d := time.Since(h.Heard); h.Name == "web1" && d < 4*time.Second {
			t.Errorf("lost %v after it was heard last, want no sooner than after 4 intervals of 1s", d)
		}
	}
	for {
		if _, err := ra.Next(); err != nil {
			break // the killed one's stream ends
		}
	}
	// An extractor that turns to the other one asks for what it missed and gets it, with the dead host's last frames.
	read(t, stream(t, b, cb, before.Add(-3*time.Second).UnixMilli()), "web1 keepwatch_probe_up", "web1 host_lost")
}

// What nobody with the key has sealed is counted and changes nothing.
func TestHostileDatagramsAreCountedAndDropped(t *testing.T) {
	nd := hosts(t, 1)[0]
	cfg := testConf(t)
	cfg.Native = conf.Native{Listen: "127.0.0.1:0", Payload: 1400}
	cfg.Gmond.Receive = []conf.GmondReceive{{Listen: "127.0.0.1:0", AcceptFrom: []string{"192.0.2.0/24"}, Buffer: 1 << 20}}
	c, _ := start(t, nd, "agg", cfg)
	l := c.Listeners()
	ring, err := LoadKeys(cfg.Keys, "")
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := frame.NewSealer(frame.SealerOptions{Keys: ring, Boot: frame.Boot{Start: time.Now().UnixMilli(), Random: 5}, Cluster: "lab", Host: "web1", Payload: 1400})
	if err != nil {
		t.Fatal(err)
	}
	seal := func(name string) (out []byte) {
		sealer.Seal(&batch.Batch{Samples: []metric.Sample{{Series: metric.MustSeries("lab", "web1", name, nil, "", metric.Gauge), Value: 1}}},
			frame.Stamp{Now: time.Now(), Interval: time.Minute}, func(d []byte) { out = append([]byte(nil), d...) })
		return out
	}
	good, last := seal("load"), seal("last")
	drops := []string{`frames_dropped_total{reason="not_frame"}`, `frames_dropped_total{reason="seal"}`, `frames_dropped_total{reason="replay"}`, `gmond_packets_dropped_total{reason="source"}`}
	before := make(map[string]uint64)
	for _, d := range drops {
		before[d] = metrics.GetOrCreateCounter("keepwatch_collector_" + d).Get()
	}
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	inNamespace(t, nd, func() error {
		send := func(to netip.AddrPort, datagrams ...[]byte) error {
			s, err := listen.OpenSender(context.Background(), []listen.SendChannel{{To: to.String()}}, listen.Options{})
			if err != nil {
				return err
			}
			defer s.Close()
			for _, d := range datagrams {
				if _, err := s.Send(d); err != nil {
					return err
				}
			}
			return nil
		}
		return errors.Join(
			send(l.Gmond[0], []byte("not from an accepted network")),
			send(l.Native[0], []byte("unsigned"), forged, good, good, last))
	})
	// The last frame in the stream says that all before it were handled; the gmond packet came by another socket.
	read(t, stream(t, nd, c, 0), "web1 load", "web1 last")
	for _, d := range drops {
		netnstest.Await(t, d, func() error {
			if n := metrics.GetOrCreateCounter("keepwatch_collector_"+d).Get() - before[d]; n != 1 {
				return fmt.Errorf("grew by %d, want 1", n)
			}
			return nil
		})
	}
	for _, h := range c.Status().State.Hosts {
		if h.Name != "agg" && h.Name != "web1" {
			t.Errorf("host %q appeared", h.Name)
		}
	}
}

func TestReload(t *testing.T) {
	nd := hosts(t, 1)[0]
	cfg := testConf(t)
	c, _ := start(t, nd, "agg", cfg)
	r := stream(t, nd, c, 0)
	read(t, r, "agg node_load1")
	bad := cfg
	bad.Native.Group = "239.1.1.1:9"
	if err := c.Reload(bad); err == nil || !strings.Contains(err.Error(), "collector.native has changed") {
		t.Errorf("changed group: got %v", err)
	}
	bad = cfg
	bad.Keys = []conf.Key{{ID: 1, File: "/nonexistent"}}
	if err := c.Reload(bad); err == nil {
		t.Error("a missing key file was accepted")
	}
	second := filepath.Join(t.TempDir(), "key2")
	if err := os.WriteFile(second, []byte(strings.Repeat("7", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	next := cfg
	next.Probes.Host.Enabled = false
	next.Keys = []conf.Key{{ID: 2, File: second}, cfg.Keys[0]}
	if err := c.Reload(next); err != nil {
		t.Fatal(err)
	}
	if p := c.Status().Probes; len(p) != 1 || p[0].Name != "collector" {
		t.Errorf("probes after reload: %+v", p)
	}
	c.opt.Config.Keys = next.Keys
	read(t, stream(t, nd, c, time.Now().UnixMilli()), "agg keepwatch_collector_hosts")
}

func TestTakenPortIsOneSentence(t *testing.T) {
	nd := hosts(t, 1)[0]
	cfg := testConf(t)
	c, _ := start(t, nd, "agg", cfg)
	cfg.Serve.Listen = c.Listeners().Serve.String()
	inNamespace(t, nd, func() error {
		_, err := New(Options{Config: cfg, Cluster: "lab", Host: "agg", DataDir: t.TempDir()})
		if err == nil || !strings.HasPrefix(err.Error(), "collector.serve.listen: cannot listen on tcp 127.0.0.1:") || !strings.Contains(err.Error(), "another program has this port") {
			t.Errorf("got %v", err)
		}
		return nil
	})
}
