package ganglia

import (
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keepwatch/internal/batch"
	tree "keepwatch/internal/ganglia"
)

// gmetadOf answers as a gmetad that has asked the gmond of its cluster last when asked says, s.
func gmetadOf(asked func() int64, hosts ...string) func(io.Writer) {
	return func(w io.Writer) {
		at := asked()
		c := tree.Cluster{Name: "lab", LocalTime: at}
		b := tree.AppendHead(nil, tree.Version, "gmetad")
		b = fmt.Appendf(b, `<GRID NAME="below" AUTHORITY="http://b/" LOCALTIME="%d">`, time.Now().Unix())
		b = tree.AppendCluster(b, &c)
		for _, h := range hosts {
			b = tree.AppendHost(b, &tree.Host{Name: h, Reported: at - 5, TN: uint32(time.Now().Unix() - at + 5), TMax: 20})
		}
		_, _ = w.Write(tree.AppendTail(append(tree.AppendClusterEnd(b), "</GRID>"...)))
	}
}

// A gmetad that cannot ask a gmond any more tells of its hosts with a TN that grows. That is no silence of theirs.
func TestHostsThatNobodyAsksAreNotDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut atomic.Int64 // since when the gmetad cannot ask
		asked := func() int64 {
			if at := cut.Load(); at > 0 {
				return at
			}
			return time.Now().Unix()
		}
		n := &network{answer: map[string]func(io.Writer){"a:1": gmetadOf(asked, "web1", "web2")}}
		_, s, stop := polling(t, n, io.Discard, "below: a:1")
		defer stop()
		synctest.Wait()
		round()
		cut.Store(time.Now().Unix())
		for range 20 {
			round()
		}
		if up := s.last(hostUpMetric + " web1"); up != 1 {
			t.Errorf("nobody asked for 200 s; up is %v", up)
		}
		if got, want := s.told(), "ganglia_source_lost a@lab"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		said := s.count(hostUpMetric + " lab/web1")
		cut.Store(0)
		round()
		round()
		if got, want := s.told(), "ganglia_source_found a@lab"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		if s.count(hostUpMetric+" lab/web1") == said {
			t.Error("nothing is said of a host that is asked again")
		}
	})
}

// A gmetad that asks its gmonds every two minutes.
func TestSlowGmetadIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().Unix()
		asked := func() int64 {
			now := time.Now().Unix()
			return now - (now-begin)%120
		}
		n := &network{answer: map[string]func(io.Writer){"a:1": gmetadOf(asked, "web1")}}
		_, s, stop := polling(t, n, io.Discard, "below: a:1")
		defer stop()
		synctest.Wait()
		for range 90 {
			round()
		}
		if got := s.told(); got != "" {
			t.Errorf("told %q", got)
		}
		if up := s.last(hostUpMetric + " web1"); up != 1 {
			t.Errorf("up is %v", up)
		}
	})
}

// A host that was silent when its gmond was asked last is down, whether it is asked or not.
func TestSilentHostIsDownThoughNobodyAsks(t *testing.T) {
	for reported, want := range map[int64]string{-100: "[0]", -79: "[]", 0: "[]", 30: "[0]"} { // s before LOCALTIME; later makes no sense
		cl := &tree.Cluster{Name: "lab", LocalTime: noon.Unix(), Hosts: []tree.Host{{Name: "a", Reported: noon.Unix() + reported, TN: 300, TMax: 20}}}
		var got []float64
		err := newConverter("lab").take(cl, "a:1", noon.Add(300*time.Second), func(b *batch.Batch) error {
			for _, s := range b.Samples {
				if s.Series.Name == hostUpMetric {
					got = append(got, s.Value)
				}
			}
			return nil
		}, slog.New(slog.DiscardHandler))
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("heard %d s after it was asked: got %v, want %s", reported, got, want)
		}
	}
}

// A cluster that was renamed in gmond.conf: the one that is no more is forgotten, with its hosts.
func TestClusterThatIsNoMoreIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: map[string]func(io.Writer){"a:1": gmondOf("old", "h1"), "b:1": gmondOf("lost", "h2")}}
		p, s, stop := polling(t, n, io.Discard, "lab: a:1", "other: b:1")
		defer stop()
		synctest.Wait()
		round()
		n.set("a:1", gmondOf("new", "h1"))
		n.set("b:1", nil)
		for range 6 * 59 {
			round()
		}
		if got, want := s.told(), "ganglia_source_lost b@lost"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		for range 6 * 3 {
			round()
		}
		if got, want := s.told(), "host_forgotten h1@old"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		if len(p.converters) != 2 {
			t.Errorf("%d clusters are remembered", len(p.converters))
		}
	})
}

// The gmond that answers next has another name for an address: that is no second host, of which the first one is dead.
func TestOtherNameOfAnAddress(t *testing.T) {
	host := func(name, ip string, tn uint32) tree.Host { return tree.Host{Name: name, IP: ip, TN: tn, TMax: 20} }
	for what, x := range map[string]struct {
		before, after []tree.Host
		up            float64 // of web1
	}{
		"another name":        {[]tree.Host{host("web1", "10.0.0.1", 0)}, []tree.Host{host("web1.example.com", "10.0.0.1", 0)}, 1},
		"another host":        {[]tree.Host{host("web1", "10.0.0.1", 0)}, []tree.Host{host("web2", "10.0.0.2", 0)}, 0},
		"no address":          {[]tree.Host{host("web1", "nowhere", 0)}, []tree.Host{host("web2", "nowhere", 0)}, 0},
		"the new one is dead": {[]tree.Host{host("web1", "10.0.0.1", 0)}, []tree.Host{host("web1.example.com", "10.0.0.1", 500)}, 0},
		"one of two at an address": {[]tree.Host{host("web1", "10.0.0.1", 0), host("switch", "10.0.0.1", 0)},
			[]tree.Host{host("other", "10.0.0.1", 0)}, 0},
		"one of two that were at an address": {[]tree.Host{host("web1", "10.0.0.1", 0), host("switch", "10.0.0.1", 0)},
			[]tree.Host{host("switch", "10.0.0.1", 0)}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{answer: map[string]func(io.Writer){"a:1": telling(x.before...), "b:1": telling(x.after...)}}
			_, s, stop := polling(t, n, io.Discard, "lab: a:1 b:1")
			defer stop()
			synctest.Wait()
			n.set("a:1", nil)
			for range 12 {
				round()
			}
			if got := s.last(hostUpMetric + " web1"); got != x.up {
				t.Errorf("%s: web1 up is %v, want %v", what, got, x.up)
			}
		})
	}
}

// A source that was away for long, and answers again by a gmond that has not heard everybody yet, has nobody forgotten.
func TestNobodyIsForgottenAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := func(name string) tree.Host { return tree.Host{Name: name, TMax: 20, DMax: 3600} }
		n := &network{answer: map[string]func(io.Writer){"a:1": telling(host("1"), host("2"))}}
		_, s, stop := polling(t, n, io.Discard, "lab: a:1")
		defer stop()
		synctest.Wait()
		n.set("a:1", nil)
		for range 6 * 62 {
			round()
		}
		n.set("a:1", telling(host("1")))
		round()
		round()
		if got, want := s.told(), "ganglia_source_lost a@lab, ganglia_source_found a@lab"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		for range 6 * 62 { // it does not come back
			round()
		}
		if got, want := s.told(), "host_forgotten 2@lab"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// Our own clock was ahead for a minute: what comes once it is right is new.
func TestOurClockWasAhead(t *testing.T) {
	c, polls, stored := newConverter("lab"), 0, 0
	for sec := int64(0); sec < 3600; sec += 15 {
		at := noon.Add(time.Duration(sec) * time.Second)
		ours := at
		if sec < 60 {
			ours = at.Add(8 * time.Hour)
		}
		got := taken(t, c, one(at, load(fmt.Sprint(sec), 1)), ours)
		if sec >= 60 {
			polls, stored = polls+1, stored+len(got)
		}
	}
	if polls == 0 || stored != polls {
		t.Errorf("of %d new values %d are stored", polls, stored)
	}
}
