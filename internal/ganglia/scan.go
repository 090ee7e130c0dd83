package ganglia

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Why a document is refused whole.
var (
	ErrEntity    = errors.New("the document defines entities")
	ErrTooLarge  = errors.New("the document is larger than allowed")
	ErrTruncated = errors.New("the document ends before </GANGLIA_XML>")
	ErrForeign   = errors.New("this is no document of gmond or gmetad")
)

const (
	maxTag        = 64 << 10 // bytes of one tag
	maxDoctype    = 16 << 10
	maxAttributes = 24
	readChunk     = 128 << 10
)

// tag is one start or end of an element. Its bytes are valid until the next call of scanner.next.
type tag struct {
	name   string // one of the known ones
	end    bool   // </name>
	closed bool   // <name/>
	broken string // why its attributes are not all there; empty: they are
	attrs  []attr
}

// attr is one attribute as it is written.
type attr struct{ key, value []byte }

// scanner cuts a document into tags by rules of its own: gmond writes names unescaped and cuts long lines, gmetad
// escapes nothing, so much of what is found in the field is no XML. What is between tags is skipped. It holds one
// buffer, whatever comes.
type scanner struct {
	r      io.Reader
	buf    []byte
	pos    int // of what is not scanned yet
	eof    bool
	failed error // of r, once buf is used up
	bytes  int64 // read from r
	limit  int64
	line   int // of pos, from 1
	value  int // most bytes of an attribute
	twice  bool
	tag    tag
	empty  int // reads in a row that gave nothing
}

// next gives the next tag; nil, nil at the end of the document.
func (s *scanner) next() (*tag, error) {
	for {
		if !s.toLess() {
			return nil, s.failed
		}
		s.ensure(len("<EXTRA_ELEMENT") + 1)
		rest := s.buf[s.pos:]
		if len(rest) > 1 && (rest[1] == '!' || rest[1] == '?') {
			if err := s.declaration(rest); err != nil {
				return nil, err
			}
			continue
		}
		name, end := known(rest)
		if name == "" {
			s.advance(1)
			continue
		}
		s.tag = tag{name: name, end: end, attrs: s.tag.attrs[:0]}
		if end {
			s.advance(len("</") + len(name) + len(">"))
			return &s.tag, nil
		}
		s.attributes(1 + len(name))
		return &s.tag, nil
	}
}

// toLess goes to the next '<'.
func (s *scanner) toLess() bool {
	for {
		if i := bytes.IndexByte(s.buf[s.pos:], '<'); i >= 0 {
			s.advance(i)
			return true
		}
		s.advance(len(s.buf) - s.pos)
		if !s.fill() {
			return false
		}
	}
}

func (s *scanner) advance(n int) {
	s.line += bytes.Count(s.buf[s.pos:s.pos+n], newline)
	s.pos += n
}

var newline = []byte{'\n'}

// ensure reads until n bytes are there from pos on, or the end.
func (s *scanner) ensure(n int) {
	for len(s.buf)-s.pos < n && s.fill() {
	}
}

// fill reads more behind what is there; false at the end.
func (s *scanner) fill() bool {
	if s.eof {
		return false
	}
	if s.pos > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[s.pos:])]
		s.pos = 0
	}
	if cap(s.buf)-len(s.buf) < readChunk/2 {
		s.buf = append(make([]byte, 0, len(s.buf)+readChunk), s.buf...)
	}
	n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	s.bytes += int64(n)
	if n > 0 {
		s.empty = 0
	} else if s.empty++; err == nil && s.empty > 100 {
		err = io.ErrNoProgress
	}
	switch {
	case s.bytes > s.limit:
		s.eof, s.failed = true, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, s.limit)
	case errors.Is(err, io.EOF):
		s.eof = true
	case err != nil:
		s.eof, s.failed = true, err
	}
	return n > 0 || !s.eof
}

// names are the elements of the document.
var names = [...]string{"GANGLIA_XML", "GRID", "CLUSTER", "HOST", "HOSTS", "METRIC", "METRICS", "EXTRA_DATA", "EXTRA_ELEMENT"}

// known gives the name of the element that b, which begins with '<', starts or ends; empty: none.
func known(b []byte) (name string, end bool) {
	if len(b) < 2 {
		return "", false
	}
	b = b[1:]
	if b[0] == '/' {
		b, end = b[1:], true
	}
	n := 0
	for n < len(b) && (b[n] >= 'A' && b[n] <= 'Z' || b[n] == '_') {
		n++
	}
	if n < 4 || n == len(b) {
		return "", false
	}
	switch c := b[n]; {
	case c == '>':
	case !end && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '/'):
	default:
		return "", false
	}
	for _, name := range names {
		if name == string(b[:n]) {
			return name, end
		}
	}
	return "", false
}

// declaration skips what begins with <? or <!.
func (s *scanner) declaration(rest []byte) error {
	switch {
	case bytes.HasPrefix(rest, []byte("<?")):
		s.skipPast("?>")
	case bytes.HasPrefix(rest, []byte("<!--")):
		s.ensure(len(twiceMark))
		s.twice = s.twice || bytes.HasPrefix(s.buf[s.pos:], []byte(twiceMark))
		s.skipPast("-->")
	case bytes.HasPrefix(rest, []byte("<!ENTITY")):
		return ErrEntity
	case bytes.HasPrefix(rest, []byte("<!DOCTYPE")):
		return s.doctype()
	default:
		s.advance(2)
	}
	return nil
}

func (s *scanner) skipPast(end string) {
	for {
		if i := bytes.Index(s.buf[s.pos:], []byte(end)); i >= 0 {
			s.advance(i + len(end))
			return
		}
		s.advance(max(len(s.buf)-s.pos-len(end), 0))
		if !s.fill() {
			s.advance(len(s.buf) - s.pos)
			return
		}
	}
}

// doctype skips the document type, which may not define entities.
func (s *scanner) doctype() error {
	for n := 512; ; n *= 2 {
		s.ensure(n)
		d := s.buf[s.pos:]
		end := bytes.IndexByte(d, '>')
		if open := bytes.IndexByte(d, '['); open >= 0 && open < end {
			if end = bytes.Index(d, []byte("]>")); end >= 0 {
				end++
			}
		}
		if end >= 0 {
			if bytes.Contains(d[:end], []byte("<!ENTITY")) {
				return ErrEntity
			}
			s.advance(end + 1)
			return nil
		}
		if n > maxDoctype || len(d) < n {
			return fmt.Errorf("%w: its document type does not end within %d bytes", ErrForeign, min(len(d), maxDoctype))
		}
	}
}

// attributes reads the attributes of the tag at pos, whose name ends n bytes on, and goes past it. Of a broken tag
// it keeps those before the break and goes to where the next one may begin.
func (s *scanner) attributes(n int) {
	for {
		s.tag.attrs = s.tag.attrs[:0]
		p := tagParser{b: s.buf[s.pos:], i: n, final: s.eof, limit: s.value, attrs: s.tag.attrs}
		p.run()
		s.tag.attrs, s.tag.closed, s.tag.broken = p.attrs, p.closed, p.broken
		if p.broken == "" && p.short {
			if len(p.b) < maxTag && (s.fill() || !p.final) {
				continue // fill has found the end or more
			}
			s.tag.broken = "it does not end"
		}
		if s.tag.broken == "" {
			s.advance(p.i)
			return
		}
		s.keep()
		s.resume()
		return
	}
}

// keep copies the attributes, as the buffer is about to move.
func (s *scanner) keep() {
	for i := range s.tag.attrs {
		a := &s.tag.attrs[i]
		a.key, a.value = bytes.Clone(a.key), bytes.Clone(a.value)
	}
}

// resume goes from the start of a broken tag to the end of its line, or to the next known tag if that comes first.
func (s *scanner) resume() {
	s.advance(1)
	for {
		rest := s.buf[s.pos:]
		i := bytes.IndexAny(rest, "<\n")
		if i < 0 {
			s.advance(len(rest))
			if !s.fill() {
				return
			}
			continue
		}
		s.advance(i)
		if s.buf[s.pos] == '\n' {
			return
		}
		s.ensure(len("</EXTRA_ELEMENT") + 1)
		if name, _ := known(s.buf[s.pos:]); name != "" {
			return
		}
		s.advance(1)
	}
}
