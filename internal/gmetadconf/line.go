package gmetadconf

import (
	"strings"

	"keepwatch/internal/report"
)

// line is one line with its continuations.
type line struct {
	at   report.Place
	text string
}

// lines joins lines that end in a single backslash with the next one. Where a carriage return stands between backslash
// and line feed dotconf means to, but loses the next line.
func (p *parser) lines(file, text string) (out []line) {
	all := strings.SplitAfter(text, "\n")
	for i := 0; i < len(all); i++ {
		l := line{report.Place{File: file, Line: i + 1, Column: 1}, all[i]}
		for continued(l.text) && len(l.text) <= maxLine {
			l.text = l.text[:strings.LastIndexByte(l.text, '\\')]
			if i++; i == len(all) || all[i] == "" {
				return out // nothing follows: dotconf drops the line
			}
			if !strings.HasSuffix(all[i-1], "\r\n") {
				l.text += all[i]
			}
		}
		if len(l.text) > maxLine {
			p.stop(l.at, "a line of more than %d bytes, which gmetad cannot read", maxLine)
			return out
		}
		out = append(out, l)
	}
	return out
}

func continued(text string) bool {
	text, ended := strings.CutSuffix(text, "\n")
	text, backslash := strings.CutSuffix(strings.TrimSuffix(text, "\r"), `\`)
	return ended && backslash && !strings.HasSuffix(text, `\`)
}

const blank = " \t\n\v\f\r"

// directive takes a line apart; false when there is none on it.
func (p *parser) directive(l line) (d Directive, ok bool) {
	text := strings.TrimLeft(l.text, blank)
	if text == "" || text[0] == '#' {
		return d, false
	}
	d.At = l.at
	d.At.Column += len(l.text) - len(text)
	n := strings.IndexAny(text, blank)
	if n < 0 {
		n = len(text)
	}
	d.Name = strings.ToLower(text[:n])
	rest := strings.TrimLeft(text[n:], blank)
	for {
		arg, after, more := p.argument(&d, rest)
		rest = after
		if !more {
			break
		}
		d.Args = append(d.Args, arg)
	}
	// What is left behind an empty argument is one argument to dotconf, as it is written.
	if rest = strings.TrimLeft(rest, blank); rest != "" && rest[0] != '#' && len(d.Args) > 0 {
		d.Args = append(d.Args, strings.TrimRight(rest, blank))
	}
	return d, true
}

// argument reads one argument. More is false at the end of the line, at a comment and at an empty argument, where
// dotconf stops too. Quotes may begin and end within an argument, and a backslash protects what follows even in them.
func (p *parser) argument(d *Directive, text string) (arg, rest string, more bool) {
	text = strings.TrimLeft(text, blank)
	if text == "" {
		return "", "", false
	}
	var b strings.Builder
	quote, i := byte(0), 0
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		case quote == 0 && c == '#':
			d.Lost = b.String()
			return "", "", false
		case quote == 0 && strings.IndexByte(blank, c) >= 0:
			return p.expand(d.At, b.String()), text[i:], b.Len() > 0
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 { // up to the end of the line, which belongs to it
		return p.expand(d.At, b.String()), "", b.Len() > 0
	}
	return p.expand(d.At, b.String()), "", b.Len() > 0
}

// expand puts values in the place of ${NAME} and ${NAME:-INSTEAD}. The character behind one is taken as it is, so of
// two in a row only the first is replaced, as by dotconf.
func (p *parser) expand(at report.Place, text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if !strings.HasPrefix(text[i:], "${") {
			b.WriteByte(text[i])
			i++
			continue
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			p.fault(at, "%.60q: want } behind ${", text)
			return b.String()
		}
		b.WriteString(p.variable(text[i+2 : i+end]))
		if i += end + 1; i < len(text) {
			b.WriteByte(text[i])
			i++
		}
	}
	return b.String()
}

func (p *parser) variable(text string) string {
	name, instead, _ := strings.Cut(text, ":")
	instead, given := strings.CutPrefix(instead, "-")
	if p.options.Env != nil {
		if value, ok := p.options.Env(name); ok {
			return value
		}
	}
	if !given {
		return ""
	}
	return instead
}
