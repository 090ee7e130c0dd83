package gmond

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"keepwatch/internal/ganglia"
	"keepwatch/metric"
)

func uintValue(host, name string, v float64) *Packet {
	return &Packet{ID: ValueUint, Host: []byte(host), Name: []byte(name), Format: []byte("%u"), Number: v}
}

func spoofed(p *Packet) *Packet {
	p.Spoof = true
	return p
}

// add wants no error.
func add(t *testing.T, tab *Table, p *Packet, from netip.Addr, now int64) Result {
	t.Helper()
	res, err := tab.Add(p, from, now)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestValueWithoutMetadataIsInferredAfterAMinute(t *testing.T) {
	tab := newTable(t, 10, 10)
	for _, s := range []int64{0, 20, 40, 59} {
		if res := add(t, tab, uintValue("a", "x", float64(s)), src, s*second); res.Outcome != Waiting {
			t.Fatalf("at %d s: got %v, want Waiting", s, res.Outcome)
		}
	}
	res := add(t, tab, uintValue("a", "x", 60), src, 60*second)
	if s := res.Sample; res.Outcome != Joined || s.Value != 60 || s.Series.Kind != metric.Gauge || s.Series.Name != "gmond_x" || res.Descr != nil {
		t.Fatalf("got %+v, want a gauge and nothing to publish", res)
	}
	add(t, tab, text133("a", "s", "up"), src, 0)
	if s := add(t, tab, text133("a", "s", "up"), src, 61*second).Sample; s.Series == nil || s.Series.Name != "gmond_s_info" {
		t.Errorf("a text: got %+v", s)
	}
	if s := add(t, tab, text133("a", "s", "7"), src, 62*second).Sample; s.Series == nil || s.Series.Name != "gmond_s" || s.Value != 7 {
		t.Errorf("a number as text: got %+v", s)
	}
	// Metadata that comes at last changes what the series says, and that is no change of type.
	res = add(t, tab, meta("a", "x", "uint32", Positive), src, 300*second)
	if res.Outcome != Learned || res.Retyped || res.Descr == nil {
		t.Errorf("late metadata: got %+v", res)
	}
	if s := add(t, tab, uintValue("a", "x", 61), src, 301*second).Sample; s.Series.Kind != metric.Counter || s.Series.Unit != "KB" {
		t.Errorf("after it: got %v %q", s.Series.Kind, s.Series.Unit)
	}
}

func TestAskIsRareAndBounded(t *testing.T) {
	tab, err := NewTable(TableOptions{Cluster: "lab", MaxHosts: 10, MaxMetrics: 100, MaxAsks: 3})
	if err != nil {
		t.Fatal(err)
	}
	var at []int64
	for s := range int64(3600) {
		if add(t, tab, uintValue("a", "x", 1), src, s*second).Ask {
			at = append(at, s)
		}
	}
	if want := []int64{0, 60, 180, 420, 900, 1500, 2100, 2700, 3300}; !slices.Equal(at, want) {
		t.Errorf("asked at %v s, want %v", at, want)
	}
	var asked int
	for i := range 50 {
		if res := add(t, tab, uintValue("b", fmt.Sprint("m", i), 1), src, 5000*second); res.Ask {
			asked++
			if res.Host != "b" || res.Name != fmt.Sprint("m", i) {
				t.Errorf("ask for %q of %q", res.Name, res.Host)
			}
		}
	}
	if asked != 3 {
		t.Errorf("%d requests in one second, want 3", asked)
	}
	add(t, tab, meta("a", "x", "uint32", Both), src, 5001*second)
	if add(t, tab, uintValue("a", "x", 1), src, 6000*second).Ask {
		t.Error("asked for what is known")
	}
	silent := newTable(t, 1, 1)
	if add(t, silent, uintValue("a", "x", 1), src, 1).Ask {
		t.Error("asked although MaxAsks is 0")
	}
}

func TestMetadataIsPublishedOnceAnHour(t *testing.T) {
	tab := newTable(t, 10, 10)
	m := meta("a", "odd name", "float", Both)
	m.Extra = []Extra{{[]byte("TITLE"), []byte("The\x01Title")}, {[]byte("DESC"), []byte("what <it> says")}, {[]byte("GROUP"), []byte("g1")}, {[]byte("GROUP"), []byte("g2")}, {[]byte("CLUSTER"), []byte("other")}}
	m.TMax = 70
	res := add(t, tab, m, src, 5*second)
	if res.Descr == nil {
		t.Fatal("nothing to publish")
	}
	for range 2 { // the second is made of the first
		s, err := res.Descr.Info("lab", "a", 7)
		if err != nil {
			t.Fatal(err)
		}
		want := `gmond_metric_info{cluster="lab",host="a",desc="what <it> says",gmond_name="odd name",group="g1,g2",metric="gmond_odd_name",slope="both",source="gmond",title="The Title",units="KB"}`
		if got := s.Series.String(); got != want || s.Value != 1 || s.Time != 7 || s.Series.Kind != metric.State {
			t.Errorf("got  %s = %v\nwant %s", got, s.Value, want)
		}
	}
	var said []int64
	for s := int64(0); s < 3*3600; s += 15 {
		if add(t, tab, text133("a", "odd name", "1"), src, (10+s)*second).Descr != nil {
			said = append(said, s)
		}
		if s == 600 {
			m.TMax++ // a change waits its turn: a sender that changes its mind with each packet makes no flood
			if add(t, tab, m, src, (10+s)*second).Descr != nil {
				t.Error("published twice in an hour")
			}
		}
	}
	if want := []int64{3600, 7200}; !slices.Equal(said, want) {
		t.Errorf("published again after %v s, want %v", said, want)
	}
}

func TestChangeOfTypeIsANewSeries(t *testing.T) {
	tab := newTable(t, 10, 100)
	add(t, tab, meta("a", "x", "uint32", Both), src, 1)
	first := add(t, tab, text133("a", "x", "1"), src, 2).Sample.Series
	if res := add(t, tab, meta("a", "x", "uint32", Positive), src, 3); !res.Retyped || res.Outcome != Learned {
		t.Errorf("slope: got %+v, want Retyped", res)
	}
	second := add(t, tab, text133("a", "x", "2"), src, 4).Sample.Series
	if first.Kind != metric.Gauge || second.Kind != metric.Counter || first.Key() != second.Key() {
		t.Errorf("got %v %v, then %v %v", first, first.Kind, second, second.Kind)
	}
	if res := add(t, tab, meta("a", "x", "string", Positive), src, 5); !res.Retyped {
		t.Errorf("type: got %+v, want Retyped", res)
	}
	if s := add(t, tab, text133("a", "x", "2"), src, 6).Sample.Series; s.Name != "gmond_x_info" || s.Label("value") != "2" {
		t.Errorf("as a string: got %v", s)
	}
	// An unchanged type, whatever else changes, keeps the series.
	m := meta("a", "x", "string", Positive)
	m.TMax, m.Extra = 99, []Extra{{[]byte("TITLE"), []byte("t")}}
	before := add(t, tab, text133("a", "x", "2"), src, 7).Sample.Series
	if res := add(t, tab, m, src, 8); res.Retyped {
		t.Error("another title is taken for another type")
	}
	if add(t, tab, text133("a", "x", "2"), src, 9).Sample.Series != before {
		t.Error("another title made another series")
	}
	// One that changes its type for ever makes no more series than strings may.
	var err error
	for i := 0; i < 1000 && err == nil; i++ {
		add(t, tab, meta("a", "y", []string{"uint32", "string"}[i%2], Both), src, 10)
		_, err = tab.Add(text133("a", "y", "1"), src, 10)
	}
	if !errors.Is(err, ErrTooManyMetrics) {
		t.Errorf("a type that changes with each packet: got %v, want ErrTooManyMetrics", err)
	}
}

func TestTwoAddressesOfOneName(t *testing.T) {
	tab := newTable(t, 10, 10)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	f := func(s int64, p *Packet, from netip.Addr, address, conflict string) {
		t.Helper()
		if res := add(t, tab, p, from, s*second); res.Address != address || res.Conflict != conflict || res.Host != "web1" {
			t.Errorf("at %d s: got %+v; want address %q, conflict %q", s, res, address, conflict)
		}
	}
	value := func() *Packet { return uintValue("web1", "x", 1) }
	f(1, value(), a, "192.0.2.1", "")
	f(2, value(), netip.AddrFrom16(a.As16()), "192.0.2.1", "") // the same, over a socket of both families
	f(3, spoofed(uintValue("192.0.2.1:web1", "x", 1)), b, "192.0.2.1", "")
	f(4, value(), b, "192.0.2.1", "192.0.2.2")
	f(5, value(), b, "192.0.2.1", "")
	f(6, spoofed(uintValue("192.0.2.3:web1", "x", 1)), b, "192.0.2.1", "")
	for s := int64(10); s < 3700; s += 20 {
		f(s, value(), a, "192.0.2.1", "")
	}
	f(3701, value(), b, "192.0.2.1", "192.0.2.2")
	if first, other := tab.Addresses("web1"); first != "192.0.2.1" || other != "192.0.2.2" {
		t.Errorf("got %q, %q", first, other)
	}
	if tab.Hosts() != 1 || tab.Metrics() != 1 {
		t.Errorf("%d hosts, %d metrics", tab.Hosts(), tab.Metrics())
	}
	// A host that has moved is no conflict, one that goes to and fro is.
	tab = newTable(t, 10, 10)
	f(1, value(), a, "192.0.2.1", "")
	f(100, value(), b, "192.0.2.2", "")
	f(200, value(), a, "192.0.2.1", "192.0.2.2")
	// One address with two names is two hosts.
	add(t, tab, uintValue("web2", "x", 1), a, 300*second)
	if tab.Hosts() != 2 {
		t.Errorf("%d hosts", tab.Hosts())
	}
}

func TestRequestsAndHeartbeats(t *testing.T) {
	tab := newTable(t, 10, 10)
	res := add(t, tab, &Packet{ID: Request, Host: []byte("node1"), Name: []byte("load_one")}, src, 1)
	if res.Outcome != Asked || res.Host != "node1" || res.Name != "load_one" {
		t.Errorf("got %+v", res)
	}
	if res = add(t, tab, &Packet{ID: Request, Host: []byte("10.0.0.9:ghost"), Name: []byte("x"), Spoof: true}, src, 1); res.Host != "ghost" {
		t.Errorf("spoofed: got %+v", res)
	}
	if tab.Hosts() != 0 || tab.Metrics() != 0 {
		t.Errorf("requests made %d hosts, %d metrics", tab.Hosts(), tab.Metrics())
	}
	if res = add(t, tab, uintValue("a", "heartbeat", 1234), src, 2); res.Started != 1234 {
		t.Errorf("heartbeat: got %+v", res)
	}
}

// A heartbeat that tells no start, as those of gmetric, says that the host lives and neither when its gmond started nor
// anything of the metric heartbeat.
func TestHeartbeatsWithoutAStart(t *testing.T) {
	tab := newTable(t, 10, 10)
	_, data := payloads(t)
	ghost := make([]Packet, 2)
	for i, name := range []string{"128-metadata_full-heartbeat-spoof", "133-value_string-heartbeat-spoof"} {
		if err := Decode(data[name], &ghost[i]); err != nil {
			t.Fatal(err)
		}
	}
	lives := func(res Result, host string, at int64) {
		t.Helper()
		s := res.Sample
		if res.Outcome != Alive || s.Series == nil || res.Ask || res.Retyped || res.Conflict != "" {
			t.Fatalf("got %+v, want a sign of life and nothing else", res)
		}
		if got, want := s.Series.String(), `keepwatch_host_heartbeat{cluster="lab",host="`+host+`",source="gmond"}`; got != want || s.Time != at || s.Value != 1 {
			t.Errorf("got %s %v at %d, want %s 1 at %d", got, s.Value, s.Time, want, at)
		}
	}
	for at := int64(1); at < 200*second; at += 20 * second {
		add(t, tab, &ghost[0], src, at)
		res := add(t, tab, &ghost[1], src, at)
		if lives(res, "ghost1", at); res.Started != 0 {
			t.Errorf("ghost1 has started at %d", res.Started)
		}
	}
	lives(add(t, tab, text133("a", "heartbeat", "1700000000"), src, 2), "a", 2) // no metadata is waited for
	lives(add(t, tab, &Packet{ID: Heartbeat, Legacy: true, Spoof: true, Host: []byte("ghost2"), Address: []byte("10.0.0.9")}, src, 3), "ghost2", 3)

	beat := meta("a", "heartbeat", "uint32", Unspecified)
	add(t, tab, beat, src, 4)
	for at := int64(5); at < 10; at++ { // the host's own gmond, and somebody's gmetric -H beside it
		p := uintValue("a", "heartbeat", 1234)
		if s := add(t, tab, p, src, at).Sample; s.Series == nil || s.Series.Name != "gmond_heartbeat" || s.Value != 1234 {
			t.Errorf("gmond's heartbeat: got %+v", s)
		}
		res := add(t, tab, text133("a", "heartbeat", "0"), src, at)
		if lives(res, "a", at); res.Started != 1234 {
			t.Errorf("gmetric's heartbeat: got %+v", res)
		}
	}
}

func TestLegacyPackets(t *testing.T) {
	tab := newTable(t, 10, 10)
	from := netip.MustParseAddr("192.0.2.77")
	var p Packet
	f := func(d []byte) Result {
		t.Helper()
		if err := DecodeLegacy(d, &p); err != nil {
			t.Fatal(err)
		}
		return add(t, tab, &p, from, 1000)
	}
	res := f(xdr(15, float32(0.21)))
	if s := res.Sample; res.Host != "192.0.2.77" || res.Outcome != Joined || s.Value != 0.21 || s.Series.Name != "gmond_load_one" || res.Descr == nil || res.Ask {
		t.Errorf("load_one: got %+v", res)
	}
	if s := f(xdr(0, "int32", "jobs", "17", "jobs", 1, 60, 300)).Sample; s.Value != 17 || s.Series.Kind != metric.Counter || s.Series.Unit != "jobs" {
		t.Errorf("gmetric: got %+v", s)
	}
	if res = f(xdr(26, 1234)); res.Started != 1234 {
		t.Errorf("heartbeat: got %+v", res)
	}
	if res = f(xdr(4097, "ghost", "10.0.0.9")); res.Outcome != Alive || res.Host != "ghost" || res.Address != "10.0.0.9" {
		t.Errorf("spoofed heartbeat: got %+v", res)
	}
	if res = f(xdr(4096, "ghost", "10.0.0.9", "string", "state", "up", "", 0, 60, 0)); res.Sample.Series.Label("value") != "up" || res.Host != "ghost" {
		t.Errorf("spoofed gmetric: got %+v", res)
	}
	if n := testing.AllocsPerRun(100, func() { f(xdr(15, float32(0.21))) }); n > 4 { // those of xdr itself
		t.Errorf("got %v allocations", n)
	}
	if err := DecodeLegacy(xdr(15, float32(1)), &p); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Add(&p, netip.Addr{}, 1); !errors.Is(err, ErrHost) {
		t.Errorf("without a source: got %v, want ErrHost", err)
	}
}

// Colons are treated as gmond treats them, so that its XML and ours name the same metrics.
func TestColonsInNames(t *testing.T) {
	for _, c := range []struct {
		host, name, want string
		spoof            bool
	}{
		{"a", "x:y:z", "x_y_z", false},
		{"a", ":x", "_x", false},
		{"1:a", "shown:real", "shown", true},
		{"1:a", ":x", ":x", true},
	} {
		p := uintValue(c.host, c.name, 1)
		p.Spoof = c.spoof
		if res := add(t, newTable(t, 1, 1), p, src, 1); res.Name != c.want {
			t.Errorf("%q spoof %v: got %q, want %q", c.name, c.spoof, res.Name, c.want)
		}
	}
}

// A host with more metrics than one Sweep forgets goes whole, one in each Sweep, and holds up nothing else.
func TestSweepForgetsHostsOfManyMetrics(t *testing.T) {
	const dmax = hour
	tab := newTable(t, 3, maxForgotten)
	for i := range maxForgotten {
		name := fmt.Sprint("m", i)
		add(t, tab, uintValue("big1", name, 1), src, 0)
		add(t, tab, uintValue("big2", name, 1), src, 0)
	}
	m := meta("alive", "short", "uint32", Both)
	m.DMax = 100
	add(t, tab, m, src, 0)
	for i := range int64(turns) {
		now := dmax + (1+i)*second
		add(t, tab, uintValue("alive", "other", 1), src, now)
		tab.Sweep(now, dmax)
		if want := max(1, 2-int(i)); tab.Hosts() != want {
			t.Fatalf("%d hosts after sweep %d, want %d", tab.Hosts(), i+1, want)
		}
	}
	if tab.Metrics() != 1 {
		t.Errorf("%d metrics, want only the one that comes", tab.Metrics())
	}
}

func TestAgeing(t *testing.T) {
	tab := newTable(t, 10, 10)
	m := meta("a", "short", "uint32", Both)
	m.DMax = 100
	add(t, tab, m, src, 0)
	add(t, tab, meta("a", "long", "uint32", Both), src, 0)
	sweep := func(s, dmax int64) {
		for range turns {
			tab.Sweep(s*second, dmax*second)
		}
	}
	for s := int64(0); s <= 300; s += 50 { // values keep coming, metadata does not
		add(t, tab, uintValue("a", "short", 1), src, s*second)
		sweep(s, 1000)
	}
	if tab.Metrics() != 2 {
		t.Fatalf("%d metrics, want 2: a metric whose values come is there", tab.Metrics())
	}
	if sweep(400, 1000); tab.Metrics() != 2 {
		t.Errorf("gone before its time")
	}
	if sweep(401, 1000); tab.Metrics() != 1 {
		t.Errorf("%d metrics 101 s after the last value, dmax 100", tab.Metrics())
	}
	for s := int64(500); s < 30*3600; s += 500 {
		add(t, tab, uintValue("a", "other", 1), src, s*second)
		if sweep(s, 1000); s < 24*3600 && tab.Metrics() != 2 {
			t.Fatalf("%d metrics at %d s: gmond keeps what has no dmax", tab.Metrics(), s)
		}
	}
	if tab.Metrics() != 1 {
		t.Errorf("%d metrics, want 1: one silent for a day is forgotten", tab.Metrics())
	}
	if sweep(1e6, 0); tab.Hosts() != 1 {
		t.Error("forgotten although host_dmax is 0")
	}
	if sweep(1e6, 1000); tab.Hosts() != 0 || tab.Metrics() != 0 || tab.Descriptors() != 0 || tab.Bytes() != 0 {
		t.Errorf("%d hosts, %d metrics, %d descriptors, %d bytes of nothing", tab.Hosts(), tab.Metrics(), tab.Descriptors(), tab.Bytes())
	}
}

// Our clock is set back by an hour, then forward by two: metadata is asked for and published again in its time, nothing is
// forgotten, and what dies is told as silent.
func TestClockIsSet(t *testing.T) {
	const start, dmax = 10 * hour, 300 * second
	tab, err := NewTable(TableOptions{Cluster: "lab", MaxHosts: 10, MaxMetrics: 10, MaxAsks: 10})
	if err != nil {
		t.Fatal(err)
	}
	var asked, published []int64 // s since the start
	now := int64(start)
	run := func(seconds int64) {
		for range seconds / 15 {
			now += 15 * second
			if add(t, tab, uintValue("a", "unknown", 1), src, now).Ask {
				asked = append(asked, (now-start)/second)
			}
			if add(t, tab, uintValue("a", "known", 1), src, now).Descr != nil {
				published = append(published, (now-start)/second)
			}
			tab.Sweep(now, dmax)
		}
	}
	m := meta("a", "known", "uint32", Both)
	m.DMax = 60
	add(t, tab, m, src, now)
	run(3000)
	now -= hour
	tab.Away(0, now)
	run(3900)
	now += 2 * hour
	tab.Away(2*hour, now)
	tab.Sweep(now, dmax)
	if tab.Hosts() != 1 || tab.Metrics() != 2 {
		t.Errorf("%d hosts with %d metrics after the clock was set forward, want 1 with 2", tab.Hosts(), tab.Metrics())
	}
	var h ganglia.Host
	if tab.Fill("a", now, &h); h.TN != 0 || h.Metrics[0].TN != 0 || h.Metrics[1].TN != 0 {
		t.Errorf("told %+v when the clock was set forward", h)
	}
	run(1500)
	if want := []int64{15, 75, 195, 435, 915, 1515, 2115, 2715, 0, 600, 1200, 1800, 2400, 3000, 10800, 11400, 12000}; !slices.Equal(asked, want) {
		t.Errorf("asked at %v s, want %v", asked, want)
	}
	if want := []int64{3000}; !slices.Equal(published, want) {
		t.Errorf("published again at %v s, want %v", published, want)
	}
	now += 60 * second
	if tab.Fill("a", now, &h); h.TN != 60 || len(h.Metrics) != 2 || h.Metrics[0].TN != 60 {
		t.Errorf("silent for 60 s, told %+v", h)
	}
}

func TestFillTellsWhatGmondTells(t *testing.T) {
	names, data := payloads(t)
	tab := newTable(t, 100, 1000)
	var p Packet
	for i, n := range names {
		if err := Decode(data[n], &p); err != nil {
			t.Fatal(err)
		}
		from := src
		if !p.Spoof {
			from = netip.AddrFrom4([4]byte{10, 66, 0, p.Host[len(p.Host)-1] - '0'})
		}
		if _, err := tab.Add(&p, from, int64(1000*second+i)); err != nil && !errors.Is(err, ErrValue) {
			t.Fatal(err)
		}
	}
	hosts := tab.Names(nil)
	slices.Sort(hosts)
	var b strings.Builder
	var h ganglia.Host
	for _, n := range hosts {
		h.Tags, h.DMax = "t", 86400
		if !tab.Fill(n, 1010*second, &h) {
			t.Fatalf("no %q", n)
		}
		ms := h.Metrics
		h.Metrics = nil
		fmt.Fprintf(&b, "%+v\n", h)
		for _, m := range ms {
			fmt.Fprintf(&b, "  %q = %q %s %q TN %d TMAX %d DMAX %d %s %s %+v\n", m.Name, m.Value, m.Type, m.Units, m.TN, m.TMax, m.DMax, m.Slope, m.Source, m.Extra)
		}
		h.Metrics = ms
	}
	golden(t, "testdata/told.txt", b.String())
	if tab.Fill("nobody", 0, &h) {
		t.Error("told of a host that is not there")
	}
}

func TestFillOfValuesWithoutMetadata(t *testing.T) {
	tab := newTable(t, 10, 10)
	var h ganglia.Host
	add(t, tab, uintValue("a", "x", 7), src, 0)
	add(t, tab, meta("a", "only metadata", "float", Both), src, 0)
	if tab.Fill("a", 59*second, &h); len(h.Metrics) != 0 {
		t.Errorf("told too early: %+v", h.Metrics)
	}
	tab.Fill("a", 60*second, &h)
	if len(h.Metrics) != 1 || h.Metrics[0].Value != "7" || h.Metrics[0].Type != "uint32" || h.Metrics[0].TMax != 60 || h.Metrics[0].TN != 60 || h.TMax != 20 || h.Location != "unspecified" {
		t.Errorf("got %+v", h)
	}
	add(t, tab, text133("a", "Location", "1,2,3"), src, 61*second)
	add(t, tab, uintValue("a", "HEARTBEAT", 1), src, 61*second)
	if tab.Fill("a", 200*second, &h); len(h.Metrics) != 1 || h.Location != "1,2,3" {
		t.Errorf("got %+v", h)
	}
	add(t, tab, uintValue("a", "location", 9), src, 201*second) // what ends gmond
	if tab.Fill("a", 300*second, &h); len(h.Metrics) != 1 || h.Location != "1,2,3" {
		t.Errorf("got %+v", h)
	}
}

// A million names from one forger: the table holds what it may and goes on with those that it knows.
func TestFloodOfHostNames(t *testing.T) {
	tab, err := NewTable(TableOptions{Cluster: "lab", MaxHosts: 1000, MaxMetrics: 100, MaxBytes: 8 << 20, MaxAsks: 5})
	if err != nil {
		t.Fatal(err)
	}
	add(t, tab, meta("real", "x", "uint32", Both), src, 1)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p := spoofed(uintValue("", "x", 1))
	refused, asked := 0, 0
	for i := range 1_000_000 {
		p.Host = fmt.Appendf(p.Host[:0], "10.0.0.9:ghost%d", i)
		res, err := tab.Add(p, src, int64(i)/100)
		switch {
		case errors.Is(err, ErrTooManyHosts):
			refused++
		case err != nil:
			t.Fatal(err)
		case res.Ask:
			asked++
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if tab.Hosts() != 1000 || refused != 1_000_000-999 || asked > 5 {
		t.Errorf("%d hosts, %d refused, %d asked", tab.Hosts(), refused, asked)
	}
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > tab.Bytes()+1<<20 {
		t.Errorf("%d bytes held, %d estimated", held, tab.Bytes())
	}
	if res := add(t, tab, uintValue("real", "x", 2), src, 20*second); res.Outcome != Joined {
		t.Errorf("the real host: %+v", res)
	}
}

func TestBytesAreBounded(t *testing.T) {
	const limit = 1 << 20
	tab, err := NewTable(TableOptions{Cluster: "lab", MaxHosts: 1000, MaxMetrics: 10_000, MaxBytes: limit})
	if err != nil {
		t.Fatal(err)
	}
	long := string(bytes.Repeat([]byte("x"), 1400))
	var full, known int
	for i := range 5000 {
		m := meta("a", fmt.Sprint("m", i), "string", Both)
		m.Extra = []Extra{{[]byte("DESC"), []byte(fmt.Sprint(i, long))}}
		for _, p := range []*Packet{m, text133("a", fmt.Sprint("m", i), fmt.Sprint(i, long)), text133(fmt.Sprint("h", i), "x", long)} {
			res, err := tab.Add(p, src, 1)
			switch {
			case err == nil:
				known++
			case !errors.Is(err, ErrTooManyBytes) && !errors.Is(err, ErrTooManyHosts) && !errors.Is(err, ErrTooManyMetrics):
				t.Fatal(err)
			default:
				if full++; res.Host == "" && string(p.Host) == "a" {
					t.Fatalf("the host's life is not told: %v", err)
				}
			}
			if tab.Bytes() > limit {
				t.Fatalf("%d bytes held, limit %d", tab.Bytes(), limit)
			}
		}
	}
	if full == 0 || known == 0 {
		t.Errorf("%d refused, %d taken", full, known)
	}
	for range turns {
		tab.Sweep(2*hour, hour)
	}
	if tab.Bytes() != 0 || tab.Hosts() != 0 {
		t.Errorf("%d bytes of %d hosts are left", tab.Bytes(), tab.Hosts())
	}
}

func TestHostileText(t *testing.T) {
	for _, s := range []string{"a<b>&\"'", "\xff\xfe\x80", "tab\there", "\x7f", "žluťoučký", "a\xc5", strings.Repeat("é", 700)} {
		tab := newTable(t, 10, 10)
		m := meta("a", s, "string", Both)
		m.Units, m.Extra = []byte(s), []Extra{{[]byte(s), []byte(s)}, {[]byte("TITLE"), []byte(s)}, {[]byte("GROUP"), []byte(s)}}
		res, err := tab.Add(m, src, 1)
		if err != nil {
			if len(s) > 189 && errors.Is(err, ErrMetric) {
				continue
			}
			t.Fatalf("%q: %v", s, err)
		}
		if _, err := res.Descr.Info("lab", "a", 1); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if _, err := tab.Add(text133("a", s, s), src, 1); err != nil && !errors.Is(err, ErrValue) {
			t.Errorf("%q: %v", s, err)
		}
		var h ganglia.Host
		tab.Fill("a", 1, &h)
		checkTold(t, &h)
		if len(h.Metrics) != 1 {
			t.Errorf("%q: told %+v", s, h.Metrics)
		}
	}
}

// However long the names and all texts of a metric are, its metadata is one series, whose longest texts are cut.
func TestLongestMetadataIsPublished(t *testing.T) {
	long := []byte(strings.Repeat("é", 700))
	m := meta("a", strings.Repeat("\xe9", 189), "string", Both)
	m.Units, m.Extra = long, []Extra{{[]byte("TITLE"), long}, {[]byte("DESC"), long}, {[]byte("GROUP"), long}}
	res, err := newTable(t, 10, 10).Add(m, src, 1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := res.Descr.Info(strings.Repeat("c", metric.MaxHost), strings.Repeat("h", metric.MaxHost), 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"title": 128, "desc": 512, "group": 256, "units": 64} {
		if got := s.Series.Label(name); len(got) != want || strings.Trim(got, "é") != "" {
			t.Errorf("%s: %d bytes %q, want %d", name, len(got), got, want)
		}
	}
}

// checkTold wants every text of a host to be clean.
func checkTold(t interface{ Fatalf(string, ...any) }, h *ganglia.Host) {
	texts := []string{h.Name, h.IP, h.Location}
	for _, m := range h.Metrics {
		texts = append(texts, m.Name, m.Value, m.Type, m.Units, m.Slope)
		for _, x := range m.Extra {
			texts = append(texts, x.Name, x.Value)
		}
	}
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			t.Fatalf("unclean text %q", s)
		}
	}
}

func TestEntryIsOneCacheLine(t *testing.T) {
	if n := reflect.TypeFor[entry]().Size(); n != 64 {
		t.Errorf("an entry has %d bytes, want 64", n)
	}
}

// The index does what a map does.
func TestIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := index{slots: make([]slot, 8)}
		type key struct {
			hash uint32
			name string
		}
		want := make(map[key]uint32)
		h := &host{name: "h"}
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			k := key{name: fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "name"))}
			k.hash = uint32(len(k.name)*0x1003) + uint32(k.name[0]%4) // many that are equal or near
			n, held := want[k]
			e := x.find(k.hash, []byte("h"), []byte(k.name))
			if held != (e != nil) || held && (e != x.at(n) || e.desc.Name != k.name) {
				t.Fatalf("%v: found %v, held %v", k, e, held)
			}
			switch {
			case !held:
				n, e = x.add(k.hash)
				e.host, e.desc = h, &Descriptor{Name: k.name}
				want[k] = n
			case rapid.Bool().Draw(t, "remove"):
				x.remove(k.hash, n)
				delete(want, k)
			}
			if x.held != len(want) {
				t.Fatalf("%d held, want %d", x.held, len(want))
			}
		}
		for k, n := range want {
			if e := x.find(k.hash, []byte("h"), []byte(k.name)); e == nil || e != x.at(n) {
				t.Fatalf("%v is lost", k)
			}
		}
	})
}

// Whatever comes in whatever order, the table's estimate of its bytes is the sum of what it holds.
func TestBytesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab, err := NewTable(TableOptions{Cluster: "lab", MaxHosts: 4, MaxMetrics: 4, MaxBytes: 20_000, MaxAsks: 2})
		if err != nil {
			t.Fatal(err)
		}
		now := int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += rapid.Int64Range(0, 100*second).Draw(t, "wait")
			p := Packet{
				ID: ID(rapid.Uint32Range(128, 136).Draw(t, "id")), Host: []byte(rapid.SampledFrom([]string{"a", "b", "1:a", "2:c"}).Draw(t, "host")),
				Name: []byte(rapid.SampledFrom([]string{"x", "y:z", "heartbeat", "location"}).Draw(t, "name")), Type: []byte(rapid.SampledFrom([]string{"string", "float", "x"}).Draw(t, "type")),
				Format: []byte(rapid.SampledFrom([]string{"", "%u", "%.2f", "up"}).Draw(t, "format")), Text: []byte(rapid.SampledFrom([]string{"", "1", "text", strings.Repeat("long", 300)}).Draw(t, "text")),
				Number: rapid.Float64().Draw(t, "number"), Slope: Slope(rapid.Uint32Range(0, 5).Draw(t, "slope")), DMax: rapid.Uint32Range(0, 300).Draw(t, "dmax"), Legacy: rapid.Bool().Draw(t, "legacy"),
			}
			p.Spoof = bytes.IndexByte(p.Host, ':') > 0
			if p.Legacy {
				p.Address = []byte("9")
			}
			_, _ = tab.Add(&p, src, now)
			if rapid.Bool().Draw(t, "sweep") {
				tab.Sweep(now, 500*second)
			}
			checkBytes(t, tab)
		}
	})
}

func checkBytes(t interface{ Fatalf(string, ...any) }, tab *Table) {
	var sum int64
	refs := make(map[*Descriptor]int)
	for _, h := range tab.hosts {
		sum += h.cost()
		for _, n := range h.metrics {
			e := tab.entries.at(n)
			sum += e.cost()
			if e.text != nil {
				sum += e.text.cost()
			}
			refs[e.desc]++
		}
	}
	for d, n := range refs {
		if sum += d.cost(); d.refs != n {
			t.Fatalf("%q has %d users, says %d", d.Name, n, d.refs)
		}
	}
	if sum != tab.Bytes() || sum > tab.opt.MaxBytes || len(refs) != len(tab.descriptors) {
		t.Fatalf("%d bytes and %d descriptors are held, %d and %d told", sum, len(refs), tab.Bytes(), len(tab.descriptors))
	}
}
