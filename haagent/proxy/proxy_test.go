package proxy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
)

var update = flag.Bool("update", false, "write the golden files anew")

func declared() conf.Proxy {
	check := conf.Check{Path: "/healthz", Interval: 2 * time.Second, Rise: 2, Fall: 3}
	return conf.Proxy{
		Engine: "haproxy", MaxConn: 2000,
		Frontends: []conf.Frontend{
			{Name: "web", Mode: "http", Bind: []string{"10.0.0.100:80", "[fd00::100]:80", ":8080", "127.0.0.1:8081"}, Backend: "nginx"},
			{Name: "db", Mode: "tcp", Bind: []string{"10.0.0.100:5432"}, Backend: "postgres"},
		},
		Backends: []conf.Backend{
			{Name: "nginx", Mode: "http", Balance: "roundrobin", Check: check, Servers: []conf.Server{
				{Name: "web1", Address: "10.0.0.21:80", Weight: 100}, {Name: "web2", Address: "10.0.0.22:80", Weight: 50, Backup: true},
			}},
			{Name: "postgres", Mode: "tcp", Balance: "first", Check: conf.Check{Interval: 500 * time.Millisecond, Rise: 1, Fall: 1}, Servers: []conf.Server{
				{Name: "db1", Address: "10.0.0.31:5432", Weight: 100},
			}},
		},
	}
}

func TestRender(t *testing.T) {
	got := Render(declared(), Files{Stats: `/var/lib/keep watch/"haproxy".sock`}, "haproxy")
	golden := filepath.Join("testdata", "haproxy.cfg")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kwproxy")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// What we render, the real HAProxy accepts.
func TestHAProxyAcceptsWhatIsRendered(t *testing.T) {
	if _, err := New(t.Context(), Options{Config: declared(), Dir: shortDir(t), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	f := func(want string, change func(*Options)) {
		t.Helper()
		opt := Options{Config: declared(), Dir: shortDir(t), Log: slog.New(slog.DiscardHandler)}
		change(&opt)
		if _, err := New(t.Context(), opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("install Debian's package haproxy", func(o *Options) { o.Config.Binary = "/nowhere/haproxy" })
	f("too long", func(o *Options) { o.Dir = "/" + strings.Repeat("x", 120) })
	f("refuses its configuration", func(o *Options) { o.Config.Backends[0].Servers[0].Address = "no such host.:80" })
	f("refuses its configuration", func(o *Options) { o.Config = conf.Proxy{ConfigFile: filepath.Join(o.Dir, "missing.cfg")} })
}

// running is a proxy in front of a server that answers its name.
type running struct {
	*Proxy
	url     string
	changes chan State
	stop    func()
}

func run(t *testing.T, dir string, c conf.Proxy) running {
	t.Helper()
	r := running{changes: make(chan State, 16)}
	p, err := New(t.Context(), Options{Config: c, Dir: dir, Log: slog.New(slog.DiscardHandler), Changed: func(s State) { r.changes <- s }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	r.Proxy, r.url = p, "http://"+c.Frontends[0].Bind[0]
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(r.stop)
	return r
}

func (r running) next(t *testing.T) State {
	t.Helper()
	select {
	case s := <-r.changes:
		return s
	case <-time.After(time.Minute):
		t.Fatalf("no change of state; now %+v", r.State())
		return State{}
	}
}

func one(t *testing.T) conf.Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return conf.Proxy{
		Engine: "haproxy", MaxConn: 100,
		Frontends: []conf.Frontend{{Name: "web", Mode: "http", Bind: []string{l.Addr().String()}, Backend: "b"}},
		Backends:  []conf.Backend{{Name: "b", Mode: "http", Balance: "roundrobin", Check: conf.Check{Interval: time.Second, Rise: 1, Fall: 1}, Servers: []conf.Server{answering(t, "first")}}},
	}
}

func answering(t *testing.T, name string) conf.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(s.Close)
	return conf.Server{Name: name, Address: strings.TrimPrefix(s.URL, "http://"), Weight: 100}
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// It serves, its death is told and mended, a reload brings the new server, a bad reload changes nothing, and a stop
// leaves no process.
func TestLifeOfAProxy(t *testing.T) {
	c := one(t)
	r := run(t, shortDir(t), c)
	up := r.next(t)
	if !up.Up || up.PID == 0 {
		t.Fatalf("got %+v, want up", up)
	}
	if got := get(t, r.url); got != "first" {
		t.Errorf("got answer %q", got)
	}

	if err := unix.Kill(up.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if s := r.next(t); s.Up || !strings.Contains(s.Reason, "killed") {
		t.Errorf("after the kill: got %+v, want down with the reason", s)
	}
	if s := r.next(t); !s.Up || s.PID == up.PID || s.Restarts != 1 {
		t.Errorf("got %+v, want up again as another process", s)
	}

	second := c
	second.Backends = []conf.Backend{c.Backends[0]}
	second.Backends[0].Servers = []conf.Server{answering(t, "second")}
	if err := r.Reload(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if got := get(t, r.url); got != "second" {
		t.Errorf("after the reload: got answer %q", got)
	}
	bad := second
	bad.Backends = []conf.Backend{second.Backends[0]}
	bad.Backends[0].Balance = "nonsense"
	if err := r.Reload(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "balance only supports") {
		t.Errorf("a bad reload: got %v", err)
	}
	if got := get(t, r.url); got != "second" {
		t.Errorf("after a bad reload: got answer %q", got)
	}
	pid := r.State().PID
	r.stop()
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("process %d is left behind: %v", pid, err)
	}
}

// A client that comes again and again, each time on a new connection, sees no reload.
func TestReloadLosesNoConnection(t *testing.T) {
	c := one(t)
	r := run(t, shortDir(t), c)
	if s := r.next(t); !s.Up {
		t.Fatalf("got %+v, want up", s)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	stop, asked := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { asked <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			res, err := client.Get(r.url)
			if err != nil {
				t.Errorf("request %d: %v", n, err)
				return
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("request %d: %s, %v", n, res.Status, err)
			}
			_ = res.Body.Close()
			n++
		}
	}()
	for i := range 3 {
		c.MaxConn = 200 + i
		if err := r.Reload(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	t.Logf("%d requests over 3 reloads", <-asked)
	if s := r.State(); s.Restarts != 0 {
		t.Errorf("got %+v: a reload must not be a restart", s)
	}
}

// A proxy that an agent left, which even the parent-death signal did not end, makes room for the next agent's.
func TestLeftOverProxyIsReplaced(t *testing.T) {
	c, dir := one(t), shortDir(t)
	p, err := New(t.Context(), Options{Config: c, Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	orphan := exec.Command("haproxy", "-W", "-S", p.files.Master+",level,admin", "-p", p.files.PID, "-f", p.files.Config)
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- orphan.Wait() }()
	for {
		if _, err := os.Stat(p.files.PID); err == nil {
			if text, err := ask(t.Context(), p.files.Stats, "show info\n"); err == nil && text != "" {
				break
			}
		}
	}
	r := run(t, dir, c)
	if s := r.next(t); !s.Up || s.PID == orphan.Process.Pid {
		t.Errorf("got %+v, want a process of our own", s)
	}
	<-gone
	if got := get(t, r.url); got != "first" {
		t.Errorf("got answer %q", got)
	}
}

func TestParseReloads(t *testing.T) {
	f := func(text string, reloads, failed int, ok bool) {
		t.Helper()
		r, fl, k := parseReloads(text)
		if r != reloads || fl != failed || k != ok {
			t.Errorf("%q: got %d, %d, %t", text, r, fl, k)
		}
	}
	const head = "#<PID>          <type>          <reloads>       <uptime>        <version>        \n"
	f(head+"4006            master          0               0d00h00m05s     2.6.12-1+deb12u1\n# workers\n4008            worker          0               0d00h00m05s     2.6.12\n", 0, 0, true)
	f(head+"4006            master          3 [failed: 1]   0d00h00m05s     2.6.12\n", 3, 1, true)
	f("", 0, 0, false)
	f("4008            worker          7               0d\n", 0, 0, false)
}
