package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pkg is the Go files of one folder.
type pkg struct {
	folder string // "." is the root
	files  []*file
}

// file is one parsed Go file.
type file struct {
	path    string
	test    bool
	syntax  *ast.File
	fset    *token.FileSet
	imports []imported
}

// imported is one import: its path, the folder when it is of the module, and the name it has in the file.
type imported struct {
	path, folder, name string
	line               int
}

func (f *file) line(p token.Pos) int { return f.fset.Position(p).Line }

func read(tree fs.FS, module string) ([]*pkg, error) {
	var packages []*pkg
	byFolder := make(map[string]*pkg)
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return enter(tree, name)
		case path.Ext(name) != ".go":
			return nil
		}
		f, err := parse(tree, name, module)
		if err != nil {
			return err
		}
		folder := path.Dir(name)
		if byFolder[folder] == nil {
			byFolder[folder] = &pkg{folder: folder}
			packages = append(packages, byFolder[folder])
		}
		byFolder[folder].files = append(byFolder[folder].files, f)
		return nil
	})
	return packages, err
}

// enter is fs.SkipDir for folders that hold no Go code of this module.
func enter(tree fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if base == "testdata" || base == "node_modules" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func parse(tree fs.FS, name, module string) (*file, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	f := &file{path: name, test: strings.HasSuffix(name, "_test.go"), fset: token.NewFileSet()}
	f.syntax, err = parser.ParseFile(f.fset, name, source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", name, err)
	}
	for _, spec := range f.syntax.Imports {
		at, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("cannot read import %s of %q: %w", spec.Path.Value, name, err)
		}
		i := imported{path: at, name: lastName(at), line: f.line(spec.Pos())}
		if spec.Name != nil {
			i.name = spec.Name.Name
		}
		if folder, ok := strings.CutPrefix(at, module+"/"); ok {
			i.folder = folder
		}
		f.imports = append(f.imports, i)
	}
	return f, nil
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// lastName guesses the name of the package at an import path, as goimports does.
func lastName(at string) string {
	base := path.Base(at)
	if majorVersion.MatchString(base) {
		base = path.Base(path.Dir(at))
	}
	base, _, _ = strings.Cut(base, ".")
	return strings.TrimPrefix(base, "go-")
}

// standard says whether an import path is of the standard library: no domain in front, and not the module's.
func standard(i imported) bool {
	first, _, _ := strings.Cut(i.path, "/")
	return i.folder == "" && !strings.Contains(first, ".")
}

// names calls use for every PACKAGE.NAME in the file, as "path.NAME".
func (f *file) names(use func(name string, line int)) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if !ok || x.Obj != nil { // with an object it is a variable of the same name
			return true
		}
		i := slices.IndexFunc(f.imports, func(i imported) bool { return i.name == x.Name })
		if i >= 0 {
			use(f.imports[i].path+"."+s.Sel.Name, f.line(s.Pos()))
		}
		return true
	})
}
