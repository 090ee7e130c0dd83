package ganglia

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	tree "keepwatch/internal/ganglia"
	"keepwatch/internal/netnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is addresses that answer, as functions that make a document; nil: nobody is there.
type network struct {
	mu     sync.Mutex
	answer map[string]func(io.Writer)
	asked  []string
	wg     sync.WaitGroup
}

func (n *network) set(addr string, answer func(io.Writer)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer[addr] = answer
}

// since gives the addresses asked since the last call.
func (n *network) since() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := strings.Join(n.asked, " ")
	n.asked = nil
	return out
}

func (n *network) dial(_ context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	answer := n.answer[addr]
	n.asked = append(n.asked, addr)
	n.mu.Unlock()
	if answer == nil {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	n.wg.Go(func() {
		answer(theirs)
		theirs.Close()
	})
	return pipe{ours}, nil
}

// pipe bears a deadline after the other end has closed, as a socket does.
type pipe struct{ net.Conn }

func (p pipe) SetReadDeadline(at time.Time) error {
	if err := p.Conn.SetReadDeadline(at); !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// gmondOf answers as a gmond with one host.
func gmondOf(cluster, host string) func(io.Writer) {
	return func(w io.Writer) {
		now := time.Now().Unix()
		c := tree.Cluster{Name: cluster, LocalTime: now, Owner: "o"}
		h := tree.Host{Name: host, IP: "10.0.0.1", Reported: now, TMax: 20, Metrics: []tree.Metric{{Name: "load_one", Value: "1.5", Type: "float", Slope: "both", TMax: 70}}}
		b := tree.AppendHost(tree.AppendCluster(tree.AppendHead(nil, tree.Version, "gmond"), &c), &h)
		_, _ = w.Write(tree.AppendTail(tree.AppendClusterEnd(b)))
	}
}

// sunk is what came to a Sink.
type sunk struct {
	mu      sync.Mutex
	events  []string
	samples map[string]int     // of each cluster's host, and of its host_up
	values  map[string]float64 // newest, by metric and host
}

func (s *sunk) take(_ context.Context, cluster string, b *batch.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.samples == nil {
		s.samples, s.values = make(map[string]int), make(map[string]float64)
	}
	for _, e := range b.Events {
		s.events = append(s.events, fmt.Sprintf("%s %s@%s", e.Kind, e.Host, cluster))
	}
	for _, v := range b.Samples {
		host := cluster + "/" + v.Series.Host
		s.samples[host]++
		if v.Series.Name == hostUpMetric {
			s.samples[hostUpMetric+" "+host]++
		}
		s.values[v.Series.Name+" "+v.Series.Host] = v.Value
	}
	return nil
}

func (s *sunk) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := strings.Join(s.events, ", ")
	s.events = nil
	return out
}

func (s *sunk) has(host string) bool { return s.count(host) > 0 }

func (s *sunk) count(host string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.samples[host]
}

// last is the newest value of "metric host".
func (s *sunk) last(name string) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[name]
}

// polling runs a poller of these sources, "name: address address", 10 s apart, in a bubble.
func polling(t *testing.T, n *network, log io.Writer, sources ...string) (*Poller, *sunk, func()) {
	t.Helper()
	cfg := conf.Ganglia{Grid: "g", Authority: "http://a/", AcceptFrom: []string{"local"}}
	for _, text := range sources {
		name, addresses, _ := strings.Cut(text, ": ")
		cfg.Sources = append(cfg.Sources, conf.GangliaSource{Name: name, Interval: 10 * time.Second, Addresses: strings.Fields(addresses), Store: true})
	}
	s := &sunk{}
	p, err := New(Options{Config: cfg, Sink: s.take, Clusters: []string{"native"}, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	p.dial = n.dial
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return p, s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		n.wg.Wait()
	}
}

// round waits for about one interval, so that each source is polled once.
func round() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

// The list is walked as gmetad does: the address that answers is kept, also when an earlier one is back; when it
// fails, all are tried from the first.
func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: map[string]func(io.Writer){"b:1": gmondOf("lab", "h"), "c:1": gmondOf("lab", "h")}}
		p, s, stop := polling(t, n, io.Discard, "lab: a:1 b:1 c:1")
		defer stop()
		synctest.Wait()
		expect := func(what, asked, told string) {
			t.Helper()
			if got := n.since(); got != asked {
				t.Errorf("%s: asked %q, want %q", what, got, asked)
			}
			if got := s.told(); got != told {
				t.Errorf("%s: told %q, want %q", what, got, told)
			}
		}
		expect("at start", "a:1 b:1", "")
		n.set("a:1", gmondOf("lab", "h"))
		round()
		round()
		if got := n.since(); strings.Trim(got, "b:1 ") != "" {
			t.Errorf("the one that answers is not kept: %s", got)
		}
		n.set("b:1", nil)
		n.set("a:1", nil)
		round()
		round()
		if got := n.since(); !strings.Contains(got, "b:1 a:1 c:1") || !strings.HasSuffix(got, "c:1") {
			t.Errorf("after its death: %s", got)
		}
		if got := p.Status().Sources[0]; got.Address != "c:1" || got.Error != "" || got.HostsUp != 1 {
			t.Errorf("status %+v", got)
		}
		n.set("c:1", nil)
		round()
		round()
		if got := s.told(); got != "ganglia_source_lost c@lab" {
			t.Errorf("told %q", got)
		}
		for range 8 {
			round()
		}
		if st := p.Status().Sources[0]; st.Error == "" || st.Hosts != 1 || st.HostsUp != 0 {
			t.Errorf("hosts of a lost source go down: %+v", st)
		}
		n.set("a:1", gmondOf("lab", "h"))
		round()
		round()
		if got := s.told(); got != "ganglia_source_found a@lab" {
			t.Errorf("told %q", got)
		}
	})
}

// An address that falls silent within its document is left after ten seconds, one that ends early at once; one whose
// document is broken in places is kept, and said to be degraded.
func TestBadAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := func() string {
			var b bytes.Buffer
			gmondOf("lab", "h")(&b)
			return b.String()
		}
		text := whole()
		half := text[:strings.Index(text, "<METRIC")]
		n := &network{answer: map[string]func(io.Writer){
			"early:1":   func(w io.Writer) { _, _ = io.WriteString(w, half) },
			"silent:1":  func(w io.Writer) { _, _ = io.WriteString(w, half); time.Sleep(time.Hour) },
			"foreign:1": func(w io.Writer) { _, _ = io.WriteString(w, "SSH-2.0-OpenSSH\r\n") },
			"broken:1": func(w io.Writer) {
				_, _ = io.WriteString(w, strings.Replace(whole(), "</HOST>", `<METRIC NAME="cut" VAL="x`+"\n</HOST>", 1))
			},
		}}
		var log bytes.Buffer
		p, s, stop := polling(t, n, &log, "lab: early:1 foreign:1 silent:1 broken:1")
		time.Sleep(readGap + time.Second)
		synctest.Wait()
		if got := n.since(); !strings.HasPrefix(got, "early:1 foreign:1 silent:1 broken:1") {
			t.Errorf("asked %q", got)
		}
		round()
		if got := n.since(); strings.Trim(got, "broken:1 ") != "" {
			t.Errorf("then asked %q", got)
		}
		st := p.Status().Sources[0]
		if !strings.Contains(st.Degraded, "1 places left out") || !strings.Contains(st.Degraded, `"cut"`) || st.Hosts != 1 || !s.has("lab/h") {
			t.Errorf("status %+v", st)
		}
		time.Sleep(time.Hour) // the silent one ends
		stop()
		if c := strings.Count(log.String(), "is broken in places"); c < 1 || c > 2 {
			t.Errorf("told %d times in an hour", c)
		}
	})
}

// Two sources with one cluster: the first has it, for good, and it is said; a cluster of native streams is shown and
// not stored twice.
func TestOneNameTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: map[string]func(io.Writer){"a:1": gmondOf("lab", "first"), "b:1": gmondOf("lab", "second"), "c:1": gmondOf("native", "third")}}
		var log bytes.Buffer
		p, s, stop := polling(t, n, &log, "one: a:1", "two: b:1", "three: c:1")
		round() // which source answers first at all is chance
		for range 5 {
			round()
			g := p.grid(time.Now())
			if len(g.Clusters) != 2 || g.Clusters[0].Hosts[0].Name != "first" || g.Clusters[1].Name != "native" {
				t.Fatalf("got %+v", g.Clusters)
			}
		}
		n.set("a:1", nil)
		for range 5 {
			round()
		}
		if g := p.grid(time.Now()); len(g.Clusters) != 2 || g.Clusters[0].Hosts[0].Name != "first" {
			t.Errorf("the name changed hands: %+v", g.Clusters)
		}
		if st := p.Status().Sources[1]; !strings.Contains(st.Conflict, `"lab"`) || len(st.Clusters) != 0 {
			t.Errorf("status %+v", st)
		}
		stop()
		if s.has("native/third") || !s.has("lab/first") {
			t.Errorf("stored %v", s.samples)
		}
		for _, what := range []string{"two sources tell of one cluster", "is pulled from collectors already"} {
			if c := strings.Count(log.String(), what); c != 1 {
				t.Errorf("%q told %d times", what, c)
			}
		}
	})
}

// telling answers as a gmond with these hosts.
func telling(hosts ...tree.Host) func(io.Writer) {
	return func(w io.Writer) {
		now := time.Now().Unix()
		b := tree.AppendCluster(tree.AppendHead(nil, tree.Version, "gmond"), &tree.Cluster{Name: "lab", LocalTime: now})
		for _, h := range hosts {
			h.Reported, h.TMax = now-int64(h.TN), 20
			b = tree.AppendHost(b, &h)
		}
		_, _ = w.Write(tree.AppendTail(tree.AppendClusterEnd(b)))
	}
}

func valued(names ...string) (out []tree.Metric) {
	for _, name := range names {
		out = append(out, tree.Metric{Name: name, Value: "2", Type: "float", Slope: "both", TMax: 60})
	}
	return out
}

// The aggregator that answers knows less than the one before, as when it was restarted: who was dead stays dead, and
// is said to be, until DMAX; metrics stay until theirs; nothing is stored again.
func TestWhatWasToldIsCarriedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brief := tree.Metric{Name: "brief", Value: "2", Type: "float", DMax: 100, TMax: 60}
		dead := tree.Host{Name: "web7", TN: 200, Metrics: valued("load_one")}
		gone := tree.Host{Name: "web8", TN: 200, DMax: 300, Metrics: valued("load_one")}
		n := &network{answer: map[string]func(io.Writer){"a:1": telling(tree.Host{Name: "web1", Metrics: append(valued("load_one", "depth"), brief)}, dead, gone)}}
		p, s, stop := polling(t, n, io.Discard, "lab: a:1")
		defer stop()
		synctest.Wait()
		before := s.count("lab/web7")
		n.set("a:1", telling(tree.Host{Name: "web1", Metrics: valued("load_one")}))
		look := func() (hosts map[string][]string, summary *tree.Summary) {
			hosts = make(map[string][]string)
			c := p.grid(time.Now()).Clusters[0]
			for _, h := range c.Hosts {
				hosts[h.Name] = []string{}
				for _, m := range h.Metrics {
					hosts[h.Name] = append(hosts[h.Name], m.Name)
				}
			}
			return hosts, c.Summary
		}
		for range 3 {
			round()
		}
		hosts, summary := look()
		if want := "map[web1:[load_one depth brief] web7:[load_one] web8:[load_one]]"; fmt.Sprint(hosts) != want {
			t.Errorf("after the restart: got %v, want %s", hosts, want)
		}
		if summary.Up != 1 || summary.Down != 2 || len(summary.Metrics) != 1 || summary.Metrics[0].Sum != 2 {
			t.Errorf("after the restart: %+v", summary)
		}
		if up := s.last(hostUpMetric + " web7"); up != 0 {
			t.Errorf("host_up of web7 is %v", up)
		}
		if rose, ups := s.count("lab/web7")-before, s.count(hostUpMetric+" lab/web7"); rose < 2 || rose != ups-1 {
			t.Errorf("%d samples of web7 since, of its %d host_up: something is stored again", rose, ups)
		}
		for range 10 {
			round()
		}
		if hosts, _ = look(); fmt.Sprint(hosts) != "map[web1:[load_one depth] web7:[load_one]]" {
			t.Errorf("after what has a DMAX: %v", hosts)
		}
		for range 24 * 360 {
			round()
		}
		if hosts, _ = look(); fmt.Sprint(hosts) != "map[web1:[load_one]]" {
			t.Errorf("after host_dmax: %v", hosts)
		}
	})
}

// A gmetad that was restarted tells of its clusters one after the other, as it polls them.
func TestClusterThatWasAwayIsCarriedOn(t *testing.T) {
	host := func(name string, tn uint32) tree.Host {
		return tree.Host{Name: name, Reported: 1000, TN: tn, TMax: 20}
	}
	grid := func(at int64, clusters ...tree.Cluster) *view {
		return newView(&tree.Document{Grid: &tree.Grid{Name: "g", Clusters: clusters}}, at)
	}
	c := newCarried(time.Hour)
	c.join(grid(0, tree.Cluster{Name: "one", Hosts: []tree.Host{host("a", 0), host("dead", 100)}}, tree.Cluster{Name: "two"}))
	v := grid(10, tree.Cluster{Name: "two"})
	c.join(v)
	if got := v.names(); fmt.Sprint(got) != "[two]" {
		t.Errorf("shown meanwhile: %v", got)
	}
	v = grid(20, tree.Cluster{Name: "one", Hosts: []tree.Host{host("a", 0)}})
	if !c.join(v) {
		t.Error("no room")
	}
	if got := v.all()[0].Hosts; len(got) != 2 || got[1].Name != "dead" || got[1].TN != 120 || !got[1].Carried || got[0].Carried {
		t.Errorf("got %+v", got)
	}
	c.join(grid(4000))
	if len(c.clusters) != 0 {
		t.Errorf("never forgotten: %+v", c.clusters)
	}
}

func TestCarriedIsBounded(t *testing.T) {
	c := newCarried(time.Hour)
	many := tree.Cluster{Name: "lab"}
	for i := range maxCarriedHosts + 5 {
		many.Hosts = append(many.Hosts, tree.Host{Name: fmt.Sprint(i)})
	}
	c.join(newView(&tree.Document{Cluster: &many}, 0))
	v := newView(&tree.Document{Cluster: &tree.Cluster{Name: "lab"}}, 10)
	if c.join(v) {
		t.Error("not said")
	}
	if got := len(v.all()[0].Hosts); got != maxCarriedHosts {
		t.Errorf("%d hosts", got)
	}
}

func TestClaims(t *testing.T) {
	c := claims{by: make(map[string][]int)}
	if got := c.update(1, []string{"lab"}); len(got) != 0 {
		t.Errorf("alone: %v", got)
	}
	if got := c.update(0, []string{"lab", "db"}); len(got) != 0 {
		t.Errorf("the first comes later: %v", got)
	}
	if got := c.update(1, []string{"lab"}); got["lab"] != 0 || len(got) != 1 {
		t.Errorf("then the second loses it: %v", got)
	}
	c.update(0, []string{"db"})
	if got := c.update(1, []string{"lab"}); len(got) != 0 {
		t.Errorf("and has it again when the first tells of it no more: %v", got)
	}
}

// A gmetad below: its clusters in full are stored and found by their path, what is told of a grid is its summary.
func TestNestedGrid(t *testing.T) {
	inner := func(w io.Writer) {
		now := time.Now().Unix()
		g := tree.Grid{Name: "Inner", Authority: "http://inner/", LocalTime: now, Clusters: []tree.Cluster{{
			Name: "deep", LocalTime: now - 2, Hosts: []tree.Host{{Name: "d", Reported: now - 4, TN: 4, TMax: 20, Metrics: []tree.Metric{{Name: "load_one", Value: "2", Type: "float"}}}},
		}}, Grids: []tree.Grid{{Name: "Innermost", Summary: &tree.Summary{Up: 3, Down: 1, Metrics: []tree.Sum{{Name: "load_one", Sum: 5, Num: 3, Type: "double"}}}}}}
		_ = tree.WriteAnswer(w, &g, tree.Request{}, now)
	}
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: map[string]func(io.Writer){"a:1": gmondOf("lab", "h"), "b:1": inner}}
		p, s, stop := polling(t, n, io.Discard, "lab: a:1", "below: b:1")
		synctest.Wait()
		ask := func(path string) string {
			var b bytes.Buffer
			req, err := tree.ParseRequest([]byte(path))
			if err == nil {
				err = tree.WriteAnswer(&b, p.grid(time.Now()), req, time.Now().Unix())
			}
			if err != nil {
				t.Error(err)
			}
			return b.String()
		}
		if got := ask("/?filter=summary"); !strings.Contains(got, `<HOSTS UP="5" DOWN="1"`) || !strings.Contains(got, `<METRICS NAME="load_one" SUM="8.5" NUM="5"`) {
			t.Errorf("root:\n%s", got)
		}
		if got := ask("/"); strings.Contains(got, `NAME="deep"`) || strings.Contains(got, "Innermost") || !strings.Contains(got, `<GRID NAME="Inner" AUTHORITY="http://inner/"`) {
			t.Errorf("all:\n%s", got)
		}
		if got := ask("/Inner/deep/d"); !strings.Contains(got, `<HOST NAME="d"`) {
			t.Errorf("path through the grid:\n%s", got)
		}
		n.set("b:1", nil)
		for range 10 {
			round()
		}
		if got := ask("/?filter=summary"); !strings.Contains(got, `<HOSTS UP="1" DOWN="5"`) {
			t.Errorf("the lower gmetad is dead:\n%s", got)
		}
		stop()
		if !s.has("deep/d") || !s.has("lab/h") {
			t.Errorf("stored %v", s.samples)
		}
	})
}

// freePort gives an address of loopback that nobody has.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Both ports over TCP, this host's own collector below.
func TestPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			gmondOf("lab", "h")(c)
			c.Close()
		}
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	xml, interactive := freePort(t), freePort(t)
	s := &sunk{}
	p, err := New(Options{
		Config: conf.Ganglia{Grid: "g", XML: xml, Interactive: interactive, AcceptFrom: []string{"local"}}, Authority: "http://here/", Local: ":" + port, Sink: s.take,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.Close()
		wg.Wait()
		if s.has("lab/h") {
			t.Error("what the own collector has is stored twice")
		}
	}()
	ask := func(addr, line string) string {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, line)
		_ = c.(*net.TCPConn).CloseWrite()
		b, err := io.ReadAll(c)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	netnstest.Await(t, "an answer", func() error {
		if got := ask(xml, "whatever"); !strings.Contains(got, `AUTHORITY="http://here/"`) || !strings.Contains(got, `<HOST NAME="h"`) || !strings.HasSuffix(got, "</GANGLIA_XML>\n") {
			return fmt.Errorf("got %.300s", got)
		}
		return nil
	})
	for line, want := range map[string]string{
		"/lab/h\nmore": `<METRIC NAME="load_one" VAL="1.5"`, "/lab?filter=summary\r\n": `<METRICS NAME="load_one" SUM="1.5" NUM="1"`, "/lab": `<HOST NAME="h"`,
		"GET /lab HTTP/1.0\r\nHost: x\r\n\r\n": "HTTP/1.0 200 OK",
	} {
		if got := ask(interactive, line); !strings.Contains(got, want) {
			t.Errorf("%q: got %.200s", line, got)
		}
	}
	for _, line := range []string{"", "\n", "lab\n", "/a%20b\n", "/" + strings.Repeat("x", 5000) + "\n"} {
		if got := ask(interactive, line); got != "" {
			t.Errorf("%.20q: got %.100s", line, got)
		}
	}
}
