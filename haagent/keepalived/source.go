package keepalived

import (
	"bytes"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"keepwatch/internal/report"
)

// line is one line of the configuration after comments, conditions, definitions and sequences are dealt with.
type line struct {
	text string
	at   report.Place
}

// source turns files into lines, as keepalived's reader does: a comment is cut off, a line for another host is left
// out, ~SEQ and ~LST repeat the rest of their line, and $NAME becomes what it was defined as.
type source struct {
	options     Options
	notes       *report.Notes
	definitions map[string]string
	out         []line
	order       []string // files in the order they were opened in
	files       int
	work        int // bytes, in the sense of maxWork
	full        bool
}

// predefined are the definitions that keepalived makes itself. ${_PWD} is set with each file.
func predefined(o Options) map[string]string {
	return map[string]string{"_INSTANCE": o.ConfigID, "_HASH": "#", "_BANG": "!"}
}

// stop ends the reading for good and says why.
func (s *source) stop(at report.Place, format string, args ...any) {
	if !s.full {
		s.full = true
		s.notes.Add(at, report.Mistake, format+": the rest is not read", args...)
	}
}

func (s *source) file(name string, data []byte, depth int) {
	s.files++
	s.order = append(s.order, name)
	if len(data) > MaxFile {
		s.notes.Add(report.Place{File: name}, report.Mistake, "the file is larger than %d bytes: it is not read", MaxFile)
		return
	}
	if !utf8.Valid(data) {
		s.notes.Add(report.Place{File: name}, report.Mistake, "the file is not UTF-8: every byte that is not is read as '?'")
		data = bytes.ToValidUTF8(data, []byte("?"))
	}
	outer := s.definitions["_PWD"]
	s.definitions["_PWD"] = path.Dir(name)
	defer func() { s.definitions["_PWD"] = outer }()
	var open unfinished
	for i, raw := range strings.Split(string(data), "\n") {
		at := report.Place{File: name, Line: i + 1}
		text := s.clean(raw, at)
		switch {
		case open.name != "":
			s.goOn(&open, text, at)
		case s.full || text == "" || s.include(text, at, name, depth):
		default:
			s.begin(&open, text, at)
		}
	}
	if open.name != "" {
		s.define(report.Place{File: name}, open.name, open.value)
	}
}

// unfinished is a definition of several lines: each but the last one ends with a backslash.
type unfinished struct{ name, value string }

// begin takes a line that is no part of a definition before it.
func (s *source) begin(open *unfinished, text string, at report.Place) {
	text, mine := s.condition(text)
	if !mine {
		return
	}
	if name, value, ok := definition(text); ok && strings.HasSuffix(value, `\`) {
		*open = unfinished{name, strings.TrimSpace(strings.TrimSuffix(value, `\`))}
		return
	}
	s.line(text, at, 0)
}

// goOn adds a line to the definition that is open.
func (s *source) goOn(open *unfinished, text string, at report.Place) {
	more, goesOn := strings.CutSuffix(text, `\`)
	if open.value != "" {
		open.value += "\n"
	}
	open.value += strings.TrimSpace(more)
	if !goesOn {
		s.define(at, open.name, open.value)
		*open = unfinished{}
	}
}

// clean takes the comment and the blanks around it off a line. A password is the one value that people write with the
// sign of a comment in it; the note does not show it.
func (s *source) clean(raw string, at report.Place) string {
	raw = strings.TrimSpace(strings.ReplaceAll(raw, "\x00", " "))
	text := uncomment(raw)
	if n := len(text); n < len(raw) && n > 0 && !blank(text[n-1]) && strings.HasPrefix(raw, "auth_pass") {
		s.notes.Add(at, report.Mistake, "auth_pass: what follows '%c' is a comment, and not a part of the password: put it into quotes if it was meant", raw[n])
	}
	return strings.TrimSpace(text)
}

// uncomment cuts off what stands behind # or ! outside of quotes. A quote without its mate is none.
func uncomment(text string) string {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '#', '!':
			return text[:i]
		case '"', '\'':
			if end := closing(text, i); end > 0 {
				i = end
			}
		}
	}
	return text
}

// closing is where the quote that opens at i is closed, 0 when it is not.
func closing(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case text[i]:
			return j
		}
	}
	return 0
}

// condition takes @HOST or @^HOST off a line and reports whether the line is meant for this host.
func (s *source) condition(text string) (rest string, mine bool) {
	if !strings.HasPrefix(text, "@") {
		return text, true
	}
	host, rest, _ := strings.Cut(strings.ReplaceAll(text[1:], "\t", " "), " ")
	if not, ok := strings.CutPrefix(host, "^"); ok {
		return strings.TrimSpace(rest), not != s.options.ConfigID
	}
	return strings.TrimSpace(rest), host == s.options.ConfigID
}

// definition recognises $NAME=VALUE.
func definition(text string) (name, value string, ok bool) {
	if !strings.HasPrefix(text, "$") {
		return "", "", false
	}
	name, value, ok = strings.Cut(text[1:], "=")
	return name, strings.TrimSpace(value), ok && isName(name)
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9' || i == 0) {
			return false
		}
	}
	return s != ""
}

func (s *source) define(at report.Place, name, value string) {
	if len(s.definitions) > maxLines {
		s.stop(at, "more than %d definitions", maxLines)
		return
	}
	s.definitions[name] = value
}

// line writes out one line; what comes of it may be several, and conditions and definitions again.
func (s *source) line(text string, at report.Place, depth int) {
	if s.work += len(text) + 16; s.work > maxWork || len(s.out) >= maxLines {
		s.stop(at, "more than %d lines, or too many definitions", maxLines)
	}
	if depth > 100 || len(text) > maxLine {
		s.stop(at, "a line of more than %d bytes, or definitions that name each other", maxLine)
	}
	if s.full {
		return
	}
	text, mine := s.condition(strings.TrimSpace(text))
	if !mine || text == "" {
		return
	}
	if name, value, ok := definition(text); ok {
		s.define(at, name, value)
		return
	}
	if strings.HasPrefix(text, "~SEQ") || strings.HasPrefix(text, "~LST") {
		s.repeat(text, at, depth)
		return
	}
	before, value, after, found := s.substitute(text, at)
	if !found {
		s.out = append(s.out, line{text, at})
		return
	}
	lines := strings.Split(value, "\n")
	lines[0] = before + lines[0]
	lines[len(lines)-1] += after
	for _, one := range lines {
		s.line(one, at, depth+1)
	}
}

// substitute finds the first ${NAME}, or $NAME with a blank or nothing behind, that is defined.
func (s *source) substitute(text string, at report.Place) (before, value, after string, found bool) {
	for i := strings.IndexByte(text, '$'); i >= 0 && i < len(text); i++ {
		if text[i] != '$' {
			continue
		}
		rest := text[i+1:]
		if inner, ok := strings.CutPrefix(rest, "{"); ok {
			end := strings.IndexByte(inner[:min(len(inner), maxName)], '}')
			if end < 0 {
				continue
			}
			if value, defined := s.value(inner[:end], at); defined {
				return text[:i], value, inner[end+1:], true
			}
			continue
		}
		end := 0
		for end < min(len(rest), maxName) && !blank(rest[end]) && rest[end] != '$' {
			end++
		}
		if end < len(rest) && !blank(rest[end]) {
			continue
		}
		if value, defined := s.value(rest[:end], at); defined {
			return text[:i], value, rest[end:], true
		}
	}
	return "", "", "", false
}

func (s *source) value(name string, at report.Place) (string, bool) {
	if f := strings.Fields(name); len(f) > 0 && f[0] == "_RANDOM" {
		least := "0"
		if len(f) > 1 {
			least = f[1]
		}
		if _, err := strconv.ParseUint(least, 10, 32); err != nil {
			return "", false
		}
		s.notes.Add(at, report.Changed, "${%.60s} is another number at each start: here it is %s", name, least)
		return least, true
	}
	v, ok := s.definitions[name]
	return v, ok
}
