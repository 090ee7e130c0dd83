package message

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"keepwatch/metric"
	"keepwatch/metric/threshold"
)

// value is the value in the unit that people use. It has more digits where it would else read like a bound that it
// is beyond.
func (f *Facts) value(w *words) string {
	if f.Series.Kind == metric.State && f.Transform != threshold.Rate {
		if word := stateWord(f.Series.Name, f.Value); word != "" {
			return fmt.Sprintf("%s%s", number(f.Value, 3), w.bracket(word))
		}
	}
	for digits := 3; digits < 9; digits++ {
		text := f.human(w, f.Value, digits)
		if !f.readsLikeBound(w, text) {
			return text
		}
	}
	return f.human(w, f.Value, 17)
}

func (f *Facts) readsLikeBound(w *words, text string) bool {
	for _, r := range []threshold.Range{f.Warning, f.Critical} {
		low, high, _ := r.Bounds()
		for _, b := range []*float64{low, high} {
			if b != nil && *b != f.Value && f.human(w, *b, 17) == text {
				return true
			}
		}
	}
	return false
}

// bounds says in words where a range alerts.
func (f *Facts) bounds(w *words, r threshold.Range) string {
	low, high, inside := r.Bounds()
	text := func(v *float64) string { return f.human(w, *v, 17) }
	switch {
	case low == nil && high == nil && inside:
		return w.always
	case low == nil && high == nil:
		return "—"
	case inside && low == nil:
		return fmt.Sprintf(w.atMost, text(high))
	case inside && high == nil:
		return fmt.Sprintf(w.atLeast, text(low))
	case inside && *low == *high:
		return fmt.Sprintf(w.exactly, text(low))
	case inside:
		return fmt.Sprintf(w.between, text(low), text(high))
	case high == nil:
		return fmt.Sprintf(w.below, text(low))
	case low == nil || *low == 0 && f.neverNegative():
		return fmt.Sprintf(w.above, text(high))
	}
	return fmt.Sprintf(w.outside, text(low), text(high))
}

// neverNegative: of these units a lower bound of 0 says nothing.
func (f *Facts) neverNegative() bool {
	switch f.Series.Unit {
	case metric.Ratio, metric.Percent, metric.Bytes, metric.BytesPerSec, metric.Bits, metric.PerSecond:
		return true
	}
	return f.Series.Kind == metric.Counter || strings.HasPrefix(f.Series.Name, "node_load")
}

// human writes a number in the series' unit with so many significant digits.
func (f *Facts) human(w *words, v float64, digits int) string {
	unit, per := f.Series.Unit, ""
	if f.Transform == threshold.Rate {
		per = "/s"
		if unit == metric.Seconds { // seconds a second are a share
			unit, per = metric.Ratio, ""
		}
	}
	switch unit {
	case metric.Ratio:
		return number(v*100, digits) + " %" + per
	case metric.Percent:
		return number(v, digits) + " %" + per
	case metric.Bytes:
		return scaled(v, digits, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}) + per
	case metric.BytesPerSec:
		return scaled(v, digits, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}) + "/s" + per
	case metric.Bits:
		return scaled(v, digits, 1000, []string{"bit", "kbit", "Mbit", "Gbit", "Tbit"}) + per
	case metric.Seconds:
		return w.seconds(v, digits)
	case metric.Celsius:
		return number(v, digits) + " °C" + per
	case metric.PerSecond:
		return number(v, digits) + "/s" + per
	case metric.NoUnit:
		return number(v, digits) + per
	}
	return number(v, digits) + " " + oneLine(string(unit)) + per
}

func scaled(v float64, digits int, base float64, units []string) string {
	i := 0
	for i < len(units)-1 && math.Abs(v) >= base && !math.IsInf(v, 0) {
		v /= base
		i++
	}
	return number(v, digits) + " " + units[i]
}

func (w *words) seconds(v float64, digits int) string {
	a := math.Abs(v)
	switch {
	case math.IsInf(v, 0) || a == 0:
		return number(v, digits) + w.units[3]
	case a < 1:
		return number(v*1e3, digits) + w.units[4]
	case a < 120:
		return number(v, digits) + w.units[3]
	case a < 7200:
		return number(v/60, digits) + w.units[2]
	case a < 2*86400:
		return number(v/3600, digits) + w.units[1]
	}
	return number(v/86400, digits) + w.units[0]
}

// number writes v with so many significant digits, never cutting digits before the point and without zeros at the end.
func number(v float64, digits int) string {
	a := math.Abs(v)
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) || a >= 1e15 || a < 1e-6 {
		return strconv.FormatFloat(v, 'g', digits, 64)
	}
	decimals := max(digits-1-int(math.Floor(math.Log10(a))), 0)
	if digits >= 17 { // as short as it reads back, but for the noise of a conversion
		v, decimals = roundTo(v, 12), -1
	}
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// roundTo rounds to n significant digits.
func roundTo(v float64, n int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', n, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// stateWord is the word of a value that stands for a state.
func stateWord(name string, v float64) string {
	var words []string
	switch {
	case name == "keepwatch_vrrp_state":
		words = []string{"init", "backup", "master", "fault"}
	case name == "haproxy_server_status":
		words = []string{"DOWN", "UP", "MAINT", "DRAIN", "NOLB", "no check"}
	case strings.HasSuffix(name, "_up"):
		words = []string{"down", "up"}
	}
	if i := int(v); v >= 0 && v < float64(len(words)) && float64(i) == v {
		return words[i]
	}
	return ""
}
