// Package report is what the reader of a foreign configuration tells beside its result: places in files, faults and
// notes. It reads nothing and decides nothing. The parsers of such configurations and their translations use it.
package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is where something stands in a file.
type Place struct {
	File   string
	Line   int // from 1; 0: the whole file
	Column int // in bytes from 1; 0: the whole line
}

// String is "FILE:LINE:COLUMN", as far as it is known.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Fault is something for which the program that a file is written for refuses it.
type Fault struct {
	At   Place
	Text string // what was found, what is wanted
}

// Error is "FILE:LINE:COLUMN: TEXT".
func (f Fault) Error() string { return f.At.String() + ": " + f.Text }

// Faults are all faults of a file, in the order in which they were found.
type Faults []Fault

// Error is one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Kind says what a Note is about.
type Kind string

// The kinds of notes.
const (
	Mistake Kind = "mistake"       // the other program refuses, ignores or mends it; the text says what is imported
	Missing Kind = "no equivalent" // it is left out; the text says what happens instead
	Changed Kind = "changed"       // it is imported with another value or another effect
	Remark  Kind = "remark"        // it is imported; something better or something to know
	NotYet  Kind = "not yet"       // Keepwatch does not manage it yet; it is only listed
)

// Note is one thing that a configuration says and its translation does not, or not so.
type Note struct {
	At   Place
	Kind Kind
	Text string
}

// String is "FILE:LINE: KIND: TEXT".
func (n Note) String() string { return fmt.Sprintf("%s: %s: %s", n.At, n.Kind, n.Text) }

// MaxFile is how many bytes of a foreign configuration are read at most, of each file.
const MaxFile = 1 << 20

// MaxNotes is how many notes are kept; one more says that there are others.
const MaxNotes = 1000

// Notes collects notes, each once.
type Notes struct {
	all  []Note
	seen map[Note]bool
}

// Full reports that no further note is taken.
func (n *Notes) Full() bool { return len(n.all) > MaxNotes }

// Add takes a note; the text is made as by fmt.Sprintf.
func (n *Notes) Add(at Place, kind Kind, format string, args ...any) {
	if n.Full() {
		return
	}
	one := Note{at, kind, fmt.Sprintf(format, args...)}
	if n.seen[one] {
		return
	}
	if n.seen == nil {
		n.seen = make(map[Note]bool)
	}
	n.seen[one] = true
	if len(n.all) == MaxNotes {
		one = Note{at, Mistake, fmt.Sprintf("more than %d notes: the rest is not shown", MaxNotes)}
	}
	n.all = append(n.all, one)
}

// Sorted are the notes by file, in the order of files, and by place; what is about the whole comes last.
func (n *Notes) Sorted(files []string) []Note {
	place := make(map[string]int)
	for i, f := range files {
		if _, twice := place[f]; !twice {
			place[f] = i
		}
	}
	slices.SortStableFunc(n.all, func(a, b Note) int {
		if (a.At.Line == 0) != (b.At.Line == 0) {
			return cmp.Compare(b.At.Line, a.At.Line)
		}
		return cmp.Or(cmp.Compare(place[a.At.File], place[b.At.File]), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return n.all
}

// Mistakes counts the notes of that kind.
func Mistakes(notes []Note) (n int) {
	for _, one := range notes {
		if one.Kind == Mistake {
			n++
		}
	}
	return n
}
