package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// gridWidth is how many columns a table may take: the last cell of a row and the notes under it are wrapped there.
const gridWidth = 100

// grid is a table for a terminal whose last column is text of any length and whose rows may have notes under them,
// which text/tabwriter has no form for.
type grid struct {
	header []string
	rows   []gridRow
}

type gridRow struct{ cells, notes []string }

func newGrid(header ...string) grid { return grid{header: header} }

// add appends a row, one cell a column.
func (g *grid) add(cells ...string) {
	for i := range cells {
		cells[i] = plain(cells[i])
	}
	g.rows = append(g.rows, gridRow{cells: cells})
}

// note appends a text under the last row.
func (g *grid) note(text string) {
	last := &g.rows[len(g.rows)-1]
	last.notes = append(last.notes, plain(text))
}

// String is the table after an empty line; nothing when it has no row.
func (g grid) String() string {
	if len(g.rows) == 0 {
		return ""
	}
	widths := make([]int, len(g.header)-1)
	start := 0
	for i := range widths {
		widths[i] = utf8.RuneCountInString(g.header[i])
		for _, r := range g.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r.cells[i]))
		}
		start += widths[i] + 2
	}
	out := "\n" + line(widths, start, g.header)
	for _, r := range g.rows {
		out += line(widths, start, r.cells)
		for _, n := range r.notes {
			out += "    " + wrap(n, 4) + "\n"
		}
	}
	return out
}

// line is one row: the last cell begins at start, and goes on there.
func line(widths []int, start int, cells []string) string {
	var b strings.Builder
	for i, w := range widths {
		b.WriteString(cells[i])
		b.WriteString(strings.Repeat(" ", w-utf8.RuneCountInString(cells[i])+2))
	}
	b.WriteString(wrap(cells[len(cells)-1], start))
	return strings.TrimRight(b.String(), " ") + "\n"
}

// leastText is the width that a wrapped text gets however much stands before it.
const leastText = 30

// wrap breaks a text between words so that it ends within gridWidth when it begins at column start.
func wrap(text string, start int) string {
	width, used := max(gridWidth-start, leastText), 0
	var b strings.Builder
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case used == 0:
		case used+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", start))
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

// plain takes out of a text what a terminal would act on.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}
