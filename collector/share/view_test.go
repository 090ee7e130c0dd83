package share

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keepwatch/metric"
)

// saying is one run of the check "web" at a vantage point, at the same time by its clock and by ours.
type saying struct {
	at       int64 // s
	vantage  string
	up       float64
	quorum   float64
	interval float64 // s
}

func hear(t *Table, s saying) {
	labels := []metric.Label{{Name: "check", Value: "web"}, {Name: "target", Value: "10.0.0.9:80"}, {Name: "vantage", Value: s.vantage}}
	for _, x := range []struct {
		name  string
		value float64
	}{{View, s.up}, {Interval, s.interval}, {Quorum, s.quorum}} {
		t.Hear(Word{Series: metric.MustSeries("lab", "vip", x.name, labels, "", metric.State), Time: s.at * second, Value: x.value}, s.at*second)
	}
}

// samples is what is said when something changes and at each tenth second, as "TIME=VALUE".
func samples(t *Table, sayings []saying, until int64) string {
	var out []string
	say := func(ss []metric.Sample) {
		for _, s := range ss {
			out = append(out, fmt.Sprintf("%g=%g", float64(s.Time)/1000, s.Value))
		}
	}
	for now := int64(0); now <= until; now++ {
		for _, s := range sayings {
			if s.at == now {
				hear(t, s)
			}
		}
		if t.Changed(now * second) {
			say(t.Samples(now*second, now*second, false, nil))
		}
		t.Tick(now * second)
		say(t.Samples(now*second, now/10*10*second, now%10 == 5, nil)) // all, late: none goes before what was said since
	}
	return strings.Join(out, " ")
}

func TestQuorumOfFreshViews(t *testing.T) {
	f := func(name, want string, until int64, sayings ...saying) {
		t.Helper()
		if got := samples(listening(), sayings, until); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
	three := func(at int64, a, b, c float64) []saying {
		return []saying{{at, "a", a, 2, 10}, {at, "b", b, 2, 10}, {at, "c", c, 2, 10}}
	}
	all := func(ss ...[]saying) (out []saying) {
		for _, s := range ss {
			out = append(out, s...)
		}
		return out
	}
	f("nobody looks", "", 30)
	f("all well", "1=1 10=1", 16, three(1, 1, 1, 1)...)
	f("one of three says down", "1=1 10=1 20=1", 26, all(three(1, 1, 1, 1), three(11, 1, 0, 1))...)
	f("two of three say down, then one", "1=1 11=0 21=1", 22, all(three(1, 1, 1, 1), three(11, 1, 0, 0), three(21, 1, 1, 0))...)
	f("silence is no view: nothing is said", "1=1 10=1 20=1", 60, three(1, 1, 1, 1)...)
	f("a view that goes stale counts no more", "1=0 10=0 20=0 37=1 40=1", 46,
		append(three(1, 0, 0, 1), saying{11, "c", 1, 2, 10}, saying{21, "c", 1, 2, 10}, saying{31, "c", 1, 2, 10})...)
	f("one vantage point takes over from another", "1=0 11=1", 12, saying{1, "a", 0, 1, 10}, saying{11, "a", 0, 1, 0}, saying{11, "b", 1, 1, 10})
	f("of two quorums the larger counts", "1=1", 3, saying{1, "a", 0, 2, 10}, saying{1, "b", 1, 1, 10})
	f("fewer than the quorum are left, and one of them says down: nobody can tell", "1=0 10=0 20=0 39=1 40=1", 46,
		append(three(1, 0, 0, 1), saying{11, "c", 0, 2, 10}, saying{21, "c", 0, 2, 10}, saying{31, "c", 0, 2, 10}, saying{39, "c", 1, 2, 10})...)
	f("no interval", "", 30, saying{1, "a", 0, 1, 0})
	f("nonsense", "", 30, saying{1, "a", 0, -1, 10}, saying{1, "b", 0, 17, 10}, saying{1, "c", 0, 1, 1e300})
	f("a word of the change comes again late", "1=1 2=0", 3, saying{1, "a", 1, 1, 10}, saying{2, "a", 0, 1, 10})
}

// A check that is down is not said to be up because a view that said so is gone and the one in its place has not been heard.
func TestUpWaitsForWhoTakesOver(t *testing.T) {
	f := func(name, want string, until int64, sayings ...saying) {
		t.Helper()
		if got := samples(listening(), sayings, until); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
	f("one of two that say down leaves", "2=0 18=0 20=0", 26,
		saying{1, "a", 0, 2, 10}, saying{2, "b", 0, 2, 10}, saying{3, "c", 1, 2, 10},
		saying{11, "a", 0, 2, 10}, saying{12, "b", 0, 2, 10}, saying{13, "c", 1, 2, 10},
		saying{15, "b", 0, 2, 0}, saying{18, "d", 0, 2, 10},
		saying{21, "a", 0, 2, 10}, saying{23, "c", 1, 2, 10})
	f("the one that says down leaves, quorum 1", "1=0 18=0 20=0", 26,
		saying{1, "a", 0, 1, 10}, saying{3, "c", 1, 1, 10},
		saying{11, "a", 0, 1, 10}, saying{13, "c", 1, 1, 10},
		saying{15, "a", 0, 1, 0}, saying{18, "d", 0, 1, 10},
		saying{21, "c", 1, 1, 10})
	f("who takes over says up", "1=0 18=1 20=1", 26,
		saying{1, "a", 0, 1, 10}, saying{3, "c", 1, 1, 10},
		saying{11, "a", 0, 1, 10}, saying{13, "c", 1, 1, 10},
		saying{15, "a", 0, 1, 0}, saying{18, "d", 1, 1, 10},
		saying{21, "c", 1, 1, 10})
	f("it was killed, and takes its check back: what it sees counts at once", "1=1 10=1 22=0 30=0 46=1", 49,
		saying{1, "a", 1, 1, 10}, saying{11, "a", 1, 1, 10},
		saying{22, "b", 0, 1, 10}, saying{32, "b", 0, 1, 10}, saying{42, "b", 0, 1, 10},
		saying{45, "b", 0, 1, 0}, saying{46, "a", 1, 1, 10})
	f("two leave, one that takes over is heard", "1=0 18=0 20=0", 26,
		saying{1, "a", 0, 1, 10}, saying{2, "b", 1, 1, 10}, saying{3, "c", 1, 1, 10},
		saying{11, "a", 0, 1, 10}, saying{12, "b", 1, 1, 10}, saying{13, "c", 1, 1, 10},
		saying{14, "a", 0, 1, 0}, saying{14, "b", 1, 1, 0}, saying{16, "d", 1, 1, 10}, saying{18, "e", 0, 1, 10},
		saying{23, "c", 1, 1, 10})
	f("nobody takes over: after an interval and a second it is up", "1=0 26=1 30=1", 36,
		saying{1, "a", 0, 1, 10}, saying{3, "c", 1, 1, 10},
		saying{11, "a", 0, 1, 10}, saying{13, "c", 1, 1, 10},
		saying{15, "a", 0, 1, 0}, saying{23, "c", 1, 1, 10}, saying{33, "c", 1, 1, 10})
	f("what is up stays so though a word is lost", "1=1 10=1 20=1 30=1", 36, saying{1, "a", 1, 1, 10}, saying{11, "a", 1, 1, 10}, saying{31, "a", 1, 1, 10})
	f("the one that says down falls silent", "1=1 2=0 10=0 20=0 38=1 40=1", 46,
		saying{1, "c", 1, 1, 10}, saying{2, "a", 0, 1, 10},
		saying{11, "c", 1, 1, 10}, saying{21, "c", 1, 1, 10}, saying{31, "c", 1, 1, 10}, saying{41, "c", 1, 1, 10})
}

// An aggregator that was cut off from all who look does not go by the first of them that it hears again. a and b say down,
// c up.
func TestUpWaitsAfterWeWereDeaf(t *testing.T) {
	for phase := range int64(10) { // when c is heard first after that, and when not
		for deaf := int64(15); deaf < 90; deaf++ {
			var sayings []saying
			for at := int64(0); at < 200; at += 10 {
				for _, s := range []saying{{at + 1, "a", 0, 2, 10}, {at + 3, "b", 0, 2, 10}, {at + 4 + phase, "c", 1, 2, 10}} {
					if s.at < 60 || s.at >= 60+deaf {
						sayings = append(sayings, s)
					}
				}
			}
			if got := samples(listening(), sayings, 190); strings.Contains(got, "=1") {
				t.Errorf("deaf for %d s, c looks %d s after b: said %s", deaf, phase+1, got)
			}
		}
	}
}

// What went down while we were deaf is not said to be up by the first that is heard, either.
func TestDownWhileWeWereDeaf(t *testing.T) {
	sayings := []saying{{1, "a", 1, 2, 10}, {3, "b", 1, 2, 10}, {5, "c", 1, 2, 10}, {55, "c", 1, 2, 10}, {61, "a", 0, 2, 10}, {63, "b", 0, 2, 10}}
	if got, want := samples(listening(), sayings, 66), "1=1 10=1 20=1 63=0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Our clock is set forward by a minute, or we did not run as long: nobody was silent.
func TestAway(t *testing.T) {
	table := listening()
	c := &Check{Cluster: "lab", Kind: "tcp", Name: "web", Interval: 10 * time.Second, Vantage: 2}
	table.Hear(ready("other", "web", 9*second, 1), 9*second)
	for _, s := range []saying{{1, "a", 0, 2, 10}, {2, "b", 0, 2, 10}, {3, "c", 1, 2, 10}} {
		hear(table, s)
	}
	table.Tick(10 * second)
	table.Away(61*second, 71*second)
	hear(table, saying{71, "c", 1, 2, 10})
	table.Tick(71 * second)
	if got := table.Samples(71*second, 70*second, true, nil); len(got) != 1 || got[0].Value != 0 {
		t.Errorf("got %v, want down", got)
	}
	if _, n := table.Runners(c, "self", 71*second); n != 2 {
		t.Errorf("%d living members, want 2", n)
	}
	table.Tick(100 * second)
	if got := table.Samples(100*second, 100*second, true, nil); len(got) != 0 {
		t.Errorf("got %v of views that are stale", got)
	}
}

// listening is a table that has listened for longer than any interval of these tests.
func listening() *Table {
	t := New(10, 10)
	t.Tick(-1000 * second)
	return t
}

// An aggregator that starts while a check is down does not say up before it has heard everybody, which would end the
// alert and begin another one.
func TestUpIsSaidAfterAnInterval(t *testing.T) {
	f := func(name, want string, until int64, sayings ...saying) {
		t.Helper()
		if got := samples(New(10, 10), sayings, until); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
	f("two of three say down, one after the other", "8=0 10=0", 16, saying{2, "a", 1, 2, 10}, saying{5, "b", 0, 2, 10}, saying{8, "c", 0, 2, 10})
	f("one of three says down", "11=1 20=1", 26, saying{2, "a", 1, 2, 10}, saying{5, "b", 0, 2, 10}, saying{8, "c", 1, 2, 10},
		saying{12, "a", 1, 2, 10}, saying{15, "b", 0, 2, 10}, saying{18, "c", 1, 2, 10})
	f("a check that comes later", "21=1", 22, saying{21, "a", 1, 2, 10})
	f("a check that goes down is told at once", "5=0", 6, saying{5, "a", 0, 1, 10})
}

// A sender whose clock is ahead does not silence the check, one whose clock is behind does not let it go back in time.
func TestSamplesKeepToOurTime(t *testing.T) {
	table := listening()
	word := func(name string, time, heard int64, value float64) {
		labels := []metric.Label{{Name: "check", Value: "web"}, {Name: "target", Value: "x:1"}, {Name: "vantage", Value: "a"}}
		table.Hear(Word{Series: metric.MustSeries("lab", "vip", name, labels, "", metric.State), Time: time, Value: value}, heard)
	}
	word(Interval, 0, 100*second, 10)
	word(Quorum, 0, 100*second, 1)
	var last int64
	for i, w := range []struct{ time, heard int64 }{{900 * second, 100 * second}, {20 * second, 101 * second}, {21 * second, 102 * second}} {
		word(View, w.time, w.heard, float64(i%2))
		got := table.Samples(w.heard, 0, false, nil)
		if len(got) != 1 || got[0].Time <= last || got[0].Time > w.heard {
			t.Errorf("word %d, heard at %d: got %v, after %d", i, w.heard, got, last)
			continue
		}
		last = got[0].Time
	}
}

// heardAs hears words of one vantage point on the check "web", a frame in each line: "MS SEQ WORD...", MS by our clock.
// A word is interval, quorum, up, down or leaves; those after "late" come late; "tick" is a Tick. It gives what is said
// when it changes, as "MS=VALUE".
func heardAs(t *testing.T, lines string) string {
	t.Helper()
	table := listening()
	var out []string
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		var now int64
		var seq uint64
		if _, err := fmt.Sscan(line, &now, &seq); err != nil {
			t.Fatal(err)
		}
		say := func(name string, value float64, late bool) {
			labels := []metric.Label{{Name: "check", Value: "web"}, {Name: "target", Value: "10.0.0.9:80"}, {Name: "vantage", Value: "a"}}
			w := Word{Series: metric.MustSeries("lab", "vip", name, labels, "", metric.State), Time: int64(seq) * second, Value: value, Late: late}
			table.Hear(of(w, 1, seq), now)
		}
		late := false
		for _, word := range fields[2:] {
			switch word {
			case "late":
				late = true
			case "leaves":
				say(Interval, 0, late)
			case "interval":
				say(Interval, 60, late)
			case "quorum":
				say(Quorum, 1, late)
			case "up":
				say(View, 1, late)
			case "down":
				say(View, 0, late)
			case "tick":
				table.Tick(now)
			default:
				t.Fatalf("word %q", word)
			}
		}
		if table.Changed(now) {
			for _, s := range table.Samples(now, now, false, nil) {
				out = append(out, fmt.Sprintf("%d=%g", now, s.Value))
			}
		}
	}
	return strings.Join(out, " ")
}

// What was lost and is sent again is heard after what was said since.
func TestWordsThatComeLate(t *testing.T) {
	f := func(name, want, lines string) {
		t.Helper()
		if got := heardAs(t, lines); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	f("older than what is known, by however much", "100000=1", `
		100000 100 interval quorum up
		100100 40  late interval quorum down
		102000 40  tick`)
	f("of a vantage point that has left", "100000=1", `
		100000 100 interval quorum up
		101000 110 leaves
		101100 105 late interval quorum down
		103000 105 tick`)
	f("of which a part is known: each word has its own order", "100100=0", `
		100000 101 interval quorum
		100100 100 down`)
	f("transitions that are over are no news", "100000=1 171100=0", `
		100000 100 interval quorum up
		170000 130 late interval quorum down
		170010 140 late interval quorum up
		170020 150 late interval quorum down
		170900 150 tick
		171100 150 tick`)
	f("a change that is over at the end", "100000=1", `
		100000 100 interval quorum up
		170000 130 late interval quorum down
		170010 140 late interval quorum up
		172000 140 tick`)
	f("late words without an end", "100000=1 101200=0", `
		100000 100 interval quorum up
		100100 101 late interval quorum down
		100700 102 late interval quorum down
		101200 103 late interval quorum down`)
	f("our clock was set back meanwhile", "100000=1 40000=0", `
		100000 100 interval quorum up
		100100 101 late interval quorum down
		40000  101 tick`)
}

func TestViewsAreBoundedAndForgotten(t *testing.T) {
	table := New(10, 2)
	for _, v := range []string{"a", "b", "c"} {
		hear(table, saying{1, v, 1, 1, 10})
	}
	if got := table.Dropped(); got != 3 {
		t.Errorf("dropped %d words, want the three of the third view", got)
	}
	table.Tick(forget + 2*second)
	if table.nView != 0 || len(table.targets) != 0 {
		t.Errorf("%d views of %d targets are left", table.nView, len(table.targets))
	}
	missing := []metric.Label{{Name: "check", Value: "web"}}
	table.Hear(Word{Series: metric.MustSeries("lab", "vip", View, missing, "", metric.State), Value: 1}, 0)
	if table.nView != 0 {
		t.Error("a word without its labels was taken")
	}
}
