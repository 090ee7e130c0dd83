package gmondsend

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keepwatch/collector/gmond"
	"keepwatch/internal/conf"
)

const never = 24 * time.Hour

func groupOf(every, threshold int, metrics ...conf.GmondMetric) conf.GmondGroup {
	return conf.GmondGroup{Every: time.Duration(every) * time.Second, Threshold: time.Duration(threshold) * time.Second, Metrics: metrics}
}

func one(name string, threshold float64) conf.GmondMetric {
	return conf.GmondMetric{Name: name, ValueThreshold: threshold}
}

func newSender(t testing.TB, o Options) *Sender {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// step is one second of a collector's life: it says what was collected and what was sent.
func step(s *Sender, now time.Duration, value func(metric int) Value, ok bool) (collected, sent string) {
	for _, i := range s.Collect(now, nil) {
		collected += s.opt.Names[i] + " "
		s.Collected(i, value(i))
	}
	for _, sending := range s.Due(now) {
		for _, m := range sending.Messages {
			if m.Metadata {
				sent += "M:"
			}
			sent += s.opt.Names[m.Metric] + " "
		}
		s.Sent(now, sending, ok)
	}
	return strings.TrimSpace(collected), strings.TrimSpace(sent)
}

func constant(v float64) func(int) Value {
	return func(int) Value { return Value{Known: true, Numeric: true, Number: v} }
}

// The capture is 22 seconds of a gmond 3.7.2 with a group of three loads (time threshold 5 s), a heartbeat (4 s) and
// two metrics that are sent once; somebody asks for the metadata of load_five in the twelfth second.
func TestTimingIsThatOfACapturedGmond(t *testing.T) {
	want := make(map[int]string)
	readCapture(t, "testdata/gmond-override-request.pcap", func(second int, p *gmond.Packet) {
		switch name := string(p.Name); {
		case p.ID == gmond.Metadata:
			want[second] += " M:"
		case strings.HasSuffix(want[second], "M:"): // the value behind its metadata
			want[second] += name
		default:
			want[second] += " " + name
		}
	})
	once := groupOf(60, 60, one("cpu_num", -1), one("location", -1))
	beat := groupOf(60, 4, one("heartbeat", -1))
	beat.Once = true
	s := newSender(t, Options{
		Names: []string{"load_fifteen", "load_one", "load_five", "heartbeat", "cpu_num", "location"}, Metadata: never,
		Groups: []conf.GmondGroup{groupOf(60, 5, one("load_", -1)), beat, once},
	})
	for second := range 23 {
		if second == 12 && !s.Asked("load_five") {
			t.Fatal("load_five is not known")
		}
		_, got := step(s, time.Duration(second)*time.Second, constant(1), true)
		if got != strings.TrimSpace(want[second]) {
			t.Errorf("second %d:\n got %q\nwant %q", second, got, want[second])
		}
	}
}

// readCapture reads Linux cooked or Ethernet packets of IPv4 and UDP.
func readCapture(t *testing.T, file string, each func(second int, p *gmond.Packet)) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	link := map[uint32]int{1: 14, 113: 16, 276: 20}[binary.LittleEndian.Uint32(b[20:])]
	if link == 0 {
		t.Fatalf("%s has link type %d", file, binary.LittleEndian.Uint32(b[20:]))
	}
	first := -1.0
	for b = b[24:]; len(b) > 0; {
		at := float64(binary.LittleEndian.Uint32(b)) + float64(binary.LittleEndian.Uint32(b[4:]))/1e6
		n := binary.LittleEndian.Uint32(b[8:])
		datagram := b[16+link+28 : 16+n]
		b = b[16+n:]
		if first < 0 {
			first = at
		}
		var p gmond.Packet
		if err := gmond.Decode(datagram, &p); err != nil {
			t.Fatal(err)
		}
		each(int(math.Round(at-first)), &p)
	}
}

func TestTriggers(t *testing.T) {
	type at struct {
		second int
		value  float64
		want   string // sent
	}
	f := func(name string, g conf.GmondGroup, steps ...at) {
		t.Helper()
		s := newSender(t, Options{Names: []string{"a", "b"}, Metadata: never, Groups: []conf.GmondGroup{g}})
		for _, x := range steps {
			if _, got := step(s, time.Duration(x.second)*time.Second, constant(x.value), true); got != x.want {
				t.Errorf("%s: second %d: got %q, want %q", name, x.second, got, x.want)
			}
		}
	}
	f("a value that moves sends its whole group", groupOf(5, 100, one("a", 2), one("b", -1)),
		at{0, 1, "M:a M:b"}, at{5, 2.9, ""}, at{10, 4.9, "a b"}, at{11, 9, ""}, at{15, 4.9, ""})
	f("slow drift sends nothing: the collection before counts", groupOf(5, 100, one("a", 2)),
		at{0, 0, "M:a"}, at{5, 1.5, ""}, at{10, 3, ""}, at{15, 4.5, ""}, at{20, 2.5, "a"})
	f("0 sends at each collection", groupOf(5, 100, one("a", 0)),
		at{0, 1, "M:a"}, at{4, 1, ""}, at{5, 1, "a"}, at{9, 1, ""}, at{10, 1, "a"})
	f("-1 never does", groupOf(5, 20, one("a", -1)), at{0, 1, "M:a"}, at{5, 100, ""}, at{19, 1, ""}, at{20, 1, "a"})
	f("the threshold of time counts from what was sent last", groupOf(5, 20, one("a", 2)),
		at{0, 0, "M:a"}, at{15, 9, "a"}, at{20, 9, ""}, at{34, 9, ""}, at{35, 9, "a"})
	g := groupOf(5, 20, one("a", 0))
	g.Once = true
	f("once", g, at{0, 1, "M:a"}, at{5, 7, ""}, at{20, 7, "a"}, at{39, 7, ""}, at{40, 8, "a"})
}

func TestTextNeverMoves(t *testing.T) {
	s := newSender(t, Options{Names: []string{"a"}, Metadata: never, Groups: []conf.GmondGroup{groupOf(1, 20, one("a", 0))}})
	text := func(int) Value { return Value{Known: true} }
	if _, got := step(s, 0, text, true); got != "M:a" {
		t.Errorf("got %q", got)
	}
	if _, got := step(s, time.Second, text, true); got != "" {
		t.Errorf("a string was sent before its time: %q", got)
	}
}

func TestFailureKeepsTheGroupDue(t *testing.T) {
	s := newSender(t, Options{Names: []string{"a", "b"}, Metadata: never, Groups: []conf.GmondGroup{groupOf(60, 20, one("a", -1), one("b", -1))}})
	for second := range 3 {
		if _, got := step(s, time.Duration(second)*time.Second, constant(1), second == 2); got != "M:a M:b" {
			t.Errorf("second %d: got %q", second, got)
		}
	}
	for second, want := range map[int]string{3: "", 21: ""} {
		if _, got := step(s, time.Duration(second)*time.Second, constant(1), true); got != want {
			t.Errorf("second %d: got %q, want %q", second, got, want)
		}
	}
	if _, got := step(s, 22*time.Second, constant(1), true); got != "a b" {
		t.Errorf("20 s after what went out: got %q", got)
	}
}

func TestMetricWithoutValueWaits(t *testing.T) {
	g := groupOf(5, 20, one("a", -1), one("b", -1))
	g.Once = true
	s := newSender(t, Options{Names: []string{"a", "b"}, Metadata: never, Groups: []conf.GmondGroup{g}})
	missing := func(metric int) Value { return Value{Known: metric == 0, Numeric: true} }
	if _, got := step(s, 0, missing, true); got != "M:a" {
		t.Errorf("got %q", got)
	}
	if collected, _ := step(s, time.Second, missing, true); collected != "" {
		t.Errorf("collected %q before its time", collected)
	}
	if collected, got := step(s, 5*time.Second, constant(1), true); collected != "a b" || got != "a M:b" {
		t.Errorf("once it can be read: collected %q, sent %q", collected, got)
	}
	if collected, _ := step(s, 10*time.Second, constant(1), true); collected != "" {
		t.Errorf("collected %q again", collected)
	}
}

func TestRequestsAreAnsweredOnceASecond(t *testing.T) {
	s := newSender(t, Options{Names: []string{"a", "b"}, Metadata: never, Groups: []conf.GmondGroup{groupOf(60, 60, one("a", -1), one("b", -1))}})
	if s.Asked("c") {
		t.Error("a request for a metric that we lack counts")
	}
	step(s, 0, constant(1), true)
	for _, x := range []struct {
		at   time.Duration
		want string
	}{{500 * time.Millisecond, ""}, {time.Second, "M:a b"}, {1900 * time.Millisecond, ""}, {2 * time.Second, "M:a b"}} {
		s.Asked("a")
		if _, got := step(s, x.at, constant(1), true); got != x.want {
			t.Errorf("at %v: got %q, want %q", x.at, got, x.want)
		}
	}
	if _, got := step(s, 10*time.Second, constant(1), true); got != "" {
		t.Errorf("unasked: %q", got)
	}
}

func TestSelection(t *testing.T) {
	names := []string{"cpu_user", "cpu_idle", "cpu_num", "load_one", "mem_free"}
	f := func(want string, unknown int, groups ...conf.GmondGroup) {
		t.Helper()
		s := newSender(t, Options{Names: names, Metadata: never, Groups: groups})
		var got []string
		for _, i := range s.Collect(0, nil) {
			text := names[i]
			if s.Title(i) != "" {
				text += "=" + s.Title(i)
			}
			got = append(got, text)
		}
		if g := strings.Join(got, " "); g != want || len(s.Unknown()) != unknown {
			t.Errorf("got %q, unknown %q; want %q", g, s.Unknown(), want)
		}
	}
	match := func(m, title string) conf.GmondMetric {
		return conf.GmondMetric{Match: m, Title: title, ValueThreshold: -1}
	}
	f("cpu_idle", 0, groupOf(1, 1, one("CPU_idle", 1)))
	f("cpu_user cpu_idle cpu_num", 0, groupOf(1, 1, one("Cpu_", 1)))
	f("", 1, groupOf(1, 1, one("disk_free", 1)))
	f("cpu_user=CPU user cpu_idle=CPU idle", 0, groupOf(1, 1, match("cpu_([ui].*)", `CPU \1`)))
	f(`mem_free=mfr \x \0`, 0, groupOf(1, 1, match("^(m)em_(fr)ee$", `\1\2\3 \x \0`)))
	f("cpu_num load_one mem_free", 0, groupOf(1, 1, one("cpu_num", 1)), groupOf(1, 1, one("load_one", 1), one("cpu_num", 1)), groupOf(1, 1, match("m", "")))
	if _, err := New(Options{Names: names, Metadata: never, Groups: []conf.GmondGroup{groupOf(1, 1, match("(", ""))}}); err == nil {
		t.Error("a broken expression is taken")
	}
	if _, err := New(Options{Names: names}); err == nil {
		t.Error("no interval of metadata is taken")
	}
}

// Whatever is asked and whatever fails: a metric whose sends succeed is never older at the receivers than its
// thresholds say, and its metadata never older than its interval.
func TestNothingIsForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o Options
		o.Metadata = time.Duration(rapid.IntRange(2, 50).Draw(t, "metadata")) * time.Second
		o.Seed = rapid.Uint64().Draw(t, "seed")
		for range rapid.IntRange(1, 3).Draw(t, "groups") {
			var metrics []conf.GmondMetric
			for range rapid.IntRange(1, 3).Draw(t, "metrics") {
				n := fmt.Sprint("m", len(o.Names))
				o.Names = append(o.Names, n)
				metrics = append(metrics, one(n, rapid.SampledFrom([]float64{-1, 0, 1, 5}).Draw(t, "threshold")))
			}
			g := groupOf(rapid.IntRange(1, 20).Draw(t, "every"), rapid.IntRange(1, 60).Draw(t, "time threshold"), metrics...)
			g.Once = rapid.Bool().Draw(t, "once")
			o.Groups = append(o.Groups, g)
		}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		m := model{t: t, s: s, value: make([]time.Duration, len(o.Names)), metadata: make([]time.Duration, len(o.Names)), asked: make([]time.Duration, len(o.Names))}
		for i := range o.Names {
			m.value[i], m.metadata[i], m.asked[i] = -1, -1, -1
		}
		for second := range 150 {
			m.second(time.Duration(second) * time.Second)
		}
	})
}

// model is what a receiver knows. Times of it are -1 for never.
type model struct {
	t                      *rapid.T
	s                      *Sender
	value, metadata, asked []time.Duration
	failed                 []Sending
}

func (m *model) second(now time.Duration) {
	t, s := m.t, m.s
	if i := rapid.IntRange(-5, len(m.value)-1).Draw(t, "ask for"); i >= 0 {
		s.Asked(s.opt.Names[i])
		if m.asked[i] < 0 {
			m.asked[i] = now
		}
	}
	for _, i := range s.Collect(now, nil) {
		s.Collected(i, Value{Known: true, Numeric: true, Number: rapid.Float64Range(0, 10).Draw(t, "value")})
	}
	due := s.Due(now)
	ok := rapid.IntRange(0, 9).Draw(t, "send") > 0
	for _, sending := range due {
		for _, x := range sending.Messages {
			if ok && x.Metadata {
				if last := m.metadata[x.Metric]; last >= 0 && now-last < askedEvery {
					t.Fatalf("metadata of %d at %v and %v", x.Metric, last, now)
				}
				m.metadata[x.Metric], m.asked[x.Metric] = now, -1
			}
			if ok {
				m.value[x.Metric] = now
			}
			if m.metadata[x.Metric] < 0 && ok {
				t.Fatalf("a value of %d before its metadata", x.Metric)
			}
		}
		s.Sent(now, sending, ok)
	}
	for _, f := range m.failed {
		if f.group >= 0 && !slices.ContainsFunc(due, func(d Sending) bool { return d.group == f.group }) {
			t.Fatalf("group %d could not be sent and is not due at %v", f.group, now)
		}
	}
	m.failed = nil
	if !ok {
		m.failed = due
		return
	}
	for i := range m.value {
		g := &s.groups[s.metrics[i].group]
		if now-m.value[i] >= g.threshold {
			t.Fatalf("metric %d was sent at %v, its threshold is %v, now is %v", i, m.value[i], g.threshold, now)
		}
		if now-m.metadata[i] >= s.opt.Metadata {
			t.Fatalf("metadata of %d was sent at %v, now is %v", i, m.metadata[i], now)
		}
		if m.asked[i] >= 0 && now-m.asked[i] >= askedEvery {
			t.Fatalf("metadata of %d was asked for at %v, now is %v", i, m.asked[i], now)
		}
	}
}

// The default is what `gmond -t` of 3.7.2 prints.
func TestDefault(t *testing.T) {
	var b strings.Builder
	for _, g := range Default() {
		fmt.Fprintf(&b, "%v %v once=%v:", g.Every, g.Threshold, g.Once)
		for _, m := range g.Metrics {
			fmt.Fprintf(&b, " %s/%v", m.Name, m.ValueThreshold)
		}
		b.WriteByte('\n')
	}
	want, err := os.ReadFile("testdata/default.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got:\n%s", b.String())
	}
}
