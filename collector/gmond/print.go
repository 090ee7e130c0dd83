package gmond

import (
	"math"
	"strconv"
)

// verb is what a printf format of the wire asks for.
type verb uint8

const (
	byID    verb = iota // a format that is not read here: the value's own
	nothing             // the empty format
	literal             // no directive in it
	fixed               // %f, %.Nf
	unsigned
	signed
	ushort
	short
	plain // %s
)

const (
	plainDecimals = 6  // of %f
	maxPrinted    = 15 // decimals, however many a format asks for
)

// parseFormat reads the formats that gmond's own metrics have: %s, %u, %d, %hu, %hd, %f, %.Nf, and text without a
// directive. gmond hands any format to printf, where one of the wrong type ends it or tells what its memory holds.
func parseFormat(f []byte) (verb, int) {
	switch string(f) {
	case "":
		return nothing, 0
	case "%f":
		return fixed, plainDecimals
	case "%u":
		return unsigned, 0
	case "%d":
		return signed, 0
	case "%hu":
		return ushort, 0
	case "%hd":
		return short, 0
	case "%s":
		return plain, 0
	}
	if len(f) >= 3 && len(f) <= 5 && f[0] == '%' && f[1] == '.' && f[len(f)-1] == 'f' {
		n := 0
		for _, c := range f[2 : len(f)-1] {
			if c < '0' || c > '9' {
				return byID, 0
			}
			n = n*10 + int(c-'0')
		}
		return fixed, n
	}
	for _, c := range f {
		if c == '%' {
			return byID, 0
		}
	}
	return literal, 0
}

// AppendPrinted appends the value of p as gmond's XML has it, before any escaping: a string as it came, a number by
// the packet's format as C's printf would print it. A format that does not fit the value, or that is none of those
// that gmond's own metrics have, prints the value in full instead. An empty format prints nothing.
func AppendPrinted(dst []byte, p *Packet) []byte {
	v, decimals := parseFormat(p.Format)
	if v == literal && p.ID != ValueString {
		return append(dst, p.Format...)
	}
	return appendPrinted(dst, p.ID, v, decimals, p.Number, p.Text)
}

// appendPrinted prints all but a literal format.
func appendPrinted(dst []byte, id ID, v verb, decimals int, number float64, text []byte) []byte {
	whole := id == ValueUshort || id == ValueShort || id == ValueInt || id == ValueUint
	switch {
	case id == ValueString:
		return append(dst, text...)
	case v == nothing:
		return dst
	case !whole && v == fixed:
		return appendFixed(dst, number, min(decimals, maxPrinted))
	case !whole:
		return appendFixed(dst, number, plainDecimals)
	}
	n := int64(number)
	switch v {
	case unsigned:
		n = int64(uint32(n))
	case signed:
		n = int64(int32(n))
	case ushort:
		n = int64(uint16(n))
	case short:
		n = int64(int16(n))
	}
	return strconv.AppendInt(dst, n, 10)
}

func appendFixed(dst []byte, v float64, decimals int) []byte {
	switch {
	case v != v:
		return append(dst, "nan"...)
	case math.IsInf(v, 1):
		return append(dst, "inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, v, 'f', decimals, 64)
}
