package collector

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/share"
	"keepwatch/collector/state"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
	"keepwatch/metric"
)

const memberEnv = "KEEPWATCH_TEST_MEMBER"

// member is what a collector in a process of its own is made of.
type member struct {
	Host, Data string
	Config     conf.Collector
}

// TestMember is that process when the environment names a member, and else nothing.
func TestMember(t *testing.T) {
	file := os.Getenv(memberEnv)
	if file == "" {
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var m member
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Config: m.Config, Cluster: "lab", Host: m.Host, DataDir: m.Data})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
}

func startMember(t *testing.T, nd *netnstest.Node, host string, cfg conf.Collector) *netnstest.Process {
	t.Helper()
	dir := t.TempDir()
	text, err := json.Marshal(member{host, dir, cfg})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "member.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := nd.Command(self, "-test.run=^TestMember$")
	cmd.Env = append(os.Environ(), memberEnv+"="+file)
	return nd.Start(cmd)
}

// watcher follows the history of a collector that lists no check itself.
type watcher struct {
	mu     sync.Mutex
	ran    map[string]map[string]int // runs by check and host that ran it
	up     map[string][]float64      // what was said of a check since clear
	events []string
}

func watchChecks(t *testing.T, c *Collector) *watcher {
	t.Helper()
	w := &watcher{}
	w.clear()
	ring, err := LoadKeys(c.opt.Config.Keys, "")
	if err != nil {
		t.Fatal(err)
	}
	opener, err := frame.NewOpener(frame.OpenerOptions{Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		var dec batch.Decoder
		cursor := c.state.History().Find(0, time.Now().UnixMilli())
		for ctx.Err() == nil {
			entries, changed, _ := c.state.History().Read(&cursor, make([]state.Entry, 0, 100), time.Now().UnixMilli())
			for _, e := range entries {
				var b batch.Batch
				f, err := opener.Open(e.Datagram, time.UnixMilli(e.At))
				if err == nil {
					err = dec.Decode(f.Payload, &b)
				}
				if err != nil {
					t.Error(err)
				}
				w.take(&b, &f)
			}
			if len(entries) == 0 {
				select {
				case <-changed:
				case <-ctx.Done():
				}
			}
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return w
}

func (w *watcher) take(b *batch.Batch, f *frame.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	note := func(check string) {
		if w.ran[check] == nil {
			w.ran[check] = make(map[string]int)
		}
		w.ran[check][f.Host]++
	}
	for _, s := range b.Samples {
		switch {
		case s.Series.Name == share.View && s.Series.Label("vantage") == f.Host:
			note("tcp/" + s.Series.Label("check"))
		case s.Series.Name == "snmp_up" && s.Value == 1:
			note("snmp/" + s.Series.Host)
		case s.Series.Name == share.Up:
			name := s.Series.Label("check")
			w.up[name] = append(w.up[name], s.Value)
		}
	}
	for _, e := range b.Events {
		if e.Kind == metric.EventCheckDown {
			w.events = append(w.events, e.Host+": "+e.Text)
		}
	}
}

func (w *watcher) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ran, w.up, w.events = make(map[string]map[string]int), make(map[string][]float64), nil
}

// settled waits until each check was run by exactly as many hosts as it wants, three times by each of them, with no
// run by others meanwhile.
func (w *watcher) settled(t *testing.T, what string, want map[string]int) (by map[string][]string) {
	t.Helper()
	w.clear()
	netnstest.Await(t, what, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		by = make(map[string][]string)
		most := 0
		for check, n := range want {
			for host, runs := range w.ran[check] {
				most = max(most, runs)
				by[check] = append(by[check], fmt.Sprintf("%s×%d", host, runs))
				if runs < 3 {
					n = -1
				}
			}
			if len(by[check]) != n {
				if most > 6 { // what ran before is over: look anew
					w.ran = make(map[string]map[string]int)
				}
				return fmt.Errorf("%s is run by %q, want %d hosts", check, by[check], want[check])
			}
		}
		return nil
	})
	for check, of := range by {
		for i := range of {
			of[i], _, _ = strings.Cut(of[i], "×")
		}
		slices.Sort(of)
		by[check] = of
	}
	return by
}

// says waits until that is what is said of a check.
func (w *watcher) says(t *testing.T, check string, value float64) {
	t.Helper()
	w.clear()
	netnstest.Await(t, fmt.Sprintf("%s being %v", check, value), func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if said := w.up[check]; len(said) == 0 || said[len(said)-1] != value {
			return fmt.Errorf("said were %v", said)
		}
		return nil
	})
}

// takers is listeners on a host that take connections and end them.
func takers(t *testing.T, nd *netnstest.Node, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		var l net.Listener
		inNamespace(t, nd, func() (err error) {
			l, err = net.Listen("tcp", address)
			return err
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Close()
			}
		}()
		t.Cleanup(func() { l.Close(); <-done })
	}
}

// snmpDevice is a real snmpd on a host.
func snmpDevice(t *testing.T, nd *netnstest.Node, address string) {
	t.Helper()
	path, err := exec.LookPath("snmpd")
	if err != nil {
		path = program(t, "/usr/sbin/snmpd", "snmpd")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "snmpd.conf")
	if err := os.WriteFile(file, []byte("rocommunity public\nsysName switch1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := nd.Command(path, "-f", "-Lo", "-C", "-c", file, "-p", filepath.Join(dir, "pid"), "udp:"+address)
	cmd.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+dir, "MIBS=")
	p := nd.Start(cmd)
	netnstest.Await(t, "snmpd", func() error {
		if !strings.Contains(p.Output(), "NET-SNMP version") {
			return fmt.Errorf("it has not said yet that it runs: %s", p.Output())
		}
		return nil
	})
}

// Three collectors share six TCP checks and a device that speaks SNMP. A fourth one, which lists none of them, tells
// what they say together.
func TestCollectorsShareChecks(t *testing.T) {
	nodes := hosts(t, 5)
	target, watch := nodes[3], nodes[4]
	target.IP("addr", "add", "10.77.0.40/24", "dev", "eth0")
	cfg := testConf(t)
	cfg.Probes.Host.Enabled = false
	c, _ := start(t, watch, "watch", cfg)
	const interval = time.Second
	want := map[string]int{"snmp/switch1": 1}
	for i, vantage := range []int{1, 1, 1, 1, 2, 3} {
		address := fmt.Sprintf("10.77.0.4:%d", 8001+i)
		if vantage == 3 {
			address = "10.77.0.40:8006"
		}
		name := fmt.Sprintf("web%d", i+1)
		want["tcp/"+name] = vantage
		takers(t, target, address)
		cfg.Checks.TCP = append(cfg.Checks.TCP, conf.TCPCheck{
			Name: name, Host: "vip", Target: address, Interval: interval, Timeout: interval / 2, Vantage: vantage, Quorum: max(vantage-1, 1),
		})
	}
	snmpDevice(t, target, "10.77.0.4:161")
	cfg.Checks.SNMP = []conf.SNMPProbe{{Host: "switch1", Target: "10.77.0.4", Version: "2c", Interval: interval, Timeout: time.Second}}
	var members []*netnstest.Process
	for i, nd := range nodes[:3] {
		members = append(members, startMember(t, nd, fmt.Sprintf("h%d", i+1), cfg))
	}
	w := watchChecks(t, c)
	before := w.settled(t, "three members sharing all checks", want)
	t.Logf("three members: %v", before)

	t.Run("one of three vantage points sees it down", func(t *testing.T) {
		nodes[1].IP("route", "add", "unreachable", "10.77.0.40/32")
		defer nodes[1].IP("route", "del", "unreachable", "10.77.0.40/32")
		w.clear()
		w.awaitEvent(t, "vip: check web6 of 10.77.0.40:8006, seen from h2: no route to it")
		w.settled(t, "the next runs", want)
		w.mu.Lock()
		said := w.up["web6"]
		w.mu.Unlock()
		if slices.Contains(said, 0) {
			t.Errorf("it was said to be down, by %v, while two of three see it up", said)
		}
		nodes[2].IP("route", "add", "unreachable", "10.77.0.40/32")
		defer nodes[2].IP("route", "del", "unreachable", "10.77.0.40/32")
		w.says(t, "web6", 0)
	})
	w.says(t, "web6", 1)

	died := time.Now()
	members[0].Signal(syscall.SIGKILL)
	w.clear()
	want["tcp/web6"] = 2 // no more are left
	w.takenOver(t, before, "h1", want)
	t.Logf("the checks of h1, which was killed, were run by others after %v, %.2f intervals", time.Since(died).Round(time.Millisecond), time.Since(died).Seconds()/interval.Seconds())
	before = w.settled(t, "two members sharing all checks", want)
	t.Logf("two members: %v", before)

	left := time.Now()
	members[1].Signal(syscall.SIGTERM)
	if err := members[1].Wait(); err != nil {
		t.Errorf("h2 ended with %v", err)
	}
	t.Logf("h2 ended after %v", time.Since(left).Round(time.Millisecond))
	w.clear()
	for check := range want {
		want[check] = 1
	}
	w.takenOver(t, before, "h2", want)
	t.Logf("the checks of h2, which was stopped, were run by h3 after %v", time.Since(left).Round(time.Millisecond))
	w.settled(t, "the last member running all checks", want)
	for _, h := range c.Status().State.Hosts {
		if h.Name == "vip" {
			t.Errorf("what is said of a checked host from outside counts as its sign of life: %+v", h)
		}
	}
}

func (w *watcher) awaitEvent(t *testing.T, text string) {
	t.Helper()
	netnstest.Await(t, text, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !slices.Contains(w.events, text) {
			return fmt.Errorf("events are %q", w.events)
		}
		return nil
	})
}

// takenOver waits until every check of a host that is gone was run by as many others as are wanted.
func (w *watcher) takenOver(t *testing.T, before map[string][]string, gone string, want map[string]int) {
	t.Helper()
	netnstest.Await(t, "others in the place of "+gone, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for check, of := range before {
			others := len(w.ran[check])
			if w.ran[check][gone] > 0 {
				others--
			}
			if slices.Contains(of, gone) && others < want[check] {
				return fmt.Errorf("%s is run by %v", check, w.ran[check])
			}
		}
		return nil
	})
}
