package collector

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keepwatch/collector/gmond"
	"keepwatch/collector/gmondsend"
	"keepwatch/collector/listen"
	"keepwatch/internal/conf"
	xml "keepwatch/internal/ganglia"
	"keepwatch/internal/netnstest"
	"keepwatch/probes/ganglia"
)

// recorder is the channels of a test.
type recorder struct {
	packets []gmond.Packet
	texts   []string
	err     error
}

func (r *recorder) Send(datagram []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	var p gmond.Packet
	if err := gmond.Decode(slices.Clone(datagram), &p); err != nil {
		return 0, err
	}
	r.packets = append(r.packets, p)
	kind := ""
	switch p.ID {
	case gmond.Metadata:
		kind = "M:"
	case gmond.Request:
		kind = "?:"
	}
	r.texts = append(r.texts, kind+string(p.Name))
	return 1, nil
}

// take gives what was sent since the last time.
func (r *recorder) take() string {
	text := strings.Join(r.texts, " ")
	r.texts, r.packets = nil, nil
	return text
}

func sendingTo(groups ...conf.GmondGroup) conf.Gmond {
	return conf.Gmond{Send: []conf.GmondSend{{To: "10.0.0.1:8649"}}, Metadata: time.Hour, Groups: groups}
}

func testSending(t *testing.T, cfg conf.Gmond) (*gmondSending, *recorder) {
	t.Helper()
	r := new(recorder)
	s := &gmondSending{log: slog.New(slog.DiscardHandler), warned: new(throttle), host: "node1", started: time.Now(), ways: r, groups: new(listen.Sender)}
	plan, err := s.prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.use(plan)
	return s, r
}

func (s *gmondSending) at(second int) time.Time {
	return s.started.Add(time.Duration(second) * time.Second)
}

func groupOf(every, threshold int, names ...string) conf.GmondGroup {
	g := conf.GmondGroup{Every: time.Duration(every) * time.Second, Threshold: time.Duration(threshold) * time.Second}
	for _, n := range names {
		g.Metrics = append(g.Metrics, conf.GmondMetric{Name: n, ValueThreshold: -1})
	}
	return g
}

// Every packet of ours is, byte for byte, the one that a gmond 3.7.2 with its default configuration sent, but for the
// value, which is put in its place.
func TestPacketsAreThoseOfGmond(t *testing.T) {
	s, _ := testSending(t, sendingTo())
	compared := 0
	for place, m := range s.plan.metrics {
		metadata, err := payload(fmt.Sprintf("128-metadata_full-%s", m.Name))
		if errors.Is(err, os.ErrNotExist) {
			continue // not of the default configuration
		}
		value, err2 := payload(fmt.Sprintf("%d-%s-%s", messageOf(m.Type), map[gmond.ID]string{
			gmond.ValueUshort: "value_ushort", gmond.ValueUint: "value_uint", gmond.ValueString: "value_string",
			gmond.ValueFloat: "value_float", gmond.ValueDouble: "value_double",
		}[messageOf(m.Type)], m.Name))
		if err := errors.Join(err, err2); err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		var v gmond.Packet
		if err := gmond.Decode(value, &v); err != nil {
			t.Fatal(err)
		}
		s.values[place] = ganglia.Value{Number: v.Number, Text: string(v.Text), OK: true}
		p := s.packet(place)
		gotM, err := gmond.AppendMetadata(nil, p)
		gotV, err2 := gmond.AppendValue(nil, p)
		if err := errors.Join(err, err2); err != nil || !bytes.Equal(gotM, metadata) || !bytes.Equal(gotV, value) {
			t.Errorf("%s: %v\n got %q %q\nwant %q %q", m.Name, err, gotM, gotV, metadata, value)
		}
		compared++
	}
	if compared < 34 {
		t.Errorf("%d metrics were compared, want the 34 of gmond's default configuration", compared)
	}
}

func payload(name string) ([]byte, error) {
	raw, err := os.ReadFile("gmond/testdata/payloads/" + name + ".hex")
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(strings.Split(string(raw), "\n")[1])
}

func TestStep(t *testing.T) {
	cfg := sendingTo(groupOf(5, 20, "os_name", "cpu_num"), groupOf(60, 60, "gexec"))
	s, r := testSending(t, cfg)
	f := func(second int, want string, asked ...string) {
		t.Helper()
		if s.step(s.at(second), asked); r.take() != want {
			t.Errorf("second %d: want %q", second, want)
		}
	}
	f(0, "M:os_name os_name M:cpu_num cpu_num M:gexec gexec")
	f(1, "")
	f(5, "os_name M:cpu_num cpu_num", "cpu_num", "unknown")
	f(24, "")
	f(25, "os_name cpu_num")
	r.err = errors.New("no way")
	f(45, "")
	r.err = nil
	f(46, "os_name cpu_num")

	again, err := s.prepare(cfg)
	if err != nil || again != nil {
		t.Errorf("the same configuration is prepared anew: %v, %v", again, err)
	}
	if _, err := s.prepare(sendingTo(conf.GmondGroup{Metrics: []conf.GmondMetric{{Match: "("}}})); err == nil {
		t.Error("a broken expression is taken")
	}
	other := sendingTo(groupOf(5, 20, "location"))
	other.Hostname, other.Location = "web", "1,2,3"
	plan, err := s.prepare(other)
	if err != nil {
		t.Fatal(err)
	}
	s.use(plan)
	s.step(s.at(47), nil)
	if p := r.packets; len(p) != 2 || string(p[1].Host) != "web:web" || !p[1].Spoof || string(p[1].Text) != "1,2,3" || len(p[0].Extra) != 3 {
		t.Errorf("got %+v", p)
	}
}

func TestMuteAsksAndSendsNothing(t *testing.T) {
	s, r := testSending(t, sendingTo(groupOf(5, 20, "os_name")))
	s.mute = true
	if s.step(s.at(0), []string{"os_name"}); len(r.texts) > 0 {
		t.Errorf("sent %q", r.texts)
	}
	s.ask("web", "load_one", netip.Addr{})
	if p := r.packets; len(p) != 1 || p[0].ID != gmond.Request || string(p[0].Host) != "web" || string(p[0].Name) != "load_one" || p[0].Spoof {
		t.Errorf("got %+v", p)
	}
	if c := (&Collector{gmondSending: s}); c.Gmetric(gmondsend.Gmetric{Name: "a", Type: "int8", Value: "1"}) != errMute {
		t.Error("a muted collector takes a metric")
	}
}

func TestComesBack(t *testing.T) {
	local := func(a netip.Addr) bool { return a.IsLoopback() }
	f := func(want bool, send conf.GmondSend, receive ...conf.GmondReceive) {
		t.Helper()
		if got := comesBack(&conf.Gmond{Send: []conf.GmondSend{{To: "name:8649"}, send}, Receive: receive}, local); got != want {
			t.Errorf("%+v and %+v: got %v", send, receive, got)
		}
	}
	group := conf.GmondReceive{Group: "239.2.11.71:8649"}
	f(true, conf.GmondSend{Group: "239.2.11.71:8649"}, conf.GmondReceive{Listen: ":8649"}, group)
	f(false, conf.GmondSend{Group: "239.2.11.71:8650"}, group)
	f(false, conf.GmondSend{Group: "239.2.11.71:8649"}, conf.GmondReceive{Listen: ":8649"})
	f(true, conf.GmondSend{To: "127.0.0.1:8649"}, conf.GmondReceive{Listen: ":8649"})
	f(false, conf.GmondSend{To: "10.0.0.1:8649"}, conf.GmondReceive{Listen: ":8649"})
	f(false, conf.GmondSend{To: "127.0.0.1:8649"}, conf.GmondReceive{Listen: ":8650"}, group)
	f(false, conf.GmondSend{To: "127.0.0.1:8649"})
}

func TestRequestPort(t *testing.T) {
	for want, receive := range map[uint16][]conf.GmondReceive{
		8649: nil, 8700: {{Listen: "10.0.0.1:8700"}, {Group: "239.2.11.71:8649"}}, 8650: {{Group: "[ff02::1]:8650"}},
	} {
		if got := requestPort(&conf.Gmond{Receive: receive}); got != want {
			t.Errorf("%+v: got %d", receive, got)
		}
	}
}

// Two collectors and a real network: the receiver, started with no idea of the sender's metrics, knows them all, asks
// for what a stranger did not describe, and a change of groups takes effect without a restart.
func TestOneSendsGmondPacketsToAnother(t *testing.T) {
	segment := netnstest.New(t)
	sender, receiver := segment.Node("sender", "10.99.0.1/24"), segment.Node("receiver", "10.99.0.2/24")
	cfg := testConf(t)
	cfg.Native.Group, cfg.Gmond.Receive = "", []conf.GmondReceive{{Listen: "10.99.0.2:8649", AcceptFrom: []string{"10.99.0.0/24"}, Buffer: 1 << 20}}
	hears, _ := start(t, receiver, "hears", cfg)

	cfg = testConf(t)
	cfg.Native.Group, cfg.Gmond.Receive = "", nil
	cfg.Gmond.Send = []conf.GmondSend{{To: "10.99.0.2:8649", TTL: 1}}
	sends, _ := start(t, sender, "sends", cfg)
	shown := func(c *Collector, name string) (metrics []string) {
		var h xml.Host
		if c.state.FillGmond(name, time.Now().UnixMilli(), &h) {
			for _, m := range h.Metrics {
				metrics = append(metrics, m.Name)
			}
		}
		return metrics
	}
	netnstest.Await(t, "all metrics at both", func() error {
		for _, c := range []*Collector{hears, sends} {
			if n := len(shown(c, "sends")); n < 32 { // heartbeat and location are the host's own
				return fmt.Errorf("%s shows %d", c.opt.Host, n)
			}
		}
		return nil
	})
	if err := sends.Gmetric(gmondsend.Gmetric{Name: "jobs", Value: "17", Type: "uint32", Slope: "both", TMax: 60, Title: "Jobs"}); err != nil {
		t.Fatal(err)
	}
	cfg.Gmond.Groups = []conf.GmondGroup{groupOf(1, 5, "mtu")}
	if err := sends.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	netnstest.Await(t, "what was sent by hand, and the new group", func() error {
		if got := shown(hears, "sends"); !slices.Contains(got, "jobs") || !slices.Contains(got, "mtu") {
			return fmt.Errorf("it shows %q", got)
		}
		return nil
	})
	if got := shown(sends, "sends"); !slices.Contains(got, "jobs") {
		t.Errorf("the sender itself shows %q", got)
	}
	cfg.Gmond.Send = []conf.GmondSend{{To: "10.99.0.3:8649", TTL: 1}}
	if err := sends.Reload(cfg); err == nil {
		t.Error("another channel is taken without a restart")
	}
	if err := sends.Gmetric(gmondsend.Gmetric{Name: "jobs", Value: "nan", Type: "float"}); err == nil {
		t.Error("no number is kept")
	}
	if err := sends.TakeGmetric([]byte(`{"colour":"red"}`)); err == nil {
		t.Error("an unknown key is taken")
	}
}

// A gmond that starts late asks for the metadata of our metrics and has it within seconds, not within our interval of
// an hour; and we, started later, ask a gmond that sends its own but once.
func TestRequestsBothWaysWithGmond(t *testing.T) {
	gmond := program(t, "gmond", "ganglia-monitor")
	nodes := hosts(t, 2)
	file := filepath.Join(t.TempDir(), "gmond.conf")
	if err := os.WriteFile(file, []byte(strings.Replace(gmondConf, "send_metadata_interval = 1", "send_metadata_interval = 0", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := testConf(t)
	cfg.Gmond.Receive[0].AcceptFrom = []string{"10.77.0.0/24"}
	cfg.Gmond.Send = []conf.GmondSend{{Group: "239.2.11.71:8649", TTL: 1}}
	cfg.Gmond.Metadata, cfg.Gmond.XML.Listen = time.Hour, ""
	cfg.Gmond.Groups = []conf.GmondGroup{groupOf(1, 2, "mem_total", "heartbeat")}
	first, _ := start(t, nodes[0], "first", cfg)
	netnstest.Await(t, "our own metric, by the group", func() error { return shows(first, "first", "mem_total") })

	gmondNode := nodes[1]
	gmondNode.Start(gmondNode.Command(gmond, "-c", file, "-f"))
	netnstest.Await(t, "our metric in the late gmond's XML", func() (err error) {
		inNamespace(t, gmondNode, func() error {
			var conn net.Conn
			if conn, err = net.Dial("tcp", "127.0.0.1:8649"); err != nil {
				return nil
			}
			defer conn.Close()
			var text []byte
			if text, err = io.ReadAll(conn); err == nil && !bytes.Contains(text, []byte(`<METRIC NAME="mem_total"`)) {
				err = fmt.Errorf("it shows %s", text)
			}
			return nil
		})
		return err
	})
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	netnstest.Await(t, "gmond's metric", func() error { return shows(first, name, "load_one") })
	late, _ := start(t, nodes[0], "late", func() conf.Collector {
		c := testConf(t)
		c.Keys, c.Gmond = cfg.Keys, cfg.Gmond
		c.Gmond.Send, c.Mute = nil, true // a muted one without a channel asks the sender's address alone
		return c
	}())
	netnstest.Await(t, "gmond's metric at the late one", func() error { return shows(late, name, "load_one") })
}

// A collector that starts before its host has a network asks by the network, when that has come, also in the groups that it
// only hears.
func TestRequestsFollowTheNetwork(t *testing.T) {
	segment := netnstest.New(t)
	nd, other := segment.Node("asks", "10.99.0.1/24"), segment.Node("other", "10.99.0.2/24")
	cfg := testConf(t)
	cfg.Native.Group, cfg.Serve.Listen, cfg.Probes.Host.Enabled = "", "", false
	cfg.Gmond.Receive = append(cfg.Gmond.Receive, conf.GmondReceive{Listen: "10.99.0.1:8650", AcceptFrom: []string{"10.99.0.0/24"}, Buffer: 1 << 20})
	wire := other.Capture()
	startMember(t, nd, "asks", cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	var conn net.Conn
	inNamespace(t, other, func() (err error) {
		conn, err = net.Dial("udp", "10.99.0.1:8650")
		return err
	})
	go func() {
		defer close(done)
		sendUnknown(ctx, conn)
	}()
	t.Cleanup(func() { cancel(); <-done; conn.Close() })
	request := func(to string) func([]byte) bool {
		dest := netip.MustParseAddr(to).As4()
		return func(packet []byte) bool {
			var p gmond.Packet
			const headers = 20 + 8 // of IPv4 and UDP
			return len(packet) > headers && packet[0] == 0x45 && bytes.Equal(packet[16:20], dest[:]) && gmond.Decode(packet[headers:], &p) == nil && p.ID == gmond.Request
		}
	}
	wire.Await("a request to who sent the value", request("10.99.0.2"))
	nd.IP("route", "add", "default", "dev", "eth0")
	wire.Await("a request in the group", request("239.2.11.71"))
}

// sendUnknown sends values of ever new metrics that nobody has described, until ctx ends.
func sendUnknown(ctx context.Context, conn net.Conn) {
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for i := 0; ; i++ {
		d, err := gmond.AppendValue(nil, &gmond.Packet{ID: gmond.ValueDouble, Host: []byte("db1"), Name: fmt.Appendf(nil, "m%d", i), Format: []byte("%f")})
		if err == nil {
			_, _ = conn.Write(d) // refused until the collector listens
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// What is sent by hand and a reload of what is sent take turns, however they meet.
func TestSendWhileReloading(t *testing.T) {
	c := newQuiet(t, nil)
	defer c.Close()
	const reloads = 300
	var reloaded, stopped atomic.Bool
	var sends sync.WaitGroup
	for range 2 {
		sends.Go(func() {
			for !reloaded.Load() {
				if err := c.Gmetric(gmondsend.Gmetric{Name: "jobs", Value: "17", Type: "uint32", TMax: 60}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() {
		cfg := c.conf
		for i := range reloads {
			cfg.Gmond.Location, cfg.Gmond.Hostname = fmt.Sprint(i), fmt.Sprintf("web%d", i)
			if err := c.Reload(cfg); err != nil {
				t.Error(err)
			}
		}
		reloaded.Store(true)
		sends.Wait()
		stopped.Store(true)
	}()
	netnstest.Await(t, "the end of all sends and reloads", func() error {
		if !stopped.Load() {
			return errors.New("they are under way")
		}
		return nil
	})
	if got := c.gmondSending.override(); got != fmt.Sprintf("web%[1]d:web%[1]d", reloads-1) {
		t.Errorf("after the last reload packets speak for %q", got)
	}
}

// shows says whether a collector's gmond XML would tell of a host's metric with the title that only metadata holds:
// without metadata the type would be guessed after a minute.
func shows(c *Collector, host, metric string) error {
	var h xml.Host
	if !c.state.FillGmond(host, time.Now().UnixMilli(), &h) {
		return fmt.Errorf("%s knows no host %s", c.opt.Host, host)
	}
	if !slices.ContainsFunc(h.Metrics, func(m xml.Metric) bool { return m.Name == metric && len(m.Extra) > 0 }) {
		return fmt.Errorf("%s shows %d metrics of %s, %s is not among them", c.opt.Host, len(h.Metrics), host, metric)
	}
	return nil
}

// BenchmarkMinuteOfSending is what a minute costs an agent that sends gmond's default metrics over one unicast channel:
// files read, decisions, packets encoded and sent over loopback.
func BenchmarkMinuteOfSending(b *testing.B) {
	receiver, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer receiver.Close()
	sender, err := listen.OpenSender(b.Context(), []listen.SendChannel{{To: receiver.LocalAddr().String()}}, listen.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer sender.Close()
	s := &gmondSending{log: slog.New(slog.DiscardHandler), warned: new(throttle), host: "node1", started: time.Now(), ways: sender}
	cfg := sendingTo()
	cfg.Metadata = time.Minute
	plan, err := s.prepare(cfg)
	if err != nil {
		b.Fatal(err)
	}
	s.use(plan)
	second := 0
	b.ReportAllocs()
	for b.Loop() {
		for range 60 {
			s.step(s.at(second), nil)
			second++
		}
	}
}
