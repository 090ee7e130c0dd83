package keepalived

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepwatch/internal/report"
)

// number reads the statement's first word as keepalived does: a fraction is cut off, anything else than a number from
// low to high is a mistake and the default stays.
func (t *translator) number(s *statement, low, high int) (int, bool) {
	return t.numberOf(s, s.arg(), low, high)
}

func (t *translator) numberOf(s *statement, text string, low, high int) (int, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.Atoi(whole)
	if err != nil || n < low || n > high {
		t.notes.Add(s.at, report.Mistake, "%s %.40q: want a number from %d to %d: the line is ignored", s.keyword(), text, low, high)
		return 0, false
	}
	if fraction != "" {
		t.notes.Add(s.at, report.Mistake, "%s %.40q: keepalived takes whole numbers here: %d is used", s.keyword(), text, n)
	}
	return n, true
}

// duration reads the statement's first word as seconds with a fraction.
func (t *translator) duration(s *statement, low, high time.Duration) (time.Duration, bool) {
	f, err := strconv.ParseFloat(s.arg(), 64)
	if err != nil || math.IsNaN(f) || f < low.Seconds() || f > high.Seconds() {
		t.notes.Add(s.at, report.Mistake, "%s %.40q: want %s to %s: the line is ignored", s.keyword(), s.arg(),
			strings.TrimSuffix(seconds(low), "s"), seconds(high))
		return 0, false
	}
	return time.Duration(math.Round(f*1e6)) * time.Microsecond, true
}

// yes reads on, true or yes, or nothing, as true and off, false and no as false.
func (t *translator) yes(s *statement) bool {
	switch s.arg() {
	case "", "on", "true", "yes":
		return true
	case "off", "false", "no":
		return false
	}
	t.notes.Add(s.at, report.Mistake, "%s %.40q: want on or off: it is read as on", s.keyword(), s.arg())
	return true
}

// address reads one address.
func (t *translator) address(s *statement, text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		t.notes.Add(s.at, report.Mistake, "%s: %.60q is no address: it is left out", s.keyword(), text)
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// tooMany reports, and notes, that a list of n is full.
func (t *translator) tooMany(s *statement, n int) bool {
	if n >= maxItems {
		t.notes.Add(s.at, report.Mistake, "more than %d entries like %s: it is left out", maxItems, s.keyword())
	}
	return n >= maxItems
}

// needs reports whether the statement has its word; keepalived reads no further in a file where it is missing.
func (t *translator) needs(s *statement) bool {
	if len(s.words) > 1 {
		return true
	}
	t.notes.Add(s.at, report.Mistake, "%s wants a word behind it: the line is ignored, keepalived refuses the whole file", s.keyword())
	return false
}

// name makes what conf takes as a name of a keepalived one, which may be any text, other than those taken.
func (t *translator) name(s *statement, text string, taken []string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.:-", r) {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	plain := strings.TrimLeft(b.String(), ".:-")
	if plain == "" {
		plain = "unnamed"
	}
	plain = plain[:min(len(plain), 63)]
	name := plain
	for i := 2; slices.Contains(taken, name); i++ {
		suffix := "-" + strconv.Itoa(i)
		name = plain[:min(len(plain), 63-len(suffix))] + suffix
	}
	if name != text {
		t.notes.Add(s.at, report.Changed, "%s %.80q is named %s", s.keyword(), text, name)
	}
	return name
}
