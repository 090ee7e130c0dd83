package haagent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
	"keepwatch/metric"
)

// The whole story with two of ours: the proxy dies, the address moves to the other host, clients are served there;
// the proxy is started again and the address comes back.
func TestProxyDeathMovesTheAddress(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b, client := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24"), n.Node("client", "10.7.0.9/24")
	config := func(priority int, name string) conf.HAAgent {
		c := only(web(priority, "10.7.0.100/24"))
		c.Instances[0].Track = []conf.TrackUse{{Name: "proxy"}}
		own := filepath.Join(t.TempDir(), name+".cfg")
		text := "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nfrontend web\n bind 10.7.0.100:80 transparent\n http-request return status 200 content-type text/plain string " + name + "\n"
		if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c.Proxy = conf.Proxy{Engine: "haproxy", ConfigFile: own, MaxConn: 100}
		return c
	}
	first, second := startAgent(t, a, config(200, "first")), startAgent(t, b, config(100, "second"))
	first.await("master")
	answer := func(want string) {
		t.Helper()
		netnstest.Await(t, "the client to be served by "+want, func() error {
			out, err := client.Command("bash", "-c", `exec 3<>/dev/tcp/10.7.0.100/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3`).CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), want) {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	}
	answer("first")
	for _, what := range []string{"the process", "its worker"} {
		var s status.Status
		if err := first.get("/status", &s); err != nil {
			t.Fatal(err)
		}
		pid := s.Proxy.PID
		if what == "its worker" {
			pid = childOf(t, pid)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		second.await("master")
		first.await("master") // the agent starts the proxy again and is the stronger one
		answer("first")
	}
	all := kinds(first.events())
	for _, kind := range []metric.EventKind{metric.EventProxyStopped, metric.EventProxyStarted, metric.EventTrackChanged, metric.EventVRRPTransition, metric.EventVIPTaken, metric.EventVIPReleased} {
		if !slices.Contains(all, string(kind)) {
			t.Errorf("no event of kind %s in %v", kind, all)
		}
	}
	first.Signal(syscall.SIGKILL) // its proxy goes too, or the next start ends it
	second.await("master")
	answer("second")
	_ = first.Wait()
	first.start()
	first.await("master")
	answer("first")
	for _, x := range []*agent{first, second} {
		x.clean()
	}
}

func childOf(t *testing.T, pid int) (child int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(b), &child); err != nil {
		t.Fatalf("process %d has no child: %v", pid, err)
	}
	return child
}

func TestAgentSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	node := n.Node("a", "10.7.0.1/24")
	f := func(want string, c conf.HAAgent, wrap ...string) {
		t.Helper()
		a := newAgent(t, node, c)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		args := append(wrap, self)
		cmd := node.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), agentFolder+"="+a.dir)
		p := node.Start(cmd)
		if err := p.Wait(); err == nil || !strings.Contains(p.Output(), want) {
			t.Errorf("got %v: %s\nwant %s", err, p.Output(), want)
		}
	}
	missing := only(web(200, vips...))
	missing.Instances[0].Interface = "eth7"
	f(`instance "web": there is no interface "eth7": name one of this host's in haagent.instances`, missing)
	f("CAP_NET_ADMIN is missing", only(web(200, vips...)), "setpriv", "--bounding-set=-net_admin")
	f("CAP_NET_RAW is missing", only(web(200, vips...)), "setpriv", "--bounding-set=-net_raw")
	noProxy := only(web(200, vips...))
	noProxy.Proxy = conf.Proxy{Engine: "haproxy", Binary: "/nonexistent/haproxy", ConfigFile: "/dev/null"}
	f("install Debian's package haproxy", noProxy)
	f("there are neither instances nor a proxy", conf.HAAgent{})

	running := startAgent(t, node, only(web(200, vips...)))
	running.await("master")
	second := &agent{t: t, node: node, dir: running.dir}
	second.start()
	if err := second.Wait(); err == nil || !strings.Contains(second.Output(), "another HA agent runs on "+running.dir) {
		t.Errorf("a second agent on the same folder: %v: %s", err, second.Output())
	}
	running.await("master")
}

func TestEventsOverTheSocket(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a := startAgent(t, n.Node("a", "10.7.0.1/24"), only(web(200, vips...)))
	a.await("master")
	all := a.events()
	if got, want := strings.Join(kinds(all), " "), "vrrp_transition vip_taken vrrp_transition"; got != want {
		t.Errorf("got events %s, want %s", got, want)
	}
	last := all.Items[len(all.Items)-1]
	if last.Labels["from"] != "backup" || last.Labels["to"] != "master" || last.Labels["priority"] != "200" || last.Labels["vrid"] != "51" || last.Labels["instance"] != "web" {
		t.Errorf("got %+v", last)
	}
	waited := make(chan status.Events, 1)
	go func() {
		var e status.Events
		if err := a.get(fmt.Sprintf("/events?boot=%s&after=%d&wait=30", all.Boot, all.Last), &e); err != nil {
			t.Error(err)
		}
		waited <- e
	}()
	a.node.SetLink(false)
	if e := <-waited; len(e.Items) == 0 || e.Items[0].Seq != all.Last+1 {
		t.Errorf("a waiting reader got %+v", e)
	}
	info, err := os.Stat(filepath.Join(a.dir, status.Socket))
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v, %v; want mode 0660", info.Mode(), err)
	}
	for _, bad := range []string{"/events?after=x", "/events?wait=x", "/events?after=-1"} {
		if err := a.get(bad, new(status.Events)); err == nil || !strings.HasPrefix(err.Error(), "400") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
	if err := a.get("/nothing", new(status.Events)); err == nil || !strings.HasPrefix(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}

func TestJournalForgetsTheOldest(t *testing.T) {
	j := newJournal("boot")
	now := time.Unix(0, 0)
	for i := range remembered + 10 {
		j.add(now, "kind", fmt.Sprint(i), nil)
	}
	e, _ := j.after("boot", 3)
	if len(e.Items) != remembered || e.Missed != 7 || e.Last != remembered+10 || e.Items[0].Text != "10" {
		t.Errorf("got %d items from %q, missed %d, last %d", len(e.Items), e.Items[0].Text, e.Missed, e.Last)
	}
	e, _ = j.after("boot", remembered+9)
	if len(e.Items) != 1 || e.Missed != 0 {
		t.Errorf("got %+v", e)
	}
	if e, _ = j.after("another boot", remembered+9); len(e.Items) != remembered {
		t.Errorf("after a restart: got %d items", len(e.Items))
	}
}

func TestJournalWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal("boot")
		got := make(chan status.Events, 1)
		go func() { got <- j.await(t.Context(), "boot", 0) }()
		synctest.Wait()
		j.add(time.Now(), "kind", "text", nil)
		if e := <-got; len(e.Items) != 1 {
			t.Errorf("got %+v", e)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if e := j.await(ctx, "boot", 1); len(e.Items) != 0 || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("got %+v before the time was over", e)
		}
	})
}

// Who asks for the status must never hold up a virtual router, and a client that reads nothing must not either.
func TestSlowReadersHoldUpNothing(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a := startAgent(t, n.Node("a", "10.7.0.1/24"), only(web(200, vips...)))
	i := a.await("master")
	for range 50 {
		c, err := net.Dial("unix", filepath.Join(a.dir, status.Socket))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, strings.Repeat("GET /status HTTP/1.1\r\nHost: agent\r\n\r\n", 200)); err != nil {
			t.Fatal(err)
		}
	}
	netnstest.Await(t, "more advertisements", func() error {
		now, err := a.instance()
		if err != nil || now.Sent < i.Sent+5 {
			return fmt.Errorf("sent %d, %w", now.Sent, err)
		}
		if now.Stalls > 0 || now.Transitions != i.Transitions {
			t.Fatalf("held up: %+v", now)
		}
		return nil
	})
}

func TestConfigured(t *testing.T) {
	routers := only(web(1, vips...))
	if new(conf.HAAgent).Configured() || !routers.Configured() || !(&conf.HAAgent{Proxy: conf.Proxy{ConfigFile: "/x"}}).Configured() {
		t.Error("wrong answer")
	}
	if _, err := New(Options{Log: slog.Default()}); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyOwnersMayTell(t *testing.T) {
	told := ownersOnly(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for _, c := range []struct {
		uid  any
		want int
	}{{uint32(0), 200}, {uint32(os.Geteuid()), 200}, {uint32(65534), 403}, {nil, 403}} {
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), peerKey{}, c.uid), http.MethodPost, "/drain?on=true", nil)
		w := httptest.NewRecorder()
		told(w, r)
		if w.Code != c.want {
			t.Errorf("user %v: got %d, want %d", c.uid, w.Code, c.want)
		}
	}
}
