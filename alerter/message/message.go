// Package message owns the words of a notification: subject, text and HTML of a mail, and a short message that fits
// into one, in English and Chinese. It never reads a clock, stores or sends: all it tells comes in as Facts. The
// alerter renders with it when it writes a notification's row.
package message

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"keepwatch/alerter/rule"
	"keepwatch/metric"
	"keepwatch/metric/threshold"
)

// Kind is why somebody is told.
type Kind string

// The kinds of notification, as the database has them.
const (
	Problem  Kind = "problem"
	Recovery Kind = "recovery"
	Repeat   Kind = "repeat"
	Test     Kind = "test"
)

// Closed is why a problem ended other than by a sample; empty: by a sample.
type Closed string

// The reasons.
const (
	RuleDeleted  Closed = "deleted"  // the threshold was deleted
	RuleDisabled Closed = "disabled" // the threshold was switched off
	RuleChanged  Closed = "changed"  // the threshold was changed and no longer covers the series
	SilenceFine  Closed = "silence"  // the threshold was changed and no longer minds silence

	HostForgotten Closed = "forgotten" // nothing more will be heard of the host under this name
)

// Facts is all that a notification tells.
type Facts struct {
	Kind      Kind
	Alert     int64      // its id, for the link; 0: none
	State     rule.State // now; OK for a recovery
	From      rule.State
	Time      int64 // ms since the epoch: of the change; of a repeat, now
	Began     int64 // ms: when the series left OK
	Closed    Closed
	Rule      string // name of the threshold
	About     string // what it means and what to do, in the words of who made it
	Series    *metric.Series
	Transform string // threshold.Value or threshold.Rate
	Value     float64
	HasValue  bool
	Warning   threshold.Range
	Critical  threshold.Range
	NoData    time.Duration // what silence is
	Events    []Event       // candidates; the most telling ones are told
	URL       string        // of the web app, without a slash at its end
	Zone      *time.Location
}

// Mail is a rendered mail.
type Mail struct {
	Subject, Text, HTML string
}

// What a mail holds at most, in characters.
const (
	maxSubject = 200
	maxAbout   = 4000
	mailEvents = 5
)

// line is a row of the mail's table.
type line struct{ Name, Value string }

// Mail renders a mail in language "en" or "zh".
func (f *Facts) Mail(language string) Mail {
	w := in(language)
	d := document{
		Language: w.code, State: f.stateWord(w), Colour: colours[f.State], Headline: f.headline(w),
		Lines: f.lines(w), About: shorten(f.About, maxAbout, "…"), EventsTitle: w.happened, LinkText: w.open, Footer: w.footer,
	}
	for _, e := range telling(f.Events, f.host(), mailEvents) {
		d.Events = append(d.Events, line{f.clock(e.Time), e.Host + ": " + w.eventText(e)})
	}
	if f.Alert > 0 {
		d.Link = template.URL(fmt.Sprintf("%s/alerts/%d", f.URL, f.Alert))
	}
	return Mail{Subject: shorten(oneLine(f.subject(w)), maxSubject, "…"), Text: d.text(w), HTML: d.html()}
}

// TestMail is what a test of a contact's mail address sends.
func TestMail(language, contact, url string) Mail {
	w := in(language)
	d := document{Language: w.code, State: w.test, Colour: colours[rule.OK], Headline: fmt.Sprintf(w.testText, contact), Footer: w.footer}
	if url != "" {
		d.Link, d.LinkText = template.URL(url), w.open
	}
	return Mail{Subject: w.testSubject, Text: d.text(w), HTML: d.html()}
}

// TestSMS is what a test of a contact's number sends.
func TestSMS(language, contact string) string {
	w := in(language)
	return fit([]string{fmt.Sprintf(w.testText, contact)}, nil)
}

// EventText is what the history of an alert says of a change, in English as the database is.
func (f *Facts) EventText() string {
	w := in("en")
	if f.Closed != "" {
		return "closed: " + w.closed[f.Closed]
	}
	if f.State == rule.Unknown {
		return f.silence(w)
	}
	text := f.metricName() + " is " + f.value(w)
	if limit := f.limit(w); limit != "" {
		text += ", " + limit
	}
	return text
}

func (f *Facts) host() string {
	return f.Series.Host
}

// subject: CRITICAL: Disk full on lb1 (/var), 97.2 %.
func (f *Facts) subject(w *words) string {
	where := fmt.Sprintf(w.on, f.Rule, f.host())
	if l := f.labelValues(); l != "" {
		where += w.bracket(shorten(l, 60, "…"))
	}
	parts := []string{where}
	if f.HasValue && f.State != rule.Unknown && f.Closed == "" {
		parts = append(parts, f.value(w))
	}
	if f.Kind == Recovery {
		parts = append(parts, fmt.Sprintf(w.after, w.duration(f.lasted())))
	}
	if f.Kind == Repeat {
		parts = append(parts, fmt.Sprintf(w.since, w.duration(f.lasted())))
	}
	return f.stateWord(w) + w.colon + strings.Join(parts, w.comma)
}

func (f *Facts) stateWord(w *words) string {
	switch {
	case f.Closed != "":
		return w.closedState
	case f.Kind == Repeat:
		return fmt.Sprintf(w.still, w.states[f.State])
	}
	return w.states[f.State]
}

func (f *Facts) lasted() time.Duration {
	if f.Began <= 0 || f.Time < f.Began {
		return 0
	}
	return time.Duration(f.Time-f.Began) * time.Millisecond
}

// headline is the one sentence that says it all.
func (f *Facts) headline(w *words) string {
	what := fmt.Sprintf(w.on, f.Rule, f.host())
	switch {
	case f.Closed != "":
		return what + w.colon + w.closed[f.Closed]
	case f.Kind == Recovery:
		return what + w.colon + fmt.Sprintf(w.over, w.duration(f.lasted()))
	case f.State == rule.Unknown:
		return what + w.colon + f.silence(w)
	}
	text := what + w.colon + f.value(w)
	if limit := f.limit(w); limit != "" {
		text += w.comma + limit
	}
	if f.Kind == Repeat {
		text += w.comma + fmt.Sprintf(w.since, w.duration(f.lasted()))
	}
	return text
}

func (f *Facts) silence(w *words) string {
	text := fmt.Sprintf(w.silent, w.duration(f.NoData))
	if f.HasValue {
		text += w.comma + fmt.Sprintf(w.lastValue, f.value(w))
	}
	return text
}

// limit is the range that the state is about, in words; empty when it is about none.
func (f *Facts) limit(w *words) string {
	r := f.Warning
	if f.State == rule.Critical {
		r = f.Critical
	}
	if r.IsZero() || f.State != rule.Critical && f.State != rule.Warning {
		return ""
	}
	return fmt.Sprintf(w.limitIs, w.states[f.State], f.bounds(w, r))
}

func (f *Facts) lines(w *words) []line {
	lines := []line{{w.what, f.metricName()}, {w.where, f.where(w)}}
	if f.HasValue && f.Closed == "" && f.State != rule.Unknown {
		lines = append(lines, line{w.valueName, f.value(w)})
	}
	var limits []string
	if !f.Warning.IsZero() {
		limits = append(limits, fmt.Sprintf(w.limitIs, w.states[rule.Warning], f.bounds(w, f.Warning)))
	}
	if !f.Critical.IsZero() {
		limits = append(limits, fmt.Sprintf(w.limitIs, w.states[rule.Critical], f.bounds(w, f.Critical)))
	}
	if len(limits) > 0 {
		lines = append(lines, line{w.threshold, strings.Join(limits, w.comma)})
	}
	if f.Began > 0 {
		lines = append(lines, line{w.sinceName, f.date(f.Began)})
	}
	if f.Kind == Recovery {
		lines = append(lines, line{w.until, f.date(f.Time)}, line{w.lasted, w.duration(f.lasted())})
	}
	return lines
}

func (f *Facts) where(w *words) string {
	s := fmt.Sprintf(w.cluster, f.host(), f.Series.Cluster)
	for _, l := range f.Series.Labels {
		s += w.comma + l.Name + "=" + l.Value
	}
	return s
}

func (f *Facts) metricName() string {
	if f.Transform == threshold.Rate {
		return "rate of " + f.Series.Name
	}
	return f.Series.Name
}

func (f *Facts) labelValues() string {
	var values []string
	for _, l := range f.Series.Labels {
		values = append(values, l.Value)
	}
	return strings.Join(values, ", ")
}

func (f *Facts) date(ms int64) string {
	return time.UnixMilli(ms).In(f.zone()).Format("2006-01-02 15:04:05 -0700")
}

func (f *Facts) clock(ms int64) string { return time.UnixMilli(ms).In(f.zone()).Format("15:04:05") }

func (f *Facts) zone() *time.Location {
	if f.Zone == nil {
		return time.UTC
	}
	return f.Zone
}

// oneLine makes line breaks and other control characters spaces.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x2029 }), " ")
}

// shorten cuts s to n characters, the last ones being mark when it was cut.
func shorten(s string, n int, mark string) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	keep := max(n-len([]rune(mark)), 0)
	return strings.TrimRight(string(r[:keep]), " ") + mark
}
