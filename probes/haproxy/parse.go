package haproxy

import (
	"bytes"
	"errors"
	"fmt"
)

// Bounds of what is parsed. A row past maxRows is left out; a table past the others is refused.
const (
	maxRows    = 5000
	maxColumns = 1000
)

// errLeftOut says that something was left out though the answer was whole.
var errLeftOut = errors.New("left out")

// statHeader is how the table of "show stat" begins (HAProxy management guide, 9.1 "CSV format").
const statHeader = "# pxname,"

// split parts the answer to both commands.
func split(reply []byte) (info, stat []byte, err error) {
	i := bytes.Index(reply, []byte(statHeader))
	if i < 0 {
		return nil, nil, fmt.Errorf("the answer %.80q holds no line that begins %q: is this the stats socket of HAProxy 1.5 or newer, and not its master socket?", reply, statHeader)
	}
	if !bytes.HasPrefix(reply, []byte("Name:")) {
		return nil, nil, fmt.Errorf("the answer begins %.80q, want \"Name:\" of show info", reply)
	}
	return reply[:i], reply[i:], nil
}

// cutInfo takes one line of "show info" off b: a name, colon, blank, value.
func cutInfo(b []byte) (name, value, rest []byte) {
	line, rest, _ := bytes.Cut(b, []byte{'\n'})
	name, value, _ = bytes.Cut(line, []byte(": "))
	return name, bytes.TrimSpace(value), rest
}

// row is one line of the table: the value of each column of columns.go, nil for what the table lacks. The values
// point into the parsed bytes.
type row struct {
	at [nColumns][]byte
}

// table reads the CSV of "show stat". Columns are found by the names in its first line, for their order and number
// differ between versions.
type table struct {
	header []byte // the last one seen
	places []int  // place in the table → column, or -1
	rows   int
}

// begin reads the first line. The rest are rows.
func (t *table) begin(b []byte) (rows []byte, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, errors.New("the table of show stat is cut short in its first line")
	}
	header, rows := b[:i], b[i+1:]
	t.rows = 0
	if bytes.Equal(header, t.header) {
		return rows, nil
	}
	index := columnIndex()
	names := bytes.Split(bytes.TrimPrefix(header, []byte("# ")), []byte{','})
	if len(names) > maxColumns {
		return nil, fmt.Errorf("the table of show stat has %d columns, at most %d", len(names), maxColumns)
	}
	places := make([]int, len(names))
	found := make(map[int]bool)
	for i, n := range names {
		c, ok := index[string(n)]
		if !ok || found[c] {
			c = -1
		} else {
			found[c] = true
		}
		places[i] = c
	}
	for _, c := range []int{colProxy, colServer, colType, colStatus} {
		if !found[c] {
			return nil, fmt.Errorf("the table of show stat lacks the column %q", columnName(c))
		}
	}
	t.header, t.places = bytes.Clone(header), places
	return rows, nil
}

// next takes one row off b. The empty line that ends the table gives a row without values.
func (t *table) next(b []byte, r *row) (rest []byte, err error) {
	*r = row{}
	if b[0] == '\n' {
		return b[1:], nil
	}
	t.rows++
	for place := 0; ; place++ {
		var value []byte
		var end bool
		if value, b, end, err = cutCSV(b); err != nil {
			return nil, fmt.Errorf("the table of show stat, row %d, field %d: %w", t.rows, place+1, err)
		}
		if place < len(t.places) && t.places[place] >= 0 {
			r.at[t.places[place]] = value
		}
		if end {
			return b, nil
		}
		if place >= maxColumns {
			return nil, fmt.Errorf("the table of show stat, row %d: more than %d fields", t.rows, maxColumns)
		}
	}
}

// cutCSV takes one field off b, with the comma or, then end is true, the newline after it. A field in double quotes
// may hold both; two double quotes in it are one (RFC 4180).
func cutCSV(b []byte) (field, rest []byte, end bool, err error) {
	if len(b) > 0 && b[0] == '"' {
		return cutQuoted(b[1:])
	}
	for i, c := range b {
		if c == ',' || c == '\n' {
			return b[:i], b[i+1:], c == '\n', nil
		}
	}
	return nil, nil, false, errors.New("cut short")
}

func cutQuoted(b []byte) (field, rest []byte, end bool, err error) {
	var doubled []byte // what comes before the last doubled quote
	for {
		i := bytes.IndexByte(b, '"')
		if i < 0 || i+1 >= len(b) {
			return nil, nil, false, errors.New("cut short in quotes")
		}
		if b[i+1] == '"' {
			doubled = append(doubled, b[:i+1]...)
			b = b[i+2:]
			continue
		}
		field = b[:i]
		if doubled != nil {
			field = append(doubled, field...)
		}
		if c := b[i+1]; c == ',' || c == '\n' {
			return field, b[i+2:], c == '\n', nil
		}
		return nil, nil, false, fmt.Errorf("want a comma after the quotes, have %q", b[i+1])
	}
}

// parseNumber reads an integer as HAProxy writes it; a sign is allowed.
func parseNumber(b []byte) (float64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var v float64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + float64(c-'0')
	}
	if negative {
		v = -v
	}
	return v, true
}
