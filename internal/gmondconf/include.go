package gmondconf

import (
	"path"
	"slices"
	"strings"

	"keepwatch/internal/report"
)

// Include is one include of a configuration.
type Include struct {
	At      report.Place
	Pattern string
	Files   int // how many it stands for
}

// include reads the file that name says, or all that it stands for as a pattern.
func (l *lexer) include(name string, at report.Place) {
	if !wild(name) {
		l.included = append(l.included, Include{at, name, 1})
		l.open(name, at)
		return
	}
	var files []string
	if l.options.Glob != nil {
		files, _ = l.options.Glob(pattern(name)) // a malformed pattern stands for nothing, as for gmond
	}
	hidden := strings.HasPrefix(path.Base(name), ".")
	files = slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !hidden && strings.HasPrefix(path.Base(f), ".") })
	l.included = append(l.included, Include{at, name, len(files)})
	if l.deep(at) {
		l.stack = append(l.stack, &source{pending: files, asked: at})
	}
}

// deep reports whether one more file may be opened within those that are open.
func (l *lexer) deep(at report.Place) bool {
	if len(l.stack) > maxDepth {
		l.stop(at, "files include each other more than %d deep", maxDepth)
		return false
	}
	return true
}

func (l *lexer) open(file string, at report.Place) {
	if slices.ContainsFunc(l.stack, func(s *source) bool { return s.file == file }) {
		l.stop(at, "%.200q includes itself", file)
		return
	}
	if !l.deep(at) {
		return
	}
	if l.options.Read == nil {
		l.stop(at, "cannot read %.200q: no file can be included here", file)
		return
	}
	data, err := l.options.Read(file)
	if err != nil {
		l.stop(at, "cannot read %.200q: %v", file, err)
		return
	}
	l.push(file, data, at)
}

// wild reports whether gmond takes a name as a pattern.
func wild(name string) bool {
	bracket := false
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '?', '*':
			return true
		case '\\':
			i++
		case '[':
			bracket = true
		case ']':
			if bracket {
				return true
			}
		}
	}
	return false
}

// pattern writes a pattern of fnmatch for filepath.Match. Only its last part is one: a folder is taken by its name.
func pattern(name string) string {
	folder, last := path.Split(name)
	var b strings.Builder
	for i := range len(folder) {
		if strings.IndexByte(`*?[\`, folder[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(folder[i])
	}
	return b.String() + strings.ReplaceAll(last, "[!", "[^")
}
