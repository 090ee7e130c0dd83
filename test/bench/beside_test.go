package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/netnstest"
)

// peer is a program that is measured: ours or what it stands beside.
type peer struct {
	name string
	node *netnstest.Node
	run  *netnstest.Process
	data string // data folder, of ours
}

// newPeer starts a program on a host of its own, with loopback up, and waits until it is ready.
func newPeer(b *testing.B, name string, ready func() error, command ...string) *peer {
	b.Helper()
	nd := netnstest.New(b).Node("b", "10.79.0.1/24")
	nd.IP("link", "set", "lo", "up", "multicast", "on")
	nd.IP("route", "add", "default", "dev", "eth0")
	p := &peer{name: name, node: nd}
	p.run = nd.Start(nd.Command(command[0], command[1:]...))
	netnstest.Await(b, name+" is ready", func() (err error) {
		nd.Do(func() { err = ready() })
		return err
	})
	return p
}

func (p *peer) stop() {
	p.run.Signal(unix.SIGKILL)
	_ = p.run.Wait() // killed
}

// cpu is the time that the process's threads were on a processor; those that ended are not in it.
func (p *peer) cpu(b *testing.B) (sum time.Duration) {
	b.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.run.PID()))
	must(b, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended meanwhile
		}
		n, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		must(b, err)
		sum += time.Duration(n)
	}
	return sum
}

// resident is the process's memory in KiB.
func (p *peer) resident(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.run.PID()))
	must(b, err)
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	must(b, err)
	return n
}

// drops is how many datagrams the kernel dropped at the socket of that UDP port, in the peer's namespace.
func (p *peer) drops(b *testing.B, port int) (sum int64) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", p.run.PID()))
	must(b, err)
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 13 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			continue
		}
		n, err := strconv.ParseInt(f[12], 10, 64)
		must(b, err)
		sum += n
	}
	return sum
}

// send runs the sender beside the peer and returns how many packets it sent.
func (p *peer) send(b *testing.B, port, hosts, metrics, rate, seconds int) int64 {
	b.Helper()
	cmd := p.node.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=127.0.0.1:%d %d %d %d %d", senderMode, port, hosts, metrics, rate, seconds))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("sender: %v: %s", err, stderr.Bytes())
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	must(b, err)
	return n
}

func answers(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		err = c.Close()
	}
	return err
}

const gmondPort = 8649

// theirs is the real gmond that hears on loopback, with the receive buffer that it is given.
func theirs(b *testing.B, buffer int) *peer {
	b.Helper()
	file := filepath.Join(b.TempDir(), "gmond.conf")
	must(b, os.WriteFile(file, fmt.Appendf(nil, `globals { daemonize = no setuid = no mute = yes host_dmax = 0 }
cluster { name = "bench" }
udp_recv_channel { bind = 127.0.0.1 port = %d buffer = %d }
tcp_accept_channel { bind = 127.0.0.1 port = %d }
`, gmondPort, buffer, gmondPort), 0o644))
	return newPeer(b, "gmond", func() error { return answers("127.0.0.1:8649") }, found(b, "gmond", "ganglia-monitor"), "-c", file, "-f")
}

// ours is keepwatch-collector that hears on loopback; history says whether it also keeps the last ten minutes.
func ours(b *testing.B, history bool) *peer {
	b.Helper()
	dir := b.TempDir()
	serve := `""`
	if history {
		serve = `"127.0.0.1:8660"`
	}
	file := filepath.Join(dir, "keepwatch.yaml")
	must(b, os.WriteFile(file, fmt.Appendf(nil, `cluster: bench
host: aggregator
collector:
  native: {group: ""}
  gmond: {receive: [{listen: "127.0.0.1:%d", accept_from: [local]}]}
  serve: {listen: %s}
  probes: {host: {enabled: false}}
`, gmondPort, serve), 0o644))
	return newPeer(b, "keepwatch-collector", func() error { return answers("127.0.0.1:8649") }, program(b, "keepwatch-collector"), "--config", file, "--data", filepath.Join(dir, "data"))
}

func found(b *testing.B, name, from string) string {
	b.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		b.Fatalf("%v: install Debian's package %s (make deps)", err, from)
	}
	return path
}

func program(b *testing.B, name string) string {
	b.Helper()
	path, err := filepath.Abs(filepath.Join("../../bin", name))
	must(b, err)
	if _, err := os.Stat(path); err != nil {
		b.Fatalf("%v: make build", err)
	}
	return path
}

// largeBuffers lets an ordinary program have a receive buffer of 8 MiB while the bench runs.
func largeBuffers(b *testing.B) {
	b.Helper()
	const file = "/proc/sys/net/core/rmem_max"
	before, err := os.ReadFile(file)
	must(b, err)
	must(b, os.WriteFile(file, []byte("8388608"), 0o644))
	b.Cleanup(func() { _ = os.WriteFile(file, before, 0o644) })
}

// BenchmarkGmondPackets sends the same packets at the same rates to the real gmond, with its default buffer and with
// 8 MiB, and to ours: what the kernel dropped at the socket, and the CPU time of the receiver for each packet received.
func BenchmarkGmondPackets(b *testing.B) {
	const hosts, metrics, seconds = 1000, 30, 5
	largeBuffers(b)
	fmt.Printf("\n%d hosts x %d metrics, %d s at each rate\n%-34s %12s %12s %10s %14s\n", hosts, metrics, seconds, "receiver", "packets/s", "received", "lost", "CPU us/packet")
	for b.Loop() {
		for _, r := range []struct {
			name  string
			start func() *peer
		}{
			{"gmond, its buffer (208 KiB)", func() *peer { return theirs(b, 0) }},
			{"gmond, buffer of 8 MiB", func() *peer { return theirs(b, 8<<20) }},
			{"keepwatch-collector, with history", func() *peer { return ours(b, true) }},
		} {
			for _, rate := range []int{100_000, 200_000, 300_000, 400_000} {
				p := r.start()
				_ = p.send(b, gmondPort, hosts, metrics, 1000, 1) // metadata, so that the table is warm
				cpu, drops := p.cpu(b), p.drops(b, gmondPort)
				sent := p.send(b, gmondPort, hosts, metrics, rate, seconds)
				settled(b, p)
				lost := p.drops(b, gmondPort) - drops
				used := p.cpu(b) - cpu
				us := float64(used.Nanoseconds()) / 1000 / float64(sent-lost)
				fmt.Printf("%-34s %12d %12d %10d %14.2f\n", r.name, rate, sent-lost, lost, us)
				b.ReportMetric(us, fmt.Sprintf("us/packet-%s-%d", strings.Fields(r.name)[0], rate))
				p.stop()
			}
		}
		b.ReportMetric(0, "ns/op")
	}
}

// settled waits until the receiver has read what lies in its buffer: it uses no processor any more.
func settled(b *testing.B, p *peer) {
	b.Helper()
	for before := time.Duration(-1); ; {
		time.Sleep(200 * time.Millisecond)
		now := p.cpu(b)
		if now-before < 5*time.Millisecond {
			return
		}
		before = now
	}
}

// BenchmarkGmondMemory has both hold the same metrics, without history: resident memory for each.
func BenchmarkGmondMemory(b *testing.B) {
	const hosts, metrics = 5000, 20
	largeBuffers(b)
	for b.Loop() {
		fmt.Printf("\n%d hosts x %d metrics held\n", hosts, metrics)
		for _, start := range []func() *peer{func() *peer { return theirs(b, 8<<20) }, func() *peer { return ours(b, false) }} {
			p := start()
			before := p.resident(b)
			_ = p.send(b, gmondPort, hosts, metrics, 50_000, 10)
			settled(b, p)
			if n := held(b, p); n != hosts*metrics {
				b.Fatalf("%s tells of %d metrics, want %d", p.name, n, hosts*metrics)
			}
			after := p.resident(b)
			each := float64(after-before) * 1024 / hosts / metrics
			fmt.Printf("%-20s %8.1f MiB resident, %6.1f MiB before, %6.0f bytes a metric\n", p.name, float64(after)/1024, float64(before)/1024, each)
			b.ReportMetric(each, "bytes/metric-"+strings.Fields(p.name)[0])
			p.stop()
		}
		b.ReportMetric(0, "ns/op")
	}
}

// held counts the metrics in a peer's XML.
func held(b *testing.B, p *peer) (n int) {
	b.Helper()
	var conn net.Conn
	var err error
	p.node.Do(func() { conn, err = net.Dial("tcp", "127.0.0.1:8649") })
	must(b, err)
	defer conn.Close()
	must(b, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	text, err := io.ReadAll(conn)
	must(b, err)
	return bytes.Count(text, []byte("<METRIC "))
}

// BenchmarkAgents runs gmond with its default metrics, node_exporter scraped every 15 s, and our collector at its
// default of 15 s, one after the other: resident memory, and the share of one processor over four minutes.
func BenchmarkAgents(b *testing.B) {
	const settle, measured = 30 * time.Second, 4 * time.Minute
	for b.Loop() {
		fmt.Printf("\nfor %v at rest, after %v\n", measured, settle)
		for _, a := range []struct {
			name   string
			start  func() *peer
			every  func(p *peer) // each 15 s
			values func(p *peer) int
		}{
			{"gmond", func() *peer { return theirAgent(b) }, func(*peer) {}, func(p *peer) int { return held(b, p) }},
			{"node_exporter", func() *peer { return exporter(b) }, func(p *peer) { scrape(b, p) }, func(p *peer) int { return scrape(b, p) }},
			{"keepwatch-collector", func() *peer { return ourAgent(b) }, func(*peer) {}, func(p *peer) int { return ownSeries(b, p) }},
		} {
			p := a.start()
			rest(p, settle, a.every)
			cpu := p.cpu(b)
			rest(p, measured, a.every)
			used := p.cpu(b) - cpu
			n, share := a.values(p), 100*used.Seconds()/measured.Seconds()
			fmt.Printf("%-20s %6.1f MiB resident  %7.3f %% of a processor  %4d values\n", a.name, float64(p.resident(b))/1024, share, n)
			b.ReportMetric(share, "%cpu-"+a.name)
			b.ReportMetric(float64(p.resident(b))/1024, "MiB-"+a.name)
			p.stop()
		}
		b.ReportMetric(0, "ns/op")
	}
}

func rest(p *peer, d time.Duration, every func(*peer)) {
	for range d / (15 * time.Second) {
		every(p)
		time.Sleep(15 * time.Second)
	}
}

func theirAgent(b *testing.B) *peer {
	b.Helper()
	text, err := exec.Command(found(b, "gmond", "ganglia-monitor"), "-t").Output()
	must(b, err)
	conf := strings.Replace(string(text), "daemonize = yes", "daemonize = no", 1)
	conf = strings.Replace(conf, "setuid = yes", "setuid = no", 1)
	modules, err := filepath.Glob("/usr/lib/*/ganglia")
	must(b, err)
	if len(modules) > 0 {
		conf = strings.Replace(conf, "globals {", fmt.Sprintf("globals {\n  module_dir = %q", modules[0]), 1)
	}
	file := filepath.Join(b.TempDir(), "gmond.conf")
	must(b, os.WriteFile(file, []byte(conf), 0o644))
	return newPeer(b, "gmond", func() error { return answers("127.0.0.1:8649") }, found(b, "gmond", "ganglia-monitor"), "-c", file, "-f")
}

func exporter(b *testing.B) *peer {
	b.Helper()
	return newPeer(b, "node_exporter", func() error { return answers("127.0.0.1:9100") }, found(b, "prometheus-node-exporter", "prometheus-node-exporter"), "--web.listen-address=127.0.0.1:9100")
}

// scrape reads node_exporter's metrics and counts them.
func scrape(b *testing.B, p *peer) (n int) {
	b.Helper()
	var conn net.Conn
	var err error
	p.node.Do(func() { conn, err = net.Dial("tcp", "127.0.0.1:9100") })
	must(b, err)
	defer conn.Close()
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	res, err := client.Get("http://127.0.0.1:9100/metrics")
	must(b, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(b, err)
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

func ourAgent(b *testing.B) *peer {
	b.Helper()
	dir := b.TempDir()
	file := filepath.Join(dir, "keepwatch.yaml")
	must(b, os.WriteFile(file, []byte("host: agent\n"), 0o644))
	p := newPeer(b, "keepwatch-collector", func() error { return answers("127.0.0.1:8660") }, program(b, "keepwatch-collector"), "--config", file, "--data", filepath.Join(dir, "data"))
	p.data = filepath.Join(dir, "data")
	return p
}

// ownSeries is how many series the agent says that it has of its host.
func ownSeries(b *testing.B, p *peer) (n int) {
	b.Helper()
	text, err := exec.Command(program(b, "keepwatch"), "status", "--data", p.data).Output()
	must(b, err)
	var s struct {
		Collector struct {
			State struct{ Hosts []struct{ Series int } }
		}
	}
	must(b, json.Unmarshal(text, &s))
	for _, h := range s.Collector.State.Hosts {
		n += h.Series
	}
	return n
}
