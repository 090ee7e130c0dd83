package gmond

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// What gmond takes at most, in bytes: a longer datagram is cut on receipt and then refused whole. Metadata and
// requests are encoded by gmond into what an Ethernet frame carries (GANGLIA_MAX_MESSAGE_LEN less the headers).
const (
	MaxMetadata = 1464
	MaxValue    = 1472
)

// ErrEncode is a packet that cannot be sent as it is: too long, with a NUL in a string, with a number that its message
// cannot carry, or of another message than the function writes.
var ErrEncode = errors.New("cannot encode gmond packet")

// AppendMetadata appends the Metadata message of p. On an error, which is ErrEncode, dst is given back as it was.
func AppendMetadata(dst []byte, p *Packet) ([]byte, error) {
	w := writer{b: dst}
	w.head(Metadata, p.Host, p.Name, p.Spoof)
	w.string("type", p.Type)
	w.string("metric name", p.Name)
	w.string("units", p.Units)
	for _, v := range [...]uint32{uint32(p.Slope), p.TMax, p.DMax, uint32(len(p.Extra))} {
		w.u32(v)
	}
	for _, e := range p.Extra {
		w.string("extra name", e.Name)
		w.string("extra value", e.Data)
	}
	return w.done(dst, MaxMetadata, p.Name)
}

// AppendRequest appends a Request: whoever has a metric of that name is to send its metadata. gmond never looks at
// the host, and one with override_hostname answers only where spoof is false.
func AppendRequest(dst, host, name []byte, spoof bool) ([]byte, error) {
	w := writer{b: dst}
	w.head(Request, host, name, spoof)
	return w.done(dst, MaxMetadata, name)
}

// AppendValue appends the value message that p.ID names.
func AppendValue(dst []byte, p *Packet) ([]byte, error) {
	if p.ID <= Metadata || p.ID >= Request {
		return dst, fmt.Errorf("%w: message %d carries no value", ErrEncode, uint32(p.ID))
	}
	w := writer{b: dst}
	w.head(p.ID, p.Host, p.Name, p.Spoof)
	w.string("format", p.Format)
	switch p.ID {
	case ValueUshort:
		w.u32(uint32(w.integer(p.Number, 0, math.MaxUint16)))
	case ValueShort:
		w.u32(uint32(w.integer(p.Number, math.MinInt16, math.MaxInt16)))
	case ValueInt:
		w.u32(uint32(w.integer(p.Number, math.MinInt32, math.MaxInt32)))
	case ValueUint:
		w.u32(uint32(w.integer(p.Number, 0, math.MaxUint32)))
	case ValueString:
		w.string("value", p.Text)
	case ValueFloat:
		w.u32(math.Float32bits(float32(p.Number)))
	case ValueDouble:
		bits := math.Float64bits(p.Number)
		w.u32(uint32(bits >> 32))
		w.u32(uint32(bits))
	}
	return w.done(dst, MaxValue, p.Name)
}

// writer appends parts to b. After the first error what it writes does not count.
type writer struct {
	b   []byte
	err error
}

func (w *writer) head(id ID, host, name []byte, spoof bool) {
	w.u32(uint32(id))
	w.string("host", host)
	w.string("metric name", name)
	var s uint32
	if spoof {
		s = 1
	}
	w.u32(s)
}

func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

func (w *writer) string(what string, s []byte) {
	if i := bytes.IndexByte(s, 0); i >= 0 && w.err == nil {
		w.err = fmt.Errorf("%w: NUL in its %s", ErrEncode, what)
	}
	w.u32(uint32(len(s)))
	w.b = append(w.b, s...)
	w.b = append(w.b, "\x00\x00\x00"[:-len(s)&3]...)
}

func (w *writer) integer(v float64, low, high int64) int64 {
	if !(v >= float64(low) && v <= float64(high)) || v != math.Trunc(v) {
		if w.err == nil {
			w.err = fmt.Errorf("%w: value %v, want a whole number from %d to %d", ErrEncode, v, low, high)
		}
		return 0
	}
	return int64(v)
}

func (w *writer) done(dst []byte, limit int, name []byte) ([]byte, error) {
	switch n := len(w.b) - len(dst); {
	case w.err != nil:
		return dst, w.err
	case n > limit:
		return dst, fmt.Errorf("%w: %d bytes of metric %.40q, gmond takes %d", ErrEncode, n, name, limit)
	}
	return w.b, nil
}
