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

// hostOf gives the name of the host that a packet claims to speak of. gmond splits a spoofed "ip:name" at the first
// colon that is not the first byte and refuses an empty name (Ganglia_host_get).
func hostOf(p *Packet) ([]byte, error) {
	if !p.Spoof {
		return p.Host, nil
	}
	if len(p.Host) > 1 {
		if i := bytes.IndexByte(p.Host[1:], ':') + 1; i > 0 && i < len(p.Host)-1 {
			return p.Host[i+1:], nil
		}
	}
	return nil, fmt.Errorf("%w: spoofed host %.60q, want address:name", ErrHost, p.Host)
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
	s := string(b)
	if !utf8.ValidString(s) {
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		s = string(runes)
	}
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s))
	for len(s) > limit {
		_, n := utf8.DecodeLastRuneInString(s[:limit+1])
		s = strings.TrimSpace(s[:limit+1-n])
	}
	return s
}
