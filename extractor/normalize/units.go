package normalize

import (
	"strings"

	"keepwatch/metric"
)

// Hertz is the base unit of clock rates.
const hertz metric.Unit = "hertz"

// measure is a unit in its base unit.
type measure struct {
	unit  metric.Unit
	scale float64
}

// measures are the unit texts that mean one thing wherever they are used, folded. gmond and its modules count memory
// in units of 1,024 bytes and call them KB. What is missing here means several things (Mb: bits or bytes; m: minutes
// or metres) or counts things (items, CPUs) and stays as it is.
var measures = map[string]measure{
	"%": {metric.Ratio, 0.01}, "percent": {metric.Ratio, 0.01}, "pct": {metric.Ratio, 0.01},

	"byte": {metric.Bytes, 1}, "bytes": {metric.Bytes, 1},
	"kb": {metric.Bytes, 1 << 10}, "kib": {metric.Bytes, 1 << 10}, "kbytes": {metric.Bytes, 1 << 10}, "kilobytes": {metric.Bytes, 1 << 10},
	"mb": {metric.Bytes, 1 << 20}, "mib": {metric.Bytes, 1 << 20}, "mbytes": {metric.Bytes, 1 << 20}, "megabytes": {metric.Bytes, 1 << 20},
	"gb": {metric.Bytes, 1 << 30}, "gib": {metric.Bytes, 1 << 30}, "gbytes": {metric.Bytes, 1 << 30}, "gigabytes": {metric.Bytes, 1 << 30},
	"tb": {metric.Bytes, 1 << 40}, "tib": {metric.Bytes, 1 << 40},

	"bit": {metric.Bits, 1}, "bits": {metric.Bits, 1},

	"s": {metric.Seconds, 1}, "sec": {metric.Seconds, 1}, "secs": {metric.Seconds, 1}, "second": {metric.Seconds, 1}, "seconds": {metric.Seconds, 1},
	"ms": {metric.Seconds, 1e-3}, "msec": {metric.Seconds, 1e-3}, "msecs": {metric.Seconds, 1e-3}, "milliseconds": {metric.Seconds, 1e-3},
	"us": {metric.Seconds, 1e-6}, "µs": {metric.Seconds, 1e-6}, "usec": {metric.Seconds, 1e-6}, "microseconds": {metric.Seconds, 1e-6},
	"ns": {metric.Seconds, 1e-9}, "nsec": {metric.Seconds, 1e-9}, "nanoseconds": {metric.Seconds, 1e-9},
	"min": {metric.Seconds, 60}, "minutes": {metric.Seconds, 60}, "hours": {metric.Seconds, 3600}, "days": {metric.Seconds, 86400},

	"hz": {hertz, 1}, "khz": {hertz, 1e3}, "mhz": {hertz, 1e6}, "ghz": {hertz, 1e9},
	"celsius": {metric.Celsius, 1}, "°c": {metric.Celsius, 1}, "c": {metric.Celsius, 1}, "degrees c": {metric.Celsius, 1},
}

// caseful are texts in which upper and lower case differ in meaning: b is bit to some.
var caseful = map[string]bool{"Kb": true, "kb": true, "Mb": true, "mb": true, "Gb": true, "gb": true, "Tb": true, "tb": true, "S": true, "MS": true}

// baseUnit reads units that a packet brought: value in the base unit = scale × value. False: the text is none that
// means one thing everywhere.
func baseUnit(units string) (metric.Unit, float64, bool) {
	units = strings.TrimSpace(units)
	for _, suffix := range [...]string{"/sec", "/s", " per second"} {
		what, ok := cutFolded(units, suffix)
		if !ok {
			continue
		}
		m, known := measures[strings.ToLower(what)]
		switch {
		case caseful[what]:
			return "", 0, false
		case known && m.unit == metric.Bytes:
			return metric.BytesPerSec, m.scale, true
		case known && m.unit == metric.Bits:
			return metric.BytesPerSec, m.scale / 8, true
		case known:
			return "", 0, false
		}
		return metric.PerSecond, 1, true
	}
	m, ok := measures[strings.ToLower(units)]
	return m.unit, m.scale, ok && !caseful[units]
}

// cutFolded cuts a suffix of ASCII off, in upper or lower case. It is looked for in the text as it came: in lower case
// some letters are longer.
func cutFolded(text, suffix string) (string, bool) {
	at := len(text) - len(suffix)
	if at < 0 || !strings.EqualFold(text[at:], suffix) {
		return text, false
	}
	return text[:at], true
}
