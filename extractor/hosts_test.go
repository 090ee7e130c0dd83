package extractor

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/extractor/normalize"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// stream plays records into a taker, as an aggregator's clock would have them.
type stream struct {
	t    *testing.T
	take *taker
	seq  uint64
}

func newStream(t *testing.T, p *page) *stream {
	t.Helper()
	names, err := normalize.New()
	if err != nil {
		t.Fatal(err)
	}
	if p.Hosts == nil {
		p.Hosts = make(map[string]*hostLife)
	}
	s := &stream{t: t, take: newTaker(names, rules(t, conf.HostNames{}), p, 24*time.Hour, 15*time.Second, slog.New(slog.DiscardHandler))}
	s.take.connected("a:1")
	return s
}

// until sends heartbeats from one second to another, exclusively, and frames of the hosts every 15 s. It returns what
// was said of hosts as "second host value".
func (s *stream) until(from, to int64, hosts ...string) string {
	var out strings.Builder
	for sec := from; sec < to; sec++ {
		l := &load{}
		rec := frame.Record{Received: sec * 1000, Heartbeat: true}
		s.take.record(&rec, l)
		if sec%15 == 3 {
			for _, h := range hosts {
				s.seq++
				b := &batch.Batch{Samples: []metric.Sample{{Series: metric.MustSeries("c", h, "load", nil, "", metric.Gauge), Time: sec * 1000}}}
				rec := frame.Record{Received: sec * 1000, Frame: frame.Frame{
					Origin: frame.Origin{Seq: s.seq}, Interval: 15 * time.Second, Payload: batch.Append(nil, b),
				}}
				s.take.record(&rec, l)
			}
		}
		for _, x := range l.b.Samples {
			if x.Series.Name == hostUpMetric {
				fmt.Fprintf(&out, "%d %s %v\n", x.Time/1000, x.Series.Host, x.Value)
			}
		}
	}
	return out.String()
}

func TestSilentHostIsDownAndComesBack(t *testing.T) {
	s := newStream(t, &page{})
	check(t, s.until(1000, 1034, "a", "b"), "1020 a 1\n1020 b 1\n") // 1005: none known yet
	check(t, s.until(1034, 1096, "a"), "1035 a 1\n1035 b 1\n1050 a 1\n1050 b 1\n1065 a 1\n1065 b 1\n1080 a 1\n1080 b 1\n1095 a 1\n1095 b 0\n")
	check(t, s.until(1096, 1126, "a", "b"), "1110 a 1\n1110 b 1\n1125 a 1\n1125 b 1\n")
}

// While nothing could be pulled, nobody is said to be down; afterwards, silence must first last.
func TestHoleIsNotSilence(t *testing.T) {
	s := newStream(t, &page{})
	s.until(1000, 1030, "a", "b")
	check(t, s.until(2000, 2074, "a"), "2025 a 1\n2040 a 1\n2055 a 1\n2070 a 1\n2070 b 0\n")
}

// What the page remembers from before a restart is judged when the stream goes on without a hole.
func TestRestartKnowsTheDead(t *testing.T) {
	p := &page{}
	s := newStream(t, p)
	s.until(1000, 1110, "a")
	text, err := (&book{pages: map[string]*page{"c": p}}).encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"c\u0000a":{"native":{"heard":1098000,"interval":15000}`) {
		t.Errorf("page is %s", text)
	}
	p.Received = 1_109_000
	next := newStream(t, p)
	check(t, next.until(1109, 1200), "1095 a 1\n1110 a 1\n1125 a 1\n1140 a 1\n1155 a 1\n1170 a 0\n1185 a 0\n")
}

// Samples that a collector made of what others said are no sign of life of their hosts.
func TestDerivedSamplesAreNoSignOfLife(t *testing.T) {
	s := newStream(t, &page{})
	s.until(1000, 1034, "a")
	l := &load{}
	b := &batch.Batch{Samples: []metric.Sample{{Series: metric.MustSeries("c", "a", "keepwatch_vip_conflict", nil, "", metric.State), Time: 1_060_000}}}
	rec := frame.Record{Received: 1_034_000, Frame: frame.Frame{Origin: frame.Origin{Seq: 1000}, Derived: true, Payload: batch.Append(nil, b)}}
	s.take.record(&rec, l)
	if len(l.b.Samples) != 1 {
		t.Errorf("got %v, want the sample", l.b.Samples)
	}
	rec.Received, rec.Frame.Seq = 1_070_000, 1001
	s.until(1034, 1070)
	s.take.record(&rec, l)
	check(t, s.until(1071, 1096), "1080 a 1\n1095 a 0\n")
}

// What strangers say of a gmond host that speaks for itself is stored, once, and keeps it not alive.
func TestHearsayOfGmondHostsIsNoSignOfLife(t *testing.T) {
	s := newStream(t, &page{})
	s.until(1000, 1034, "a")
	stored, said := 0, ""
	for sec := int64(1034); sec < 1109; sec += 15 {
		for range 2 { // two aggregators, each with a frame of its own
			s.seq++
			l := &load{}
			x := metric.Sample{Series: metric.MustSeries("c", "a", "gmond_told", nil, "", metric.Gauge), Time: sec * 1000, Value: 1}
			s.take.record(&frame.Record{Received: sec * 1000, Frame: frame.Frame{
				Origin: frame.Origin{Seq: s.seq}, Interval: 20 * time.Second, Gmond: true, Derived: true, Payload: batch.Append(nil, &batch.Batch{Samples: []metric.Sample{x}}),
			}}, l)
			for _, x := range l.b.Samples {
				if x.Series.Name == "gmond_told" {
					stored++
				}
			}
		}
		said += s.until(sec, sec+15)
	}
	if stored != 5 {
		t.Errorf("%d samples are stored, want each of 5 once", stored)
	}
	check(t, said, "1035 a 1\n1050 a 1\n1065 a 1\n1080 a 1\n1095 a 0\n")
}

func TestForgottenAfterHostDmax(t *testing.T) {
	s := newStream(t, &page{})
	s.take.hostDmax = 100_000
	s.until(1000, 1010, "a")
	check(t, s.until(1010, 1200), "1020 a 1\n1035 a 1\n1050 a 1\n1065 a 1\n1080 a 0\n1095 a 0\n")
}

func check(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
