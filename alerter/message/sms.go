package message

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"keepwatch/alerter/rule"
)

// What one short message holds: 3GPP TS 23.038, GSM 7 bit default alphabet, else UCS-2.
const (
	maxSeptets = 160
	maxUCS2    = 70 // UTF-16 units
)

// gsm7 are the characters of the default alphabet, gsm7Extended those that take two septets.
const (
	gsm7 = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsm7Extended = "^{}\\[~]|€\f"
)

// Fits reports whether a text is one short message.
func Fits(text string) bool {
	if n, ok := septets(text); ok {
		return n <= maxSeptets
	}
	return len(utf16.Encode([]rune(text))) <= maxUCS2
}

// septets counts what a text takes in the default alphabet; false: it has characters outside of it.
func septets(text string) (n int, ok bool) {
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsm7, r):
			n++
		case strings.ContainsRune(gsm7Extended, r):
			n += 2
		default:
			return 0, false
		}
	}
	return n, true
}

// SMS renders a short message in language "en" or "zh" that fits into one: state, host, metric and value first, what
// happened if there is room.
func (f *Facts) SMS(language string) string {
	w := in(language)
	var tail string
	switch {
	case f.Closed != "":
		tail = w.closed[f.Closed]
	case f.State == rule.Unknown:
		tail = fmt.Sprintf(w.silent, w.duration(f.NoData))
	case f.HasValue:
		tail = f.value(w)
	}
	if f.Kind != Problem {
		how := w.since
		if f.Kind == Recovery {
			how = w.after
		}
		tail += w.comma + fmt.Sprintf(how, w.duration(f.lasted()))
	}
	var hint []string
	if f.Kind == Problem {
		for _, e := range telling(f.Events, f.host(), 1) {
			hint = []string{". ", e.Host + ": " + oneLine(e.Text)}
		}
	}
	plain := func(s string) string { return transliterate(oneLine(s)) }
	parts := []string{plain(f.stateWord(w)), " ", plain(f.host()), " ", plain(f.shortMetric()), " ", plain(tail)}
	for i := range hint {
		hint[i] = plain(hint[i])
	}
	return fit(parts, hint)
}

// shortMetric is the metric without what goes without saying, and the values of its labels.
func (f *Facts) shortMetric() string {
	s := f.Series.Name
	for _, p := range []string{"node_", "keepwatch_"} {
		s = strings.TrimPrefix(s, p)
	}
	for _, p := range []string{"_total", "_ratio", "_bytes", "_seconds"} {
		s = strings.TrimSuffix(s, p)
	}
	for _, l := range f.Series.Labels {
		s += " " + l.Value
	}
	return s
}

// transliterate replaces the characters that people write by habit and that would halve the room.
var transliterate = strings.NewReplacer("`", "'", "‘", "'", "’", "'", "“", `"`, "”", `"`, "–", "-", "—", "-", "…", "..", "\u00a0", " ",
	"°", "", "→", "->", "\t", " ").Replace

// leastHint is how many characters of a hint say something.
const leastHint = 12

// fit joins the parts, cutting the longest first when they are too long. The hint gets the room that is left, or is
// left out when that is too little to say anything.
func fit(parts, hint []string) string {
	cut := make([]string, len(parts))
	for i, p := range parts {
		cut[i] = shorten(p, maxSeptets, "..")
	}
	for !Fits(strings.Join(cut, "")) {
		longest := 0
		for i := range cut {
			if length(cut[i]) > length(cut[longest]) {
				longest = i
			}
		}
		cut[longest] = shorten(cut[longest], length(cut[longest])-1, "..")
	}
	text := strings.TrimSpace(strings.Join(cut, ""))
	for rest := shorten(strings.Join(hint, ""), maxSeptets, ""); length(rest) >= leastHint; rest = shorten(rest, length(rest)-1, "") {
		if Fits(text + rest) {
			return text + rest
		}
	}
	return text
}

func length(s string) int { return utf8.RuneCountInString(s) }
