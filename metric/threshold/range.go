// Package threshold owns the language in which a person says what is alarming: Nagios ranges, globs, and the
// selector of the series that a threshold watches, also as PromQL. It never keeps a state, reads a clock or does
// I/O. The alerter judges with it; the API validates and draws with it.
package threshold

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bounds of what a person may write.
const (
	MaxRange = 100  // bytes of a range
	MaxHosts = 2000 // bytes of a list of host globs
	MaxGlobs = 100  // globs of one list
)

// ErrInvalid is what every refusal of this package wraps.
var ErrInvalid = errors.New("invalid")

// Range is a Nagios range: it alerts on values outside of its bounds, with '@' on values inside. The bounds
// themselves count as inside. The zero value is no range: it never alerts. Source: Monitoring Plugins Development
// Guidelines, section "Threshold and Ranges".
type Range struct {
	low, high float64 // may be infinite; low <= high
	inside    bool
	set       bool
}

// SyntaxError says where a range stops making sense. It wraps ErrInvalid.
type SyntaxError struct {
	Text string
	At   int // position of the first wrong byte, from 1
	Want string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%v range %.60q: at character %d, want %s", ErrInvalid, e.Text, e.At, e.Want)
}

// Unwrap gives ErrInvalid.
func (e *SyntaxError) Unwrap() error { return ErrInvalid }

// ParseRange reads a range: "10" alerts outside of 0 to 10, "10:" below 10, "~:10" above 10, "10:20" outside of 10 to
// 20, "@10:20" inside of 10 to 20. The empty text is the zero Range. Any other error is a *SyntaxError.
func ParseRange(text string) (Range, error) {
	if text == "" {
		return Range{}, nil
	}
	if len(text) > MaxRange {
		return Range{}, &SyntaxError{Text: text, At: MaxRange + 1, Want: fmt.Sprintf("the end: a range has at most %d characters", MaxRange)}
	}
	r := Range{high: math.Inf(1), set: true}
	at := 0
	if text[0] == '@' {
		r.inside, at = true, 1
	}
	start, end, two := strings.Cut(text[at:], ":")
	if !two {
		return r, r.parseHigh(text, at, start, "a number, as in 10, 10:, ~:10, 10:20 or @10:20")
	}
	switch start {
	case "~":
		r.low = math.Inf(-1)
	case "":
	default:
		var err error
		if r.low, err = number(text, at, start, "a number or ~ before the colon"); err != nil {
			return Range{}, err
		}
	}
	if end == "" {
		return r, nil
	}
	at += len(start) + 1
	if err := r.parseHigh(text, at, end, "a number after the colon, or nothing"); err != nil {
		return Range{}, err
	}
	return r, nil
}

// parseHigh reads the upper bound, which stands at text[at:].
func (r *Range) parseHigh(text string, at int, word, want string) error {
	high, err := number(text, at, word, want)
	if err == nil && high < r.low {
		err = &SyntaxError{Text: text, At: at + 1, Want: fmt.Sprintf("a number not below the lower bound %s", format(r.low))}
	}
	if err != nil {
		*r = Range{}
		return err
	}
	r.high = high
	return nil
}

// number reads a decimal number. The position of the error is the first byte that does not continue one.
func number(text string, at int, word, want string) (float64, error) {
	n := 0
	digits := func() (any bool) {
		for n < len(word) && word[n] >= '0' && word[n] <= '9' {
			n, any = n+1, true
		}
		return any
	}
	sign := func() {
		if n < len(word) && (word[n] == '-' || word[n] == '+') {
			n++
		}
	}
	sign()
	ok := digits()
	if n < len(word) && word[n] == '.' {
		n++
		ok = digits() || ok
	}
	if ok && n < len(word) && (word[n] == 'e' || word[n] == 'E') {
		n++
		sign()
		ok = digits()
	}
	if !ok || n < len(word) {
		return 0, &SyntaxError{Text: text, At: at + n + 1, Want: want}
	}
	v, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return 0, &SyntaxError{Text: text, At: at + 1, Want: "a number between -1.8e308 and 1.8e308"}
	}
	return v + 0, nil // -0 becomes 0
}

// IsZero reports whether there is no range.
func (r Range) IsZero() bool { return !r.set }

// Alerts reports whether a value is alarming. A NaN never is: it says nothing.
func (r Range) Alerts(v float64) bool {
	if !r.set || math.IsNaN(v) {
		return false
	}
	return (v >= r.low && v <= r.high) == r.inside
}

// Bounds gives what a chart draws: the finite bounds, nil for an infinite one, and whether alarming is inside of
// them. Both are nil for the zero Range.
func (r Range) Bounds() (low, high *float64, inside bool) {
	if r.set && !math.IsInf(r.low, 0) {
		low = &r.low
	}
	if r.set && !math.IsInf(r.high, 0) {
		high = &r.high
	}
	return low, high, r.inside
}

// String writes the range in its shortest form, which ParseRange reads back as the same range.
func (r Range) String() string {
	if !r.set {
		return ""
	}
	var b strings.Builder
	if r.inside {
		b.WriteByte('@')
	}
	switch {
	case math.IsInf(r.low, -1):
		b.WriteString("~:")
	case r.low != 0 || math.IsInf(r.high, 1):
		b.WriteString(format(r.low))
		b.WriteByte(':')
	}
	if !math.IsInf(r.high, 1) {
		b.WriteString(format(r.high))
	}
	return b.String()
}

func format(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
