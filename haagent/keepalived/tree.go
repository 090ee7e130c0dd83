package keepalived

import (
	"slices"
	"strings"

	"keepwatch/internal/report"
)

// statement is a keyword with its words and, perhaps, its block.
type statement struct {
	words []string // without quotes; escapes are left as they are
	block []*statement
	at    report.Place
}

func (s *statement) keyword() string { return s.words[0] }

// args are the words behind the keyword.
func (s *statement) args() []string { return s.words[1:] }

// arg is the first word behind the keyword, "" without one.
func (s *statement) arg() string {
	if len(s.words) < 2 {
		return ""
	}
	return s.words[1]
}

// Keywords that a block follows, at the top and inside of blocks.
var (
	topBlocks = []string{
		"global_defs", "vrrp_instance", "vrrp_script", "vrrp_sync_group", "vrrp_track_process", "vrrp_track_file",
		"bfd_instance", "static_ipaddress", "static_routes", "static_rules", "virtual_server", "virtual_server_group",
		"garp_group", "interface_up_down_delays", "linkbeat_interfaces", "track_group",
	}
	innerBlocks = []string{
		"virtual_ipaddress", "virtual_ipaddress_excluded", "virtual_routes", "virtual_rules", "track_interface",
		"track_script", "track_process", "track_bfd", "track_file", "unicast_peer", "authentication", "group",
		"notification_email",
	}
)

// parser builds the tree of statements. Its top is a statement without words.
type parser struct {
	notes *report.Notes
	open  []*statement // the blocks that are open, outermost first
	last  *statement   // the statement before, if a brace may still follow it
	deep  int          // blocks below maxNesting, which are passed over
}

// parse makes a tree of lines.
func parse(lines []line, n *report.Notes) []*statement {
	p := parser{notes: n, open: []*statement{{}}}
	for _, l := range lines {
		for _, segment := range segments(l.text) {
			switch {
			case len(segment) == 1 && segment[0].brace == '{':
				p.begin(l.at)
			case len(segment) == 1 && segment[0].brace == '}':
				p.end(l.at)
			default:
				p.statement(segment, l.at)
			}
		}
	}
	p.endAll("the end of the configuration")
	return p.open[0].block
}

func (p *parser) top() *statement { return p.open[len(p.open)-1] }

func (p *parser) statement(words []word, at report.Place) {
	p.unopened(at)
	if p.deep > 0 {
		return
	}
	s := &statement{at: at}
	for _, w := range words {
		s.words = append(s.words, w.text)
	}
	if len(p.open) > 1 && !words[0].quoted && slices.Contains(topBlocks, s.keyword()) {
		p.endAll(s.keyword() + " in line " + strings.TrimPrefix(at.String(), at.File+":"))
	}
	p.top().block = append(p.top().block, s)
	p.last = s
}

// unopened gives the statement before the block that its keyword promises.
func (p *parser) unopened(at report.Place) {
	s := p.last
	p.last = nil
	if s == nil || !takesBlock(s, len(p.open) == 1) {
		return
	}
	p.notes.Add(s.at, report.Mistake, "'{' is missing behind %s: it is read as if it stood there", s.keyword())
	p.open = append(p.open, s)
}

func takesBlock(s *statement, top bool) bool {
	if top {
		return slices.Contains(topBlocks, s.keyword()) || s.keyword() == "track_file"
	}
	return slices.Contains(innerBlocks, s.keyword()) && len(s.words) == 1
}

func (p *parser) begin(at report.Place) {
	switch {
	case p.deep > 0 || len(p.open) > maxNesting:
		if p.deep == 0 {
			p.notes.Add(at, report.Mistake, "more than %d blocks within each other: what is deeper is ignored", maxNesting)
		}
		p.deep++
		return
	case p.last == nil:
		p.notes.Add(at, report.Mistake, "'{' without a keyword in front: the block is ignored")
		p.last = &statement{words: []string{""}, at: at}
	}
	p.open = append(p.open, p.last)
	p.last = nil
}

func (p *parser) end(at report.Place) {
	p.unopened(at)
	switch {
	case p.deep > 0:
		p.deep--
	case len(p.open) == 1:
		p.notes.Add(at, report.Mistake, "'}' without '{': it is ignored")
	default:
		p.open = p.open[:len(p.open)-1]
	}
}

// endAll closes what is open, once before says what comes that cannot stand in a block.
func (p *parser) endAll(before string) {
	p.unopened(report.Place{})
	p.deep = 0
	for len(p.open) > 1 {
		s := p.top()
		p.notes.Add(s.at, report.Mistake, "the block of %s has no '}': it ends before %s", s.keyword(), before)
		p.open = p.open[:len(p.open)-1]
	}
}

type word struct {
	text   string
	quoted bool
	brace  byte // '{' or '}' when it is one outside of quotes
}

// segments splits a line into words and those at braces, which stand alone.
func segments(text string) (all [][]word) {
	var now []word
	for i := 0; i < len(text); {
		w, next := nextWord(text, i)
		i = next
		switch {
		case w.brace != 0:
			if now != nil {
				all = append(all, now)
				now = nil
			}
			all = append(all, []word{w})
		case w.text != "" || w.quoted:
			now = append(now, w)
		}
	}
	if now != nil {
		all = append(all, now)
	}
	return all
}

// nextWord reads a word at i, after blanks, and says where the next one begins.
func nextWord(text string, i int) (word, int) {
	for i < len(text) && blank(text[i]) {
		i++
	}
	var b strings.Builder
	quoted := false
	for i < len(text) && !blank(text[i]) {
		switch c := text[i]; {
		case c == '$' && strings.HasPrefix(text[i:], "${"):
			if end := strings.IndexByte(text[i:], '}'); end > 0 { // a definition that is not there
				b.WriteString(text[i : i+end+1])
				i += end + 1
				continue
			}
		case c == '{' || c == '}':
			if b.Len() > 0 || quoted {
				return word{b.String(), quoted, 0}, i
			}
			return word{brace: c}, i + 1
		case c == '"' || c == '\'':
			if end := closing(text, i); end > 0 {
				b.WriteString(text[i+1 : end])
				quoted, i = true, end+1
				continue
			}
		}
		b.WriteByte(text[i])
		i++
	}
	return word{b.String(), quoted, 0}, i
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }
