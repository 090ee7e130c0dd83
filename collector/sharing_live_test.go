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
	"syscall"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
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
		w.clear()
		nodes[1].IP("route", "add", "unreachable", "10.77.0.40/32")
		defer nodes[1].IP("route", "del", "unreachable", "10.77.0.40/32")
		w.awaitEvent(t, "vip: check web6 of 10.77.0.40:8006, seen from h2: no route to it")
		w.settled(t, "the next runs", want)
		if said := w.sinceClear(t, "web6"); slices.Contains(said, 0) {
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
