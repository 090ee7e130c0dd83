package gmetadconf

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"keepwatch/internal/report"
)

// file reads one file; at is what asked for it.
func (p *parser) file(name string, data []byte, at report.Place, depth int) {
	p.bytes += len(data)
	switch {
	case len(data) > MaxFile:
		p.stop(at, "%.200q is larger than %d bytes: it is not read", name, MaxFile)
	case p.bytes > maxBytes:
		p.stop(at, "the files hold more than %d bytes: %.200q is not read", maxBytes, name)
	case len(p.order) >= maxFiles:
		p.stop(at, "more than %d files: %.200q is not read", maxFiles, name)
	case bytes.IndexByte(data, 0) >= 0:
		p.stop(at, "%.200q holds NUL bytes: it is no configuration", name)
	}
	if p.stopped {
		return
	}
	p.order, p.open = append(p.order, name), append(p.open, name)
	folder := p.folder // that of a file ends with it
	for _, l := range p.lines(name, string(data)) {
		p.counted = p.counted || depth == 0 && strings.Contains(l.text, "data_source") && l.text[0] != '#'
		if d, ok := p.directive(l); ok && !p.stopped {
			p.apply(d, depth)
		}
	}
	p.folder, p.open = folder, p.open[:len(p.open)-1]
}

// include reads the file that a directive names, or all that it stands for as a pattern.
func (p *parser) include(d Directive, depth int) {
	name := d.Args[0]
	if name == "" {
		p.fault(d.At, "include: want a file")
		return
	}
	if name[0] != '/' && p.folder != "" {
		name = strings.TrimSuffix(p.folder, "/") + "/" + name
	}
	if name[0] != '/' {
		p.config.Relative[d.At] = name
	}
	if !strings.ContainsAny(name, "*?") {
		p.read(name, d.At, depth)
		return
	}
	var files []string
	if p.options.Glob != nil {
		files, _ = p.options.Glob(pattern(name)) // a malformed pattern stands for nothing
	}
	for _, f := range files {
		if base := path.Base(f); base != "." && base != ".." && !p.stopped {
			p.read(f, d.At, depth)
		}
	}
}

// pattern writes a pattern of dotconf, which knows * and ?, for filepath.Match. A folder is taken by its name.
func pattern(name string) string {
	folder, last := path.Split(name)
	escape := func(text, special string) string {
		var b strings.Builder
		for i := range len(text) {
			if strings.IndexByte(special, text[i]) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		}
		return b.String()
	}
	return escape(folder, `*?[\`) + escape(last, `[\`)
}

func (p *parser) read(name string, at report.Place, depth int) {
	switch {
	case slices.Contains(p.open, name):
		p.stop(at, "%.200q includes itself", name)
		return
	case depth+1 >= maxDepth:
		p.stop(at, "files include each other more than %d deep", maxDepth)
		return
	case p.options.Read == nil:
		p.stop(at, "cannot read %.200q: no file can be included here", name)
		return
	}
	data, err := p.options.Read(name)
	if err != nil {
		p.stop(at, "cannot read %.200q: %v", name, err)
		return
	}
	p.file(name, data, at, depth+1)
}
