package arch

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// named checks a package's name and that it says what it is.
func (c *checker) named(p *pkg) {
	first := p.files[0]
	documented, library := false, false
	for _, f := range p.files {
		name := strings.TrimSuffix(f.syntax.Name.Name, "_test")
		if slices.Contains(c.BadNames, name) {
			c.add(f, f.line(f.syntax.Name.Pos()), "package %s: want a name that says what it holds", name)
		}
		if !f.test && !library {
			library, first = true, f
		}
	}
	for _, f := range p.files {
		if library && f.test {
			continue // the doc of a package stands in its code; one that is tests only has it there
		}
		doc := f.syntax.Doc.Text()
		if f.syntax.Name.Name == "main" || f.test {
			documented = documented || doc != ""
		} else {
			documented = documented || strings.HasPrefix(doc, "Package "+f.syntax.Name.Name+" ")
		}
	}
	if !documented {
		c.add(first, 1, "package %s has no package doc: want what it owns, what it never does, who calls it", first.syntax.Name.Name)
	}
}

// imports checks one file's imports against all rules that need no more than that.
func (c *checker) imports(p *pkg, f *file) {
	for _, i := range f.imports {
		for _, e := range c.Ends {
			if i.folder != "" && within(i.folder, e.Folder) && !within(p.folder, e.Folder) {
				c.add(f, i.line, "imports %s: %s", i.path, e.Reason)
			}
		}
		if f.test && !c.WithTests {
			continue
		}
		for _, s := range c.Standard {
			if within(p.folder, s.Folder) && !within(i.folder, s.Folder) && !standard(i) && !f.test {
				c.add(f, i.line, "imports %s: %s", i.path, s.Reason)
			}
		}
		for _, o := range c.Only {
			if within(i.path, o.What) && !within(p.folder, o.In...) {
				c.add(f, i.line, "imports %s: %s", i.path, o.Reason)
			}
		}
		c.parts(p, f, i)
	}
}

func (c *checker) parts(p *pkg, f *file, i imported) {
	from, to := owner(p.folder, c.Parts), owner(i.folder, c.Parts)
	if from == "" || to == "" || from == to {
		return
	}
	for _, a := range c.Between {
		if within(p.folder, a.From) && within(i.folder, a.To) {
			return
		}
	}
	c.add(f, i.line, "imports %s: parts never import each other", i.path)
}

// uses checks names and literals.
func (c *checker) uses(p *pkg, f *file) {
	f.names(func(name string, line int) {
		for _, o := range c.Names {
			if name == o.What && !within(p.folder, o.In...) {
				c.add(f, line, "uses %s: %s", name, o.Reason)
			}
		}
	})
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			return true
		}
		for _, o := range c.Literals {
			if strings.HasPrefix(text, o.What) && !within(p.folder, o.In...) {
				c.add(f, f.line(literal.Pos()), "holds %q: %s", text, o.Reason)
			}
		}
		return true
	})
}

// pure checks the code of a pure package: imports, clock, goroutines. Its tests may do what they need.
func (c *checker) pure(p *pkg) {
	i := slices.IndexFunc(c.Pure, func(u Pure) bool { return u.Folder == p.folder })
	if i < 0 {
		return
	}
	rule := c.Pure[i]
	for _, f := range p.files {
		if f.test {
			continue
		}
		for _, i := range f.imports {
			c.pureImport(rule, f, i)
		}
		f.names(func(name string, line int) {
			if slices.Contains(c.Clock, name) {
				c.add(f, line, "uses %s: %s", name, rule.Reason)
			}
		})
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.GoStmt); ok {
				c.add(f, f.line(s.Pos()), "starts a goroutine: %s", rule.Reason)
			}
			return true
		})
	}
}

func (c *checker) pureImport(rule Pure, f *file, i imported) {
	if slices.Contains(rule.But, i.path) {
		return
	}
	if i.name == "." {
		c.add(f, i.line, "imports %s by '.': its names cannot be checked", i.path)
	}
	if i.folder != "" && !slices.ContainsFunc(c.Pure, func(u Pure) bool { return u.Folder == i.folder }) {
		c.add(f, i.line, "imports %s, which is not pure: %s", i.path, rule.Reason)
	}
	for _, o := range c.Impure {
		if i.path == o.What || strings.HasSuffix(o.What, "/") && strings.HasPrefix(i.path, o.What) {
			c.add(f, i.line, "imports %s, %s: %s", i.path, o.Reason, rule.Reason)
		}
	}
}
