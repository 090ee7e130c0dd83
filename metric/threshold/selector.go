package threshold

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepwatch/metric"
)

// What a threshold looks at.
const (
	Value = "value" // the samples' values
	Rate  = "rate"  // the increase per second of a counter
)

// RateWindow is the range over which PromQL computes a rate for a chart.
const RateWindow = time.Minute

// Glob is a pattern in which '*' stands for any text, also none, and '?' for one character. All else stands for
// itself. It matches the whole text, in the case as written.
type Glob string

// Match reports whether the pattern matches all of s. It takes time len(g)*len(s) at worst and allocates nothing.
func (g Glob) Match(s string) bool {
	p := string(g)
	star, mark := -1, 0 // where the last '*' was, and what of s it has been given
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
			continue
		case i < len(p) && p[i] == '?':
			i, j = i+1, j+runeLen(s[j:])
			continue
		case i < len(p) && p[i] == s[j]:
			i, j = i+1, j+1
			continue
		case star < 0:
			return false
		}
		mark += runeLen(s[mark:])
		i, j = star+1, mark
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// Any reports whether the pattern matches every text.
func (g Glob) Any() bool { return g != "" && strings.Trim(string(g), "*") == "" }

// literal reports whether the pattern matches itself only.
func (g Glob) literal() bool { return !strings.ContainsAny(string(g), "*?") }

// Regexp is the pattern as a regular expression without anchors, which PromQL sets by itself.
func (g Glob) Regexp() string {
	return strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(string(g)))
}

// Selector says which series a threshold watches.
type Selector struct {
	Metric string            // name of the metric
	Hosts  string            // globs of host or cluster/host, separated by commas: web/*, lb1; empty: every host
	Labels map[string]string // glob of each label that matters; a label that a series lacks counts as empty
}

// Check reports the first thing that a person must correct, wrapping ErrInvalid or metric.ErrInvalid.
func (s *Selector) Check() error {
	if err := metric.CheckName(s.Metric); err != nil {
		return err
	}
	if len(s.Hosts) > MaxHosts {
		return fmt.Errorf("%w list of hosts: %d bytes, at most %d", ErrInvalid, len(s.Hosts), MaxHosts)
	}
	globs := strings.Split(s.Hosts, ",")
	if len(globs) > MaxGlobs {
		return fmt.Errorf("%w list of hosts: %d globs, at most %d", ErrInvalid, len(globs), MaxGlobs)
	}
	for i, g := range globs {
		g = strings.TrimSpace(g)
		cluster, host, two := strings.Cut(g, "/")
		if g == "" && s.Hosts != "" || two && (cluster == "" || host == "") {
			return fmt.Errorf("%w list of hosts %.60q: number %d is %q, want a glob of host or cluster/host, as web*, site1/* or *", ErrInvalid, s.Hosts, i+1, g)
		}
	}
	if len(s.Labels) > metric.MaxLabels {
		return fmt.Errorf("%w labels: %d, at most %d", ErrInvalid, len(s.Labels), metric.MaxLabels)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		if err := metric.CheckLabel(metric.Label{Name: name, Value: s.Labels[name]}); err != nil {
			return err
		}
	}
	return nil
}

// Matches reports whether a series is watched. It is meant to be asked once for each series, not for each sample.
func (s *Selector) Matches(series *metric.Series) bool {
	if series.Name != s.Metric || !s.matchesHost(series) {
		return false
	}
	for name, glob := range s.Labels {
		if !Glob(glob).Match(series.Label(name)) {
			return false
		}
	}
	return true
}

func (s *Selector) matchesHost(series *metric.Series) bool {
	if s.Hosts == "" {
		return true
	}
	for g := range strings.SplitSeq(s.Hosts, ",") {
		cluster, host := cutHost(g)
		if cluster.Match(series.Cluster) && host.Match(series.Host) {
			return true
		}
	}
	return false
}

func cutHost(g string) (cluster, host Glob) {
	g = strings.TrimSpace(g)
	if c, h, two := strings.Cut(g, "/"); two {
		return Glob(c), Glob(h)
	}
	return "*", Glob(g)
}

// PromQL is the expression whose result are the watched series, as values or, with transform Rate, as increase per
// second over RateWindow. What it selects is what Matches matches.
func (s *Selector) PromQL(transform string) string {
	labels := s.labelMatchers()
	clusters, hosts := s.byCluster()
	terms := make([]string, 0, len(clusters))
	for _, c := range clusters {
		m := slices.Concat(matcher("cluster", []Glob{c}), matcher("host", hosts[c]), labels)
		term := s.Metric
		if len(m) > 0 {
			term += "{" + strings.Join(m, ",") + "}"
		}
		if transform == Rate {
			term = fmt.Sprintf("rate(%s[%ds])", term, int(RateWindow.Seconds()))
		}
		terms = append(terms, term)
	}
	return strings.Join(terms, " or ")
}

// byCluster gathers the host globs of each cluster glob, in the order written.
func (s *Selector) byCluster() (clusters []Glob, hosts map[Glob][]Glob) {
	hosts = make(map[Glob][]Glob)
	list := s.Hosts
	if list == "" {
		list = "*"
	}
	for g := range strings.SplitSeq(list, ",") {
		c, h := cutHost(g)
		if hosts[c] == nil {
			clusters = append(clusters, c)
		}
		hosts[c] = append(hosts[c], h)
	}
	return clusters, hosts
}

func (s *Selector) labelMatchers() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		all = append(all, matcher(name, []Glob{Glob(s.Labels[name])})...)
	}
	return all
}

// matcher is how PromQL says that a label matches one of the globs: nothing when one of them matches all.
func matcher(label string, globs []Glob) []string {
	if slices.ContainsFunc(globs, Glob.Any) {
		return nil
	}
	if len(globs) == 1 && globs[0].literal() {
		return []string{label + "=" + strconv.Quote(string(globs[0]))}
	}
	alternatives := make([]string, len(globs))
	for i, g := range globs {
		alternatives[i] = g.Regexp()
	}
	return []string{label + "=~" + strconv.Quote(strings.Join(alternatives, "|"))}
}
