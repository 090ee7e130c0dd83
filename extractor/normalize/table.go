package normalize

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"keepwatch/metric"
)

// The table, a line for each target of a gmond name in one unit:
//
//	gmond   name that gmond sends. <label> in it stands for an instance, which becomes that label; <label#>: digits
//	sent    units that gmond sends; a line holds only for them, or for others of the same base unit (units.go)
//	name, labels, unit, kind   what it becomes; kind info: a text, which takes the place of $ in labels
//	scale, offset              value = scale × gmond's + offset
//	sample, becomes            an example, which the tests try
//
// Its facts are those of gmond 3.7's own modules, of ganglia-modules-linux 1.3 and of the Python modules in Ganglia's
// monitor-core and gmond_python_modules, read and, where Debian has them, run.
//
//go:embed gmond.csv
var table string

// Columns of the table.
const (
	colGmond = iota
	colSent
	colName
	colLabels
	colUnit
	colKind
	colScale
	colOffset
	colSample
	colBecomes
	columns
)

// rule is one line of the table.
type rule struct {
	line          int
	sent          string // folded
	measured      bool   // sent is a measure, of the base unit that unit is
	text          bool
	name          string
	fixed         []metric.Label
	unit          metric.Unit
	kind          metric.Kind
	scale, offset float64
}

// pattern is a gmond name with an instance in it, and its rules.
type pattern struct {
	before, after string
	label         string
	digits        bool
	rules         []rule
}

// names is the table, ready for look-ups.
type names struct {
	exact    map[string][]rule
	patterns []pattern // the one with the most letters of its own first
}

// match is a rule that holds for a name.
type match struct {
	rule  *rule
	scale float64
	label metric.Label // the instance
}

func readTable(text string) (*names, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = columns
	lines, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("cannot read the table of gmond names: %w", err)
	}
	n := &names{exact: make(map[string][]rule)}
	for i, l := range lines[1:] {
		if err := n.add(l, i+2); err != nil {
			return nil, fmt.Errorf("cannot read line %d of the table of gmond names: %w", i+2, err)
		}
	}
	slices.SortStableFunc(n.patterns, func(a, b pattern) int {
		return len(b.before) + len(b.after) - len(a.before) - len(a.after)
	})
	return n, nil
}

func (n *names) add(l []string, line int) error {
	r, err := parseRule(l, line)
	if err != nil {
		return err
	}
	before, rest, isPattern := strings.Cut(l[colGmond], "<")
	if !isPattern {
		n.exact[before] = append(n.exact[before], r)
		return nil
	}
	label, after, ok := strings.Cut(rest, ">")
	if !ok || label == "" {
		return fmt.Errorf("name %q: want one <label>", l[colGmond])
	}
	p := pattern{before: before, after: after, label: strings.TrimSuffix(label, "#"), digits: strings.HasSuffix(label, "#")}
	for i := range n.patterns {
		if q := &n.patterns[i]; q.before == p.before && q.after == p.after && q.label == p.label && q.digits == p.digits {
			q.rules = append(q.rules, r)
			return nil
		}
	}
	p.rules = []rule{r}
	n.patterns = append(n.patterns, p)
	return nil
}

func parseRule(l []string, line int) (r rule, err error) {
	r = rule{line: line, sent: fold(l[colSent]), name: l[colName], unit: metric.Unit(l[colUnit]), text: l[colKind] == "info"}
	for part := range strings.FieldsSeq(l[colLabels]) {
		name, value, _ := strings.Cut(part, "=")
		r.fixed = append(r.fixed, metric.Label{Name: name, Value: value})
	}
	var bad [3]error
	if r.kind = metric.State; !r.text {
		r.kind, bad[0] = metric.ParseKind(l[colKind])
	}
	base, _, ok := baseUnit(l[colSent])
	r.measured = ok && base == r.unit && base != metric.PerSecond // which says too little of what is counted
	r.scale, bad[1] = strconv.ParseFloat(l[colScale], 64)
	r.offset, bad[2] = strconv.ParseFloat(l[colOffset], 64)
	return r, errors.Join(bad[:]...)
}

// find gives the rules that hold for what gmond sends, all of one name; none when the table doesn't know it.
func (n *names) find(name, units string, text bool) []match {
	if found := matches(n.exact[name], units, text, metric.Label{}); found != nil {
		return found
	}
	for i := range n.patterns {
		p := &n.patterns[i]
		value, ok := p.instance(name)
		if !ok {
			continue
		}
		if found := matches(p.rules, units, text, metric.Label{Name: p.label, Value: value}); found != nil {
			return found
		}
	}
	return nil
}

func (p *pattern) instance(name string) (string, bool) {
	value, ok := strings.CutPrefix(name, p.before)
	if !ok {
		return "", false
	}
	value, ok = strings.CutSuffix(value, p.after)
	if !ok || value == "" || p.digits && strings.Trim(value, "0123456789") != "" {
		return "", false
	}
	return value, true
}

// matches gives the rules whose units are those sent, else those whose base unit is that of the units sent.
func matches(rules []rule, units string, text bool, label metric.Label) (found []match) {
	for i := range rules {
		if r := &rules[i]; r.text == text && (text || r.sent == fold(units)) {
			found = append(found, match{r, r.scale, label})
		}
	}
	if found != nil || text {
		return found
	}
	unit, scale, ok := baseUnit(units)
	for i := range rules {
		if r := &rules[i]; ok && r.measured && r.unit == unit {
			found = append(found, match{r, math.Copysign(scale, r.scale), label})
		}
	}
	return found
}

// labels are those that a rule adds; text is what gmond said, of a text.
func (m *match) labels(text string) []metric.Label {
	out := make([]metric.Label, 0, len(m.rule.fixed)+1)
	for _, l := range m.rule.fixed {
		if m.rule.text {
			l.Value = strings.ReplaceAll(l.Value, "$", text)
		}
		out = append(out, l)
	}
	if m.label.Name != "" {
		out = append(out, m.label)
	}
	return out
}

// textLabel is the label that carried the text of a match, empty for a number.
func (m *match) textLabel() string {
	if m.rule.text {
		return "value"
	}
	return ""
}

// fold makes units comparable: gmond sends a blank for none, and modules differ in upper and lower case.
func fold(units string) string { return strings.ToLower(strings.TrimSpace(units)) }
