package gmond

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"keepwatch/metric"
)

// Prefix stands before every metric name that came in a gmond packet.
const Prefix = "gmond_"

const (
	maxMetric  = metric.MaxName - len(Prefix) - len(infoSuffix)
	infoSuffix = "_info"
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

// metricOf gives the metric's own name. A module's SPOOF_NAME travels as "shown:real" in spoofed packets; gmond
// shows what stands before the colon.
func metricOf(p *Packet) []byte {
	if p.Spoof {
		if i := bytes.IndexByte(p.Name, ':'); i > 0 {
			return p.Name[:i]
		}
	}
	return p.Name
}

// sanitize makes a metric name of any text: what no metric name may hold becomes "_".
func sanitize(name []byte) (string, error) {
	if len(name) == 0 || len(name) > maxMetric {
		return "", fmt.Errorf("%w: metric name of %d bytes, want 1 to %d", ErrMetric, len(name), maxMetric)
	}
	b := append(make([]byte, 0, len(Prefix)+len(name)), Prefix...)
	for _, c := range name {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			c = '_'
		}
		b = append(b, c)
	}
	return string(b), nil
}

// text makes clean UTF-8 of at most limit bytes: gmond's text is ISO 8859-1 where it is not UTF-8, control
// characters become blanks, blanks around it go.
func text(b []byte, limit int) string {
	return strings.TrimSpace(cut(string(bytes.TrimSpace(appendClean(nil, b))), limit))
}

// cut shortens s to at most limit bytes at the end of a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// appendClean is text without the trimming.
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
