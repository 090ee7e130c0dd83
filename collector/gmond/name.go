package gmond

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// split cuts a spoofed "address:name". gmond does so at the first colon that is not the first byte and refuses an
// empty name (Ganglia_host_get in gmond.c).
func split(host []byte) (address, name []byte, err error) {
	if len(host) > 1 {
		if i := bytes.IndexByte(host[1:], ':') + 1; i > 0 && i < len(host)-1 {
			return host[:i], host[i+1:], nil
		}
	}
	return nil, nil, fmt.Errorf("%w: spoofed host %.60q, want address:name", ErrHost, host)
}

// metricOf gives the metric's own name as gmond has it. A module's SPOOF_NAME travels as "shown:real" in spoofed
// packets, of which gmond shows what stands before the colon; in all others a colon becomes "_"
// (sanitize_metric_name in gmond.c). What it gives holds until the next call.
func (t *Table) metricOf(p *Packet) []byte {
	i := bytes.IndexByte(p.Name, ':')
	switch {
	case i < 0 || i == 0 && p.Spoof:
		return p.Name
	case p.Spoof:
		return p.Name[:i]
	}
	t.name = append(t.name[:0], p.Name...)
	for ; i < len(t.name); i++ {
		if t.name[i] == ':' {
			t.name[i] = '_'
		}
	}
	return t.name
}

// appendClean appends b as UTF-8: gmond's text is ISO 8859-1 where it is not UTF-8, control characters become blanks.
func appendClean(dst, b []byte) []byte {
	ascii := true
	for _, c := range b {
		ascii = ascii && c >= 0x20 && c < 0x7f
	}
	if ascii {
		return append(dst, b...)
	}
	valid := utf8.Valid(b)
	for len(b) > 0 {
		r, n := rune(b[0]), 1
		if valid {
			r, n = utf8.DecodeRune(b)
		}
		if r < 0x20 || r == 0x7f {
			r = ' '
		}
		dst, b = utf8.AppendRune(dst, r), b[n:]
	}
	return dst
}

// clean is appendClean of at most maxText bytes, no character in part.
func clean(b []byte) string {
	s := appendClean(nil, b)
	if len(s) <= maxText {
		return string(s)
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return string(s[:n])
}
