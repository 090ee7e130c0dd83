package keepalived

import (
	"fmt"
	"strconv"
	"strings"

	"keepwatch/internal/report"
)

// repeat writes out ~SEQ(name, start, step, end), ~SEQx of hexadecimal numbers and ~LST(name, value, ...).
func (s *source) repeat(text string, at report.Place, depth int) {
	open, end := strings.IndexByte(text, '('), strings.IndexByte(text, ')')
	if open < 0 || end < open {
		s.notes.Add(at, report.Mistake, "%.60q: want ~SEQ(name, start, step, end) or ~LST(name, value, ...): the line is ignored", text)
		return
	}
	rounds, err := rounds(text[:open], text[open+1:end])
	if err != nil {
		s.notes.Add(at, report.Mistake, "%v: the line is ignored", err)
		return
	}
	for _, round := range rounds {
		if s.full {
			return
		}
		for _, d := range round {
			s.define(at, d[0], d[1])
		}
		s.line(text[end+1:], at, depth+1)
	}
}

// rounds are the definitions of each round of a repetition, as name and value.
func rounds(keyword, inside string) ([][][2]string, error) {
	if keyword == "~LST" {
		return listRounds(inside)
	}
	args := strings.Split(inside, ",")
	for i := range args {
		args[i] = strings.TrimSpace(args[i])
	}
	if keyword != "~SEQ" && keyword != "~SEQx" || len(args) < 2 || len(args) > 4 || !isName(args[0]) {
		return nil, fmt.Errorf("%.60q: want ~SEQ(name, start, step, end)", keyword+"("+inside+")")
	}
	var numbers []int64
	for _, a := range args[1:] {
		n, err := strconv.ParseInt(a, 0, 32)
		if err != nil {
			return nil, fmt.Errorf("%.60q: want a number", a)
		}
		numbers = append(numbers, n)
	}
	end := numbers[len(numbers)-1]
	start, step := int64(1), int64(1)
	if end < 0 {
		start = -1
	}
	if len(numbers) > 1 {
		start = numbers[0]
	}
	if start > end {
		step = -1
	}
	if len(numbers) == 3 {
		step = numbers[1]
	}
	if step == 0 || (end-start)/step > maxLines {
		return nil, fmt.Errorf("%.60q: want at most %d rounds", inside, maxLines)
	}
	base := 10
	if keyword == "~SEQx" {
		base = 16
	}
	var all [][][2]string
	for n := start; step > 0 && n <= end || step < 0 && n >= end; n += step {
		all = append(all, [][2]string{{args[0], strconv.FormatInt(n, base)}})
	}
	return all, nil
}

func listRounds(inside string) (all [][][2]string, err error) {
	parts := commaParts(inside)
	names := commaParts(strings.Trim(parts[0], "{}"))
	for _, p := range parts[1:] {
		values := []string{p}
		if len(names) > 1 {
			values = commaParts(strings.Trim(p, "{}"))
		}
		if len(values) != len(names) {
			return nil, fmt.Errorf("%.60q: want %d values", p, len(names))
		}
		var round [][2]string
		for i, n := range names {
			if !isName(n) {
				return nil, fmt.Errorf("%.60q: want the name of a definition", n)
			}
			round = append(round, [2]string{n, values[i]})
		}
		all = append(all, round)
	}
	return all, nil
}

// commaParts splits at commas outside of braces; there is always one part.
func commaParts(s string) (parts []string) {
	depth, from := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(s[from:i]))
				from = i + 1
			}
		}
	}
	return append(parts, strings.TrimSpace(s[from:]))
}
