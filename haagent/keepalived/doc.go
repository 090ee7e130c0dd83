// Package keepalived reads the configuration of keepalived 2.2 and translates its VRRP half into conf.HAAgent. What
// has no equivalent, what keepalived itself would refuse or mend, and what works differently here becomes a note with
// file and line; the rest is imported all the same. It opens no file and asks the system nothing: the caller hands in
// what is read and known (Options). The command keepwatch import calls it.
package keepalived

import (
	"fmt"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// Bounds of what is read. Past one of them reading stops with a note.
const (
	MaxFile    = report.MaxFile // bytes of one file
	maxFiles   = 1000           // files, included ones with them
	maxDepth   = 8              // files that include each other
	maxLines   = 100_000        // lines, after definitions and sequences are written out
	maxWork    = 1 << 25        // bytes of lines that definitions and sequences are written out in
	maxName    = 100            // bytes of a definition's name
	maxLine    = 1 << 14        // bytes of a line after its definitions are written out
	maxNesting = 16             // blocks within blocks
	maxItems   = 2000           // entries of one list, as instances, tracks or addresses of an instance
)

// Options are what the configuration's meaning depends on beside its text.
type Options struct {
	ConfigID   string                                 // what lines with @ are compared with: keepalived -i, or the host's name up to its first dot
	Read       func(path string) ([]byte, error)      // a file that is included, at most MaxFile+1 bytes of it; nil: none can be read
	Glob       func(pattern string) ([]string, error) // the files that a pattern stands for; nil: none
	LookPath   func(program string) (string, bool)    // where a program without a folder is; nil: nowhere
	ScriptUser string                                 // as whom keepalived runs scripts when the file does not say it
}

// Result is a translation. Config passes conf's checks, whatever the file held.
type Result struct {
	Config   conf.HAAgent
	Comments map[string]string // what to write above a key, by its path, as haagent.instances[0].priority
	Notes    []report.Note     // in the order of the files' lines
}

// Usable reports whether anything was imported.
func (r Result) Usable() bool {
	h := r.Config
	return len(h.Instances)+len(h.Static.Addresses)+len(h.Static.Routes)+len(h.Static.Rules)+len(h.Tracks)+len(h.BFD) > 0
}

// Import translates a configuration; file is what notes call it, and includes are relative to its folder.
func Import(file string, data []byte, o Options) Result {
	n := &report.Notes{}
	s := source{options: o, notes: n, definitions: predefined(o)}
	s.file(file, data, 0)
	t := translator{file: file, options: o, notes: n, comments: make(map[string]string), out: conf.Default().HAAgent}
	t.configuration(parse(s.out, n))
	config, comments := sieve(t)
	return Result{Config: config, Comments: comments, Notes: n.Sorted(s.order)}
}

// seconds writes a duration as keepalived's users do.
func seconds(d time.Duration) string { return fmt.Sprintf("%gs", d.Seconds()) }
