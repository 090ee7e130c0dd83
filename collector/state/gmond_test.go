package state

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/gmond"
	"keepwatch/internal/batch"
	"keepwatch/internal/ganglia"
)

// wire makes gmond packets of one source.
type wire struct {
	t    testing.TB
	s    *State
	from netip.AddrPort
}

func newWire(t testing.TB, s *State, from string) wire {
	return wire{t, s, netip.MustParseAddrPort(from)}
}

// metadata and value speak for a host, of another one with "address:name".
func (w wire) metadata(at time.Duration, host, name, typ string) error {
	p := gmond.Packet{ID: gmond.Metadata, Host: []byte(host), Spoof: strings.Contains(host, ":"), Name: []byte(name), Type: []byte(typ), Units: []byte("s"), Slope: gmond.Both, TMax: 60}
	return w.send(at, gmond.AppendMetadata, &p)
}

func (w wire) value(at time.Duration, host, name string, v float64) error {
	p := gmond.Packet{ID: gmond.ValueDouble, Host: []byte(host), Spoof: strings.Contains(host, ":"), Name: []byte(name), Format: []byte("%.1f"), Number: v}
	return w.send(at, gmond.AppendValue, &p)
}

func (w wire) heartbeat(at time.Duration, host string, started time.Time) {
	w.t.Helper()
	p := gmond.Packet{ID: gmond.ValueUint, Host: []byte(host), Spoof: strings.Contains(host, ":"), Name: []byte("heartbeat"), Format: []byte("%u"), Number: float64(started.Unix())}
	must(w.t, w.metadata(at, host, "heartbeat", "uint32"))
	must(w.t, w.send(at, gmond.AppendValue, &p))
}

func (w wire) request(at time.Duration, host, name string) error {
	d, err := gmond.AppendRequest(nil, []byte(host), []byte(name), false)
	must(w.t, err)
	return w.raw(at, d)
}

func (w wire) send(at time.Duration, app func([]byte, *gmond.Packet) ([]byte, error), p *gmond.Packet) error {
	d, err := app(nil, p)
	must(w.t, err)
	return w.raw(at, d)
}

func (w wire) raw(at time.Duration, d []byte) error {
	return w.s.Gmond([]Datagram{{Data: d, From: w.from, At: start.Add(at), Spoofs: true}})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A gmond host lives by its own values and heartbeats: spoofed packets of others, metadata and requests keep no dead
// host alive.
func TestGmondHostLivesByItsOwnPackets(t *testing.T) {
	s := newState(t, func(o *Options) { o.GmondTmax = 10 * time.Second })
	web, liar := newWire(t, s, "10.0.0.1:8649"), newWire(t, s, "10.0.0.66:8649")
	web.heartbeat(0, "web1", start)
	s.Tick(start.Add(time.Second))
	joined := fmt.Sprintf("host_joined web1 gmond-joined-%d", start.Unix()*1000)
	wantEvents(t, s, joined)
	for at := time.Second; at <= 40*time.Second; at += time.Second {
		must(t, liar.value(at, "10.0.0.1:web1", "heartbeat", 1))
		must(t, web.metadata(at, "web1", "load", "double"))
		must(t, liar.request(at, "web1", "load"))
		if web.metadata(at, "web1", "", "double") == nil {
			t.Fatal("metadata without a name was taken")
		}
	}
	s.Tick(start.Add(40 * time.Second))
	wantEvents(t, s, joined, fmt.Sprintf("collector_dropped agg dropped-gmond_packets-metric_name-%d", start.UnixMilli()+40_000))
	s.Tick(start.Add(41 * time.Second))
	lost := fmt.Sprintf("host_lost web1 gmond-lost-%d", start.UnixMilli())
	told := append(events(t, s)[:2:2], lost)
	wantEvents(t, s, told...)
	must(t, web.value(50*time.Second, "web1", "load", 1))
	s.Tick(start.Add(51 * time.Second))
	wantEvents(t, s, append(told, fmt.Sprintf("%s-%d", joined, start.UnixMilli()+50_000))...)
}

// A host that others alone speak for, as gmetric --spoof does, lives by them.
func TestSpoofedHostLivesByThoseWhoSpeakForIt(t *testing.T) {
	s := newState(t, nil)
	w := newWire(t, s, "10.0.0.66:8649")
	w.heartbeat(0, "10.0.0.9:switch1", start)
	must(t, w.value(60*time.Second, "10.0.0.9:switch1", "ports", 4))
	s.Tick(start.Add(100 * time.Second))
	wantEvents(t, s, fmt.Sprintf("host_joined switch1 gmond-joined-%d", start.Unix()*1000))
}

// A host that is given override_hostname, its own name say, speaks of itself in spoofed packets from then on.
func TestHostThatTakesToSpoofingItself(t *testing.T) {
	s := newState(t, nil)
	web := newWire(t, s, "10.0.0.1:8649")
	web.heartbeat(0, "web1", start)
	for at := 20 * time.Second; at <= 10*time.Minute; at += 20 * time.Second {
		web.heartbeat(at, "10.0.0.1:web1", start)
		s.Tick(start.Add(at))
	}
	wantEvents(t, s, fmt.Sprintf("host_joined web1 gmond-joined-%d", start.Unix()*1000))
}

// What strangers say of a host that speaks for itself is kept, in frames that are no sign of its life.
func TestHearsayIsDerived(t *testing.T) {
	s := newState(t, nil)
	web, liar := newWire(t, s, "10.0.0.1:8649"), newWire(t, s, "10.0.0.66:8649")
	web.heartbeat(0, "web1", start)
	for _, name := range []string{"own", "told"} {
		must(t, web.metadata(0, "web1", name, "double"))
	}
	must(t, liar.value(time.Second, "10.0.0.1:web1", "told", 1))
	must(t, web.value(time.Second, "web1", "own", 2))
	must(t, liar.value(time.Second, "10.0.0.1:web1", "told", 3))
	must(t, liar.value(time.Second, "10.0.0.9:switch1", "ports", 4))
	must(t, liar.metadata(2*time.Second, "10.0.0.9:switch1", "ports", "double"))
	s.Tick(start.Add(2 * time.Second))
	got := make(map[string]string)
	for _, f := range frames(t, s) {
		var b batch.Batch
		must(t, new(batch.Decoder).Decode(f.Payload, &b))
		for _, x := range b.Samples {
			if !f.Gmond || f.Interval != s.opt.GmondTmax {
				t.Errorf("%v stands in a frame of gmond %v, interval %v", x.Series, f.Gmond, f.Interval)
			}
			if x.Series.Name != "gmond_metric_info" {
				got[x.Series.Host+" "+x.Series.Name] += fmt.Sprintf("%v derived %v;", x.Value, f.Derived)
			}
		}
	}
	want := map[string]string{
		"web1 gmond_heartbeat": fmt.Sprintf("%v derived false;", float64(start.Unix())),
		"web1 gmond_own":       "2 derived false;", "web1 gmond_told": "1 derived true;3 derived true;",
		"switch1 gmond_ports": "4 derived true;", // by the metadata, long after it may be
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhoMaySpeakForOthers(t *testing.T) {
	s := newState(t, nil)
	w := newWire(t, s, "10.0.0.66:8649")
	p := gmond.Packet{ID: gmond.ValueDouble, Host: []byte("10.0.0.1:web1"), Spoof: true, Name: []byte("load"), Format: []byte("%f")}
	d, err := gmond.AppendValue(nil, &p)
	must(t, err)
	if err := s.Gmond([]Datagram{{Data: d, From: w.from, At: start}}); err == nil {
		t.Error("a source that may not spoof spoke for another host")
	}
	for _, refused := range []error{ErrSource, ErrTooLong} {
		if err := s.Gmond([]Datagram{{Data: d, From: w.from, At: start, Spoofs: true, Refused: refused}}); err != refused {
			t.Errorf("got %v, want %v", err, refused)
		}
	}
	if s.Hosts() != 0 {
		t.Errorf("%d hosts of refused packets", s.Hosts())
	}
	want := []Dropped{{"gmond_packets", "source", 1}, {"gmond_packets", "spoof", 1}, {"gmond_packets", "too_long", 1}}
	if got := s.DroppedTotals(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatGmondPacketsAskFor(t *testing.T) {
	s := newState(t, nil)
	w := newWire(t, s, "10.0.0.1:40001")
	must(t, w.value(0, "web1", "load", 1))
	must(t, w.value(time.Second, "web1", "load", 1))
	want := []Ask{{Host: "web1", Name: "load", To: w.from}}
	if got := s.Asks(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := s.Asks(); len(got) > 0 {
		t.Errorf("asked twice: %v", got)
	}
	for i := range 2 * maxAsked {
		must(t, w.request(0, "web2", fmt.Sprint("metric", i%(maxAsked+10))))
	}
	if got := s.Asked(); len(got) != maxAsked || !strings.HasPrefix(got[0], "metric") {
		t.Errorf("got %d names, want %d different ones", len(got), maxAsked)
	}
	if got := s.Asked(); len(got) > 0 {
		t.Errorf("names given twice: %v", got)
	}
}

func TestGmondConflictsAndTypesAreEvents(t *testing.T) {
	s := newState(t, nil)
	a, b := newWire(t, s, "10.0.0.1:1"), newWire(t, s, "10.0.0.2:1")
	for i, typ := range []string{"double", "string", "double", "string", "double"} {
		at := time.Duration(i) * 20 * time.Second
		must(t, a.metadata(at, "web1", "lo\nad", typ))
		must(t, a.value(at, "web1", "lo\nad", 1))
		must(t, b.value(at, "web1", "other", 1))
	}
	s.Tick(start.Add(2 * time.Minute))
	hour, minute := start.UnixMilli()/3_600_000, (start.UnixMilli()+20_000)/60_000
	wantEvents(t, s,
		fmt.Sprintf("host_conflict web1 gmond-conflict-%s-%d", digest("10.0.0.1", "10.0.0.2"), hour),
		fmt.Sprintf("metric_retyped web1 gmond-retyped-%s-%d", digest("lo\nad"), minute),
		fmt.Sprintf("metric_retyped web1 gmond-retyped-%s-%d", digest("lo\nad"), minute+1),
	)
	for _, f := range opened(t, s) {
		for i := range f.Events {
			must(t, f.Events[i].Check())
		}
	}
}

func TestFillGmond(t *testing.T) {
	s := newState(t, func(o *Options) { o.GmondTmax, o.HostDmax = 30*time.Second, 2*time.Hour })
	w := newWire(t, s, "10.0.0.1:1")
	w.heartbeat(0, "web1", start)
	must(t, w.metadata(0, "web1", "load", "double"))
	must(t, w.value(0, "web1", "load", 1.25))
	if got := s.GmondHosts([]string{"x"}); !slices.Equal(got, []string{"x", "web1"}) {
		t.Fatalf("got hosts %v", got)
	}
	var h ganglia.Host
	if !s.FillGmond("web1", start.Add(5*time.Second).UnixMilli(), &h) || s.FillGmond("web2", 0, new(ganglia.Host)) {
		t.Fatal("want web1 alone to be held")
	}
	if h.IP != "10.0.0.1" || h.TN != 5 || h.TMax != 30 || h.DMax != 7200 || h.Started != start.Unix() || len(h.Metrics) != 1 || h.Metrics[0].Value != "1.2" {
		t.Errorf("got %+v", h)
	}
}

// Samples of one host stand together in a frame, however they came, and nothing is dropped between two ticks.
func TestGmondSamplesOfAHostStandTogether(t *testing.T) {
	s := newState(t, func(o *Options) { o.MaxHosts, o.MaxBytes = 1000, 256<<20 })
	f := newGmondFleet(t)
	f.learn(t, s)
	f.round()
	want := make(map[string]float64)
	for i := range f.values {
		i = i * 7919 % len(f.values) // in another order
		v := f.values[i]
		must(t, s.Gmond([]Datagram{v}))
		want[fmt.Sprintf("%s %d", f.hosts[i], i%gmondMetrics)] = math.Float64frombits(binary.BigEndian.Uint64(v.Data[len(v.Data)-8:]))
	}
	if n := len(s.pending); n >= flushAt {
		t.Errorf("%d samples wait, want fewer than %d", n, flushAt)
	}
	s.Tick(f.now)
	got := make(map[string]float64)
	for _, b := range opened(t, s) {
		changes := 0
		for i, x := range b.Samples {
			if i > 0 && x.Series.Host != b.Samples[i-1].Series.Host {
				changes++
			}
			var m int
			if _, err := fmt.Sscanf(x.Series.Name, "gmond_metric_%02d_total", &m); err == nil {
				got[fmt.Sprintf("%s %d", x.Series.Host, m)] = x.Value
			}
		}
		if hosts := distinctHosts(b.Samples); len(b.Events) == 0 && changes != hosts-1 {
			t.Fatalf("%d changes of host among %d hosts of one frame", changes, hosts)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %d series, want %d", len(got), len(want))
	}
	for name, v := range want {
		if math.Abs(got[name]-v) > 0.0051 {
			t.Fatalf("%s: got %v, want %v", name, got[name], v)
		}
	}
}

// A million names of no host, from one address: what is held is bounded, the known hosts are served, the event names
// who did it, and when the table is crowded, names that nobody speaks for any more make room.
func TestFloodOfHostNames(t *testing.T) {
	s := newState(t, func(o *Options) { o.MaxHosts, o.HostDmax = 2000, 24*time.Hour })
	web, liar := newWire(t, s, "10.0.0.1:1"), newWire(t, s, "10.0.0.66:1")
	web.heartbeat(0, "web1", start)
	must(t, web.metadata(0, "web1", "load", "double"))
	before := heap()
	p := gmond.Packet{ID: gmond.ValueDouble, Spoof: true, Host: []byte("10.9.9.9:no-host-0000000"), Name: []byte("load"), Format: []byte("%f")}
	d, err := gmond.AppendValue(nil, &p)
	must(t, err)
	digits := d[strings.Index(string(d), "0000000"):][:7]
	const flood = 1_000_000
	refused := 0
	for i := range flood {
		copy(digits, fmt.Sprintf("%07d", i))
		if liar.raw(time.Duration(i)*3*time.Microsecond, d) != nil {
			refused++
		}
	}
	must(t, web.value(3*time.Second, "web1", "load", 7.5))
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("the flood costs %d bytes", grown)
	}
	if refused != flood-1999 || s.Hosts() != 2000 {
		t.Errorf("%d refused, %d hosts; want all but 1999, 2000", refused, s.Hosts())
	}
	s.Tick(start.Add(3 * time.Second))
	if want := []Dropped{{"gmond_packets", "too_many_hosts", uint64(refused)}}; !slices.Equal(s.DroppedTotals(), want) {
		t.Errorf("got drops %v, want %v", s.DroppedTotals(), want)
	}
	told, served := "", false
	for _, b := range opened(t, s) {
		for _, e := range b.Events {
			if e.Kind == "collector_dropped" {
				told = e.Host + ": " + e.Text
			}
		}
		for _, x := range b.Samples {
			served = served || x.Series.Host == "web1" && x.Series.Name == "gmond_load" && x.Value == 7.5
		}
	}
	const want = `agg: dropped 998001 gmond packets (too_many_hosts): more hosts than collector.max_hosts; raise it if they are real. Most came from 10.0.0.66 (at last as "10.9.9.9:no-host-0999999"): 998001`
	if told != want {
		t.Errorf("got event\n%s\nwant\n%s", told, want)
	}
	if !served {
		t.Error("the known host's value is not in the history")
	}
	for at := time.Minute; at <= 7*time.Minute; at += 10 * time.Second {
		must(t, web.value(at, "web1", "load", 1))
		_ = liar.value(at, "10.9.9.9:another", "load", 1) // until there is room
		s.Tick(start.Add(at))
	}
	must(t, newWire(t, s, "10.0.0.2:1").value(7*time.Minute, "web2", "load", 1))
	if n := s.Hosts(); n > 3 {
		t.Errorf("%d hosts are held after the flood, want web1, web2 and another", n)
	}
}

// Names of no host that came in one burst, and were not heard again, make room for a gmond host that is heard seldom.
func TestBurstOfHostNamesIsForgotten(t *testing.T) {
	s := newState(t, func(o *Options) { o.HostDmax = 24 * time.Hour })
	liar, web := newWire(t, s, "10.0.0.66:1"), newWire(t, s, "10.0.0.1:1")
	for i := range 101 {
		if err := liar.value(0, fmt.Sprintf("no-host-%d", i), "load", 1); (err != nil) != (i == 100) {
			t.Fatalf("name %d: %v", i, err)
		}
	}
	for at := time.Second; at <= 10*time.Minute; at += time.Second {
		s.Tick(start.Add(at))
	}
	must(t, web.value(10*time.Minute, "web1", "load", 1))
	if n, held := s.Hosts(), s.table.Hosts(); n != 1 || held != 1 {
		t.Errorf("%d hosts are known and gmond's XML tells of %d, want 1", n, held)
	}
}

// Heartbeats that tell another start each time are an event once a minute.
func TestGmondStartsAreToldOnceAMinute(t *testing.T) {
	s := newState(t, nil)
	w := newWire(t, s, "10.0.0.66:1")
	var want []string
	for at := time.Duration(0); at < 130*time.Second; at += 500 * time.Millisecond {
		started := start.Add(2 * at)
		w.heartbeat(at, "web1", started)
		if at == 0 || (at-500*time.Millisecond)%time.Minute == 0 {
			want = append(want, fmt.Sprintf("host_joined web1 gmond-joined-%d", started.Unix()*1000))
		}
		s.Tick(start.Add(at))
	}
	wantEvents(t, s, want...)
}

// What is dropped is told at once, then once a minute for each reason.
func TestDropsAreToldOnceAMinute(t *testing.T) {
	s := newState(t, nil)
	var want []string
	for at := time.Duration(0); at < 130*time.Second; at += time.Second {
		_ = s.Gmond([]Datagram{{Data: []byte{0, 0, 0, 133}, From: netip.AddrPortFrom(from, 1), At: start.Add(at)}})
		_ = s.Native([]byte("no frame at all, but long enough to be one of them or so"), from, start.Add(at))
		s.Tick(start.Add(at))
		if at%time.Minute == 0 {
			want = append(want, fmt.Sprintf("collector_dropped agg dropped-gmond_packets-malformed-%d", start.Add(at).UnixMilli()))
		}
	}
	wantEvents(t, s, want...)
	if got, want := s.DroppedTotals(), []Dropped{{"frames", "not_frame", 130}, {"gmond_packets", "malformed", 130}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLoudestAreFoundAmongMany(t *testing.T) {
	var l loudest
	for i := range 30_000 {
		l.add(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), []byte("quiet\x00\xff"))
		if i%3 == 0 {
			l.add(netip.MustParseAddr("192.0.2.1"), []byte(strings.Repeat("a", 100)))
		}
		if i%5 == 0 {
			l.add(netip.Addr{}, nil)
		}
	}
	if len(l.senders) != loudSlots {
		t.Errorf("%d senders are remembered, want %d", len(l.senders), loudSlots)
	}
	got := l.String()
	if !strings.HasPrefix(got, `192.0.2.1 (at last as "`+strings.Repeat("a", loudName)+`"): 1`) || !strings.Contains(got, ", this host: ") {
		t.Errorf("got %s", got)
	}
}
