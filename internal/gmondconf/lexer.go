package gmondconf

import (
	"bytes"
	"fmt"
	"strings"

	"keepwatch/internal/report"
)

// kind is what a token is: one of libconfuse's.
type kind byte

const (
	end      kind = iota // of all input
	word                 // quoted or not, with variables expanded
	comment              // which libconfuse takes only where a key may stand
	appends              // +=
	symbol               // one of { } ( ) = ,
	unending             // a string without its closing quote, or what stops the reading
)

type token struct {
	kind kind
	text string // of a word; of a symbol, itself
	at   report.Place
}

// source is one file that is being read.
type source struct {
	file         string
	data         []byte
	at           int // offset
	line, column int
	pending      []string     // files that a pattern stands for, instead of data
	asked        report.Place // the include that they are from
}

// lexer reads tokens from a file and those that it includes, each in its place.
type lexer struct {
	options  Options
	stack    []*source
	order    []string // files in the order of their opening
	included []Include
	bytes    int
	faults   report.Faults
	stopped  bool
}

func newLexer(o Options) *lexer { return &lexer{options: o} }

func (l *lexer) fault(at report.Place, format string, args ...any) {
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, report.Fault{At: at, Text: fmt.Sprintf(format, args...)})
	}
}

// stop ends the reading of everything.
func (l *lexer) stop(at report.Place, format string, args ...any) {
	if !l.stopped {
		l.fault(at, format, args...)
	}
	l.stopped = true
}

// push opens a file; at is what asked for it.
func (l *lexer) push(file string, data []byte, at report.Place) {
	l.bytes += len(data)
	switch {
	case len(data) > MaxFile:
		l.stop(at, "%.200q is larger than %d bytes: it is not read", file, MaxFile)
	case l.bytes > maxBytes:
		l.stop(at, "the files hold more than %d bytes: %.200q is not read", maxBytes, file)
	case len(l.order) >= maxFiles:
		l.stop(at, "more than %d files: %.200q is not read", maxFiles, file)
	case bytes.IndexByte(data, 0) >= 0:
		l.stop(at, "%.200q holds NUL bytes: it is no configuration", file)
	default:
		l.stack = append(l.stack, &source{file: file, data: data, line: 1, column: 1})
		l.order = append(l.order, file)
	}
}

func (s *source) place() report.Place {
	return report.Place{File: s.file, Line: s.line, Column: s.column}
}

func (s *source) rest() []byte { return s.data[s.at:] }

// take moves over n bytes and returns them.
func (s *source) take(n int) string {
	text := string(s.data[s.at : s.at+n])
	s.at += n
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		s.line += strings.Count(text, "\n")
		s.column = len(text) - i
	} else {
		s.column += n
	}
	return text
}

// next is the next token. At the end of an included file the reading goes on behind its include.
func (l *lexer) next() token {
	for !l.stopped && len(l.stack) > 0 {
		s := l.stack[len(l.stack)-1]
		if len(s.pending) > 0 {
			file := s.pending[0]
			s.pending = s.pending[1:]
			l.open(file, s.asked)
			continue
		}
		if len(s.rest()) == 0 && len(l.stack) > 1 {
			l.stack = l.stack[:len(l.stack)-1]
			continue
		}
		if t, ok := l.token(s); ok {
			return t
		}
	}
	return token{kind: end}
}

// token reads one token of s; false when there was none to tell of.
func (l *lexer) token(s *source) (token, bool) {
	at, rest := s.place(), s.rest()
	if len(rest) == 0 {
		return token{kind: end, at: at}, true
	}
	switch c := rest[0]; {
	case c == '#' || bytes.HasPrefix(rest, []byte("//")):
		n := bytes.IndexByte(rest, '\n')
		if n < 0 {
			n = len(rest)
		}
		s.take(n)
		return token{kind: comment, at: at}, true
	case bytes.HasPrefix(rest, []byte("/*")):
		n := len(rest) // without an end it reaches to the end of the file
		if i := bytes.Index(rest[2:], []byte("*/")); i >= 0 {
			n = i + 4
		}
		s.take(n)
		return token{kind: comment, at: at}, true
	case bytes.HasPrefix(rest, []byte("+=")):
		return token{appends, s.take(2), at}, true
	case strings.IndexByte("{}()=,", c) >= 0:
		return token{symbol, s.take(1), at}, true
	case c == '"':
		return l.quoted(s), true
	case c == '\'':
		return l.literal(s), true
	}
	if n := variable(rest); n > 0 {
		return l.bounded(token{word, l.expand(s.take(n)), at}), true
	}
	if n := bare(rest); n > 0 {
		return l.bounded(token{word, s.take(n), at}), true
	}
	s.take(1) // blanks, line ends, and what fits nowhere: a lone + or *
	return token{}, false
}

func (l *lexer) bounded(t token) token {
	if len(t.text) > maxText {
		l.stop(t.at, "a text of more than %d bytes", maxText)
		return token{kind: unending, at: t.at}
	}
	return t
}

// bare is the length of an unquoted word.
func bare(b []byte) int {
	i := bytes.IndexAny(b, " #\"'\t\n\r={}()+,*")
	if i < 0 {
		return len(b)
	}
	return i
}

// variable is the length of ${NAME} at the beginning of b, 0 when there is none.
func variable(b []byte) int {
	if !bytes.HasPrefix(b, []byte("${")) {
		return 0
	}
	return bytes.IndexByte(b, '}') + 1
}

// expand is what ${NAME} or ${NAME:-INSTEAD} stands for: nothing when the variable is not set.
func (l *lexer) expand(text string) string {
	name, instead, given := strings.Cut(text[2:len(text)-1], ":")
	if given {
		if rest, ok := strings.CutPrefix(instead, "-"); ok {
			instead = rest
		} else {
			name, instead = name+":"+instead, ""
		}
	}
	if l.options.Env != nil {
		if value, ok := l.options.Env(name); ok {
			return value
		}
	}
	return instead
}

// literal reads '…', where only \\ and \' and a backslash at the line's end are more than themselves.
func (l *lexer) literal(s *source) token {
	at := s.place()
	s.take(1)
	var b strings.Builder
	for len(s.rest()) > 0 && b.Len() <= maxText {
		switch rest := s.rest(); {
		case rest[0] == '\'':
			s.take(1)
			return l.bounded(token{word, b.String(), at})
		case len(rest) > 1 && rest[0] == '\\' && (rest[1] == '\\' || rest[1] == '\''):
			b.WriteString(s.take(2)[1:])
		case len(rest) > 1 && rest[0] == '\\' && rest[1] == '\n':
			s.take(2)
		default:
			b.WriteString(s.take(1))
		}
	}
	return l.unclosed(at, "'", b.Len())
}

func (l *lexer) unclosed(at report.Place, quote string, length int) token {
	if length > maxText {
		l.stop(at, "a text of more than %d bytes: is its closing %s missing?", maxText, quote)
	} else {
		l.stop(at, "want %s at the end of the text that begins here", quote)
	}
	return token{kind: unending, at: at}
}
