package ganglia

import (
	"bytes"
	"unicode/utf8"
)

// tagParser reads the attributes of one start tag.
type tagParser struct {
	b      []byte // from the tag's '<' on
	i      int
	final  bool // nothing follows b
	limit  int
	attrs  []attr
	closed bool
	short  bool   // b ends within the tag
	broken string // what is wrong
}

func (p *tagParser) run() {
	for {
		for p.i < len(p.b) && blank(p.b[p.i]) {
			p.i++
		}
		switch {
		case p.i+1 >= len(p.b) && (p.i >= len(p.b) || p.b[p.i] != '>'):
			p.short = true
			return
		case p.b[p.i] == '>':
			p.i++
			return
		case p.b[p.i] == '/' && p.b[p.i+1] == '>':
			p.i += 2
			p.closed = true
			return
		}
		if !p.attribute() {
			return
		}
	}
}

// attribute reads one KEY="value".
func (p *tagParser) attribute() bool {
	n := keyLen(p.b[p.i:])
	switch {
	case p.i+n+1 >= len(p.b):
		p.short = true
		return false
	case n == 0 || p.b[p.i+n] != '=' || p.b[p.i+n+1] != '"':
		p.broken = "it is no list of attributes"
		return false
	case len(p.attrs) == maxAttributes:
		p.broken = "it has too many attributes"
		return false
	}
	key := p.b[p.i : p.i+n]
	from := p.i + n + 2
	for at := from; ; {
		i := bytes.IndexByte(p.b[at:], '"')
		if i < 0 {
			p.unended(p.b[from:])
			return false
		}
		if p.torn(p.b[at : at+i]) {
			return false
		}
		at += i
		if at-from > p.limit {
			p.broken = "one of its attributes is too long"
			return false
		}
		ends, known := p.ends(at + 1)
		if !known {
			p.short = true
			return false
		}
		if ends {
			p.i = at + 1
			return p.add(key, p.b[from:at])
		}
		at++
	}
}

// add keeps an attribute. One that is there twice shows a name with quotes in it that looks like markup: none of
// the two can be believed.
func (p *tagParser) add(key, value []byte) bool {
	for _, a := range p.attrs {
		if bytes.Equal(a.key, key) {
			p.broken = "it has an attribute twice"
			return false
		}
	}
	p.attrs = append(p.attrs, attr{key, value})
	return true
}

// unended judges the beginning of a value whose end is not there.
func (p *tagParser) unended(value []byte) {
	switch {
	case p.torn(value):
	case len(value) > p.limit:
		p.broken = "one of its attributes is too long"
	default:
		p.short = true
	}
}

// torn tells a value in which the line ends or another element begins: its line was cut.
func (p *tagParser) torn(value []byte) bool {
	if bytes.IndexByte(value, '\n') >= 0 {
		p.broken = "its line ends within an attribute"
		return true
	}
	for at := 0; ; at++ {
		i := bytes.IndexByte(value[at:], '<')
		if i < 0 {
			return false
		}
		at += i
		if name, _ := known(value[at:]); name != "" {
			p.broken = "another element begins within an attribute"
			return true
		}
	}
}

// ends tells whether a quote before i ends its value: another attribute follows, or the tag ends and so does the
// line, or the next element begins. A quote within a name is followed by something else. Unknown: b is too short.
func (p *tagParser) ends(i int) (ends, known bool) {
	b := p.b[i:]
	n := 0
	for n < len(b) && blank(b[n]) {
		n++
	}
	rest := b[n:]
	if len(rest) == 0 {
		return false, p.final
	}
	switch c := rest[0]; {
	case c == '/' && len(rest) == 1:
		return false, p.final
	case c == '/' && rest[1] == '>':
		return follows(rest[2:], p.final)
	case c == '>':
		return follows(rest[1:], p.final)
	case n == 0:
		return false, true
	}
	k := keyLen(rest)
	if k+1 >= len(rest) && k < maxKey {
		return false, p.final
	}
	return k > 0 && k+1 < len(rest) && rest[k] == '=' && rest[k+1] == '"', true
}

// follows tells whether what is behind a tag's end fits: nothing, the end of the line, or another element.
func follows(b []byte, final bool) (fits, known bool) {
	for _, c := range b {
		switch {
		case c == '<' || c == '\n':
			return true, true
		case !blank(c):
			return false, true
		}
	}
	return final, final
}

const maxKey = 16

// keyLen is the length of the attribute name that b begins with.
func keyLen(b []byte) int {
	n := 0
	for n < len(b) && n <= maxKey && (b[n] >= 'A' && b[n] <= 'Z' || b[n] == '_') {
		n++
	}
	return n
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// resolve appends value with its escapes resolved: those of XML, and the one that gmond makes of bytes from 127 on,
// "&#", a byte, a digit, ";" (the byte counts tens from '0', modulo 256). What is no escape stays as it is.
func resolve(dst, value []byte) []byte {
	for {
		i := bytes.IndexByte(value, '&')
		if i < 0 {
			return append(dst, value...)
		}
		dst = append(dst, value[:i]...)
		value = value[i:]
		end, known := bytes.IndexByte(value[:min(len(value), 12)], ';'), false
		if end > 1 {
			dst, known = appendEntity(dst, value[1:end])
		}
		if !known {
			dst, end = append(dst, '&'), 0
		}
		value = value[end+1:]
	}
}

// appendEntity appends what "&e;" stands for, if that is known.
func appendEntity(dst, e []byte) ([]byte, bool) {
	switch string(e) {
	case "amp":
		return append(dst, '&'), true
	case "lt":
		return append(dst, '<'), true
	case "gt":
		return append(dst, '>'), true
	case "quot":
		return append(dst, '"'), true
	case "apos":
		return append(dst, '\''), true
	}
	if e[0] != '#' || len(e) < 2 {
		return dst, false
	}
	e = e[1:]
	if len(e) == 2 && (e[0] < '0' || e[0] > '9') && e[0]|0x20 != 'x' && e[1] >= '0' && e[1] <= '9' {
		return append(dst, 10*(e[0]-'0')+e[1]-'0'), true
	}
	r, ok := codePoint(e)
	if !ok {
		return dst, false
	}
	if r < utf8.RuneSelf {
		return append(dst, byte(r)), true
	}
	return utf8.AppendRune(dst, r), true
}

func codePoint(e []byte) (rune, bool) {
	base := rune(10)
	if e[0]|0x20 == 'x' {
		base, e = 16, e[1:]
	}
	if len(e) == 0 {
		return 0, false
	}
	var r rune
	for _, c := range e {
		var d rune
		switch {
		case c >= '0' && c <= '9':
			d = rune(c - '0')
		case base == 16 && c|0x20 >= 'a' && c|0x20 <= 'f':
			d = rune(c|0x20-'a') + 10
		default:
			return 0, false
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, false
		}
	}
	return r, true
}
