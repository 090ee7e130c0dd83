package keepalived

import (
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// line is one line of the configuration after comments, conditions, definitions and sequences are dealt with.
type line struct {
	text string
	at   Place
}

// source turns files into lines, as keepalived's reader does: a comment is cut off, a line for another host is left
// out, ~SEQ and ~LST repeat the rest of their line, and $NAME becomes what it was defined as.
type source struct {
	options     Options
	notes       *notes
	definitions map[string]string
	out         []line
	order       []string // files in the order they were opened in
	files       int
	steps       int
	full        bool
}

// predefined are the definitions that keepalived makes itself. ${_PWD} is set with each file.
func predefined(o Options) map[string]string {
	return map[string]string{"_INSTANCE": o.ConfigID, "_HASH": "#", "_BANG": "!"}
}

// stop ends the reading for good and says why.
func (s *source) stop(at Place, format string, args ...any) {
	if !s.full {
		s.full = true
		s.notes.add(at, Mistake, format+": the rest is not read", args...)
	}
}

func (s *source) file(name string, data []byte, depth int) {
	s.files++
	s.order = append(s.order, name)
	if len(data) > MaxFile {
		s.notes.add(Place{name, 0}, Mistake, "the file is larger than %d bytes: it is not read", MaxFile)
		return
	}
	if !utf8.Valid(data) {
		s.notes.add(Place{name, 0}, Mistake, "the file is not UTF-8: every byte that is not is read as '?'")
		data = bytes.ToValidUTF8(data, []byte("?"))
	}
	outer := s.definitions["_PWD"]
	s.definitions["_PWD"] = path.Dir(name)
	defer func() { s.definitions["_PWD"] = outer }()
	define, value := "", ""
	for i, raw := range strings.Split(string(data), "\n") {
		at := Place{name, i + 1}
		text := strings.TrimSpace(uncomment(strings.ReplaceAll(raw, "\x00", " ")))
		if define != "" { // a definition of several lines ends with the first line without a backslash
			more, goesOn := strings.CutSuffix(text, `\`)
			value += "\n" + strings.TrimSpace(more)
			if !goesOn {
				s.define(at, define, strings.TrimPrefix(value, "\n"))
				define = ""
			}
			continue
		}
		if s.full || text == "" {
			continue
		}
		if s.include(text, at, name, depth) {
			continue
		}
		text, mine := s.condition(text)
		if !mine {
			continue
		}
		if n, v, ok := definition(text); ok && strings.HasSuffix(v, `\`) {
			define, value = n, strings.TrimSpace(strings.TrimSuffix(v, `\`))
			continue
		}
		s.line(text, at, 0)
	}
	if define != "" {
		s.define(Place{name, 0}, define, strings.TrimPrefix(value, "\n"))
	}
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

func (s *source) define(at Place, name, value string) {
	if len(s.definitions) > maxLines {
		s.stop(at, "more than %d definitions", maxLines)
		return
	}
	s.definitions[name] = value
}

// include reads the files that an include line names, each in its place.
func (s *source) include(text string, at Place, from string, depth int) bool {
	fields := strings.Fields(text)
	switch fields[0] {
	case "include", "includer", "includem", "includew", "includeb", "includea":
	default:
		return false
	}
	if len(fields) != 2 {
		s.notes.add(at, Mistake, "%s wants one file: the line is ignored", fields[0])
		return true
	}
	pattern := strings.Trim(fields[1], `"'`)
	if !path.IsAbs(pattern) {
		pattern = path.Join(path.Dir(from), pattern)
	}
	if depth+1 >= maxDepth {
		s.notes.add(at, Mistake, "%d files include each other: %.200q is not read", maxDepth, pattern)
		return true
	}
	var names []string
	if s.options.Glob != nil {
		names, _ = s.options.Glob(pattern) // a malformed pattern matches nothing
	}
	if len(names) == 0 {
		s.notes.add(at, Mistake, "there is no file %.200q: nothing is included", pattern)
	}
	for _, name := range names {
		if s.files >= maxFiles {
			s.stop(at, "more than %d files", maxFiles)
			return true
		}
		data, err := s.options.Read(name)
		if err != nil {
			s.notes.add(at, Mistake, "cannot read %.200q: %v", name, err)
			continue
		}
		s.file(name, data, depth+1)
	}
	return true
}

// line writes out one line; what comes of it may be several, and conditions and definitions again.
func (s *source) line(text string, at Place, depth int) {
	if s.steps++; s.steps > maxSteps || len(s.out) >= maxLines {
		s.stop(at, "more than %d lines", maxLines)
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
func (s *source) substitute(text string, at Place) (before, value, after string, found bool) {
	for i := strings.IndexByte(text, '$'); i >= 0 && i < len(text); i++ {
		if text[i] != '$' {
			continue
		}
		rest := text[i+1:]
		if inner, ok := strings.CutPrefix(rest, "{"); ok {
			name, after, ok := strings.Cut(inner, "}")
			if value, defined := s.value(name, at); ok && defined {
				return text[:i], value, after, true
			}
			continue
		}
		end := strings.IndexAny(rest, " \t")
		if end < 0 {
			end = len(rest)
		}
		if value, defined := s.value(rest[:end], at); defined {
			return text[:i], value, rest[end:], true
		}
	}
	return "", "", "", false
}

func (s *source) value(name string, at Place) (string, bool) {
	if f := strings.Fields(name); len(f) > 0 && f[0] == "_RANDOM" {
		least := "0"
		if len(f) > 1 {
			least = f[1]
		}
		if _, err := strconv.ParseUint(least, 10, 32); err != nil {
			return "", false
		}
		s.notes.add(at, Changed, "${%.60s} is another number at each start: here it is %s", name, least)
		return least, true
	}
	v, ok := s.definitions[name]
	return v, ok
}

// repeat writes out ~SEQ(name, start, step, end), ~SEQx of hexadecimal numbers and ~LST(name, value, ...).
func (s *source) repeat(text string, at Place, depth int) {
	open, end := strings.IndexByte(text, '('), strings.IndexByte(text, ')')
	if open < 0 || end < open {
		s.notes.add(at, Mistake, "%.60q: want ~SEQ(name, start, step, end) or ~LST(name, value, ...): the line is ignored", text)
		return
	}
	rounds, err := rounds(text[:open], text[open+1:end])
	if err != nil {
		s.notes.add(at, Mistake, "%v: the line is ignored", err)
		return
	}
	for _, round := range rounds {
		if s.full {
			return
		}
		for _, d := range round {
			s.define(at, d[0], d[1])
		}
		s.line(text[end+1:], at, depth+1)
	}
}

// rounds are the definitions of each round of a repetition, as name and value.
func rounds(keyword, inside string) ([][][2]string, error) {
	if keyword == "~LST" {
		return listRounds(inside)
	}
	args := strings.Split(inside, ",")
	for i := range args {
		args[i] = strings.TrimSpace(args[i])
	}
	if keyword != "~SEQ" && keyword != "~SEQx" || len(args) < 2 || len(args) > 4 || !isName(args[0]) {
		return nil, fmt.Errorf("%.60q: want ~SEQ(name, start, step, end)", keyword+"("+inside+")")
	}
	var numbers []int64
	for _, a := range args[1:] {
		n, err := strconv.ParseInt(a, 0, 32)
		if err != nil {
			return nil, fmt.Errorf("%.60q: want a number", a)
		}
		numbers = append(numbers, n)
	}
	end := numbers[len(numbers)-1]
	start, step := int64(1), int64(1)
	if end < 0 {
		start = -1
	}
	if len(numbers) > 1 {
		start = numbers[0]
	}
	if start > end {
		step = -1
	}
	if len(numbers) == 3 {
		step = numbers[1]
	}
	if step == 0 || (end-start)/step > maxLines {
		return nil, fmt.Errorf("%.60q: want at most %d rounds", inside, maxLines)
	}
	base := 10
	if keyword == "~SEQx" {
		base = 16
	}
	var all [][][2]string
	for n := start; step > 0 && n <= end || step < 0 && n >= end; n += step {
		all = append(all, [][2]string{{args[0], strconv.FormatInt(n, base)}})
	}
	return all, nil
}

func listRounds(inside string) (all [][][2]string, err error) {
	parts := commaParts(inside)
	names := commaParts(strings.Trim(parts[0], "{}"))
	for _, p := range parts[1:] {
		values := []string{p}
		if len(names) > 1 {
			values = commaParts(strings.Trim(p, "{}"))
		}
		if len(values) != len(names) {
			return nil, fmt.Errorf("%.60q: want %d values", p, len(names))
		}
		var round [][2]string
		for i, n := range names {
			if !isName(n) {
				return nil, fmt.Errorf("%.60q: want the name of a definition", n)
			}
			round = append(round, [2]string{n, values[i]})
		}
		all = append(all, round)
	}
	return all, nil
}

// commaParts splits at commas outside of braces; there is always one part.
func commaParts(s string) (parts []string) {
	depth, from := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(s[from:i]))
				from = i + 1
			}
		}
	}
	return append(parts, strings.TrimSpace(s[from:]))
}
