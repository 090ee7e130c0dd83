package ganglia

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"keepwatch/internal/batch"
	tree "keepwatch/internal/ganglia"
	"keepwatch/metric"
)

var noon = time.Unix(1_795_000_000, 0)

// samples are those of one take, without host_up and metadata.
func samples(t *testing.T, c *converter, from string, cl *tree.Cluster, now time.Time) (out []metric.Sample) {
	t.Helper()
	err := c.take(cl, from, now, func(b *batch.Batch) error {
		for _, s := range b.Samples {
			if s.Series.Name != hostUpMetric && !strings.HasPrefix(s.Series.Name, "gmond_metric_info") {
				out = append(out, s)
			}
		}
		return nil
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// taken lists the samples of one take as "name time value", times relative to noon.
func taken(t *testing.T, c *converter, cl *tree.Cluster, now time.Time) []string {
	t.Helper()
	var out []string
	for _, s := range samples(t, c, "a:8649", cl, now) {
		name := strings.Replace(s.Series.String(), `cluster="lab",host="a",`, "", 1)
		out = append(out, fmt.Sprintf("%s %d %v", name, s.Time/1000-noon.Unix(), s.Value))
	}
	slices.Sort(out)
	return out
}

func one(clock time.Time, m ...tree.Metric) *tree.Cluster {
	return &tree.Cluster{Name: "lab", LocalTime: clock.Unix(), Hosts: []tree.Host{{Name: "a", Reported: clock.Unix() - 3, TN: 3, TMax: 20, Metrics: m}}}
}

func load(value string, tn uint32) tree.Metric {
	return tree.Metric{Name: "load_one", Value: value, Type: "float", Slope: "both", TN: tn, TMax: 70}
}

// A value counts once, at the time at which it came, however often and by however unlike a rounding it is told.
func TestOnlyNewValues(t *testing.T) {
	c := newConverter("lab")
	for _, step := range []struct {
		at   int64
		m    tree.Metric
		want string
	}{
		{0, load("1", 5), `[gmond_load_one{source="gmond"} -5 1]`},
		{15, load("1", 20), `[]`},
		{30, load("1", 34), `[]`}, // the second of rounding
		{45, load("1", 10), `[gmond_load_one{source="gmond"} 35 1]`},
		{46, load("2", 10), `[gmond_load_one{source="gmond"} 36 2]`},
		{60, load("3", 30), `[]`}, // older than what was had
	} {
		now := noon.Add(time.Duration(step.at) * time.Second)
		if got := fmt.Sprint(taken(t, c, one(now, step.m), now)); got != step.want {
			t.Errorf("at %d: got %s, want %s", step.at, got, step.want)
		}
	}
}

func TestSamplesOfMetrics(t *testing.T) {
	m := func(name, value, typ, slope string) tree.Metric {
		return tree.Metric{Name: name, Value: value, Type: typ, Slope: slope, Units: "KB"}
	}
	cl := one(noon,
		m("mem", "12.5", "float", "both"), m("os name", "Linux", "string", "zero"), m("hits", "7", "uint32", "positive"), m("empty", "", "float", "both"),
		m("nan", "nan", "float", "both"), m("words", "ok", "uint8", "both"), m("odd", "5", "thing", "both"), m("oddword", "up", "thing", "both"),
		m("boottime", "1794000000", "uint32", "zero"), tree.Metric{Name: "ancient", Value: "1", Type: "float", TN: 8000}, m("", "1", "float", "both"),
	)
	cl.Hosts[0].Started, cl.Hosts[0].Location = noon.Unix()-100, "1,2,3"
	want := []string{
		fmt.Sprintf(`gmond_heartbeat{source="gmond"} -3 %v`, float64(noon.Unix()-100)),
		`gmond_boottime{source="gmond"} 0 1.794e+09`,
		`gmond_hits{source="gmond"} 0 7`,
		`gmond_location_info{source="gmond",value="1,2,3"} -3 1`,
		`gmond_mem{source="gmond"} 0 12.5`,
		`gmond_odd{source="gmond"} 0 5`,
		`gmond_oddword_info{source="gmond",value="up"} 0 1`,
		`gmond_os_name_info{gmond_name="os name",source="gmond",value="Linux"} 0 1`,
	}
	slices.Sort(want)
	if got := taken(t, newConverter("lab"), cl, noon); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A source whose clock is an hour behind gives samples of our time, and says so once.
func TestWrongClockIsCorrected(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	c := newConverter("lab")
	for i := range int64(4) {
		now := noon.Add(time.Duration(15*i+i%2) * time.Second) // a second of jitter
		var at []int64
		err := c.take(one(noon.Add(time.Duration(15*i-3600)*time.Second), load("1", 1)), "a:8649", now, func(b *batch.Batch) error {
			for _, s := range b.Samples {
				if s.Series.Name == "gmond_load_one" {
					at = append(at, s.Time/1000-noon.Unix())
				}
			}
			return nil
		}, logger)
		if err != nil || len(at) != 1 || at[0] != 15*i-1 {
			t.Errorf("poll %d: at %v, %v", i, at, err)
		}
	}
	if n := strings.Count(log.String(), "the clock of the source is not ours"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
}

// A source whose clock is set back goes on giving samples.
func TestClockSetBack(t *testing.T) {
	c := newConverter("lab")
	taken(t, c, one(noon, load("1", 0)), noon)
	now := noon.Add(15 * time.Second)
	if got := taken(t, c, one(noon.Add(-time.Hour), load("2", 0)), now); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestHostUpByGmetadsRule(t *testing.T) {
	for tn, want := range map[uint32]float64{79: 1, 80: 0} {
		cl := one(noon)
		cl.Hosts[0].TN, cl.Hosts[0].Reported = tn, noon.Unix()-int64(tn)
		cl.Hosts = append(cl.Hosts, tree.Host{Name: "a", TN: 500, TMax: 20, Reported: noon.Unix() - 500}) // the same name at an old address
		var got []float64
		err := newConverter("lab").take(cl, "a:8649", noon, func(b *batch.Batch) error {
			for _, s := range b.Samples {
				if s.Series.Name == hostUpMetric && s.Series.Host == "a" && s.Time == noon.UnixMilli() {
					got = append(got, s.Value)
				}
			}
			return nil
		}, slog.New(slog.DiscardHandler))
		if err != nil || !slices.Equal(got, []float64{want}) {
			t.Errorf("TN %d: got %v, want %v", tn, got, want)
		}
	}
}

// A text that never repeats makes no more than a bounded number of series.
func TestTextsAreBounded(t *testing.T) {
	c, n := newConverter("lab"), 0
	for i := range 3 * maxMade {
		now := noon.Add(time.Duration(i) * time.Second)
		n += len(taken(t, c, one(now, tree.Metric{Name: "who", Value: fmt.Sprint("user ", i), Type: "string"}), now))
	}
	if n < maxMade || n > maxMade+1 {
		t.Errorf("%d samples, want about %d", n, maxMade)
	}
}

// What a real gmond told becomes samples with the metadata beside them.
func TestSamplesOfTheCapture(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "..", "internal", "ganglia", "testdata", "gmond-8649-1.xml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, _, err := tree.ReadDocument(f, tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]metric.Sample)
	err = newConverter("lab").take(doc.Cluster, "a:8649", time.Unix(doc.Cluster.LocalTime, 0), func(b *batch.Batch) error {
		for _, s := range b.Samples {
			got[s.Series.Host+" "+s.Series.Name+s.Series.Label("metric")] = s
		}
		return nil
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if s := got["node3 gmond_load_one"]; s.Value != 0.77 || s.Time != 1795210537_000 || s.Series.Kind != metric.Gauge {
		t.Errorf("load_one: %+v", s)
	}
	if s := got["node3 gmond_mem_shared"]; s.Series == nil || s.Series.Unit != "KB" {
		t.Errorf("mem_shared: %+v", s)
	}
	if s := got["node3 gmond_machine_type_info"]; s.Series == nil || s.Series.Label("value") != "x86_64" || s.Series.Kind != metric.State {
		t.Errorf("machine_type: %+v", s)
	}
	if s := got["node3 gmond_metric_infogmond_load_one"]; s.Series == nil || s.Series.Label("title") != "One Minute Load Average" || s.Series.Label("group") != "load" {
		t.Errorf("metadata of load_one: %+v", s)
	}
	if s := got["node3 gmond_heartbeat"]; s.Series == nil || s.Value != 1795210477 {
		t.Errorf("heartbeat of node3: %+v", s)
	}
	if s := got["ghost1 gmond_heartbeat"]; s.Series != nil { // GMOND_STARTED is 1533125184, of gmetric -H
		t.Errorf("ghost1, which has no gmond, tells when it started: %+v", s)
	}
}

// GMOND_STARTED is a start time where the host's gmond told when the host booted, and it is not before that.
func TestOnlyRealStartTimes(t *testing.T) {
	boot := func(value string) []tree.Metric {
		return []tree.Metric{{Name: "boottime", Value: value, Type: "uint32", Slope: "zero"}}
	}
	hour := noon.Unix() - 3600
	booted := boot(strconv.FormatInt(hour, 10))
	for _, c := range []struct {
		name    string
		started int64
		metrics []tree.Metric
		want    bool
	}{
		{"after the host", hour + 10, booted, true},
		{"with the host, by clocks that round", hour - 1, booted, true},
		{"in this moment", noon.Unix() + 1, booted, true},
		{"before the host: bits of a pointer", 1533125184, booted, false},
		{"in the future: bits of a pointer", noon.Unix() + 3600, booted, false},
		{"never told", 0, boot("0"), false},
		{"a pointer, and no gmond", hour + 10, nil, false},
		{"a pointer, and text for a boot time", hour + 10, boot("long ago"), false},
	} {
		cl := one(noon, c.metrics...)
		cl.Hosts[0].Started = c.started
		got := ""
		for _, s := range samples(t, newConverter("lab"), "a:8649", cl, noon) {
			if s.Series.Name == "gmond_heartbeat" {
				got = fmt.Sprint(int64(s.Value))
			}
		}
		if want := strconv.FormatInt(c.started, 10); c.want && got != want || !c.want && got != "" {
			t.Errorf("%s, %d: got %q", c.name, c.started, got)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	cl := &tree.Cluster{Name: "lab"}
	for i := range 1000 {
		h := tree.Host{Name: fmt.Sprintf("h%d", i), TMax: 20}
		for j := range 30 {
			h.Metrics = append(h.Metrics, tree.Metric{Name: fmt.Sprintf("metric_%d", j), Value: "1.5", Type: "float", Slope: "both"})
		}
		cl.Hosts = append(cl.Hosts, h)
	}
	c, now := newConverter("lab"), noon
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(15 * time.Second)
		for i := range cl.Hosts {
			cl.Hosts[i].Reported = now.Unix()
		}
		if err := c.take(cl, "a:8649", now, func(*batch.Batch) error { return nil }, slog.New(slog.DiscardHandler)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/30_000, "ns/metric")
}

// aggregator is a gmond that heard a host, by its own clock. It cuts times to seconds as gmond does.
type aggregator struct {
	addr  string
	ahead float64 // s
}

// tells is its document at a time: a host that was heard and had sent a metric at others, all s by the right clock.
func (a aggregator) tells(now, heard, sent float64, value string) *tree.Cluster {
	clock := func(at float64) int64 { return noon.Unix() + int64(math.Floor(at+a.ahead)) }
	return &tree.Cluster{Name: "lab", LocalTime: clock(now), Hosts: []tree.Host{{
		Name: "a", Reported: clock(heard), TN: uint32(now - heard), TMax: 20, Metrics: []tree.Metric{load(value, uint32(now-sent))},
	}}}
}

// A value is stored once and at its time, however the seconds are cut, however wrong the clocks are of the aggregators
// that take turns, and although it stays the same.
func TestEachValueOnce(t *testing.T) {
	for _, ahead := range [][2]float64{{0, 0}, {0.4, 30.7}, {-1.9, 1.9}, {1.9, -1.9}, {-3600.5, 7200.2}, {0, -30}} {
		for _, value := range []func(int) string{func(int) string { return "1" }, strconv.Itoa} {
			r, c := rand.New(rand.NewPCG(1, 2)), newConverter("lab")
			both := []aggregator{{"a:8649", ahead[0]}, {"b:8649", ahead[1]}}
			stored, visible := make(map[int]int), make(map[int]bool)
			at, sends, sent := 100.0, 0, 90.0
			for poll := range 2000 {
				at += 14.25 + 1.5*r.Float64()
				for next := sent + 20 + r.Float64(); next < at; next = sent + 20 + r.Float64() {
					sends, sent = sends+1, next
				}
				visible[sends] = true
				heard := sent + (at-sent)*r.Float64()
				doc := both[poll/10%2].tells(at, heard, sent, value(sends))
				came := at + 0.3*r.Float64()
				for _, s := range samples(t, c, both[poll/10%2].addr, doc, noon.Add(time.Duration(came*float64(time.Second)))) {
					stored[sends]++
					if off := float64(s.Time)/1000 - float64(noon.Unix()) - sent; math.Abs(off) > 5 {
						t.Errorf("clocks %v ahead: a value is stored %.1f s off its time", ahead, off)
					}
				}
			}
			for send := range visible {
				if stored[send] != 1 {
					t.Errorf("clocks %v ahead, value %s: stored %d times", ahead, value(send), stored[send])
				}
			}
		}
	}
}

// One host of which nobody knows whose clock told of it leaves the times of the others alone.
func TestFutureHostShiftsNobody(t *testing.T) {
	c := newConverter("lab")
	cl := one(noon, load("1", 5))
	cl.Hosts = append(cl.Hosts, tree.Host{Name: "dead", Reported: noon.Unix() + 1000, TN: 0, TMax: 20})
	if got, want := fmt.Sprint(taken(t, c, cl, noon)), `[gmond_load_one{source="gmond"} -5 1]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A gmetad that could not poll for a while: LOCALTIME stands still, the hosts agree on what time it is.
	now := noon.Add(30 * time.Second)
	cl = one(now, load("2", 5))
	cl.LocalTime = noon.Unix()
	if got, want := fmt.Sprint(taken(t, c, cl, now)), `[gmond_load_one{source="gmond"} 25 2]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A gmetad keeps of a dead host what the gmond told of it that it polled then, by that one's clock.
func TestDeadHostOfAnotherClock(t *testing.T) {
	dead := func(now time.Time) tree.Host {
		age := uint32(now.Sub(noon).Seconds())
		return tree.Host{Name: "a", Reported: noon.Unix() + 30, TN: age, TMax: 20, Metrics: []tree.Metric{load("1", age)}}
	}
	c := newConverter("lab")
	ahead := &tree.Cluster{Name: "lab", LocalTime: noon.Unix() + 30, Hosts: []tree.Host{dead(noon), {Name: "b", Reported: noon.Unix() + 30, TMax: 20}}}
	if got := taken(t, c, ahead, noon); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
	for i := range 10 {
		now := noon.Add(time.Duration(15*i) * time.Second)
		right := &tree.Cluster{Name: "lab", LocalTime: now.Unix(), Hosts: []tree.Host{dead(now), {Name: "b", Reported: now.Unix(), TMax: 20}, {Name: "c", Reported: now.Unix(), TMax: 20}}}
		if got := taken(t, c, right, now); len(got) != 0 {
			t.Errorf("%d s later stored again: %v", 15*i, got)
		}
	}
}

// A host that its source has not told of for an hour is forgotten, which is told once.
func TestForgottenHostIsTold(t *testing.T) {
	c := newConverter("lab")
	both := one(noon)
	both.Hosts = append(both.Hosts, tree.Host{Name: "b", Reported: noon.Unix(), TMax: 20})
	var got []string
	for minute := range int64(400) {
		now := noon.Add(time.Duration(minute) * time.Minute)
		cl := one(now)
		if minute == 0 {
			cl = both
		}
		err := c.take(cl, "x:8649", now, func(b *batch.Batch) error {
			for _, e := range b.Events {
				if err := e.Check(); err != nil || e.Kind != metric.EventHostForgotten {
					t.Errorf("event %+v: %v", e, err)
				}
				got = append(got, fmt.Sprintf("%s/%s %s", e.Cluster, e.Host, e.Text))
			}
			return nil
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"lab/b x:8649 has not told of b for an hour; it is forgotten"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
