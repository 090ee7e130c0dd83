package keepalived

import (
	"path"
	"strings"

	"keepwatch/internal/report"
)

// include reads the files that an include line names, each in its place.
func (s *source) include(text string, at report.Place, from string, depth int) bool {
	fields := strings.Fields(text)
	switch fields[0] {
	case "include", "includer", "includem", "includew", "includeb", "includea":
	default:
		return false
	}
	if len(fields) != 2 {
		s.notes.Add(at, report.Mistake, "%s wants one file: the line is ignored", fields[0])
		return true
	}
	pattern := strings.Trim(fields[1], `"'`)
	if !path.IsAbs(pattern) {
		pattern = path.Join(path.Dir(from), pattern)
	}
	if depth+1 >= maxDepth {
		s.notes.Add(at, report.Mistake, "%d files include each other: %.200q is not read", maxDepth, pattern)
		return true
	}
	var names []string
	if s.options.Glob != nil {
		names, _ = s.options.Glob(pattern) // a malformed pattern matches nothing
	}
	if len(names) == 0 {
		s.notes.Add(at, report.Mistake, "there is no file %.200q: nothing is included", pattern)
	}
	for _, name := range names {
		if s.files >= maxFiles {
			s.stop(at, "more than %d files", maxFiles)
			return true
		}
		data, err := s.options.Read(name)
		if err != nil {
			s.notes.Add(at, report.Mistake, "cannot read %.200q: %v", name, err)
			continue
		}
		s.file(name, data, depth+1)
	}
	return true
}
