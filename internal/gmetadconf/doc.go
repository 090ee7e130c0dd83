// Package gmetadconf reads gmetad.conf: dotconf's grammar and gmetad 3.7's directives and defaults. It opens no file
// and asks the system nothing: the caller hands in what includes and variables stand for (Options). The import of
// gmetad.conf calls it.
//
// Parse refuses what gmetad 3.7.2 refuses or ends at, and takes what that takes, with these exceptions: here-documents,
// lines of 4096 bytes and more and a file that includes itself are refused (gmetad reads the first, splits or overruns
// its buffer at the second and never ends at the third), as is more than the bounds allow. Files that a pattern includes
// are read in the order of their names, not of their folder.
package gmetadconf

import (
	"fmt"

	"keepwatch/internal/report"
)

// Bounds of what is read. Past one of them reading stops with a fault.
const (
	MaxFile   = report.MaxFile // bytes of one file
	maxFiles  = 100            // files, included ones with them
	maxDepth  = 8              // files that include each other
	maxBytes  = 8 << 20        // of all files
	maxLine   = 4095           // bytes of a line with its continuations: dotconf's buffer
	maxFaults = 100
)

// Options are what a configuration's meaning depends on beside its text.
type Options struct {
	Read func(path string) ([]byte, error)         // a file that is included, at most MaxFile+1 bytes of it; nil: none can be read
	Glob func(pattern string) ([]string, error)    // the files that a pattern of filepath.Match stands for; nil: none
	Env  func(name string) (value string, ok bool) // a variable of the environment, as os.LookupEnv; nil: none is set
}

// Source is a data_source.
type Source struct {
	At        report.Place
	Name      string
	Step      int // seconds
	Addresses []Address
}

// Address is one XML port of a Source.
type Address struct {
	Host string
	Port int // as atoi reads it: 0 when it is no number
}

// Port is that of an address without one: gmond's.
const Port = 8649

// Directive is one line, with its arguments without quotes and with variables expanded.
type Directive struct {
	At   report.Place
	Name string // in lower case
	Args []string
	Lost string // an argument that dotconf drops, since a # within it begins a comment
}

// Config is what a gmetad.conf says. Of directives that stand several times the last one is in force, but for
// trusted_hosts, whose hosts are all trusted.
type Config struct {
	Sources     []*Source // in the order of the file; of one name, the last one, at the place of the first
	Grid        string
	Authority   string // empty: http://HOST/ganglia/
	Trusted     []Host
	AllTrusted  bool // also by all_trusted off: gmetad looks only at the name
	XMLPort     int
	Interactive int
	Sensitive   bool // case_sensitive_hostnames
	Scalable    bool
	Directives  []Directive             // all of them, in the order of the files
	Set         map[string]report.Place // where each directive stands last
	Replaced    []*Source               // data_sources of a name that stands again later
	Files       []string                // in the order in which they were read
	Relative    map[report.Place]string // includes of a relative path
}

// Host is a trusted host.
type Host struct {
	At   report.Place
	Name string // or address
}

// Parse reads a configuration; file is what faults call it. The Config is never nil: it holds what could be read, and
// gmetad's defaults for all else. The error is report.Faults.
func Parse(file string, data []byte, o Options) (*Config, error) {
	p := &parser{options: o, config: &Config{
		Grid: "unspecified", XMLPort: 8651, Interactive: 8652, Sensitive: true, Scalable: true,
		Set: make(map[string]report.Place), Relative: make(map[report.Place]string),
	}}
	p.file(file, data, report.Place{File: file}, 0)
	if !p.stopped && !p.counted {
		p.fault(report.Place{File: file}, "no line holds data_source in small letters, want at least one: gmetad counts its sources by that, in this file alone")
	}
	p.config.Files = p.order
	if len(p.faults) > 0 {
		return p.config, p.faults
	}
	return p.config, nil
}

type parser struct {
	options Options
	config  *Config
	order   []string
	open    []string
	folder  string // IncludePath
	bytes   int
	faults  report.Faults
	counted bool // a line of the first file holds the word data_source
	stopped bool
}

func (p *parser) fault(at report.Place, format string, args ...any) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, report.Fault{At: at, Text: fmt.Sprintf(format, args...)})
	}
}

// stop ends the reading of everything.
func (p *parser) stop(at report.Place, format string, args ...any) {
	if !p.stopped {
		p.fault(at, format, args...)
	}
	p.stopped = true
}
