package arch

import (
	"maps"
	"slices"
	"strings"
)

// unreached follows the imports of a package through the module and tells the way to what it must not depend on.
func (c *checker) unreached(p *pkg) {
	for _, b := range c.Unreached {
		if !within(p.folder, b.From) {
			continue
		}
		for _, f := range p.files {
			if f.test && !c.WithTests {
				continue
			}
			for _, i := range f.imports {
				if way := c.way(i.folder, b.To, map[string]bool{}); way != nil {
					c.add(f, i.line, "imports %s: %s", strings.Join(way, " → "), b.Reason)
				}
			}
		}
	}
}

// way is the folders from one to the first that is within the other, nil when there is none.
func (c *checker) way(from, to string, seen map[string]bool) []string {
	if from == "" || seen[from] {
		return nil
	}
	seen[from] = true
	if within(from, to) {
		return []string{from}
	}
	p := c.byFolder[from]
	if p == nil {
		return nil
	}
	for _, f := range p.files {
		if f.test {
			continue // its tests are not part of who imports it
		}
		for _, i := range f.imports {
			if rest := c.way(i.folder, to, seen); rest != nil {
				return append([]string{from}, rest...)
			}
		}
	}
	return nil
}

// top is the folder that circles are counted in: the first element, under internal the first two.
func top(folder string) string {
	parts := strings.SplitN(folder, "/", 3)
	if parts[0] == "internal" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

// circles reports every import between top-level folders that lies on a circle of them.
func (c *checker) circles() {
	edges := make(map[string]map[string]bool)
	c.crossings(func(_ *file, _ imported, from, to string) {
		if edges[from] == nil {
			edges[from] = make(map[string]bool)
		}
		edges[from][to] = true
	})
	c.crossings(func(f *file, i imported, from, to string) {
		if way := route(edges, to, from, map[string]bool{}); way != nil {
			c.add(f, i.line, "imports %s: a circle of folders, %s → %s", i.path, from, strings.Join(way, " → "))
		}
	})
}

// crossings calls visit for every import of one top-level folder by another, tests left out.
func (c *checker) crossings(visit func(f *file, i imported, from, to string)) {
	for _, p := range c.packages {
		for _, f := range p.files {
			for _, i := range f.imports {
				if from, to := top(p.folder), top(i.folder); !f.test && i.folder != "" && from != to {
					visit(f, i, from, to)
				}
			}
		}
	}
}

// route is the folders from one to the other, both included, nil when there is none.
func route(edges map[string]map[string]bool, from, to string, seen map[string]bool) []string {
	if from == to {
		return []string{to}
	}
	if seen[from] {
		return nil
	}
	seen[from] = true
	for _, next := range slices.Sorted(maps.Keys(edges[from])) {
		if rest := route(edges, next, to, seen); rest != nil {
			return append([]string{from}, rest...)
		}
	}
	return nil
}
