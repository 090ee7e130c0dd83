package gmondsend

import (
	"fmt"
	"regexp"
	"strings"

	"keepwatch/internal/conf"
)

// chosen is a metric that a group takes.
type chosen struct {
	metric int
	title  string
}

// choose finds the metrics that one entry of a group means: the one of that name, else all whose names begin with it,
// both without regard to case, or all that its expression fits somewhere (gmond's name and name_match).
func choose(names []string, m *conf.GmondMetric) ([]chosen, error) {
	if m.Match != "" {
		return match(names, m)
	}
	var out []chosen
	for i, n := range names {
		if strings.EqualFold(n, m.Name) {
			return []chosen{{i, m.Title}}, nil
		}
		if len(n) > len(m.Name) && strings.EqualFold(n[:len(m.Name)], m.Name) {
			out = append(out, chosen{i, m.Title})
		}
	}
	return out, nil
}

func match(names []string, m *conf.GmondMetric) ([]chosen, error) {
	r, err := regexp.Compile(m.Match)
	if err != nil {
		return nil, fmt.Errorf("cannot read the expression %.60q: %w", m.Match, err)
	}
	var out []chosen
	for i, n := range names {
		if caught := r.FindStringSubmatch(n); caught != nil {
			out = append(out, chosen{i, fill(m.Title, caught)})
		}
	}
	return out, nil
}

// fill puts what an expression caught in the place of \1 to \9; of what it did not catch, nothing.
func fill(title string, caught []string) string {
	var b strings.Builder
	for i := 0; i < len(title); i++ {
		if title[i] == '\\' && i+1 < len(title) && title[i+1] >= '1' && title[i+1] <= '9' {
			i++
			if n := int(title[i] - '0'); n < len(caught) {
				b.WriteString(caught[n])
			}
			continue
		}
		b.WriteByte(title[i])
	}
	return b.String()
}
