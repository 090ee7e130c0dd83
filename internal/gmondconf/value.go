package gmondconf

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// assign puts text into a *bool, *int, *float64 or *string. It returns what is wanted when it cannot.
func assign(target any, text string) (want string) {
	switch v := target.(type) {
	case *string:
		*v = text
	case *bool:
		on, ok := boolean(text)
		if !ok {
			return "yes or no"
		}
		*v = on
	case *int:
		n, err := integer(text)
		if errors.Is(err, strconv.ErrRange) {
			return "a number within 64 bits"
		}
		if err != nil {
			return "a whole number"
		}
		*v = n
	case *float64:
		n, err := float(text)
		if errors.Is(err, strconv.ErrRange) {
			return "a number that a double can hold"
		}
		if err != nil {
			return "a number"
		}
		*v = n
	}
	return ""
}

func boolean(text string) (on, ok bool) {
	switch strings.ToLower(text) {
	case "yes", "true", "on":
		return true, true
	case "no", "false", "off":
		return false, true
	}
	return false, false
}

// number takes off what strtol and strtod pass over.
func number(text string) (sign, digits string) {
	digits = strings.TrimLeft(text, " \t\n\v\f\r")
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		sign, digits = digits[:1], digits[1:]
	}
	return sign, digits
}

// integer reads what strtol reads to its end: decimal, 0x1f, 017; the empty text is 0.
func integer(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	sign, digits := number(text)
	base := 10
	switch lower := strings.ToLower(digits); {
	case strings.HasPrefix(lower, "0x"):
		base, digits = 16, digits[2:]
	case strings.HasPrefix(lower, "0") && len(lower) > 1:
		base, digits = 8, digits[1:]
	}
	if strings.HasPrefix(digits, "-") || strings.HasPrefix(digits, "+") {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(sign+digits, base, 64)
	return int(n), err
}

// float reads what strtod reads to its end.
func float(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	sign, digits := number(text)
	lower := strings.ToLower(digits)
	if strings.ContainsAny(lower, "_") || strings.HasPrefix(lower, "-") || strings.HasPrefix(lower, "+") {
		return 0, strconv.ErrSyntax
	}
	if rest, ok := strings.CutPrefix(lower, "nan("); ok && strings.HasSuffix(rest, ")") {
		lower = "nan"
	}
	if lower == "nan" {
		return math.NaN(), nil
	}
	hex := strings.HasPrefix(lower, "0x")
	if hex && !strings.Contains(lower, "p") {
		lower += "p0"
	}
	n, err := strconv.ParseFloat(sign+lower, 64)
	mantissa, _, _ := strings.Cut(strings.TrimPrefix(lower, "0x"), map[bool]string{false: "e", true: "p"}[hex])
	if err == nil && math.Abs(n) < smallest && strings.Trim(mantissa, "0.") != "" {
		return 0, strconv.ErrRange
	}
	return n, err
}

const smallest = 0x1p-1022 // what is less is out of range for strtod
