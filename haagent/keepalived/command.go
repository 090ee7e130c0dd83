package keepalived

import (
	"errors"
	"path"
	"strconv"
	"strings"

	"keepwatch/internal/report"
)

// command makes a program and its arguments of a script line: the first word is the command line, quoted when it has
// arguments. No shell is used, by keepalived neither. rest are the words behind it: user and group.
func (t *translator) command(s *statement) (argv, rest []string) {
	if !t.needs(s) {
		return nil, nil
	}
	argv, err := split(unescape(s.arg()))
	if err != nil || len(argv) == 0 {
		t.notes.Add(s.at, report.Mistake, "%s %.120q: %v: it is left out", s.keyword(), s.arg(), orEmpty(err))
		return nil, s.words[2:]
	}
	if strings.HasPrefix(argv[0], "</dev/") {
		t.notes.Add(s.at, report.Missing, "%s: %.80q: it is left out; make a track with tcp: ADDRESS:PORT", s.keyword(), argv[0])
		return nil, s.words[2:]
	}
	for _, a := range argv[1:] {
		switch a {
		case "&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", ">/dev/null", "2>/dev/null":
			t.notes.Add(s.at, report.Mistake, "%s: %q is an argument like any other, no shell is used (nor by keepalived): write a script file, or [/bin/sh, -c, ...]", s.keyword(), a)
		}
	}
	if !path.IsAbs(argv[0]) {
		argv[0] = t.lookPath(s, argv[0])
	}
	return argv, s.words[2:]
}

func orEmpty(err error) error {
	if err == nil {
		return errors.New("no program")
	}
	return err
}

func (t *translator) lookPath(s *statement, program string) string {
	if t.options.LookPath != nil && !strings.ContainsRune(program, '/') {
		if found, ok := t.options.LookPath(program); ok && path.IsAbs(found) {
			t.notes.Add(s.at, report.Changed, "%s: %.60q is written with its folder, %s", s.keyword(), program, found)
			return found
		}
	}
	assumed := path.Join("/usr/bin", program)
	t.notes.Add(s.at, report.Mistake, "%s: %.60q has no folder and is not found here: %s is assumed", s.keyword(), program, assumed)
	return assumed
}

// unescape replaces what keepalived.conf(5), Quoted strings, calls escaped characters.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; {
		case strings.IndexByte("abEfnrtv", c) >= 0:
			b.WriteByte("\a\b\x1b\f\n\r\t\v"[strings.IndexByte("abEfnrtv", c)])
		case c == 'x' || c >= '0' && c <= '7':
			n, used := code(s[i:])
			b.WriteByte(n)
			i += used - 1
		case c == 'c' && i+1 < len(s):
			i++
			b.WriteByte(s[i] & 0x1f)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// code reads up to three octal digits, or x and hexadecimal ones, of which the last two count.
func code(s string) (n byte, used int) {
	base, digits, from := 8, "01234567", 0
	if s[0] == 'x' {
		base, digits, from = 16, "0123456789abcdefABCDEF", 1
	}
	end := from
	for end < len(s) && strings.IndexByte(digits, s[end]) >= 0 && (base == 16 || end < 3) {
		end++
	}
	if end == from {
		return 'x', 1
	}
	v, _ := strconv.ParseUint(s[max(from, end-3):end], base, 16) // digits only
	return byte(v), end
}

// split takes a command line apart at blanks outside of quotes.
func split(s string) (argv []string, err error) {
	var b strings.Builder
	in, quote := false, byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '"' || c == '\'':
			in, quote = true, c
		case blank(c) || c == '\n':
			if in {
				argv = append(argv, b.String())
				b.Reset()
				in = false
			}
		default:
			in = true
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if in {
		argv = append(argv, b.String())
	}
	return argv, nil
}
