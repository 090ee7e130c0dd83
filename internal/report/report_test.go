package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPlace(t *testing.T) {
	for want, p := range map[string]Place{"a": {File: "a"}, "a:1": {File: "a", Line: 1}, "a:1:2": {"a", 1, 2}} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	err := Faults{{Place{"a", 1, 2}, "x"}, {Place{File: "b"}, "y"}}
	if got, want := err.Error(), "a:1:2: x\nb: y"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNotes: each note once, by file in the order of reading, then line and column; what is of the whole last.
func TestNotes(t *testing.T) {
	var n Notes
	n.Add(Place{File: "b"}, Mistake, "whole")
	n.Add(Place{"a", 2, 1}, Remark, "four")
	n.Add(Place{"b", 7, 3}, Missing, "two %d", 2)
	n.Add(Place{"b", 7, 1}, Changed, "one")
	n.Add(Place{"b", 7, 1}, Changed, "one")
	var got []string
	for _, one := range n.Sorted([]string{"b", "a"}) {
		got = append(got, one.String())
	}
	want := []string{"b:7:1: changed: one", "b:7:3: no equivalent: two 2", "a:2:1: remark: four", "b: mistake: whole"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Mistakes(n.Sorted(nil)); got != 1 {
		t.Errorf("got %d mistakes, want 1", got)
	}
}

func TestNotesAreBounded(t *testing.T) {
	var n Notes
	for i := range 2 * MaxNotes {
		n.Add(Place{"a", i, 0}, Remark, "%s", fmt.Sprint(i))
	}
	if all := n.Sorted(nil); len(all) != MaxNotes+1 || !n.Full() || !strings.Contains(all[len(all)-1].Text+all[0].Text+all[MaxNotes-1].Text, "more than 1000 notes") {
		t.Errorf("got %d notes, the last %v", len(all), all[len(all)-1])
	}
}
