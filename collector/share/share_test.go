package share

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/metric"

	"pgregory.net/rapid"
)

const second = int64(1000)

func ready(host, check string, at int64, value float64) Word {
	labels := []metric.Label{{Name: "kind", Value: "tcp"}, {Name: "check", Value: check}}
	return Word{
		Series: metric.MustSeries("lab", host, Member, labels, "", metric.State), Time: at, Value: value, Origin: frame.Origin{Seq: uint64(at)},
	}
}

// of gives a word another origin.
func of(w Word, boot, seq uint64) Word {
	w.Origin = frame.Origin{Boot: frame.Boot{Random: boot}, Seq: seq}
	return w
}

func names(t *rapid.T, label string, least int) []string {
	return rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9.-]{0,20}`), least, 20, rapid.ID[string]).Draw(t, label)
}

// A member that goes takes no check from others and gives none to them but its own; what holds for one that goes holds
// for one that comes.
func TestOnlyTheChecksOfAMemberMoveWithIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := names(t, "members", 2)
		vantage := rapid.IntRange(1, 5).Draw(t, "vantage")
		gone := members[0]
		for _, check := range names(t, "checks", 1) {
			first := func(of []string) []string { return of[:min(len(of), vantage)] }
			before := first(Rank(check, slices.Clone(members)))
			after := first(Rank(check, slices.Clone(members[1:])))
			rest := slices.DeleteFunc(slices.Clone(before), func(m string) bool { return m == gone })
			if !slices.Equal(after[:len(rest)], rest) {
				t.Fatalf("check %q: %q ran it; without %q %q do", check, before, gone, after)
			}
			if !slices.Contains(before, gone) && !slices.Equal(after, before) {
				t.Fatalf("check %q was not of %q: %q ran it, now %q", check, gone, before, after)
			}
		}
	})
}

// Members who heard the same decide so that each check has exactly as many runners as it wants, and all name the same
// ones.
func TestMembersAgreeWithoutAWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := names(t, "members", 1)
		table := New(1000, 10)
		for _, check := range names(t, "checks", 1) {
			for _, m := range members {
				table.Hear(ready(m, check, 0, 1), 0)
			}
			c := &Check{Cluster: "lab", Kind: "tcp", Name: check, Interval: 10 * time.Second, Vantage: rapid.IntRange(1, 5).Draw(t, "vantage")}
			var run []string
			want, _ := table.Runners(c, members[0], 15*second)
			for _, m := range members {
				if table.Runs(c, m, 15*second) {
					run = append(run, m)
				}
				if got, n := table.Runners(c, m, 15*second); !slices.Equal(got, want) || n != len(members) {
					t.Fatalf("%q names %q of %d, %q names %q of %d", m, got, n, members[0], want, len(members))
				}
				if alone := table.Runs(c, m, 16*second); !alone {
					t.Fatalf("%q hears nobody and does not run %q", m, check)
				}
			}
			slices.Sort(run)
			slices.Sort(want)
			if !slices.Equal(run, want) || len(run) != min(len(members), c.Vantage) {
				t.Fatalf("%q run %q, named are %q", run, check, want)
			}
		}
	})
}

// No member bears much more than its share.
func TestChecksSpread(t *testing.T) {
	var members []string
	for i := range 10 {
		members = append(members, fmt.Sprintf("lb%d", i+1))
	}
	count := make(map[string]int)
	for i := range 1000 {
		count[Rank(fmt.Sprintf("tcp/web%d", i), slices.Clone(members))[0]]++
	}
	for _, m := range members {
		if n := count[m]; n < 60 || n > 140 {
			t.Errorf("%s runs %d of 1000 checks, want about 100: %v", m, n, count)
		}
	}
}

func TestWhoCounts(t *testing.T) {
	c := &Check{Cluster: "lab", Kind: "tcp", Name: "web", Interval: 10 * time.Second, Vantage: 1}
	f := func(name string, want string, words ...Word) {
		t.Helper()
		table := New(3, 10)
		for _, w := range words {
			table.Hear(w, max(w.Time, 0)) // our clock is right
		}
		runners, n := table.Runners(&Check{c.Cluster, c.Kind, c.Name, c.Interval, 9}, "self", 20*second)
		slices.Sort(runners)
		if got := strings.Join(runners, " "); got != want || n != len(runners) {
			t.Errorf("%s: got %q of %d, want %q", name, got, n, want)
		}
	}
	f("nobody else", "self")
	f("one", "a self", ready("a", "web", 10*second, 1))
	f("itself", "self", ready("self", "web", 10*second, 1))
	f("the check's interval and a half ago", "a self", ready("a", "web", 5*second, 1))
	f("longer ago", "self", ready("a", "web", 5*second-1, 1))
	f("of another check", "self", ready("a", "mail", 10*second, 1))
	f("has left", "self", ready("a", "web", 10*second, 1), ready("a", "web", 11*second, 0))
	f("has left, and an older word comes late", "self", ready("a", "web", 11*second, 0), ready("a", "web", 10*second, 1))
	f("has left, and a much older word comes late", "self", of(ready("a", "web", 19*second, 0), 1, 90), of(ready("a", "web", 5*second, 1), 1, 10))
	f("has left, and was started again with its clock set back", "a self", of(ready("a", "web", 19*second, 0), 1, 90), of(ready("a", "web", 5*second, 1), 2, 1))
	f("has its clock set back", "a self", of(ready("a", "web", 19*second, 0), 1, 90), of(ready("a", "web", 18*second, 1), 1, 91))
	f("has come back", "a self", ready("a", "web", 11*second, 0), ready("a", "web", 12*second, 1))
	f("too many", "a b c self", ready("a", "web", 10*second, 1), ready("b", "web", 10*second, 1), ready("c", "web", 10*second, 1), ready("d", "web", 10*second, 1))
}

func TestMembersAreForgotten(t *testing.T) {
	table := New(1, 1)
	table.Hear(ready("a", "web", 0, 1), 0)
	table.Tick(forget + 1)
	table.Hear(ready("b", "web", forget+1, 1), forget+1)
	if table.Dropped() != 0 || len(table.members) != 1 {
		t.Errorf("dropped %d, %d checks", table.Dropped(), len(table.members))
	}
}

// Our clock is set back by an hour: the living go on, and who died just before is taken for dead an interval and a half
// later.
func TestOurClockIsSetBack(t *testing.T) {
	const hour = 3600 * second
	table := New(10, 10)
	c := &Check{Cluster: "lab", Kind: "tcp", Name: "web", Interval: 10 * time.Second, Vantage: 2}
	table.Tick(hour)
	for _, host := range []string{"dead", "living"} {
		table.Hear(ready(host, "web", hour, 1), hour)
	}
	for now := int64(0); now < 30*second; now += second {
		if now%(5*second) == 0 {
			table.Hear(ready("living", "web", hour+now, 1), now)
		}
		table.Tick(now)
		want := 3
		if now > 15*second {
			want = 2
		}
		if _, n := table.Runners(c, "self", now); n != want {
			t.Fatalf("%d ms after our clock was set back: %d living members, want %d", now, n, want)
		}
	}
}

func BenchmarkRuns(b *testing.B) {
	table := New(1000, 1)
	for i := range 100 {
		table.Hear(ready(fmt.Sprintf("collector%d.example.com", i), "web", 0, 1), 0)
	}
	c := &Check{Cluster: "lab", Kind: "tcp", Name: "web", Interval: 10 * time.Second, Vantage: 3}
	for b.Loop() {
		table.Runs(c, "self", 0)
	}
}
