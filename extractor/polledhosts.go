package extractor

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"keepwatch/extractor/normalize"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// polledCluster is what is known of the names in a cluster.
type polledCluster struct {
	names *normalize.Normalizer
	rules *normalize.Names  // by which hosts are kept
	hosts map[string]string // the name under which a host is kept, by the one under which it is told
	told  map[string]int    // number of names under which a host is told, by the one under which it is kept
}

// meets notes the hosts of which it is said whether they are up: all that are told of.
func (c *polledCluster) meets(b *batch.Batch) {
	for i := range b.Samples {
		s := b.Samples[i].Series
		if _, known := c.hosts[s.Host]; known || s.Name != hostUpMetric {
			continue
		}
		kept, _ := c.rules.Host(s.Host)
		c.hosts[s.Host] = kept
		c.told[kept]++
	}
}

// leaves forgets a name and reports whether its host is kept no longer.
func (c *polledCluster) leaves(host string) bool {
	kept, known := c.hosts[host]
	if !known {
		return true
	}
	delete(c.hosts, host)
	if c.told[kept]--; c.told[kept] > 0 {
		return false
	}
	delete(c.told, kept)
	return true
}

// parts drops the farewells to hosts that are told of under another name yet.
func (c *polledCluster) parts(b *batch.Batch) {
	if c == nil {
		return
	}
	b.Events = slices.DeleteFunc(b.Events, func(e metric.Event) bool {
		return e.Kind == metric.EventHostForgotten && !c.leaves(e.Host)
	})
}

// follow puts other rules in force, logs what changes, and gives a farewell for each name under which no host is kept
// any more.
func (c *polledCluster) follow(cluster string, rules *normalize.Names, log *slog.Logger) (farewells []metric.Event) {
	if c.rules == rules {
		return nil
	}
	before := c.hosts
	c.rules, c.hosts, c.told = rules, make(map[string]string, len(before)), make(map[string]int, len(before))
	told := renames{log: log.With("cluster", cluster)}
	for host, was := range before {
		kept, rule := rules.Host(host)
		c.hosts[host] = kept
		c.told[kept]++
		told.host(host, was, kept, rule)
	}
	told.end()
	now := time.Now().UnixMilli()
	parted := make(map[string]bool)
	for host, was := range before {
		if is := c.hosts[host]; c.told[was] == 0 && !parted[was] {
			parted[was] = true
			if e := (farewell{At: now, As: is}).event(cluster+"\x00"+was, 0); e.Check() == nil {
				farewells = append(farewells, e)
			}
		}
	}
	return farewells
}

// PolledStatus is a cluster that is polled over XML.
type PolledStatus struct {
	Cluster string       `json:"cluster"`
	Names   []HostStatus `json:"names"` // as ClusterStatus has them
}

// status lists the clusters that have hosts with other names than the ones under which they are kept, in order.
func (p *polled) status() []PolledStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []PolledStatus{}
	for _, cluster := range slices.Sorted(maps.Keys(p.clusters)) {
		if names := p.clusters[cluster].status(); len(names) > 0 {
			out = append(out, PolledStatus{Cluster: cluster, Names: names})
		}
	}
	return out
}

func (c *polledCluster) status() []HostStatus {
	var out []HostStatus
	at := make(map[string]int) // in out, by the name under which the host is kept
	for _, host := range slices.Sorted(maps.Keys(c.hosts)) {
		kept := c.hosts[host]
		if kept == host && c.told[kept] == 1 {
			continue
		}
		if _, listed := at[kept]; !listed {
			at[kept] = len(out)
			out = append(out, HostStatus{Host: kept})
		}
		_, rule := c.rules.Host(host)
		s := &out[at[kept]]
		s.Names = append(s.Names, HostName{Name: host, Rule: string(rule), From: "xml"})
	}
	slices.SortFunc(out, func(a, b HostStatus) int { return strings.Compare(a.Host, b.Host) })
	return out
}

// join makes one of what is said of a host that is told of under several names: it is up while it is under any.
func (c *polledCluster) join(b *batch.Batch) {
	if len(c.told) == len(c.hosts) {
		return
	}
	at := make(map[string]int)
	kept := b.Samples[:0]
	for _, s := range b.Samples {
		if s.Series.Name == hostUpMetric {
			if i, twice := at[s.Series.Host]; twice {
				kept[i].Value = max(kept[i].Value, s.Value)
				continue
			}
			at[s.Series.Host] = len(kept)
		}
		kept = append(kept, s)
	}
	clear(b.Samples[len(kept):])
	b.Samples = kept
}
