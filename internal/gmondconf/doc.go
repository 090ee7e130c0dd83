// Package gmondconf reads gmond.conf: libconfuse's grammar and gmond 3.7's sections, keys and defaults, and what they
// mean to gmond (which channels make it deaf or mute, whom an acl lets in). It opens no file and asks the system
// nothing: the caller hands in what includes and variables stand for (Options). The import of gmond.conf and
// `keepwatch send` call it.
//
// Parse refuses what gmond 3.7.2 with libconfuse 3.3 refuses, and takes what that takes, with these exceptions: a key
// written as a path (globals|mute) and a file with NUL bytes are refused, as are more or larger files than the bounds
// allow and a file that includes itself, which gmond reads up to nine times. Files that a pattern includes are read in
// the order of their names, not of their folder.
package gmondconf

import (
	"keepwatch/internal/report"
)

// Bounds of what is read. Past one of them reading stops with a fault.
const (
	MaxFile   = report.MaxFile // bytes of one file
	maxFiles  = 1000           // files, included ones with them
	maxDepth  = 10             // files that include each other, a pattern counts as one of them: libconfuse's MAX_INCLUDE_DEPTH
	maxBytes  = 8 << 20        // of all files
	maxText   = 1 << 14        // bytes of one value
	maxFaults = 100
	maxItems  = 10_000 // sections
)

// Options are what a configuration's meaning depends on beside its text.
type Options struct {
	Read func(path string) ([]byte, error)         // a file that is included, at most MaxFile+1 bytes of it; nil: none can be read
	Glob func(pattern string) ([]string, error)    // the files that a pattern of filepath.Match stands for; nil: none
	Env  func(name string) (value string, ok bool) // a variable of the environment, as os.LookupEnv; nil: none is set
}

// Parse reads a configuration; file is what faults call it. The Config is never nil: it holds what could be read, and
// gmond's defaults for all else. The error is report.Faults. Relative includes are left relative, as gmond reads them
// from the folder in which it is started.
func Parse(file string, data []byte, o Options) (*Config, error) {
	c := newConfig()
	p := &parser{lexer: newLexer(o)}
	p.lexer.push(file, data, report.Place{File: file})
	p.root(c)
	c.Files, c.Included = p.lexer.order, p.lexer.included
	if len(p.lexer.faults) > 0 {
		return c, p.lexer.faults
	}
	return c, nil
}
