package ganglia

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/internal/conf"
	tree "keepwatch/internal/ganglia"
	"keepwatch/internal/netnstest"
	"keepwatch/internal/tcpserve"
)

// lab is one namespace in which real gmonds and gmetads run.
type lab struct {
	t    *testing.T
	node *netnstest.Node
	dir  string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, node: netnstest.New(t).Node("lab", "10.79.0.1/24"), dir: t.TempDir()}
	for dir := l.dir; dir != "/"; dir = filepath.Dir(dir) { // gmetad is nobody
		if st, err := os.Stat(dir); err == nil && st.Mode().Perm()&0o5 != 0o5 {
			l.must(os.Chmod(dir, 0o755))
		}
	}
	return l
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) file(name, content string) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	l.must(os.WriteFile(path, []byte(content), 0o644))
	return path
}

// gmond starts a real one that hears and serves at this port.
func (l *lab) gmond(port int, cluster string) *netnstest.Process {
	l.t.Helper()
	text := fmt.Sprintf(`globals { daemonize = no setuid = no mute = yes }
cluster { name = %q owner = "o" }
udp_send_channel { host = 127.0.0.1 port = %[2]d }
udp_recv_channel { bind = 127.0.0.1 port = %[2]d }
tcp_accept_channel { bind = 127.0.0.1 port = %[2]d }
`, cluster, port)
	return l.node.Start(l.node.Command("gmond", "-c", l.file(fmt.Sprintf("gmond-%d.conf", port), text), "-f"))
}

// gmetric has the real one send to the gmond of a port.
func (l *lab) gmetric(port int, args ...string) {
	l.t.Helper()
	cmd := l.node.Command("gmetric", append([]string{"-c", filepath.Join(l.dir, fmt.Sprintf("gmond-%d.conf", port))}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("gmetric: %v: %s (Debian's package ganglia-monitor has it)", err, out)
	}
}

// gmetad starts a real one that serves at port and port + 1.
func (l *lab) gmetad(port int, grid string, sources ...string) *netnstest.Process {
	l.t.Helper()
	rrds := filepath.Join(l.dir, fmt.Sprintf("rrds-%d", port))
	l.must(os.Mkdir(rrds, 0o755))
	l.must(os.Chown(rrds, 65534, 65534))
	text := fmt.Sprintf("gridname %q\nxml_port %d\ninteractive_port %d\nsetuid_username nobody\nrrd_rootdir %q\nwrite_rrds off\n", grid, port, port+1, rrds)
	for _, s := range sources {
		text += "data_source " + s + "\n"
	}
	return l.node.Start(l.node.Command("gmetad", "-c", l.file(fmt.Sprintf("gmetad-%d.conf", port), text), "-d", "1"))
}

// dial connects within the namespace.
func (l *lab) dial(_ context.Context, addr string) (c net.Conn, err error) {
	l.node.Do(func() { c, err = net.DialTimeout("tcp", addr, dialTimeout) })
	if c == nil && err == nil {
		err = errors.New("the namespace cannot be entered")
	}
	return c, err
}

// ask gives what a port of a gmetad answers.
func (l *lab) ask(addr, line string) ([]byte, error) {
	c, err := l.dial(context.Background(), addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, line); err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

// poll runs a poller in the namespace until the test ends.
func (l *lab) poll(cfg conf.Ganglia) (*Poller, *sunk) {
	l.t.Helper()
	cfg.AcceptFrom = []string{"local"}
	s := &sunk{}
	p, err := New(Options{Config: cfg, Sink: s.take, Log: slog.New(slog.DiscardHandler)})
	l.must(err)
	p.dial = l.dial
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	})
	return p, s
}

func polled(name string, addresses ...string) conf.GangliaSource {
	return conf.GangliaSource{Name: name, Interval: time.Second, Addresses: addresses, Store: true}
}

// Two real gmonds of one cluster are killed one after the other: the source goes from the first to the second, is lost
// with it, and found again when the first is back.
func TestRealGmondsDie(t *testing.T) {
	l := newLab(t)
	first, second := l.gmond(8649, "lab"), l.gmond(8659, "lab")
	for _, port := range []int{8649, 8659} {
		netnstest.Await(t, "gmond", func() error { _, err := l.ask(fmt.Sprintf("127.0.0.1:%d", port), ""); return err })
		l.gmetric(port, "-n", "depth", "-v", "42", "-t", "uint32", "-u", "jobs", "-S", fmt.Sprintf("10.0.0.%d:via%d", port-8600, port))
	}
	p, s := l.poll(conf.Ganglia{Grid: "g", Sources: []conf.GangliaSource{polled("lab", "127.0.0.1:8649", "127.0.0.1:8659")}})
	at := func(addr, host string) {
		t.Helper()
		netnstest.Await(t, "samples by way of "+addr, func() error {
			if st := p.Status().Sources[0]; st.Address != addr || st.Error != "" || !s.has("lab/"+host) {
				return fmt.Errorf("status %+v", st)
			}
			return nil
		})
	}
	at("127.0.0.1:8649", "via8649")
	first.Signal(syscall.SIGKILL)
	at("127.0.0.1:8659", "via8659")
	if got := s.told(); got != "" {
		t.Errorf("told %q although one of two lives", got)
	}
	second.Signal(syscall.SIGKILL)
	netnstest.Await(t, "the source to be lost", func() error {
		if st := p.Status().Sources[0]; st.Error == "" {
			return fmt.Errorf("status %+v", st)
		}
		return nil
	})
	l.gmond(8649, "lab")
	netnstest.Await(t, "the source to be found", func() error {
		if st := p.Status().Sources[0]; st.Address != "127.0.0.1:8649" || st.Error != "" {
			return fmt.Errorf("status %+v", st)
		}
		return nil
	})
	if got, want := s.told(), "ganglia_source_lost 127.0.0.1@lab, ganglia_source_found 127.0.0.1@lab"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// A real gmetad is polled at its 8651, and one that polls it: its cluster's samples come with the times of the gmond
// below, and both tell the same of the same paths.
func TestRealGmetadIsPolled(t *testing.T) {
	l := newLab(t)
	l.gmond(8649, "lab one")
	netnstest.Await(t, "gmond", func() error { _, err := l.ask("127.0.0.1:8649", ""); return err })
	l.gmetric(8649, "-n", "depth", "-v", "42.5", "-t", "float", "-u", "jobs", "-g", "queue", "-T", "Depth")
	l.gmetad(8651, "Inner", `"lab" 1 127.0.0.1:8649`)
	l.gmetad(8661, "Outer", `"inner" 1 127.0.0.1:8651`)
	p, s := l.poll(conf.Ganglia{Grid: "g", Sources: []conf.GangliaSource{polled("inner", "127.0.0.1:8651"), polled("outer", "127.0.0.1:8661")}})
	netnstest.Await(t, "samples through gmetad", func() error {
		if !s.has("lab one/127.0.0.1") && !s.has("lab one/localhost") {
			return fmt.Errorf("status %+v", p.Status())
		}
		return nil
	})
	netnstest.Await(t, "the grid within the grid", func() error {
		for _, g := range p.grid(time.Now()).Grids {
			for _, inner := range g.Grids {
				if inner.Name == "Inner" && inner.Summary != nil && inner.Summary.Up == 1 && len(inner.Summary.Metrics) == 1 && inner.Summary.Metrics[0].Sum == 42.5 {
					return nil
				}
			}
		}
		return fmt.Errorf("status %+v", p.Status())
	})
	// From here on gmetad's own XML is broken: it does not escape.
	l.gmetric(8649, "-n", "word", "-v", "a<b>&c", "-t", "string")
	netnstest.Await(t, "what gmetad does not escape", func() error {
		st := p.Status().Sources[0]
		for _, m := range p.grid(time.Now()).Grids[0].Clusters[0].Hosts[0].Metrics {
			if m.Name == "word" && m.Value == "a<b>&c" && st.Degraded == "" && st.Metrics == 2 {
				return nil
			}
		}
		return fmt.Errorf("status %+v", st)
	})
}

// A real gmetad polls XML of ours in which every text is hostile: it takes all of it, and its own XML, which escapes
// nothing, is well-formed and says the same.
func TestRealGmetadPollsHostileText(t *testing.T) {
	l := newLab(t)
	const nasty = `a<b>&"c' žluť &lt;`
	host := tree.Host{Name: "web1", IP: "10.0.0.1", TN: 1, TMax: 20, Tags: nasty, Location: nasty, Metrics: []tree.Metric{
		{Name: "word", Value: nasty, Type: "string", Units: nasty, Slope: "both", TMax: 60, Extra: []tree.Extra{{Name: "TITLE", Value: nasty}, {Name: "DESC", Value: strings.Repeat("<", 5000)}}},
		{Name: "long", Value: strings.Repeat(nasty, 1000), Type: "string", TMax: 60},
		{Name: "depth", Value: "42.5", Type: "float", Units: "°C", Slope: "both", TMax: 60},
	}}
	l.serve("127.0.0.1:8649", func(w io.Writer) error {
		now := time.Now().Unix()
		host.Reported = now - 1
		c := tree.Cluster{Name: "lab", LocalTime: now, Owner: nasty, LatLong: nasty, URL: nasty}
		b := tree.AppendHost(tree.AppendCluster(tree.AppendHead(nil, tree.Version, "gmond"), &c), &host)
		_, err := w.Write(tree.AppendTail(tree.AppendClusterEnd(b)))
		return err
	})
	gmetad := l.gmetad(8651, "g", `"lab" 1 127.0.0.1:8649`)
	netnstest.Await(t, "gmetad's XML", func() error {
		got, err := l.ask("127.0.0.1:8651", "")
		if err != nil {
			return err
		}
		d := xml.NewDecoder(strings.NewReader(string(got)))
		d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is ASCII
		words := make(map[string]string)
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("what gmetad made of it is no XML: %v\n%s", err, got)
			}
			if e, ok := tok.(xml.StartElement); ok && len(e.Attr) > 1 {
				words[e.Name.Local+" "+e.Attr[0].Value] = e.Attr[1].Value
			}
		}
		if words["METRIC word"] != nasty || words["METRIC depth"] != "42.5" || words["EXTRA_ELEMENT TITLE"] != nasty || !strings.HasPrefix(words["METRIC long"], nasty) {
			return fmt.Errorf("got %q", words)
		}
		return nil
	})
	if said := gmetad.Output(); strings.Contains(said, "rror") {
		t.Errorf("gmetad complains:\n%s", said)
	}
}

// serve answers clients of an address in the namespace until the test ends.
func (l *lab) serve(addr string, answer func(io.Writer) error) {
	l.t.Helper()
	var listener net.Listener
	var err error
	l.node.Do(func() { listener, err = net.Listen("tcp", addr) })
	l.must(err)
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() {
		done <- tcpserve.New(tcpserve.Options{Name: "test"}).Serve(ctx, listener, func(_ context.Context, c net.Conn) error { return answer(c) })
	}()
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	})
}

// What a real gmetad answers to each form of request, ours does of the same gmond: the same elements.
func TestAnswersAreGmetads(t *testing.T) {
	l := newLab(t)
	for port, cluster := range map[int]string{8649: "one", 8659: "two"} {
		l.gmond(port, cluster)
		netnstest.Await(t, "gmond", func() error { _, err := l.ask(fmt.Sprintf("127.0.0.1:%d", port), ""); return err })
		for i, host := range []string{"alpha", "beta"} {
			l.gmetric(port, "-n", "depth", "-v", fmt.Sprint(i+1, ".25"), "-t", "float", "-u", "jobs", "-S", fmt.Sprintf("10.0.%d.%d:%s%s", port-8600, i, host, cluster))
			l.gmetric(port, "-n", "level", "-v", "7", "-t", "uint32", "-S", fmt.Sprintf("10.0.%d.%d:%s%s", port-8600, i, host, cluster))
		}
	}
	l.gmetad(8651, "g", `"one" 1 127.0.0.1:8649`, `"two" 1 127.0.0.1:8659`)
	p, _ := l.poll(conf.Ganglia{Grid: "g", Sources: []conf.GangliaSource{polled("one", "127.0.0.1:8649"), polled("two", "127.0.0.1:8659")}})
	for _, line := range []string{
		"/", "/one", "/one/", "/ONE", "/nowhere", "/nowhere/alphaone", "/one/alphaone", "/one/nobody", "/one/alphaone/depth", "/one/alphaone/depth/x", "/one/alphaone/none",
		"/?filter=summary", "/one?filter=summary", "/one/alphaone?filter=summary", "/one?filter=other", "/one/alphaone/depth?filter=summary", "/one/alphaone/none?filter=summary", "/one/nobody?filter=summary", "/nowhere?filter=summary", "//one", "/one//alphaone",
		"GET / HTTP/1.0", "GET /one HTTP/1.1", "GET /*/*/depth HTTP/1.0", "GET /*/alphaone HTTP/1.0", "GET /nowhere HTTP/1.0", "GET /one/nobody HTTP/1.0", "GET /one/alphaone/none HTTP/1.0",
		"GET /one?filter=summary HTTP/1.0", "one", "/one?", "/on'e", "/one%20", "",
	} {
		netnstest.Await(t, "the same answer to "+line, func() error {
			theirs, err := l.ask("127.0.0.1:8652", line+"\n")
			if err != nil {
				return err
			}
			got, want := elementsOf(l.t, p, line), outline(theirs)
			if got != want {
				return fmt.Errorf("ours   %s\ngmetad %s", got, want)
			}
			return nil
		})
	}
}

func elementsOf(t *testing.T, p *Poller, line string) string {
	t.Helper()
	req, err := tree.ParseRequest([]byte(line))
	if err != nil {
		return ""
	}
	var b strings.Builder
	now := time.Now()
	if err := tree.WriteAnswer(&b, p.grid(now), req, now.Unix()); err != nil {
		t.Fatal(err)
	}
	return outline([]byte(b.String()))
}

// outline lists the elements of an answer in an order that does not depend on a server's tables.
func outline(answer []byte) string {
	doc, rep, err := tree.ReadDocument(strings.NewReader(string(answer)), tree.Limits{})
	if err != nil || rep.Faults > 0 || doc.Grid == nil {
		return strings.TrimSpace(string(answer))
	}
	var out []string
	sum := func(at string, s *tree.Summary) {
		if s == nil {
			return
		}
		out = append(out, fmt.Sprintf("%s: %d up %d down", at, s.Up, s.Down))
		for _, m := range s.Metrics {
			out = append(out, fmt.Sprintf("%s: %s %.*f of %d in %q, %s", at, m.Name, m.Decimals, m.Sum, m.Num, m.Units, m.Slope))
		}
	}
	sum("grid", doc.Grid.Summary)
	for _, c := range doc.Grid.Clusters {
		out = append(out, c.Name+" of "+c.Owner)
		sum(c.Name, c.Summary)
		for _, h := range c.Hosts {
			out = append(out, c.Name+"/"+h.Name+" "+h.IP)
			for _, m := range h.Metrics {
				out = append(out, fmt.Sprintf("%s/%s/%s %s %s %q %d", c.Name, h.Name, m.Name, m.Value, m.Type, m.Units, len(m.Extra)))
			}
		}
	}
	slices.Sort(out)
	head := ""
	if strings.HasPrefix(string(answer), "HTTP/1.0 200 OK") {
		head = "HTTP "
	}
	return head + strings.Join(out, "\n")
}
