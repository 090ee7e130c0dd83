package ganglia

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Limits bound what ReadDocument takes. A zero field means its default.
type Limits struct {
	Bytes     int64 // of the document, unpacked; default 1 GiB
	Held      int64 // of memory for what it tells, about; default 512 MiB
	Hosts     int   // default 100,000
	Attribute int   // bytes of one attribute; a tag with a longer one is left out; default 16 KiB
	Depth     int   // grids within grids; default 8
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 1 << 30
	}
	if l.Held <= 0 {
		l.Held = 512 << 20
	}
	if l.Hosts <= 0 {
		l.Hosts = 100_000
	}
	if l.Attribute <= 0 {
		l.Attribute = 16 << 10
	}
	l.Attribute = min(l.Attribute, maxTag/2)
	if l.Depth <= 0 {
		l.Depth = 8
	}
	return l
}

// Fault is a place in a document that was left out.
type Fault struct {
	Line                  int
	Cluster, Host, Metric string // as far as they are known
	What                  string // which element, and why
}

// String says it for a log.
func (f Fault) String() string {
	return fmt.Sprintf("line %d: host %q, metric %q: %s", f.Line, f.Host, f.Metric, f.What)
}

// Report says what was in a document beyond its tree.
type Report struct {
	Bytes          int64 // unpacked
	Gzip           bool
	Hosts, Metrics int
	Faults         int     // places left out
	First          []Fault // the first of them, at most 16
}

const maxFaults = 16

// ReadDocument reads what a gmond or gmetad tells, plain or gzipped. It forgives what they do wrong: an element that
// cannot be read is left out and told in the Report, and the next one counts again. An error means that the document
// ended early (ErrTruncated, or the error of r), defines entities (ErrEntity), is none of Ganglia's (ErrForeign) or
// passes a limit (ErrTooLarge); the Document then holds what came before it, nil when that is nothing. All strings
// are valid UTF-8; they may hold control characters. Extras are shared between metrics.
func ReadDocument(r io.Reader, lim Limits) (*Document, *Report, error) {
	lim = lim.orDefault()
	b := newBuilder(lim)
	br := bufio.NewReaderSize(r, 512)
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		b.report.Gzip = true
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, b.report, fmt.Errorf("%w: %w", ErrForeign, err)
		}
		r = z
	} else {
		r = br
	}
	s := &scanner{r: r, limit: lim.Bytes, line: 1, value: lim.Attribute}
	err := b.read(s)
	b.report.Bytes = s.bytes
	return b.document(), b.report, err
}

// read takes tags until the document ends.
func (b *builder) read(s *scanner) error {
	for {
		t, err := s.next()
		switch {
		case err != nil && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum)):
			return fmt.Errorf("%w: %w", ErrTruncated, err)
		case err != nil:
			return err
		case t == nil && b.doc == nil:
			return ErrForeign
		case t == nil && !b.ended:
			return ErrTruncated
		case t == nil:
			return nil
		}
		b.line, b.twice = s.line, s.twice
		if b.doc == nil && t.name != "GANGLIA_XML" {
			return fmt.Errorf("%w: it begins with <%s>", ErrForeign, t.name)
		}
		if t.end {
			b.end(t.name)
			continue
		}
		if err := b.start(t); err != nil {
			return err
		}
		if t.closed {
			b.end(t.name)
		}
	}
}
