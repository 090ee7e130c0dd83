package ganglia

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepwatch/internal/netnstest"
)

// insideEnv is set in the process that runs in the network namespace: /proc/net is that of a process, not of a thread.
const insideEnv = "KEEPWATCH_TEST_BESIDE_GMOND"

// TestBesideGmond runs the real gmond on a host of its own, traffic on its network, and holds each value and each
// metadata message of it against ours at the same moment.
func TestBesideGmond(t *testing.T) {
	if os.Getenv(insideEnv) != "" {
		besideGmond(t)
		return
	}
	if _, err := exec.LookPath("gmond"); err != nil {
		t.Fatal("this test runs the real gmond: install Debian's package ganglia-monitor")
	}
	segment := netnstest.New(t)
	me := segment.Node("me", "10.99.0.1/24")
	echo(t, segment.Node("peer", "10.99.0.2/24"))
	cmd := me.Command(os.Args[0], "-test.run=^TestBesideGmond$", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

const liveConf = `
globals { daemonize = no setuid = no module_dir = "MODULES" }
udp_send_channel { host = 127.0.0.1 port = PORT }
modules {
  module { name = "core_metrics" }
  module { name = "cpu_module" path = "modcpu.so" }
  module { name = "disk_module" path = "moddisk.so" }
  module { name = "load_module" path = "modload.so" }
  module { name = "mem_module" path = "modmem.so" }
  module { name = "net_module" path = "modnet.so" }
  module { name = "proc_module" path = "modproc.so" }
  module { name = "sys_module" path = "modsys.so" }
}
collection_group { collect_every = 2 time_threshold = 2 metric { name_match = ".+" } }
`

// rounds is how often all is compared, each two seconds apart.
const rounds = 5

func besideGmond(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	probe := New(Options{}, time.Now())
	startGmond(t, conn.LocalAddr().(*net.UDPAddr).Port)
	places := make([]int, nMetrics)
	for i := range places {
		places[i] = i
	}
	l := &live{t: t, conn: conn}
	for round := range rounds {
		l.round()
		values, err := probe.Collect(l.at, places)
		if err != nil {
			t.Fatal(err)
		}
		l.compare(round, values)
		if round < rounds-1 { // the last round sees the end of it
			ping(t)
		}
	}
	l.judge()
}

func startGmond(t *testing.T, port int) {
	found, err := filepath.Glob("/usr/lib/*/ganglia/modcpu.so")
	if err != nil || len(found) == 0 {
		t.Fatal("gmond's modules are not below /usr/lib: install Debian's package ganglia-monitor")
	}
	file := filepath.Join(t.TempDir(), "gmond.conf")
	text := strings.NewReplacer("MODULES", filepath.Dir(found[0]), "PORT", fmt.Sprint(port)).Replace(liveConf)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gmond", "-c", file, "-f")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// echo sends back what comes to the node's port 7.
func echo(t *testing.T, nd *netnstest.Node) {
	var conn *net.UDPConn
	var err error
	nd.Do(func() { conn, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(10, 99, 0, 2), Port: 7}) })
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(buf[:n], from) // the asker misses it
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
}

// pings is how many packets of a thousand bytes go to the peer and come back.
const pings = 3000

func ping(t *testing.T) {
	conn, err := net.Dial("udp", "10.99.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 1000)
	for range pings {
		if _, err := conn.Write(buf); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
}

// live is what gmond and our probe said so far.
type live struct {
	t          *testing.T
	conn       *net.UDPConn
	at, before time.Time
	values     map[string]theirs // of this round
	metadata   map[string]meta
	grown      [2]map[string]float64 // gmond's, ours: rate times passed time
	idle       [2]map[string]float64 // sums of shares of time
}

type meta struct {
	kind, units string
	slope, tmax uint32
	desc, group string
}

type theirs struct {
	format string
	number float64
	text   string
}

// round waits until gmond has sent all of its metrics.
func (l *live) round() {
	l.values = make(map[string]theirs)
	if l.metadata == nil {
		l.metadata = make(map[string]meta)
	}
	l.before = l.at
	buf := make([]byte, 2000)
	for len(l.values) < nMetrics {
		if err := l.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			l.t.Fatal(err)
		}
		n, err := l.conn.Read(buf)
		if err != nil {
			l.t.Fatalf("gmond sent %d of %d metrics: %v", len(l.values), nMetrics, err)
		}
		l.at = time.Now()
		if err := l.take(buf[:n]); err != nil {
			l.t.Fatal(err)
		}
	}
}

// take reads one datagram. collector/gmond, which can, is not for a probe to import.
func (l *live) take(b []byte) error {
	r := xdr{b}
	id := r.u32()
	r.text()
	name := r.text()
	r.u32()
	if id == 128 {
		m := meta{kind: r.text()}
		r.text()
		m.units, m.slope, m.tmax = r.text(), r.u32(), r.u32()
		r.u32()
		for range r.u32() {
			switch key, value := r.text(), r.text(); key {
			case "DESC":
				m.desc = value
			case "GROUP":
				m.group = value
			}
		}
		l.metadata[name] = m
		return nil
	}
	v := theirs{format: r.text()}
	switch id {
	case 129, 132:
		v.number = float64(r.u32())
	case 133:
		v.text = r.text()
	case 134:
		v.number = float64(math.Float32frombits(r.u32()))
	case 135:
		hi := uint64(r.u32())
		v.number = math.Float64frombits(hi<<32 | uint64(r.u32()))
	default:
		return errors.New("gmond sent message " + fmt.Sprint(id))
	}
	l.values[name] = v
	return nil
}

type xdr struct{ b []byte }

func (x *xdr) u32() uint32 {
	v := binary.BigEndian.Uint32(x.b)
	x.b = x.b[4:]
	return v
}

func (x *xdr) text() string {
	n := x.u32()
	s := string(x.b[:n])
	x.b = x.b[(n+3)&^3:]
	return s
}

// compare holds this round's values against ours; rates and shares, of which the first round has none that compare,
// are added up for judge.
func (l *live) compare(round int, ours []Value) {
	for i := range l.grown {
		if round == 0 {
			l.grown[i], l.idle[i] = make(map[string]float64), make(map[string]float64)
		}
	}
	for i, m := range Metrics() {
		their, our := l.values[m.Name], ours[i]
		if !our.OK {
			l.t.Errorf("%s has no value", m.Name)
			continue
		}
		switch m.Group {
		case "network":
			if passed := l.at.Sub(l.before).Seconds(); round > 0 {
				l.grown[0][m.Name] += their.number * passed
				l.grown[1][m.Name] += our.Number * passed
			}
			continue
		case "cpu":
			if m.Units == "%" && m.Name != "cpu_aidle" {
				if round > 0 {
					l.idle[0][m.Name] += their.number / (rounds - 1)
					l.idle[1][m.Name] += our.Number / (rounds - 1)
				}
				continue
			}
		}
		if off := math.Abs(their.number - our.Number); off > tolerance(m.Name, ours) || their.text != our.Text {
			l.t.Errorf("%s: gmond says %v %q, we say %v %q", m.Name, their.number, their.text, our.Number, our.Text)
		}
	}
}

// tolerance is what a value may move between gmond's reading and ours, which is up to five seconds later where gmond
// keeps a file for so long. What is not listed stays as it is.
func tolerance(name string, ours []Value) float64 {
	switch name {
	case "mem_free", "mem_cached", "mem_buffers", "mem_sreclaimable", "swap_free":
		return ours[memTotal].Number / 10
	case "load_one", "load_five", "load_fifteen":
		return 5
	case "proc_run":
		return 50
	case "proc_total": // other tests start hundreds of programs
		return ours[procTotal].Number/2 + 500
	case "disk_free":
		return ours[diskTotal].Number / 50
	case "part_max_used", "cpu_aidle":
		return 2
	case "sys_clock":
		return 5
	case "heartbeat", "mtu": // each its own start; gmond says the loopback's, though smaller ones are up
		return math.Inf(1)
	case "mem_total", "swap_total", "disk_total": // as a float of 32 bits
		return 4
	}
	return 0
}

func (l *live) judge() {
	for name, theirs := range l.idle[0] {
		if off := math.Abs(theirs - l.idle[1][name]); off > 12 {
			l.t.Errorf("%s: gmond says %.1f %% on the average, we say %.1f", name, theirs, l.idle[1][name])
		}
	}
	for name, theirs := range l.grown[0] {
		least, ours := float64(pings*(rounds-1)), l.grown[1][name]
		if strings.HasPrefix(name, "bytes") {
			least *= 1000
		}
		if theirs < 0.7*least || ours < 0.7*least || ours > 1.3*theirs+1000 || theirs > 1.3*ours+1000 {
			l.t.Errorf("%s: gmond counted %.0f, we %.0f, at least %.0f were sent", name, theirs, ours, least)
		}
	}
	for _, m := range Metrics() {
		want := meta{kind: string(m.Type), units: m.Units, slope: uint32(m.Slope), tmax: m.TMax, desc: m.Desc, group: m.Group}
		if got := l.metadata[m.Name]; got != want {
			l.t.Errorf("%s: gmond's metadata is %+v, ours %+v", m.Name, got, want)
		}
		if got := l.values[m.Name].format; got != m.Format {
			l.t.Errorf("%s: gmond's format is %q, ours %q", m.Name, got, m.Format)
		}
	}
}
