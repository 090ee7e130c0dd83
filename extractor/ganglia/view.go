package ganglia

import (
	"slices"

	tree "keepwatch/internal/ganglia"
)

// view is what one source tells, as it is shown. It does not change once it is in source.view.
type view struct {
	clusters []tree.Cluster
	grids    []tree.Grid // a gmetad's, with what it tells of the clusters in it
	polled   int64       // s
}

func newView(doc *tree.Document, now int64) *view {
	v := &view{polled: now}
	if doc.Cluster != nil {
		v.clusters = []tree.Cluster{*doc.Cluster}
	}
	if doc.Grid != nil {
		v.grids = []tree.Grid{*doc.Grid}
	}
	for _, c := range v.all() {
		c.Polled = now
	}
	return v
}

// all are the clusters at any depth.
func (v *view) all() (out []*tree.Cluster) {
	var walk func(clusters []tree.Cluster, grids []tree.Grid)
	walk = func(clusters []tree.Cluster, grids []tree.Grid) {
		for i := range clusters {
			out = append(out, &clusters[i])
		}
		for i := range grids {
			walk(grids[i].Clusters, grids[i].Grids)
		}
	}
	walk(v.clusters, v.grids)
	return out
}

func (v *view) names() (out []string) {
	for _, c := range v.all() {
		if !slices.Contains(out, c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}

// remove takes out the clusters of a name.
func (v *view) remove(name string) {
	is := func(c tree.Cluster) bool { return c.Name == name }
	v.clusters = slices.DeleteFunc(v.clusters, is)
	var walk func([]tree.Grid)
	walk = func(grids []tree.Grid) {
		for i := range grids {
			grids[i].Clusters = slices.DeleteFunc(grids[i].Clusters, is)
			walk(grids[i].Grids)
		}
	}
	walk(v.grids)
}

// sum sums the clusters up as of now.
func (v *view) sum(now int64) {
	for _, c := range v.all() {
		c.Summary = tree.Summarize(c, now)
	}
}

// gone is after how many seconds without an answer the hosts of a mere summary count as down, as hosts do that tell
// no TMAX.
const gone = 80

// aged is the view as of now, when the source does not answer: hosts go down one by one and are forgotten after
// their DMAX, metrics too. Of a mere summary all hosts go down together.
func (v *view) aged(now int64) *view {
	age := max(now-v.polled, 0)
	old := func(h tree.Host) bool { return h.DMax > 0 && int64(h.TN)+age > int64(h.DMax) }
	a := &view{clusters: slices.Clone(v.clusters), grids: copyGrids(v.grids), polled: v.polled}
	for _, c := range a.all() {
		switch {
		case len(c.Hosts) > 0:
			if slices.ContainsFunc(c.Hosts, old) {
				c.Hosts = slices.DeleteFunc(slices.Clone(c.Hosts), old)
			}
			c.Summary = nil
			c.Summary = tree.Summarize(c, now)
		case age >= gone:
			c.Summary = down(c.Summary)
		}
	}
	if age >= gone {
		allDown(a.grids)
	}
	return a
}

func copyGrids(grids []tree.Grid) []tree.Grid {
	out := slices.Clone(grids)
	for i := range out {
		out[i].Clusters = slices.Clone(out[i].Clusters)
		out[i].Grids = copyGrids(out[i].Grids)
	}
	return out
}

func allDown(grids []tree.Grid) {
	for i := range grids {
		grids[i].Summary = down(grids[i].Summary)
		allDown(grids[i].Grids)
	}
}

func down(s *tree.Summary) *tree.Summary {
	if s == nil {
		return nil
	}
	return &tree.Summary{Down: s.Up + s.Down}
}

func (v *view) count() (hosts, up, metrics int) {
	for _, c := range v.all() {
		if c.Summary != nil {
			hosts += c.Summary.Up + c.Summary.Down
			up += c.Summary.Up
		}
		for i := range c.Hosts {
			metrics += len(c.Hosts[i].Metrics)
		}
	}
	return hosts, up, metrics
}
