package state

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/metric"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	start = time.UnixMilli(1_795_000_000_000)
	from  = netip.MustParseAddr("10.0.0.7")
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
)

func ring(t testing.TB) *frame.Keyring {
	t.Helper()
	k, err := frame.ParseKey(1, strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	r, err := frame.NewKeyring(k)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newState(t testing.TB, change func(*Options)) *State {
	t.Helper()
	opt := Options{
		Cluster: "lab", Host: "agg", Keys: ring(t), Boot: frame.Boot{Start: start.UnixMilli(), Random: 99},
		MaxHosts: 100, MaxSeries: 1000, MaxBytes: 64 << 20, HostDmax: time.Hour, GmondTmax: 20 * time.Second, MaxAsks: 100, Log: quiet,
	}
	if change != nil {
		change(&opt)
	}
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sender is one collector that sends.
type sender struct {
	*frame.Sealer
	t    testing.TB
	name string
}

func newSender(t testing.TB, name string, boot frame.Boot) sender {
	t.Helper()
	s, err := frame.NewSealer(frame.SealerOptions{Keys: ring(t), Boot: boot, Cluster: "lab", Host: name, Payload: 1400})
	if err != nil {
		t.Fatal(err)
	}
	return sender{s, t, name}
}

func (s sender) frame(at time.Time, host string, metrics ...string) (out []byte) {
	b := &batch.Batch{}
	for _, m := range metrics {
		b.Samples = append(b.Samples, metric.Sample{Series: metric.MustSeries("lab", host, m, nil, "", metric.Gauge), Time: at.UnixMilli(), Value: 1})
	}
	s.Seal(b, frame.Stamp{Now: at, Interval: 10 * time.Second}, func(d []byte) { out = bytes.Clone(d) })
	return out
}

// events gives what the state has put into its history as events, as "KIND HOST ID".
func events(t testing.TB, s *State) (out []string) {
	t.Helper()
	for _, f := range opened(t, s) {
		for _, e := range f.Events {
			out = append(out, fmt.Sprintf("%s %s %s", e.Kind, e.Host, e.ID))
		}
	}
	return out
}

func distinctHosts(samples []metric.Sample) int {
	m := make(map[string]bool)
	for _, x := range samples {
		m[x.Series.Host] = true
	}
	return len(m)
}

// opened is what the frames of the whole history hold.
func opened(t testing.TB, s *State) (out []batch.Batch) {
	t.Helper()
	for _, f := range frames(t, s) {
		var b batch.Batch
		if err := new(batch.Decoder).Decode(f.Payload, &b); err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// frames opens the whole history without asking whether it is a replay.
func frames(t testing.TB, s *State) (out []frame.Frame) {
	t.Helper()
	c := s.History().Find(0, start.UnixMilli())
	es, _, _ := s.History().Read(&c, make([]Entry, 0, 10_000), 0)
	for _, e := range es {
		o, err := frame.NewOpener(frame.OpenerOptions{Keys: ring(t)})
		if err != nil {
			t.Fatal(err)
		}
		f, err := o.Open(e.Datagram, time.UnixMilli(e.At))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

func wantEvents(t *testing.T, s *State, want ...string) {
	t.Helper()
	if got := events(t, s); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The story of one host, with the events that a collector makes of it; a second collector that hears the same
// frames a little later makes events of the same IDs.
func TestHostComesFallsSilentAndComesBack(t *testing.T) {
	for _, late := range []time.Duration{0, 700 * time.Millisecond} {
		s := newState(t, nil)
		web := newSender(t, "web1", frame.Boot{Start: start.UnixMilli(), Random: 1})
		hear := func(w sender, at time.Duration) {
			t.Helper()
			if err := s.Native(w.frame(start.Add(at), "web1", "load"), from, start.Add(at+late)); err != nil {
				t.Fatal(err)
			}
		}
		tick := func(at time.Duration) { s.Tick(start.Add(at)) }
		boot := start.UnixMilli()
		joined := fmt.Sprintf("host_joined web1 joined-%d", boot)
		hear(web, 0)
		hear(web, 10*time.Second)
		tick(11 * time.Second)
		wantEvents(t, s, joined)
		tick(50 * time.Second)
		wantEvents(t, s, joined)
		tick(51 * time.Second)
		tick(52 * time.Second)
		lost := fmt.Sprintf("host_lost web1 lost-%d", boot+10_000)
		wantEvents(t, s, joined, lost)
		if st := s.Status(start.Add(52 * time.Second)); len(st.Hosts) != 1 || !st.Hosts[0].Lost || st.Hosts[0].Address != "10.0.0.7" || st.Hosts[0].Series != 1 {
			t.Errorf("status: got %+v", st.Hosts)
		}
		hear(web, 60*time.Second)
		tick(61 * time.Second)
		again := fmt.Sprintf("%s-%d", joined, boot+60_000)
		wantEvents(t, s, joined, lost, again)
		anew := newSender(t, "web1", frame.Boot{Start: boot + 65_000, Random: 2})
		hear(anew, 66*time.Second)
		tick(67 * time.Second)
		wantEvents(t, s, joined, lost, again, fmt.Sprintf("host_joined web1 joined-%d", boot+65_000))
		tick(2 * time.Hour)
		if n := s.Hosts(); n != 0 {
			t.Errorf("%d hosts after host_dmax, want none", n)
		}
	}
}

func TestDropsHaveReasons(t *testing.T) {
	s := newState(t, func(o *Options) { o.MaxHosts, o.MaxSeries = 2, 3 })
	web := newSender(t, "web1", frame.Boot{Start: start.UnixMilli(), Random: 1})
	good := web.frame(start, "web1", "a", "b")
	changed := bytes.Clone(good)
	changed[50] ^= 1
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"unsigned", []byte(strings.Repeat("hello ", 20)), frame.ErrNotFrame},
		{"changed", changed, frame.ErrSeal},
		{"right", good, nil},
		{"replayed", good, frame.ErrReplay},
		{"third and fourth series", web.frame(start, "web1", "c", "d"), ErrTooManySeries},
		{"third series", web.frame(start, "web1", "c"), nil},
		{"known series", web.frame(start, "web1", "a", "b", "c"), nil},
		{"second host", web.frame(start, "switch1", "a"), nil},
		{"third host", web.frame(start, "switch2", "a"), ErrTooManyHosts},
	} {
		if err := s.Native(c.in, from, start); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	st := s.Status(start)
	if len(st.Hosts) != 2 || st.Hosts[1].Name != "web1" || st.Hosts[1].Series != 3 || st.Hosts[1].Dropped != 2 || st.Hosts[0].Through != "web1" {
		t.Errorf("status: got %+v", st.Hosts)
	}
	if got := len(opened(t, s)); got != 4 {
		t.Errorf("history holds %d frames, want the 4 accepted ones", got)
	}
}

func gmondPacket(data []byte, at time.Time) Datagram {
	return Datagram{Data: data, From: netip.AddrPortFrom(from, 8649), At: at, Spoofs: true}
}

func TestGmondPacketsBecomeFrames(t *testing.T) {
	s := newState(t, nil)
	files, err := filepath.Glob("../gmond/testdata/payloads/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatal("no captures", err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := hex.DecodeString(strings.Split(string(raw), "\n")[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Gmond([]Datagram{gmondPacket(d, start)}); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	if err := s.Gmond([]Datagram{gmondPacket([]byte{0, 0, 0, 128}, start)}); err == nil {
		t.Error("a cut packet was taken")
	}
	s.Tick(start)
	got := map[string]float64{}
	for _, b := range opened(t, s) {
		for _, x := range b.Samples {
			got[x.Series.Host+" "+x.Series.Name] = x.Value
		}
	}
	for name, want := range map[string]float64{"node1 gmond_load_one": 0.21, "node1 gmond_os_name_info": 1, "ghost1 gmond_spoofed1": 7, "node1 gmond_t_uint32": 4e9} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: got %v, %v; want %v", name, v, ok, want)
		}
	}
	told := []string{"host_joined node1 gmond-joined-1795210437000", "collector_dropped agg dropped-gmond_packets-malformed-1795000000000"}
	wantEvents(t, s, told...)
	s.Tick(start.Add(81 * time.Second))
	wantEvents(t, s, append(told, "host_lost node1 gmond-lost-1795000000000")...)
}

func TestLogIsBoundedByBytesAndTime(t *testing.T) {
	const segment = segmentBytes + segmentRecords*recordSize
	l := newLog(3 * segment)
	datagram := make([]byte, 1000)
	for i := range 2000 {
		l.Append(int64(i), datagram)
		if l.Bytes() > 3*segment {
			t.Fatalf("%d bytes, want at most %d", l.Bytes(), 3*segment)
		}
	}
	if old := l.Oldest(2000); old < 1000 || old > 1500 {
		t.Errorf("oldest entry is %d, want about the last 3 segments of 262", old)
	}
	l.Expire(2000 + Window.Milliseconds())
	if l.Bytes() != 0 {
		t.Errorf("%d bytes after the window, want none", l.Bytes())
	}
}

func TestLogFindAndRead(t *testing.T) {
	l := newLog(1 << 30)
	for i := range 3000 {
		l.Append(int64(i/2), []byte(fmt.Sprint(i)))
	}
	l.Append(5, []byte("late")) // the clock went back: time in the log does not
	for since, first := range map[int64]string{-1: "0", 0: "0", 1: "2", 700: "1400", 1499: "2998"} {
		c := l.Find(since, 0)
		es, _, ok := l.Read(&c, make([]Entry, 0, 1), 0)
		if !ok || len(es) != 1 || string(es[0].Datagram) != first {
			t.Errorf("since %d: got %v, %v; want %s", since, es, ok, first)
		}
	}
	c := l.Find(0, 0)
	n, last := 0, int64(0)
	for {
		es, changed, ok := l.Read(&c, make([]Entry, 0, 100), 2000)
		if !ok {
			t.Fatal("fell out of a log that drops nothing")
		}
		if len(es) == 0 {
			l.Append(7, []byte("next"))
			<-changed
			break
		}
		for _, e := range es {
			if e.At < last {
				t.Fatalf("time goes back from %d to %d", last, e.At)
			}
			last = e.At
		}
		n += len(es)
	}
	if n != 3001 {
		t.Errorf("read %d entries, want 3001", n)
	}
	es, _, _ := l.Read(&c, make([]Entry, 0, 10), 3000)
	if len(es) != 1 || es[0].At != 2000 {
		t.Errorf("got %v, want the next entry at the time that the reader at the end was told", es)
	}
}

func TestSlowReaderFallsOutAndIdleReaderDoesNot(t *testing.T) {
	l := newLog(2 * (segmentBytes + segmentRecords*recordSize))
	l.Append(1, []byte("a"))
	slow, idle := l.Find(0, 0), l.Find(2, 2)
	l.Expire(2 + Window.Milliseconds())
	l.Append(3+Window.Milliseconds(), []byte("b"))
	if es, _, ok := l.Read(&idle, make([]Entry, 0, 9), 0); !ok || len(es) != 1 {
		t.Errorf("idle reader: got %v, %v; want the new entry", es, ok)
	}
	if _, _, ok := l.Read(&slow, make([]Entry, 0, 9), 0); ok {
		t.Error("slow reader was not told that it missed an entry")
	}
}

// holds is a frame in which the HA agent of its sender says that it holds 10.0.0.100, or that it does not.
func (s sender) holds(at time.Duration, value float64) (out []byte) {
	labels := []metric.Label{{Name: "instance", Value: "web"}, {Name: "vip", Value: "10.0.0.100/24"}}
	b := &batch.Batch{Samples: []metric.Sample{
		{Series: metric.MustSeries("lab", s.name, "load", nil, "", metric.Gauge), Value: 1},
		{Series: metric.MustSeries("lab", s.name, "keepwatch_vip_held", labels, "", metric.State), Time: start.Add(at).UnixMilli(), Value: value},
	}}
	s.Seal(b, frame.Stamp{Now: start.Add(at), Interval: 10 * time.Second}, func(d []byte) { out = bytes.Clone(d) })
	return out
}

// Two hosts that hold one address are an event at once and a series, whose samples are no sign of life. While it is in
// doubt that both hold it nothing is said.
func TestConflictIsPublished(t *testing.T) {
	s := newState(t, nil)
	boot := frame.Boot{Start: start.UnixMilli(), Random: 1}
	a, b := newSender(t, "a", boot), newSender(t, "b", frame.Boot{Start: start.UnixMilli(), Random: 2})
	hear := func(datagram []byte, at time.Duration) {
		t.Helper()
		if err := s.Native(datagram, from, start.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	hear(a.holds(0, 1), 0)
	hear(b.holds(0, 1), 0)
	s.Tick(start.Add(900 * time.Millisecond))
	joined := []string{fmt.Sprintf("host_joined a joined-%d", boot.Start), fmt.Sprintf("host_joined b joined-%d", boot.Start)}
	wantEvents(t, s, joined...)
	hear(a.holds(time.Second, 1), time.Second)
	hear(b.holds(time.Second, 1), time.Second)
	conflict := append(joined, fmt.Sprintf("vip_conflict a vip-conflict-10.0.0.100-%d", start.UnixMilli()))
	wantEvents(t, s, conflict...)
	hear(a.holds(2*time.Second, 0), 2*time.Second)
	wantEvents(t, s, append(conflict, fmt.Sprintf("vip_conflict_ended a vip-conflict-ended-10.0.0.100-%d", start.UnixMilli()))...)
	var got []string
	c := s.History().Find(0, start.UnixMilli())
	es, _, _ := s.History().Read(&c, make([]Entry, 0, 10_000), 0)
	for i, x := range opened(t, s) {
		for _, sample := range x.Samples {
			if sample.Series.Name == "keepwatch_vip_conflict" {
				o, err := frame.NewOpener(frame.OpenerOptions{Keys: ring(t)})
				if err != nil {
					t.Fatal(err)
				}
				f, err := o.Open(es[i].Datagram, start)
				if err != nil || !f.Derived || f.Gmond {
					t.Errorf("a frame of derived samples: %v, %+v", err, f.Origin)
				}
				got = append(got, fmt.Sprintf("%d %s %g", sample.Time-start.UnixMilli(), sample.Series.Host, sample.Value))
			}
		}
	}
	want := "1000 a 1\n1000 b 0\n2000 a 0\n2000 b 0"
	if strings.Join(got, "\n") != want {
		t.Errorf("got samples\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}
