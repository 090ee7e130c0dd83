package haproxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// TestRealHAProxy runs an HAProxy in front of two servers, stops one, sees it go down and come back.
func TestRealHAProxy(t *testing.T) {
	a, b := startServer(t, "127.0.0.1:0"), startServer(t, "127.0.0.1:0")
	dir := t.TempDir()
	p := newTest(t, "edge", filepath.Join(dir, "s"))
	front := freePort(t)
	startHAProxy(t, dir, fmt.Sprintf(`
global
  stats socket %s/s mode 600 level operator
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend fe
  bind %s
  default_backend be
backend be
  option httpchk GET /
  default-server check inter 100ms fall 2 rise 1
  server a %s
  server b %s
  server off %s disabled
`, dir, front, a.Listener.Addr(), b.Listener.Addr(), b.Listener.Addr()))

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w := watcher{t: t, ctx: ctx, p: p}
	w.until("both servers are up", func() bool {
		return w.value("haproxy_server_status", "a") == statusUp && w.value("haproxy_server_status", "b") == statusUp && w.checked()
	})
	if len(w.events) != 0 {
		t.Errorf("events before anything happened: %v", w.events)
	}
	for range 4 {
		res, err := http.Get("http://" + front + "/")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	w.until("the requests are counted", func() bool { return w.value("haproxy_backend_http_responses_total", "") == 4 })
	for name, want := range map[string]float64{"haproxy_up": 1, "haproxy_frontend_status": 1, "haproxy_backend_status": 1,
		"haproxy_backend_active_servers": 2, "haproxy_process_build_info": 1} {
		if got := w.value(name, ""); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if got := w.value("haproxy_server_status", "off"); got != statusMaint {
		t.Errorf("the disabled server has status %v", got)
	}

	address := b.Listener.Addr().String()
	b.Close()
	w.until("server b is down", func() bool { return w.value("haproxy_server_status", "b") == statusDown })
	w.expect(metric.EventServerDown, "server be/b ("+address+") went DOWN: L4CON: Connection refused")
	if got := w.value("haproxy_backend_active_servers", ""); got != 1 {
		t.Errorf("active servers = %v, want 1", got)
	}
	startServer(t, address)
	w.until("server b is up again", func() bool { return w.value("haproxy_server_status", "b") == statusUp })
	w.expect(metric.EventServerUp, "server be/b ("+address+") went UP: L7OK")
}

// watcher collects again and again and keeps the last samples and all events.
type watcher struct {
	t      *testing.T
	ctx    context.Context
	p      *Probe
	last   batch.Batch
	events []metric.Event
}

func (w *watcher) until(what string, done func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		w.last = batch.Batch{}
		if err := w.p.Collect(w.ctx, time.Now(), &w.last); err != nil {
			w.t.Fatalf("waiting until %s: %v", what, err)
		}
		w.events = append(w.events, w.last.Events...)
		if done() {
			return
		}
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			w.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// value gives the sample of a server, or of the only object of the name that is none; -1 when there is none.
func (w *watcher) value(name, server string) float64 {
	for _, s := range w.last.Samples {
		if s.Series.Name == name && s.Series.Label("server") == server && (s.Series.Label("code") == "" || s.Series.Label("code") == "2xx") {
			return s.Value
		}
	}
	return -1
}

// checked says that the first checks of both servers are done.
func (w *watcher) checked() bool {
	return w.value("haproxy_server_check_code", "a") == 200 && w.value("haproxy_server_check_code", "b") == 200
}

func (w *watcher) expect(kind metric.EventKind, text string) {
	w.t.Helper()
	if len(w.events) != 1 || w.events[0].Kind != kind || !strings.HasPrefix(w.events[0].Text, text) {
		w.t.Errorf("events %+v, want one %s %q", w.events, kind, text)
	}
	w.events = nil
}

func startServer(t *testing.T, address string) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }))
	s.Listener.Close()
	s.Listener = l
	s.Config.SetKeepAlivesEnabled(false)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startHAProxy returns when HAProxy says that it is ready, in the way systemd is told.
func startHAProxy(t *testing.T, dir, config string) {
	t.Helper()
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/haproxy"); err != nil {
			t.Fatal("this test runs HAProxy: install the Debian package haproxy")
		}
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	var said strings.Builder
	cmd := exec.Command(binary, "-Ws", "-f", file)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
	notify.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4096)
	for {
		n, err := notify.Read(buf)
		if err != nil {
			t.Fatalf("haproxy did not become ready: %v\n%s", err, said.String())
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			return
		}
	}
}
