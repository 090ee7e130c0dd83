// Package draft puts a configuration together from a foreign one, value by value, and takes only what conf's checks
// let pass: so a file of which one part is beyond repair still becomes one that runs with the rest. It reads nothing
// and knows no foreign grammar. The imports of gmond.conf and gmetad.conf use it.
package draft

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// Draft is a configuration in the making.
type Draft struct {
	Config   conf.Config
	Comments map[string]string // what to write above a key, by its path
	Notes    report.Notes
}

// New is a draft in which every key has its default.
func New() *Draft { return &Draft{Config: conf.Default(), Comments: make(map[string]string)} }

// Comment writes lines above the key of this path, below those that are there. What is no text becomes blanks.
func (d *Draft) Comment(path, text string) {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || r == utf8.RuneError) {
			return ' '
		}
		return r
	}, text)
	if old := d.Comments[path]; old != "" {
		text = old + "\n" + text
	}
	d.Comments[path] = text
}

// Set changes a value. A change that conf refuses is not made: a note says so, what is what was to be set.
func (d *Draft) Set(at report.Place, what string, change func(*conf.Config)) bool {
	next := d.Config
	change(&next)
	if d.refused(at, what, &next) {
		return false
	}
	d.Config = next
	return true
}

// Add is Set for an item of a list: it is judged by itself, so that a thousandth one costs no more than the first.
// That it does not contradict the others is the caller's to see.
func (d *Draft) Add(at report.Place, what string, change func(*conf.Config)) bool {
	alone := conf.Default()
	change(&alone)
	if d.refused(at, what, &alone) {
		return false
	}
	change(&d.Config)
	return true
}

func (d *Draft) refused(at report.Place, what string, c *conf.Config) bool {
	var faults conf.Faults
	if !errors.As(c.Validate(), &faults) {
		return false
	}
	d.Notes.Add(at, report.Mistake, "%.100s is left out: %s: %s", what, faults[0].Path, faults[0].Text)
	return true
}

// Text is text of a file that need not be UTF-8: else it is taken as ISO-8859-1, with a note.
func (d *Draft) Text(at report.Place, text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(rune(text[i]))
	}
	d.Notes.Add(at, report.Changed, "%.60q is not UTF-8: it is read as ISO-8859-1", b.String())
	return b.String()
}

// Seconds is a duration between bounds, with a note when it was beyond them; what is the key's name.
func (d *Draft) Seconds(at report.Place, what string, n int, low, high time.Duration) time.Duration {
	switch {
	case n < int(low/time.Second):
		d.Notes.Add(at, report.Changed, "%s %d: %s is the least here", what, n, low)
		return low
	case n > int(high/time.Second):
		d.Notes.Add(at, report.Changed, "%s %d: %s is the most here", what, n, high)
		return high
	}
	return time.Duration(n) * time.Second
}

// Result is a finished translation. Config passes conf's checks, whatever the file held.
type Result struct {
	Config   conf.Config
	Comments map[string]string // what to write above a key, by its path
	Notes    []report.Note     // in the order of the files' lines
	Usable   bool              // something was imported
}

// Finish is what became of it; file is the first one, files are all in the order of their reading.
func (d *Draft) Finish(file string, files []string, usable bool) Result {
	if d.refused(report.Place{File: file}, "everything", &d.Config) {
		d.Config, d.Comments, usable = conf.Default(), nil, false
	}
	return Result{Config: d.Config, Comments: d.Comments, Notes: d.Notes.Sorted(files), Usable: usable}
}
