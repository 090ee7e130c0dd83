package haagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// agentFolder, when set, makes this test program an agent: it runs what FOLDER/config.json says, loads it anew on
// SIGHUP and ends on SIGTERM. So an agent can run in a namespace of its own and be killed.
const agentFolder = "KEEPWATCH_TEST_AGENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(agentFolder); dir != "" {
		if err := beAgent(dir); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func beAgent(dir string) error {
	c, err := readConfig(dir)
	if err != nil {
		return err
	}
	a, err := New(Options{Config: c, Host: "test", DataDir: dir, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		for range hup {
			next, err := readConfig(dir)
			if err == nil {
				err = a.Reload(next)
			}
			slog.Info("reloaded", "err", err)
		}
	}()
	err = a.Run(ctx)
	signal.Stop(hup)
	close(hup)
	<-reloaded
	if leak := goleak.Find(); leak != nil {
		err = errors.Join(err, fmt.Errorf("the agent left goroutines: %w", leak))
	}
	return err
}

func readConfig(dir string) (c conf.HAAgent, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c)
}

// agent is an agent that runs as a process of its own on a node.
type agent struct {
	*netnstest.Process
	t    testing.TB
	node *netnstest.Node
	dir  string
	http http.Client
}

// shortDir is a folder whose path leaves room for the name of a socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kwha")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newAgent(t testing.TB, node *netnstest.Node, c conf.HAAgent) *agent {
	t.Helper()
	a := &agent{t: t, node: node, dir: shortDir(t)}
	a.http = http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(a.dir, status.Socket))
	}}}
	a.configure(c)
	return a
}

func startAgent(t testing.TB, node *netnstest.Node, c conf.HAAgent) *agent {
	t.Helper()
	a := newAgent(t, node, c)
	a.start()
	return a
}

func (a *agent) configure(c conf.HAAgent) {
	a.t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.dir, "config.json"), b, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *agent) start() {
	a.t.Helper()
	self, err := os.Executable()
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := a.node.Command(self)
	cmd.Env = append(os.Environ(), agentFolder+"="+a.dir)
	a.Process = a.node.Start(cmd)
}

func (a *agent) get(path string, v any) error {
	r, err := a.http.Get("http://agent" + path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(r.Body)
		return fmt.Errorf("%s: %s", r.Status, b)
	}
	return json.NewDecoder(r.Body).Decode(v)
}

// instance is the first one's status.
func (a *agent) instance() (status.Instance, error) {
	var s status.Status
	if err := a.get("/status", &s); err != nil {
		return status.Instance{}, err
	}
	if len(s.Instances) == 0 {
		return status.Instance{}, errors.New("no instance yet")
	}
	return s.Instances[0], nil
}

// await waits until the first instance is in a state, with its addresses as they are in it, and returns it.
func (a *agent) await(state string) (found status.Instance) {
	a.t.Helper()
	netnstest.Await(a.t, "our agent to be "+state, func() error {
		i, err := a.instance()
		if err != nil {
			return err
		}
		if i.State != state {
			return fmt.Errorf("it is %s: %s", i.State, i.Reason)
		}
		for _, addr := range i.Addresses {
			if a.node.Holds(addr) != (state == "master") {
				return fmt.Errorf("it is %s, %s is there: %t", state, addr, a.node.Holds(addr))
			}
		}
		found = i
		return nil
	})
	return found
}

// clean fails the test when the agent dropped anything or found anything odd about its peers.
func (a *agent) clean() {
	a.t.Helper()
	i, err := a.instance()
	if err != nil {
		a.t.Fatal(err)
	}
	delete(i.Dropped, vrrp.DropIdle.String()) // what came while it was in fault
	if len(i.Dropped) > 0 || i.AddressMismatch > 0 || i.LastError != "" || i.ChecksumMessageOnly > 0 {
		a.t.Errorf("our agent dropped %v, saw %d other address lists, %d other checksums, last error %q", i.Dropped, i.AddressMismatch, i.ChecksumMessageOnly, i.LastError)
	}
}

func (a *agent) events() status.Events {
	a.t.Helper()
	var e status.Events
	if err := a.get("/events", &e); err != nil {
		a.t.Fatal(err)
	}
	return e
}

// keepalived is Debian's keepalived on a node, with a /tmp of its own for what it writes there.
type keepalived struct {
	*netnstest.Process
	t    *testing.T
	node *netnstest.Node
	dir  string
}

func startKeepalived(t *testing.T, node *netnstest.Node, instance string) *keepalived {
	t.Helper()
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Fatal("this test runs against the real thing: install Debian's package keepalived")
	}
	k := &keepalived{t: t, node: node, dir: shortDir(t)}
	text := "global_defs {\n vrrp_version 3\n script_user root\n}\nvrrp_instance web {\n state BACKUP\n interface eth0\n virtual_router_id 51\n" + instance + "}\n"
	if err := os.WriteFile(filepath.Join(k.dir, "keepalived.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k.start()
	return k
}

func (k *keepalived) start() {
	k.t.Helper()
	k.Process = k.node.Start(k.node.Command("unshare", "--mount", "sh", "-c",
		`mount --bind "$0" /tmp && exec keepalived -n -l -D -P -f /tmp/keepalived.conf --pid=/tmp/pid --vrrp_pid=/tmp/vrrp.pid`, k.dir))
	netnstest.Await(k.t, "keepalived to start", func() error {
		if out := k.Output(); !strings.Contains(out, "Startup complete") {
			return errors.New(out)
		}
		return nil
	})
}

// killTree kills parent and child at once, child first and both stopped before, so that nobody says farewell.
func (k *keepalived) killTree() {
	k.t.Helper()
	child := 0
	b, err := os.ReadFile(filepath.Join(k.dir, "vrrp.pid"))
	if err == nil {
		_, err = fmt.Sscan(string(b), &child)
	}
	if err != nil {
		k.t.Fatalf("keepalived has no child: %v", err)
	}
	for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		k.Signal(s)
		if err := syscall.Kill(child, s); err != nil {
			k.t.Fatal(err)
		}
	}
	_ = k.Wait()
}

type keepalivedDump struct {
	Data struct {
		State    int `json:"state"` // 0 init, 1 backup, 2 master, 3 fault
		Priority int `json:"effective_priority"`
	} `json:"data"`
	Stats map[string]float64 `json:"stats"`
}

// dump has keepalived write its state as JSON and reads it.
func (k *keepalived) dump() keepalivedDump {
	k.t.Helper()
	const sigJSON = syscall.Signal(36) // SIGRTMIN+2
	path := filepath.Join(k.dir, "keepalived.json")
	_ = os.Remove(path)
	k.Signal(sigJSON)
	var all []keepalivedDump
	netnstest.Await(k.t, "keepalived's JSON", func() error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &all); err != nil {
			return err
		}
		if len(all) != 1 {
			return fmt.Errorf("%d instances", len(all))
		}
		return nil
	})
	return all[0]
}

const (
	kaBackup = 1
	kaMaster = 2
)

// clean fails the test when keepalived found anything wrong with what it heard.
func (k *keepalived) clean() {
	k.t.Helper()
	stats := k.dump().Stats
	for _, name := range []string{"packet_len_err", "advert_interval_err", "ip_ttl_err", "invalid_type_rcvd", "addr_list_err", "invalid_authtype", "authtype_mismatch", "auth_failure"} {
		if n, there := stats[name]; n != 0 || !there {
			k.t.Errorf("keepalived counts %g of %s (known: %t)", n, name, there)
		}
	}
	for line := range strings.Lines(k.Output()) {
		if low := strings.ToLower(line); strings.Contains(low, "invalid") || strings.Contains(low, "bogus") || strings.Contains(low, "mismatch") || strings.Contains(low, "wrong") {
			k.t.Errorf("keepalived complains: %s", line)
		}
	}
}

// holds waits until a node has an address, or has not.
func holds(t *testing.T, node *netnstest.Node, addr string, want bool) {
	t.Helper()
	netnstest.Await(t, fmt.Sprintf("%s on %s to be %t", addr, node.Namespace, want), func() error {
		if node.Holds(addr) != want {
			return fmt.Errorf("it has %v", node.Addresses())
		}
		return nil
	})
}

// web is an instance as keepalived's of the same name.
func web(priority int, addrs ...string) conf.Instance {
	i := conf.Instance{Name: "web", Interface: "eth0", VRID: 51, Version: 3, Priority: priority, Interval: interval, Checksum: "keepalived", Accept: true,
		Announce: conf.Announce{Count: 5, Delay: time.Second, Refresh: time.Minute}}
	for _, a := range addrs {
		i.Addresses = append(i.Addresses, conf.Address{Prefix: netip.MustParsePrefix(a)})
	}
	return i
}

func only(i ...conf.Instance) conf.HAAgent {
	return conf.HAAgent{Instances: i, Lease: conf.Lease{Lifetime: 2 * time.Second}}
}

// interval is long enough that a busy machine does not delay three advertisements.
const interval = 200 * time.Millisecond

const kaVIPs = " advert_int 0.2\n virtual_ipaddress {\n  10.7.0.100/24\n  10.7.0.101/24\n }\n"

var vips = []string{"10.7.0.100/24", "10.7.0.101/24"}

func kinds(e status.Events) (all []string) {
	for _, item := range e.Items {
		all = append(all, item.Kind)
	}
	return slices.Compact(all)
}
