package ganglia

import (
	"slices"
	"sync"

	tree "keepwatch/internal/ganglia"
	"keepwatch/metric"
)

// claims says whose a cluster's name is when several sources tell of one: the first of them in the configuration. A
// source that is dead keeps its names, so that nothing changes hands to and fro.
type claims struct {
	mu sync.Mutex
	by map[string][]int // sources that told of the cluster when they last answered, ascending
}

// update notes which clusters a source tells of, and returns those that belong to another one, with its number.
func (c *claims) update(source int, clusters []string) (taken map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, who := range c.by {
		if i := slices.Index(who, source); i >= 0 && !slices.Contains(clusters, name) {
			if c.by[name] = slices.Delete(who, i, i+1); len(who) == 1 {
				delete(c.by, name)
			}
		}
	}
	taken = make(map[string]int)
	for _, name := range clusters {
		who := c.by[name]
		if i, found := slices.BinarySearch(who, source); !found {
			who = slices.Insert(who, i, source)
			c.by[name] = who
		}
		if who[0] != source {
			taken[name] = who[0]
		}
	}
	return taken
}

// names are those that any source claims, as their converters have them.
func (c *claims) names() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]bool, len(c.by))
	for name := range c.by {
		out[tree.Text(name, metric.MaxHost)] = true
	}
	return out
}
