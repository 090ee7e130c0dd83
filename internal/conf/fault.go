package conf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration: where it stands, which key, what was found and what is wanted.
// Values of keys that may hold a secret are never in it.
type Fault struct {
	Where string // "FILE:LINE:COLUMN" or "environment VARIABLE"; empty when the configuration was made by a program
	Path  string // "collector.native.payload"; empty for a fault of the whole file
	Text  string // "99: want 576 to 8900"

	line, column int
}

// Error is "WHERE: PATH: TEXT".
func (f *Fault) Error() string {
	var parts []string
	for _, s := range []string{f.Where, f.Path, f.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// Faults is every fault of one configuration, those of the file first and in its order. It is the error that Parse
// and Validate return.
type Faults []*Fault

// Error is one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each fault to errors.Is and errors.As.
func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i, one := range f {
		errs[i] = one
	}
	return errs
}

// maxFaults bounds a report: a file that is no configuration at all would fill the screen with one fault a line.
const maxFaults = 100

// report sorts and bounds the faults; nil when there are none.
func (f Faults) report() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b *Fault) int {
		if (a.line == 0) != (b.line == 0) {
			return cmp.Compare(b.line, a.line) // without a line: last
		}
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	if n := len(f) - maxFaults; n > 0 {
		f = append(f[:maxFaults:maxFaults], &Fault{Text: fmt.Sprintf("and %d more faults: mend these first", n)})
	}
	return f
}

// Nearest is the candidate that differs from the word by the fewest changed letters, "" when none is near.
func Nearest(word string, candidates []string) string {
	best, bestAt := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if at := distance(word, c); at < bestAt {
			best, bestAt = c, at
		}
	}
	if best == "" {
		for _, c := range candidates { // password → password_file
			if len(word) >= 3 && (strings.HasPrefix(c, word) || strings.HasPrefix(word, c)) {
				return c
			}
		}
	}
	return best
}

// distance is Levenshtein's, over bytes; words longer than 100 bytes are near nothing.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 1000
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
