package haproxy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the captures were taken: the start time and uptime that show-info.txt says.
func start() time.Time { return time.Unix(1_795_213_269, 0) }

func newTest(t testing.TB, name, socket string) *Probe {
	t.Helper()
	p, err := New(Options{Cluster: "lab", Host: "lb-1", Config: conf.HAProxyProbe{Name: name, Socket: socket}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func capture(t testing.TB) []byte {
	t.Helper()
	var all []byte
	for _, f := range []string{"testdata/show-info.txt", "testdata/show-stat.csv"} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// read parses a reply as a run at now would.
func read(t testing.TB, p *Probe, reply []byte, now time.Time) *batch.Batch {
	t.Helper()
	var b batch.Batch
	if err := p.read(reply, &run{ms: now.UnixMilli(), out: &b}); err != nil {
		t.Fatal(err)
	}
	p.last = now.UnixMilli()
	return &b
}

func TestGolden(t *testing.T) {
	b := read(t, newTest(t, "edge", "x"), capture(t), start())
	if len(b.Events) != 0 {
		t.Errorf("the first run made events: %v", b.Events)
	}
	var lines []string
	seen := make(map[string]bool)
	for _, s := range b.Samples {
		if seen[s.Series.Key()] {
			t.Errorf("%s is there twice", s.Series)
		}
		seen[s.Series.Key()] = true
		lines = append(lines, fmt.Sprintf("%s %v %s %s", s.Series, s.Value, s.Series.Kind, s.Series.Unit))
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const golden = "testdata/samples.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("samples differ from %s; see git diff after -update", golden)
	}
}

// TestNamesOfOfficialExporter: what HAProxy's own exporter has too is called the same and is of the same kind.
func TestNamesOfOfficialExporter(t *testing.T) {
	list, err := os.ReadFile("testdata/promex-names.txt")
	if err != nil {
		t.Fatal(err)
	}
	official := make(map[string]string)
	for l := range strings.Lines(string(list)) {
		name, kind, _ := strings.Cut(strings.TrimSpace(l), " ")
		official[name] = kind
	}
	ours := map[string]bool{} // not in the exporter: momentary rates, which it leaves to PromQL, and texts
	for _, n := range []string{
		"haproxy_frontend_current_session_rate", "haproxy_backend_current_session_rate", "haproxy_server_current_session_rate",
		"haproxy_frontend_connections_rate_current", "haproxy_frontend_http_requests_rate_current",
		"haproxy_server_info",
	} {
		ours[n] = true
	}
	for _, s := range read(t, newTest(t, "", "x"), capture(t), start()).Samples {
		kind, ok := official[s.Series.Name]
		switch {
		case !ok && !ours[s.Series.Name]:
			t.Errorf("%s is no name of the official exporter", s.Series.Name)
		case ok && (kind == "counter") != (s.Series.Kind == metric.Counter) && s.Series.Name != "haproxy_process_pipes_used_total":
			t.Errorf("%s is a %s, the official exporter has a %s", s.Series.Name, s.Series.Kind, kind)
		}
	}
}

// TestDocumented holds docs/probes/haproxy.md to what the probe says.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/probes/haproxy.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]*metric.Series{"haproxy_up": newTest(t, "", "x").up}
	for _, s := range read(t, newTest(t, "", "x"), capture(t), start()).Samples {
		names[s.Series.Name] = s.Series
	}
	for name, s := range names {
		unit := string(s.Unit)
		if unit == "" {
			unit = "–"
		}
		for _, k := range []string{"frontend", "backend", "server"} {
			if rest, ok := strings.CutPrefix(name, "haproxy_"+k+"_"); ok && rest != "status" {
				name = "haproxy_*_" + rest
			}
		}
		if row := fmt.Sprintf("| `%s` | %s | %s |", name, s.Kind, unit); !strings.Contains(string(page), row) {
			t.Errorf("docs/probes/haproxy.md lacks a row that begins %s", row)
		}
	}
}

func TestSeriesAreKept(t *testing.T) {
	p := newTest(t, "edge", "x")
	a := read(t, p, capture(t), start())
	b := read(t, p, capture(t), start().Add(15*time.Second))
	for i := range a.Samples {
		if a.Samples[i].Series != b.Samples[i].Series {
			t.Fatalf("%s changed its pointer", a.Samples[i].Series)
		}
		if got := a.Samples[i].Series.Label("proxy_instance"); got != "edge" {
			t.Fatalf("%s: proxy_instance %q", a.Samples[i].Series, got)
		}
	}
	// a reload takes be_api away
	var kept []string
	for l := range strings.Lines(string(capture(t))) {
		if !strings.HasPrefix(l, "be_api,") {
			kept = append(kept, l)
		}
	}
	for _, s := range read(t, p, []byte(strings.Join(kept, "")), start()).Samples {
		if s.Series.Label("proxy") == "be_api" {
			t.Errorf("%s is left of a backend that is gone", s.Series)
		}
	}
	if p.objects.seen != len(p.objects.all) {
		t.Errorf("%d objects are remembered, %d are there", len(p.objects.all), p.objects.seen)
	}
}

func TestBounds(t *testing.T) {
	p := newTest(t, "", "x")
	var s strings.Builder
	s.WriteString("Name: HAProxy\n\n# pxname,svname,status,type,\n")
	for i := range maxRows + 7 {
		fmt.Fprintf(&s, "be,s%d,UP,2,\n", i)
	}
	err := p.read([]byte(s.String()), &run{out: new(batch.Batch)})
	if !errors.Is(err, errLeftOut) || !strings.Contains(err.Error(), "7 frontends, backends and servers") {
		t.Errorf("error %v, want 7 left out", err)
	}
}

// TestSocketErrors: each reason that people meet says what to do, and haproxy_up is 0.
func TestSocketErrors(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	f := func(path string, is error, text string) {
		t.Helper()
		var b batch.Batch
		err := newTest(t, "", path).Collect(t.Context(), start(), &b)
		if !errors.Is(err, is) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %q, want %v and %q", err, is, text)
		}
		if len(b.Samples) != 1 || b.Samples[0].Series.Name != "haproxy_up" || b.Samples[0].Value != 0 {
			t.Errorf("samples %v, want haproxy_up 0", b.Samples)
		}
	}
	f(filepath.Join(dir, "none.sock"), fs.ErrNotExist, `line "stats socket" with this path`)
	f(stale, syscall.ECONNREFUSED, "HAProxy is not running")
	if err := explain(&net.OpError{Op: "dial", Err: syscall.EACCES}); !strings.Contains(err.Error(), "group keepwatch mode 660") {
		t.Errorf("error %v does not say how to get permission", err)
	}
}

// serve answers one connection after another with reply; hang leaves the connection open.
func serve(t *testing.T, reply string, hang bool) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 100))
			c.Write([]byte(reply))
			if hang {
				c.Read(make([]byte, 1)) // until the probe gives up
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return path
}

func TestStrangeAnswers(t *testing.T) {
	whole := string(capture(t))
	f := func(reply, text string) {
		t.Helper()
		var b batch.Batch
		err := newTest(t, "", serve(t, reply, false)).Collect(t.Context(), start(), &b)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want %q", err, text)
		}
		if up := b.Samples[len(b.Samples)-1]; up.Series.Name != "haproxy_up" || up.Value != 0 {
			t.Errorf("last sample %v, want haproxy_up 0", up)
		}
	}
	f("", "no line that begins")
	f("Unknown command: 'show'", "Unknown command")
	f("Name: HAProxy\n\n# pxname,svname\n", `lacks the column "type"`)
	f("Name: HAProxy\n\n# pxname", "no line that begins")
	f("Name: HAProxy\n\n# pxname,svname,status,type", "cut short in its first line")
	f("boo\n# pxname,svname\n", `want "Name:"`)
	f(whole[:len(whole)-20], "cut short")
	f("Name: HAProxy\n\n# pxname,"+strings.Repeat("x,", maxColumns)+"\n", "at most 1000")
	f("Name: HAProxy\n\n# pxname,svname,status,type,\n"+strings.Repeat("x,", maxColumns+5)+"\n", "more than 1000 fields")
	f("Name: HAProxy\n\n# pxname,svname,status,type,\na,b,\"UP\"x,2,\n", "row 1, field 3")
}

func TestNoAnswer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var b batch.Batch
	err := newTest(t, "", serve(t, "Name: HAProxy\n", true)).Collect(ctx, start(), &b)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no whole answer in time") {
		t.Errorf("error %v", err)
	}
}

func TestNew(t *testing.T) {
	for _, o := range []Options{
		{Cluster: "c", Host: "h"},
		{Host: "h", Config: conf.HAProxyProbe{Socket: "x"}},
		{Cluster: "c", Host: "h", Config: conf.HAProxyProbe{Socket: "x", Name: "a\nb"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("New(%+v) takes it", o)
		}
	}
	if p := newTest(t, "edge", "x"); p.Name() != "haproxy/edge" {
		t.Errorf("Name %q", p.Name())
	}
	if p := newTest(t, "", "x"); p.Name() != "haproxy" {
		t.Errorf("Name %q", p.Name())
	}
}

func BenchmarkRead(b *testing.B) {
	p, reply := newTest(b, "edge", "x"), capture(b)
	r := run{ms: 1, out: new(batch.Batch)}
	b.ReportAllocs()
	for b.Loop() {
		r.out.Reset()
		if err := p.read(reply, &r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(r.out.Samples)), "samples/op")
}
