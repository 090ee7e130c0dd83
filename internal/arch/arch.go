// Package arch owns the rules of who may import whom, and the checker that holds them over the source tree. It never
// builds or runs what it reads: it parses files, so that a rule is checked on every platform's code at once. Only its
// own test calls it; rules.go is the page to read.
package arch

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Rules is everything that Check holds. A folder named in it stands for itself and all below it.
type Rules struct {
	Module string // path of the module, as in go.mod

	Parts []string // folders that never import each other, but for Between
	// Between is the allow-list of Parts: From may import To.
	Between []Allow

	Unreached []Ban  // not even through other packages of the module
	Only      []Only // imports that few folders may use
	Names     []Only // package-level names that few folders may use, "golang.org/x/sys/unix.SOCK_RAW"
	Literals  []Only // beginnings of string literals that few folders may hold

	Pure      []Pure
	Impure    []Only   // imports that pure packages never use but for Pure.But; In is empty
	Clock     []string // names that pure packages never use
	Standard  []Reason // folders that import the standard library only
	Ends      []Reason // folders that nobody outside them imports
	BadNames  []string // package names that say nothing
	WithTests bool     // whether test files are held to Parts, Unreached, Only, Names, Literals too
}

// Allow is one exception: From may import To.
type Allow struct{ From, To, Reason string }

// Ban says that From never depends on To.
type Ban struct{ From, To, Reason string }

// Only says that What belongs to the folders In.
type Only struct {
	What   string
	In     []string
	Reason string
}

// Pure is a package without I/O, clock, goroutine and log. But lists imports that it may use nevertheless.
type Pure struct {
	Folder string
	But    []string
	Reason string
}

// Reason is a folder and why its rule holds.
type Reason struct{ Folder, Reason string }

// Violation is one place that breaks a rule.
type Violation struct {
	File string
	Line int
	Text string
}

// String is "FILE:LINE: TEXT".
func (v Violation) String() string { return fmt.Sprintf("%s:%d: %s", v.File, v.Line, v.Text) }

// Check reads every Go file of the tree and returns what breaks the rules, in the order of the files. Folders named
// testdata, node_modules or with a dot or underscore in front, and folders with a go.mod of their own, are left out.
// The error says which file cannot be read or parsed.
func Check(tree fs.FS, r Rules) ([]Violation, error) {
	packages, err := read(tree, r.Module)
	if err != nil {
		return nil, err
	}
	c := checker{Rules: r, packages: packages, byFolder: make(map[string]*pkg)}
	for _, p := range packages {
		c.byFolder[p.folder] = p
	}
	for _, p := range packages {
		c.named(p)
		c.pure(p)
		for _, f := range p.files {
			c.imports(p, f)
			if r.WithTests || !f.test {
				c.uses(p, f)
			}
		}
		c.unreached(p)
	}
	c.circles()
	slices.SortStableFunc(c.found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(c.found), nil
}

type checker struct {
	Rules
	packages []*pkg
	byFolder map[string]*pkg
	found    []Violation
}

func (c *checker) add(f *file, line int, format string, args ...any) {
	c.found = append(c.found, Violation{File: f.path, Line: line, Text: fmt.Sprintf(format, args...)})
}

// within says whether a folder is one of the folders or below one.
func within(folder string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		return folder == f || strings.HasPrefix(folder, f+"/")
	})
}

// owner is the one of the folders that holds folder, "" when none does.
func owner(folder string, folders []string) string {
	for _, f := range folders {
		if within(folder, f) {
			return f
		}
	}
	return ""
}
