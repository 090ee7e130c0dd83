package arch

import (
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// counted is the beginning of a string literal that names what a part counts of itself.
var counted = regexp.MustCompile(`^keepwatch_(alerter|bus|collector|extractor|ganglia|tcp|ui|writer)_[a-z0-9_]*[a-z0-9]`)

// TestEveryCounterIsInThePages: an operator finds what a counter counts. A page may leave the first two words of a name
// out where the one before has them: `keepwatch_bus_lag_messages`, `…_lag_seconds`.
func TestEveryCounterIsInThePages(t *testing.T) {
	tree := os.DirFS("../..")
	pages := readPages(t, tree)
	packages, err := read(tree, Keepwatch().Module)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for _, p := range packages {
		for _, f := range p.files {
			if f.test {
				continue
			}
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				name, found := counterIn(n)
				if !found {
					return true
				}
				names++
				short := "…_" + strings.SplitN(name, "_", 3)[2]
				if !regexp.MustCompile(`(` + name + `|` + short + `)([^a-z0-9_]|$)`).MatchString(pages) {
					t.Errorf("%s:%d: no page in docs tells what %s is", f.path, f.line(n.Pos()), name)
				}
				return true
			})
		}
	}
	if names < 50 {
		t.Errorf("only %d names were found in the code", names)
	}
}

// counterIn is the name that a literal begins with; one that is put together from parts is none.
func counterIn(n ast.Node) (name string, ok bool) {
	literal, ok := n.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		return "", false
	}
	name = counted.FindString(text)
	return name, name != "" && !strings.HasPrefix(text[len(name):], "_")
}

func readPages(t *testing.T, tree fs.FS) string {
	t.Helper()
	var all strings.Builder
	err := fs.WalkDir(tree, "docs", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".md" {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
