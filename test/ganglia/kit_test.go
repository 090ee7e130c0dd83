package ganglia

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/internal/netnstest"
)

const group = "239.2.11.71:8649"

// rig is one segment, 10.78.0.0/24.
type rig struct {
	t   *testing.T
	net *netnstest.Net
	dir string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	for name, from := range map[string]string{
		"gmond": "ganglia-monitor", "gmetric": "ganglia-monitor", "gmetad": "gmetad", "rrdtool": "rrdtool", "php": "php-cli", "unshare": "util-linux",
	} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("this test runs beside the real %s: install Debian's package %s (make deps)", name, from)
		}
	}
	r := &rig{t: t, net: netnstest.New(t), dir: t.TempDir()}
	for dir := r.dir; dir != "/"; dir = filepath.Dir(dir) { // Postgres and gmetad are not root
		if st, err := os.Stat(dir); err == nil && st.Mode().Perm()&0o5 != 0o5 {
			must(t, os.Chmod(dir, 0o755))
		}
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// host is one node of the segment, and what runs on it.
type host struct {
	*netnstest.Node
	rig  *rig
	name string
	ip   string
	dir  string
	runs *netnstest.Process
}

func (r *rig) host(n int) *host {
	r.t.Helper()
	h := &host{rig: r, name: fmt.Sprintf("node%d", n), ip: fmt.Sprintf("10.78.0.%d", n)}
	h.Node = r.net.Node(fmt.Sprintf("n%d", n), h.ip+"/24")
	h.IP("route", "add", "default", "dev", "eth0")
	h.dir = filepath.Join(r.dir, h.name)
	must(r.t, os.MkdirAll(h.dir, 0o777))
	must(r.t, os.Chmod(h.dir, 0o777))
	return h
}

// named prepares a program that takes the node's name for the host's.
func (h *host) named(program string, args ...string) *exec.Cmd {
	return h.Command("unshare", append([]string{"--uts", "sh", "-c", `hostname "$1" && shift && exec "$@"`, "sh", h.name, program}, args...)...)
}

func (h *host) file(name, content string) string {
	h.rig.t.Helper()
	path := filepath.Join(h.dir, name)
	must(h.rig.t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// gmondConf is a gmond on the group with quick collection groups of each kind of metric, titled as gmond -t has them.
func gmondConf(cluster string) string {
	return fmt.Sprintf(`globals { daemonize = no setuid = no host_dmax = 0 send_metadata_interval = 5 module_dir = "/usr/lib/ganglia" }
cluster { name = %q }
udp_send_channel { mcast_join = 239.2.11.71 port = 8649 mcast_if = eth0 }
udp_recv_channel { mcast_join = 239.2.11.71 port = 8649 mcast_if = eth0 }
tcp_accept_channel { port = 8649 }
modules {
  module { name = "core_metrics" }
  module { name = "cpu_module" path = "modcpu.so" }
  module { name = "load_module" path = "modload.so" }
  module { name = "mem_module" path = "modmem.so" }
  module { name = "sys_module" path = "modsys.so" }
}
collection_group { collect_once = yes time_threshold = 5 metric { name = "heartbeat" } }
collection_group { collect_once = yes time_threshold = 5 metric { name = "cpu_num" title = "CPU Count" } metric { name = "mem_total" title = "Memory Total" } metric { name = "os_name" title = "Operating System" } metric { name = "boottime" title = "Last Boot Time" } }
collection_group { collect_every = 2 time_threshold = 5 metric { name = "load_one" value_threshold = 0 title = "One Minute Load Average" } metric { name = "mem_free" title = "Free Memory" } metric { name = "cpu_idle" title = "CPU Idle" } }
`, cluster)
}

// modules is where Debian has gmond's modules on this machine.
func modules(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/ganglia/modcpu.so")
	if err != nil || len(found) == 0 {
		found, err = filepath.Glob("/usr/lib/ganglia/modcpu.so")
	}
	if err != nil || len(found) == 0 {
		t.Fatal("gmond's modules are not installed: install Debian's package ganglia-monitor (make deps)")
	}
	return filepath.Dir(found[0])
}

// gmond starts the real gmond.
func (h *host) gmond(cluster string) {
	h.rig.t.Helper()
	conf := strings.ReplaceAll(gmondConf(cluster), "/usr/lib/ganglia", modules(h.rig.t))
	h.runs = h.Start(h.named("gmond", "-c", h.file("gmond.conf", conf), "-f"))
}

// ours starts a collector of ours in gmond's place: it hears and sends on the group, and serves gmond's XML.
func (h *host) ours(cluster string) {
	h.rig.t.Helper()
	h.runs = h.Start(h.Command(program(h.rig.t, "keepwatch-collector"), "--config", h.file("keepwatch.yaml", ourConf(cluster, h.name)), "--data", filepath.Join(h.dir, "data")))
}

func ourConf(cluster, name string) string {
	return fmt.Sprintf(`cluster: %s
host: %s
collector:
  gmond:
    receive: [{group: "%s", interface: eth0, accept_from: [local, 10.78.0.0/24]}]
    send: [{group: "%s", interface: eth0}]
    xml: {listen: ":8649", accept_from: [local, 10.78.0.0/24]}
    groups:
    - {once: true, time_threshold: 5s, metrics: [{name: heartbeat}]}
    - {once: true, time_threshold: 5s, metrics: [{name: cpu_num}, {name: mem_total}, {name: os_name}, {name: boottime}]}
    - {every: 2s, time_threshold: 5s, metrics: [{name: load_one, value_threshold: 0}, {name: mem_free}, {name: cpu_idle}]}
`, cluster, name, group, group)
}

// program is one of ours, as make build left it.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../bin", name))
	must(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: make build", err)
	}
	return path
}

func (h *host) stop() {
	h.rig.t.Helper()
	h.runs.Signal(syscall.SIGKILL)
	_ = h.runs.Wait() // killed
}

// gmetric runs the real gmetric with this node's name.
func (h *host) gmetric(args ...string) {
	h.rig.t.Helper()
	cmd := h.named("gmetric", append([]string{"-c", h.file("gmetric.conf", gmondConf("any"))}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.rig.t.Fatalf("gmetric: %v\n%s", err, out)
	}
}

// dial connects from this node.
func (h *host) dial(address string) (conn net.Conn, err error) {
	h.Do(func() { conn, err = net.DialTimeout("tcp", address, 5*time.Second) })
	return conn, err
}

// ask sends a line, if there is one, and gives the whole answer.
func (h *host) ask(address, line string) ([]byte, error) {
	conn, err := h.dial(address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	if line != "" {
		if _, err := io.WriteString(conn, line+"\n"); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(conn)
}

// document is Ganglia's XML as a strict reader understands it.
type document struct {
	Version string    `xml:"VERSION,attr"`
	Source  string    `xml:"SOURCE,attr"`
	Cluster []cluster `xml:"CLUSTER"`
	Grid    []grid    `xml:"GRID"`
}

type grid struct {
	Name      string    `xml:"NAME,attr"`
	Authority string    `xml:"AUTHORITY,attr"`
	Cluster   []cluster `xml:"CLUSTER"`
	Grid      []grid    `xml:"GRID"`
	Hosts     []struct {
		Up   int `xml:"UP,attr"`
		Down int `xml:"DOWN,attr"`
	} `xml:"HOSTS"`
	Metrics []struct {
		Name string  `xml:"NAME,attr"`
		Sum  float64 `xml:"SUM,attr"`
		Num  int     `xml:"NUM,attr"`
	} `xml:"METRICS"`
}

type cluster struct {
	Name string `xml:"NAME,attr"`
	Host []struct {
		Name   string   `xml:"NAME,attr"`
		IP     string   `xml:"IP,attr"`
		TN     int      `xml:"TN,attr"`
		Metric []metric `xml:"METRIC"`
	} `xml:"HOST"`
}

type metric struct {
	Name  string `xml:"NAME,attr"`
	Val   string `xml:"VAL,attr"`
	Type  string `xml:"TYPE,attr"`
	Units string `xml:"UNITS,attr"`
	TMax  string `xml:"TMAX,attr"`
	DMax  string `xml:"DMAX,attr"`
	Slope string `xml:"SLOPE,attr"`
	Extra []struct {
		Name string `xml:"NAME,attr"`
		Val  string `xml:"VAL,attr"`
	} `xml:"EXTRA_DATA>EXTRA_ELEMENT"`
}

func parse(text []byte) (d document, err error) {
	dec := xml.NewDecoder(strings.NewReader(string(text)))
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // ASCII in these tests
	err = dec.Decode(&d)
	return d, err
}

// seen is what a gmond of either kind tells of its cluster: by address, by metric.
type seen map[netip.Addr]map[string]metric

func (h *host) sees(of *host) (seen, error) {
	text, err := h.ask(of.ip+":8649", "")
	if err != nil {
		return nil, err
	}
	d, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s's XML is not well-formed: %w", of.name, err)
	}
	out := make(seen)
	for _, c := range d.Cluster {
		for _, host := range c.Host {
			a, err := netip.ParseAddr(host.IP)
			if err != nil {
				return nil, fmt.Errorf("%s tells of host %q with address %q", of.name, host.Name, host.IP)
			}
			if out[a] != nil {
				return nil, fmt.Errorf("%s tells of %v twice", of.name, a)
			}
			out[a] = make(map[string]metric)
			for _, m := range host.Metric {
				out[a][m.Name] = m
			}
		}
	}
	return out, nil
}

// complete says what is missing: each host with each metric.
func (s seen) complete(hosts []*host, metrics ...string) error {
	for _, h := range hosts {
		got, ok := s[netip.MustParseAddr(h.ip)]
		if !ok {
			return fmt.Errorf("%s is missing, there are %v", h.name, slices.Collect(maps.Keys(s)))
		}
		for _, m := range metrics {
			if _, ok := got[m]; !ok {
				return fmt.Errorf("%s of %s is missing, there are %v", m, h.name, slices.Sorted(maps.Keys(got)))
			}
		}
	}
	return nil
}
