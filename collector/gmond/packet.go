// Package gmond owns Ganglia's own wire, both ways, and what its packets add up to: it decodes and encodes the XDR
// datagrams of gmond and gmetric, joins values with the metadata that names and types them, and tells what gmond's XML
// would say of each host. It never opens a socket, sends, stores on disk or decides whom to believe; datagrams come in
// and go out as bytes. collector/state calls it for every packet from an accepted network, collector/gmondsend for
// what this host sends.
//
// The encoding (Ganglia's gm_protocol.x): everything big endian in units of 4 bytes; a string is its length, its
// bytes and zeros up to a multiple of 4. Every string and count here is as hostile as its sender.
package gmond

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ID is the first word of a datagram (Ganglia_msg_formats in gm_protocol.x).
type ID uint32

// The messages of gmond 3.1 and later. Older ones are below 128, and Heartbeat.
const (
	Metadata    ID = 128
	ValueUshort ID = 129
	ValueShort  ID = 130
	ValueInt    ID = 131
	ValueUint   ID = 132
	ValueString ID = 133
	ValueFloat  ID = 134
	ValueDouble ID = 135
	Request     ID = 136
)

// Slope says how a metric moves (ganglia_slope in ganglia.h).
type Slope uint32

// The slopes on the wire. What is not listed is Unspecified.
const (
	Zero        Slope = 0
	Positive    Slope = 1
	Negative    Slope = 2
	Both        Slope = 3
	Unspecified Slope = 4
	Derivative  Slope = 5
)

// String is the word of gmond's XML.
func (s Slope) String() string {
	switch s {
	case Zero:
		return "zero"
	case Positive:
		return "positive"
	case Negative:
		return "negative"
	case Both:
		return "both"
	case Derivative:
		return "derivative"
	}
	return "unspecified"
}

var (
	// ErrMalformed is a datagram that is cut or whose lengths do not fit.
	ErrMalformed = errors.New("malformed gmond packet")

	// ErrUnknown is a message id that the called decoder does not read.
	ErrUnknown = errors.New("unknown gmond message")
)

// Extra is one key and value of a metadata message: TITLE, DESC, GROUP, SPOOF_HOST, …
type Extra struct {
	Name, Data []byte
}

// Packet is one decoded datagram. Its bytes are those of the datagram.
type Packet struct {
	ID    ID
	Host  []byte // metric_id.host: a name, or "ip:name" when Spoof
	Name  []byte // metric_id.name
	Spoof bool

	// of Metadata
	Type, Units []byte
	Slope       Slope
	TMax, DMax  uint32 // seconds
	Extra       []Extra

	// of values
	Format []byte  // printf directive by which the sender prints the value
	Number float64 // of every value but ValueString
	Text   []byte  // of ValueString

	// Legacy marks a packet of gmond 2.5 to 3.0. It has the fields of Metadata and those of the value that ID says,
	// and no Host unless Spoof: Host is then a bare name and Address the address that goes with it.
	Legacy  bool
	Address []byte

	own  []byte // memory of what a legacy packet means without saying it
	hash uint64 // of the table, once Ahead has made it
}

// Decode reads one datagram into p, whose memory it uses again. Like gmond it accepts bytes behind the message,
// padding that is not zero, any number but 0 as true, and ends a string at its first NUL.
func Decode(datagram []byte, p *Packet) error {
	*p = Packet{Extra: p.Extra[:0], own: p.own}
	r := reader{b: datagram}
	p.ID = ID(r.u32("message id"))
	if r.err == nil && (p.ID < Metadata || p.ID > Request) {
		return fmt.Errorf("%w: id %d", ErrUnknown, uint32(p.ID))
	}
	p.Host, p.Name, p.Spoof = r.string("host"), r.string("metric name"), r.u32("spoof flag") != 0
	switch p.ID {
	case Metadata:
		p.metadata(&r)
	case Request:
	default:
		p.Format = r.string("format")
		p.value(&r)
	}
	return r.err
}

func (p *Packet) metadata(r *reader) {
	p.Type = r.string("type")
	r.string("second metric name") // gmond stores and never uses it
	p.Units = r.string("units")
	p.Slope = Slope(r.u32("slope"))
	if p.Slope > Derivative {
		p.Slope = Unspecified
	}
	p.TMax, p.DMax = r.u32("tmax"), r.u32("dmax")
	n := r.u32("number of extra elements")
	if uint64(n)*8 > uint64(len(r.b)) { // two lengths each
		r.stop("number of extra elements")
		return
	}
	for range n {
		p.Extra = append(p.Extra, Extra{Name: r.string("extra name"), Data: r.string("extra value")})
	}
}

func (p *Packet) value(r *reader) {
	switch p.ID {
	case ValueUshort:
		p.Number = float64(uint16(r.u32("value")))
	case ValueShort:
		p.Number = float64(int16(r.u32("value")))
	case ValueInt:
		p.Number = float64(int32(r.u32("value")))
	case ValueUint:
		p.Number = float64(r.u32("value"))
	case ValueString:
		p.Text = r.string("value")
	case ValueFloat:
		p.Number = float64(math.Float32frombits(r.u32("value")))
	case ValueDouble:
		hi := r.u32("value")
		p.Number = math.Float64frombits(uint64(hi)<<32 | uint64(r.u32("value")))
	}
}

// reader takes parts off the front of b. After the first error every further part is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) stop(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: cut in its %s", ErrMalformed, what)
	}
	r.b = nil
}

func (r *reader) u32(what string) uint32 {
	if len(r.b) < 4 {
		r.stop(what)
		return 0
	}
	v := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

func (r *reader) string(what string) []byte {
	n := uint64(r.u32(what))
	padded := (n + 3) &^ 3
	if padded > uint64(len(r.b)) {
		r.stop(what)
		return nil
	}
	s := r.b[:n]
	r.b = r.b[padded:]
	if i := bytes.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	return s
}
