package host

import "bytes"

// CutLine takes the first line off b, without its newline.
func CutLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// CutField takes the first field off a line; fields are parted by blanks. Both are empty at the end.
func CutField(b []byte) (field, rest []byte) {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	b = b[i:]
	for i = 0; i < len(b) && b[i] != ' ' && b[i] != '\t'; i++ {
	}
	return b[:i], b[i:]
}

// CutUint takes a number off a line.
func CutUint(b []byte) (v uint64, rest []byte, ok bool) {
	f, rest := CutField(b)
	v, ok = ParseUint(f)
	return v, rest, ok
}

// cutUints fills all of dst with the numbers at the front of a line and says how many there were.
func cutUints(b []byte, dst []uint64) int {
	for i := range dst {
		v, rest, ok := CutUint(b)
		if !ok {
			return i
		}
		dst[i], b = v, rest
	}
	return len(dst)
}

// ParseUint reads decimal digits and nothing else. A number past 64 bits is refused.
func ParseUint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if v > (1<<64-1-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// parseDecimal reads digits with at most one point, as in /proc/loadavg and /proc/pressure.
func parseDecimal(b []byte) (float64, bool) {
	whole, part, _ := bytes.Cut(b, []byte{'.'})
	v, ok := ParseUint(whole)
	if !ok {
		return 0, false
	}
	if len(part) == 0 {
		return float64(v), true
	}
	p, ok := ParseUint(part)
	if !ok {
		return 0, false
	}
	scale := 1.0
	for range part {
		scale *= 10
	}
	return float64(v) + float64(p)/scale, true
}
