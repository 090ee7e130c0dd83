package gmondconf

import (
	"strconv"
	"strings"
)

// escapes are those of one letter.
var escapes = map[byte]byte{'n': '\n', 'r': '\r', 'b': '\b', 'f': '\f', 'a': 7, 'e': 27, 't': '\t', 'v': '\v'}

// quoted reads "…" with variables and escapes.
func (l *lexer) quoted(s *source) token {
	at := s.place()
	s.take(1)
	var b strings.Builder
	for len(s.rest()) > 0 && b.Len() <= maxText {
		rest := s.rest()
		if n := variable(rest); n > 0 {
			b.WriteString(l.expand(s.take(n)))
			continue
		}
		switch {
		case rest[0] == '"':
			s.take(1)
			return l.bounded(token{word, b.String(), at})
		case rest[0] == '\\' && len(rest) > 1:
			if !l.escape(s, &b) {
				return token{kind: unending, at: at}
			}
		default:
			b.WriteString(s.take(1))
		}
	}
	return l.unclosed(at, `"`, b.Len())
}

// escape reads what a backslash begins. It is false, with a fault, when libconfuse stops at it.
func (l *lexer) escape(s *source, b *strings.Builder) bool {
	at, rest := s.place(), s.rest()[1:]
	switch c := rest[0]; {
	case c == '\n':
		s.take(2)
	case c >= '0' && c <= '9':
		n := span(rest, len(rest), "0123456789")
		octal := span(rest, 3, "01234567")
		value, err := strconv.ParseUint(string(rest[:octal]), 8, 8)
		if n > octal || err != nil {
			l.stop(at, "\\%.20s: want an octal number of at most three digits, up to \\377", rest[:n])
			return false
		}
		s.take(1 + octal)
		b.WriteByte(byte(value))
	case c == 'x' && span(rest[1:], 2, hexDigits) > 0:
		n := span(rest[1:], 2, hexDigits)
		value, _ := strconv.ParseUint(string(rest[1:1+n]), 16, 8) // one or two digits
		s.take(2 + n)
		b.WriteByte(byte(value))
	default:
		s.take(2)
		if e, ok := escapes[c]; ok {
			c = e
		}
		b.WriteByte(c)
	}
	return true
}

const hexDigits = "0123456789abcdefABCDEF"

// span is how many of the first bytes of b are in set, at most most.
func span(b []byte, most int, set string) (n int) {
	for n < len(b) && n < most && strings.IndexByte(set, b[n]) >= 0 {
		n++
	}
	return n
}
