package gmondconf

import (
	"slices"
	"strings"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// section is where the keys of one section go while it is read.
type section struct {
	keys   map[string]any                                         // *bool, *int, *float64 or *string
	blocks map[string]func(title string, at report.Place) section // opens a section within this one
	set    Keys
}

const titled = "param" // the one section that has a title

// known are all names that may stand in it.
func (s section) known() (names []string) {
	for name := range s.keys {
		names = append(names, name)
	}
	for name := range s.blocks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// parser is libconfuse's: keys and sections by their names. What it refuses becomes a fault, and where it can go on
// reading it does, so that all faults are told at once.
type parser struct {
	lexer *lexer
	again *token // read once more
	items int
}

func (p *parser) next() token {
	if t := p.again; t != nil {
		p.again = nil
		return *t
	}
	return p.lexer.next()
}

// want is the next token where libconfuse takes no comment.
func (p *parser) want() token {
	for {
		t := p.next()
		if t.kind != comment {
			return t
		}
		p.lexer.fault(t.at, "a comment cannot stand within a setting: put it behind, or on a line of its own")
	}
}

func (p *parser) root(c *Config) { p.section(c.section(), "") }

// section reads up to its closing brace. The end of the file closes all sections, as for libconfuse.
func (p *parser) section(s section, name string) {
	for {
		switch t := p.next(); {
		case t.kind == end || t.kind == unending:
			return
		case t.kind == comment:
		case t.kind == symbol && t.text == "}" && name != "":
			return
		case t.kind == symbol && t.text == "}":
			p.lexer.stop(t.at, "} without {")
		case t.kind == symbol && t.text == ",":
			p.lexer.fault(t.at, "a comma: want nothing between two settings")
		case t.kind != word:
			p.lexer.stop(t.at, "%q: want the name of a key or section", t.text)
		default:
			p.entry(s, name, t)
		}
	}
}

func (p *parser) entry(s section, within string, name token) {
	key := strings.ToLower(name.text)
	if target, ok := s.keys[key]; ok {
		p.assignment(s, key, name, target)
		return
	}
	if key == "include" && within == "" {
		p.include(name)
		return
	}
	open, ok := s.blocks[key]
	if !ok {
		p.unknown(s, within, name)
		return
	}
	if p.items++; p.items > maxItems {
		p.lexer.stop(name.at, "more than %d sections", maxItems)
		return
	}
	title := ""
	if key == titled {
		t := p.want()
		if t.kind != word {
			p.lexer.stop(t.at, "want the title of %s, as in %s url { value = … }", key, key)
			return
		}
		title = t.text
	}
	if p.brace(key) {
		p.section(open(title, name.at), key)
	}
}

// brace reads the { of a section.
func (p *parser) brace(name string) bool {
	t := p.want()
	if t.kind == word {
		p.lexer.fault(t.at, "%.60q: want { behind %s, which has no title", t.text, name)
		t = p.want()
	}
	if t.kind != symbol || t.text != "{" {
		p.lexer.stop(t.at, "want { behind %s", name)
		return false
	}
	return true
}

// assignment reads "= VALUE".
func (p *parser) assignment(s section, key string, name token, target any) {
	t := p.want()
	switch {
	case t.kind == symbol && t.text == "=":
		t = p.want()
	case t.kind == appends:
		p.lexer.fault(t.at, "+=: want =, %s is no list", key)
		t = p.want()
	default:
		p.lexer.fault(t.at, "want = behind %s", key)
	}
	if t.kind != word {
		if t.kind == symbol && t.text == "}" {
			p.again = &t
			p.lexer.fault(t.at, "want a value behind %s =", key)
		} else {
			p.lexer.stop(t.at, "want a value behind %s =", key)
		}
		return
	}
	if want := assign(target, t.text); want != "" {
		p.lexer.fault(t.at, "%s: %.60q: want %s%s", key, t.text, want, hint(t.text))
		return
	}
	s.set[key] = name.at
}

func hint(text string) string {
	if strings.HasSuffix(text, ";") {
		return "; settings do not end in ;"
	}
	return ""
}

// include reads ("FILE").
func (p *parser) include(name token) {
	var files []token
	t := p.want()
	if t.kind != symbol || t.text != "(" {
		p.lexer.stop(t.at, `want ( behind include, as in include ("conf.d/*.conf")`)
		return
	}
	for t = p.want(); t.kind == word; {
		files = append(files, t)
		if t = p.want(); t.kind == symbol && t.text == "," {
			t = p.want()
		}
	}
	switch {
	case t.kind != symbol || t.text != ")":
		p.lexer.stop(t.at, `want one file in quotes and ) behind include (`)
	case len(files) != 1:
		p.lexer.stop(name.at, "include of %d files: want one; write an include for each", len(files))
	default:
		p.lexer.include(files[0].text, name.at)
	}
}

// unknown tells of a name that gmond does not know and passes over what belongs to it.
func (p *parser) unknown(s section, within string, name token) {
	where, near := "", ""
	if within != "" {
		where = " in " + within
	}
	if n := conf.Nearest(strings.ToLower(name.text), s.known()); n != "" {
		near = ": perhaps " + n + " is meant"
	}
	p.lexer.fault(name.at, "%.60q: gmond knows no such key or section%s%s", name.text, where, near)
	t := p.want()
	if t.kind == word {
		t = p.want() // a title
	}
	switch {
	case t.kind == symbol && t.text == "=":
		if t = p.want(); t.kind != word {
			p.lexer.stop(t.at, "want a value behind =")
		}
	case t.kind == symbol && t.text == "{":
		p.pass("{", "}")
	case t.kind == symbol && t.text == "(":
		p.pass("(", ")")
	default:
		p.lexer.stop(t.at, "what follows %.60q cannot be read", name.text)
	}
}

// pass reads up to the end of what was opened.
func (p *parser) pass(open, closing string) {
	for depth := 1; depth > 0; {
		switch t := p.next(); {
		case t.kind == end || t.kind == unending:
			return
		case t.kind == symbol && t.text == open:
			depth++
		case t.kind == symbol && t.text == closing:
			depth--
		}
	}
}
