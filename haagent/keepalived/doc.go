// Package keepalived reads the configuration of keepalived 2.2 and translates its VRRP half into conf.HAAgent. What
// has no equivalent, what keepalived itself would refuse or mend, and what works differently here becomes a Note with
// file and line; the rest is imported all the same. It opens no file and asks the system nothing: the caller hands in
// what is read and known (Options). The command keepwatch import calls it.
package keepalived

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"keepwatch/internal/conf"
)

// Bounds of what is read. Past one of them reading stops with a note.
const (
	MaxFile    = 1 << 20 // bytes of one file
	maxFiles   = 1000    // files, included ones with them
	maxDepth   = 8       // files that include each other
	maxLines   = 100_000 // lines, after definitions and sequences are written out
	maxWork    = 1 << 25 // bytes of lines that definitions and sequences are written out in
	maxName    = 100     // bytes of a definition's name
	maxLine    = 1 << 14 // bytes of a line after its definitions are written out
	maxNesting = 16      // blocks within blocks
	maxNotes   = 1000
	maxItems   = 2000 // entries of one list, as instances, tracks or addresses of an instance
)

// Options are what the configuration's meaning depends on beside its text.
type Options struct {
	ConfigID   string                                 // what lines with @ are compared with: keepalived -i, or the host's name up to its first dot
	Read       func(path string) ([]byte, error)      // a file that is included, at most MaxFile+1 bytes of it; nil: none can be read
	Glob       func(pattern string) ([]string, error) // the files that a pattern stands for; nil: none
	LookPath   func(program string) (string, bool)    // where a program without a folder is; nil: nowhere
	ScriptUser string                                 // as whom keepalived runs scripts when the file does not say it
}

// Kind says what a Note is about.
type Kind string

// The kinds of notes.
const (
	Mistake Kind = "mistake"       // keepalived refuses, ignores or mends it; the text says what is imported
	Missing Kind = "no equivalent" // it is left out; the text says what happens instead
	Changed Kind = "changed"       // it is imported with another value or another effect
	Remark  Kind = "remark"        // it is imported; something better or something to know
	NotYet  Kind = "not yet"       // Keepwatch does not manage it yet; it is only listed
)

// Place is a line of a file.
type Place struct {
	File string
	Line int // from 1; 0: the whole file
}

// String is "FILE:LINE".
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Note is one thing that the configuration says and the translation does not, or not so.
type Note struct {
	At   Place
	Kind Kind
	Text string
}

// String is "FILE:LINE: KIND: TEXT".
func (n Note) String() string { return fmt.Sprintf("%s: %s: %s", n.At, n.Kind, n.Text) }

// Result is a translation. Config passes conf's checks, whatever the file held.
type Result struct {
	Config   conf.HAAgent
	Comments map[string]string // what to write above a key, by its path, as haagent.instances[0].priority
	Notes    []Note            // in the order of the files' lines
}

// Usable reports whether anything was imported.
func (r Result) Usable() bool {
	h := r.Config
	return len(h.Instances)+len(h.Static.Addresses)+len(h.Static.Routes)+len(h.Static.Rules)+len(h.Tracks)+len(h.BFD) > 0
}

// Mistakes counts the notes of that kind.
func (r Result) Mistakes() (n int) {
	for _, one := range r.Notes {
		if one.Kind == Mistake {
			n++
		}
	}
	return n
}

// Import translates a configuration; file is what notes call it, and includes are relative to its folder.
func Import(file string, data []byte, o Options) Result {
	n := &notes{seen: make(map[Note]bool)}
	s := source{options: o, notes: n, definitions: predefined(o)}
	s.file(file, data, 0)
	t := translator{file: file, options: o, notes: n, comments: make(map[string]string), out: conf.Default().HAAgent}
	t.configuration(parse(s.out, n))
	config, comments := sieve(t)
	return Result{Config: config, Comments: comments, Notes: n.sorted(s.order)}
}

// notes collects notes, each once, up to maxNotes.
type notes struct {
	all  []Note
	seen map[Note]bool
}

// full reports that no further note is taken.
func (n *notes) full() bool { return len(n.all) > maxNotes }

func (n *notes) add(at Place, kind Kind, format string, args ...any) {
	if n.full() {
		return
	}
	one := Note{at, kind, fmt.Sprintf(format, args...)}
	if n.seen[one] {
		return
	}
	n.seen[one] = true
	if len(n.all) == maxNotes {
		one = Note{at, Mistake, fmt.Sprintf("more than %d notes: the rest is not shown", maxNotes)}
	}
	n.all = append(n.all, one)
}

// sorted orders notes by file, in the order the files were opened in, and line; what is about the whole comes last.
func (n *notes) sorted(files []string) []Note {
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
		return cmp.Or(cmp.Compare(place[a.At.File], place[b.At.File]), cmp.Compare(a.At.Line, b.At.Line))
	})
	return n.all
}

// seconds writes a duration as keepalived's users do.
func seconds(d time.Duration) string { return fmt.Sprintf("%gs", d.Seconds()) }
