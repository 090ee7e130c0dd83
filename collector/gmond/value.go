package gmond

import (
	"math"
	"strconv"
)

// maxDecimals bounds the precision to which a value is rounded; a format that asks for more leaves it as it is.
const maxDecimals = 9

var powersOf10 = [maxDecimals + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// round gives a value as its sender would print it, which is how gmond's XML and everything fed by it knows it: a
// load of 0.21 travels as the float 0.20999999344348907. Where the format names no decimals, a float is the shortest
// decimal that means it.
func round(number float64, id ID, v verb, decimals int) float64 {
	if id != ValueFloat && id != ValueDouble || math.Abs(number) >= 1e15 || number != number {
		return number
	}
	bits := 64
	if v != fixed || decimals > maxDecimals {
		if decimals = -1; id == ValueFloat {
			bits = 32
		}
	} else if r, ok := roundFast(number, id, powersOf10[decimals]); ok {
		return r
	}
	var buf [40]byte
	r, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], number, 'f', decimals, bits)), 64)
	if err != nil {
		return number
	}
	return r
}

// roundFast rounds without printing where the result is surely the same. A float has 24 bits and a power of ten up to
// 9 has 21 beside its powers of two: their product is exact, and so is the division of two whole numbers below 2^53
// to the nearest. The product of a double is not exact, but below 2^30 so near that only halves need a second look.
func roundFast(number float64, id ID, power float64) (float64, bool) {
	product := number * power
	switch size := math.Abs(product); {
	case size >= 1<<53:
		return 0, false
	case id == ValueFloat:
	case size >= 1<<30 || math.Abs(size-math.Floor(size)-0.5) < 1e-6:
		return 0, false
	}
	return math.RoundToEven(product) / power, true
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// typeOf is the type of metadata that goes with the message of a value.
func typeOf(id ID) string {
	switch id {
	case ValueUshort:
		return "uint16"
	case ValueShort:
		return "int16"
	case ValueInt:
		return "int32"
	case ValueUint:
		return "uint32"
	case ValueFloat:
		return "float"
	case ValueDouble:
		return "double"
	}
	return "string"
}
