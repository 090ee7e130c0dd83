package gmond

import (
	"bytes"
	"math"
	"strconv"
)

// class is what a metadata type means for us.
type class uint8

const (
	byMessage class = iota // a type that gmond does not know: the message decides
	textual
	integer
	floating
)

// classOf reads a metadata type (libgmond.c; gmetad adds timestamp).
func classOf(typ []byte) class {
	switch string(typ) {
	case "string":
		return textual
	case "int8", "uint8", "int16", "uint16", "int32", "uint32", "timestamp":
		return integer
	case "float", "double":
		return floating
	}
	return byMessage
}

// maxDecimals bounds the precision that a packet's format may ask for.
const maxDecimals = 9

// round gives a value as its sender would print it, which is how gmond's XML and everything fed by it knows it: a
// load of 0.21 travels as the float 0.20999999344348907.
func round(v float64, format []byte, id ID) float64 {
	if id != ValueFloat && id != ValueDouble || math.Abs(v) >= 1e15 || v != v {
		return v
	}
	var buf [40]byte
	decimals, ok := decimalsOf(format)
	bits := 64
	if !ok {
		if decimals = -1; id == ValueFloat {
			bits = 32
		}
	}
	r, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], v, 'f', decimals, bits)), 64)
	if err != nil {
		return v
	}
	return r
}

// decimalsOf reads "%.Nf" and "%f". Every other format says nothing about decimals.
func decimalsOf(format []byte) (int, bool) {
	if string(format) == "%f" {
		return 6, true
	}
	if len(format) != 4 || format[0] != '%' || format[1] != '.' || format[3] != 'f' {
		return 0, false
	}
	n := int(format[2]) - '0'
	return n, n >= 0 && n <= maxDecimals
}

// number reads a number that came as text, as gmetric sends all of them. gmetric judges by strtod, so hexadecimal
// passes; "nan" and "inf" pass there and are no numbers here.
func number(s []byte) (float64, bool) {
	s = bytes.TrimSpace(s)
	if len(s) == 0 || len(s) > 64 || bytes.IndexByte(s, '_') >= 0 {
		return 0, false
	}
	if bytes.HasPrefix(s, []byte("0x")) || bytes.HasPrefix(s, []byte("0X")) {
		if v, err := strconv.ParseUint(string(s[2:]), 16, 64); err == nil {
			return float64(v), true
		}
	}
	v, err := strconv.ParseFloat(string(s), 64)
	if err != nil || !finite(v) {
		return 0, false
	}
	return v, true
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
