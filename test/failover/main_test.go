package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(roleVariable); name != "" {
		fmt.Fprintln(os.Stderr, role(name))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// One trial of two cases with both systems: that the tool works, not how fast anything is.
func TestTable(t *testing.T) {
	program, err := filepath.Abs("../../bin/keepwatch")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	o := options{program: program, results: filepath.Join(t.TempDir(), "results.jsonl"), cases: "kill,stop", modes: "v3-100ms-254", trials: 1, middle: 1}
	if err := table(t.Context(), o, []system{&ours{program}, &keepalived{}}); err != nil {
		t.Fatal(err)
	}
	all, err := readResults([]string{o.results})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all {
		got = append(got, r.Case+" "+r.System)
		if r.Case == "kill" && r.Failed == 0 || r.Requests < 100 {
			t.Errorf("implausible: %+v", r)
		}
	}
	if want := []string{"kill keepwatch", "kill keepalived", "stop keepwatch", "stop keepalived"}; !slices.Equal(got, want) {
		t.Errorf("got trials %q, want %q", got, want)
	}
	left, _ := filepath.Glob(fmt.Sprintf("/run/netns/kwtest%d-*", os.Getpid()))
	if len(left) > 0 {
		t.Errorf("namespaces are left: %q", left)
	}
}

func TestJudge(t *testing.T) {
	at := func(start, took int, node byte) request {
		return request{start: time.Duration(start) * time.Millisecond, took: time.Duration(took) * time.Millisecond, node: node, done: true}
	}
	ms := time.Millisecond
	for _, c := range []struct {
		name     string
		all      []request
		from, to time.Duration
		want     outcome
	}{
		{"nothing lost", []request{at(0, 1, 'a'), at(1, 1, 'a'), at(2, 1, 'b')}, 0, 9 * ms, outcome{gap: ms, requests: 3, hole: ms}},
		{"the longest gap of two", []request{at(0, 1, 'a'), at(1, 200, 0), at(2, 1, 'a'), at(3, 200, 0), at(4, 200, 0), at(5, 1, 'b')}, 0, 9 * ms, outcome{gap: 3 * ms, failed: 3, requests: 6, hole: ms}},
		{"a late answer is no failure and ends no gap", []request{at(0, 1, 'a'), at(1, 51, 'a'), at(2, 1, 'a')}, 0, 9 * ms, outcome{gap: 2 * ms, requests: 3, hole: ms}},
		{"a gap counts within the span only", []request{at(0, 1, 'a'), at(1, 1, 0), at(8, 1, 'a')}, 5 * ms, 7 * ms, outcome{gap: 2 * ms}},
		{"failures before the span are not counted", []request{at(0, 1, 'a'), at(1, 1, 0), at(2, 1, 'a'), at(3, 1, 'a')}, 2 * ms, 9 * ms, outcome{gap: ms, requests: 2, hole: ms}},
		{"no requests", nil, 0, ms, outcome{}},
	} {
		if got := judge(c.all, c.from, c.to); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestCell(t *testing.T) {
	var all []result
	for i := range 20 {
		all = append(all, result{Case: "kill", Mode: modes[0].name, System: "keepwatch", GapMS: float64(20 - i), Failed: i % 4})
	}
	got := collect(all, row{name: "kill"}, modes[0].name, "keepwatch")
	want := cell{n: 20, median: 10.5, p95: 19, max: 20, failedMedian: 1.5, failedMax: 3, total: 30, trials: 15}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if none := collect(all, row{name: "kill"}, modes[0].name, "keepalived"); none.n != 0 {
		t.Errorf("got %+v, want nothing", none)
	}
	var b strings.Builder
	render(&b, all)
	if want := "| kill -9 of agent and service at one instant | keepwatch | 10.5 (19.0) | – |"; !strings.Contains(b.String(), want) {
		t.Errorf("got %s, want in it %s", b.String(), want)
	}
}

func TestChoose(t *testing.T) {
	tasks, err := choose(options{cases: "kill,kill-bfd", modes: "v2-1s,v3-10ms-254"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range tasks {
		got = append(got, k.sc.name+" "+k.mode.name)
	}
	if want := []string{"kill v2-1s-200", "kill v2-1s-254", "kill v3-10ms-254", "kill-bfd v2-1s-200", "kill-bfd v2-1s-254"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := choose(options{cases: "kil"}); err == nil || !strings.Contains(err.Error(), `"kil"`) {
		t.Errorf("got %v, want an error that names kil", err)
	}
}

func TestParseAdvert(t *testing.T) {
	header := []byte{0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 10, 9, 0, 2, 224, 0, 0, 18}
	whole := append(header, 0x31, 51, 200, 1, 0, 10, 0, 0, 10, 9, 0, 100)
	a, ok := parseAdvert(whole)
	if !ok || a.from.String() != "10.9.0.2" || a.version != 3 || a.vrid != 51 || a.priority != 200 {
		t.Errorf("got %+v, %t", a, ok)
	}
	for n := range 28 {
		if _, ok := parseAdvert(whole[:n]); ok {
			t.Errorf("%d bytes were taken for an advertisement", n)
		}
	}
	if _, ok := parseAdvert(append([]byte{0x41}, whole[1:]...)); ok {
		t.Error("a header of 4 bytes was taken for one")
	}
}

func TestUpdate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(file, []byte("one\n<!-- table: begin -->\nold\n<!-- table: end -->\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := update(file, "table", "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := os.ReadFile(file)
	if want := "one\n<!-- table: begin -->\n\nnew\n\n<!-- table: end -->\ntwo\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := update(file, "flood", "new\n"); err == nil || !strings.Contains(err.Error(), "flood: begin") {
		t.Errorf("got %v, want an error that names the mark", err)
	}
}

func TestTree(t *testing.T) {
	all := tree(os.Getppid())
	if all[len(all)-1] != os.Getppid() || !slices.Contains(all, os.Getpid()) {
		t.Errorf("got %v, want %d among them and %d last", all, os.Getpid(), os.Getppid())
	}
}

// The page tells which kernel it was, not which machine had built it.
func TestKernel(t *testing.T) {
	for release, want := range map[string]string{"6.18.44-a-b1": "6.18", "6.18-rc2": "6.18", "6.1.0-18-amd64": "6.1"} {
		if got := kernel(release); got != want {
			t.Errorf("%q: got %q, want %q", release, got, want)
		}
	}
}
