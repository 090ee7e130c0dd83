package ganglia

import (
	"strconv"
	"unicode/utf8"
)

// spelling is how a text stands in an attribute. What is written is ASCII only, and well-formed whatever the text.
type spelling uint8

const (
	// inName is of names, which gmetad makes files of and finds by paths that know no escapes: what would need one,
	// and '/', becomes "_".
	inName spelling = iota

	// once is as XML has it.
	once

	// twice is for gmetad, which resolves what is escaped and writes it out as it is then: an escape within the
	// escape leaves its own XML well-formed, and who reads that sees the text.
	twice
)

// appendText appends at most limit bytes of s, no character in part.
func appendText(dst []byte, s string, as spelling, limit int) []byte {
	if len(s) <= limit && plain(s) {
		return append(dst, s...)
	}
	end := len(dst) + limit
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			r = rune(s[i]) // ISO 8859-1
		}
		i += n
		before := len(dst)
		if dst = appendRune(dst, r, as); len(dst) > end {
			return dst[:before]
		}
	}
	return dst
}

// plain texts need no change in any spelling.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c > 0x7e, c == '&', c == '<', c == '>', c == '"', c == '\'', c == '/':
			return false
		}
	}
	return true
}

func appendRune(dst []byte, r rune, as spelling) []byte {
	entity := ""
	switch {
	case r < 0x20, r == 0x7f:
		return append(dst, ' ')
	case r == 0xfffe, r == 0xffff:
		return append(dst, '?') // no characters of XML
	case r == '&':
		entity = "amp;"
	case r == '<':
		entity = "lt;"
	case r == '>':
		entity = "gt;"
	case r == '"':
		entity = "quot;"
	case r == '\'':
		entity = "apos;"
	case r == '/' && as == inName:
		return append(dst, '_')
	case r < 0x7f:
		return append(dst, byte(r))
	}
	switch as {
	case inName:
		return append(dst, '_')
	case twice:
		dst = append(dst, "&amp;"...)
	default:
		dst = append(dst, '&')
	}
	if entity != "" {
		return append(dst, entity...)
	}
	return append(strconv.AppendInt(append(dst, '#'), int64(r), 10), ';')
}
