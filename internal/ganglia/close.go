package ganglia

import "slices"

// end takes the end of an element.
func (b *builder) end(name string) {
	switch name {
	case "GANGLIA_XML":
		b.endGrids(0)
		b.ended = true
	case "GRID":
		b.endGrids(max(len(b.grids)-1, 0))
	case "CLUSTER":
		b.endCluster()
	case "HOST":
		b.endHost()
	case "METRIC":
		b.endMetric()
	case "METRICS":
		b.endSum()
	}
}

func (b *builder) endMetric() {
	if b.metric != nil {
		b.metric.Extra = b.share(b.metric.Name)
	}
	b.metric, b.extras = nil, b.extras[:0]
}

func (b *builder) endSum() {
	if b.sum != nil {
		b.sum.Extra = b.share(b.sum.Name)
		b.sum, b.extras = nil, b.extras[:0]
	}
}

// share gives the extras that were read: the list that the metric of this name had last, if it is the same.
func (b *builder) share(name string) []Extra {
	if len(b.extras) == 0 {
		return nil
	}
	last := b.lists[name]
	if slices.Equal(last, b.extras) {
		return last
	}
	last = slices.Clone(b.extras)
	b.held += int64(len(last)) * heldExtra
	if len(b.lists) < maxWords {
		b.lists[name] = last
	}
	return last
}

func (b *builder) endHost() {
	b.endMetric()
	b.endSum()
	if b.host != nil {
		b.host.Metrics = slices.Clone(b.metrics)
		b.cluster.Hosts = append(b.cluster.Hosts, *b.host)
	}
	b.host, b.metrics = nil, b.metrics[:0]
}

func (b *builder) endCluster() {
	b.endHost()
	c := b.cluster
	b.cluster = nil
	switch {
	case c == nil:
	case len(b.grids) > 0:
		g := b.grids[len(b.grids)-1]
		g.Clusters = append(g.Clusters, *c)
	case b.doc.Cluster == nil:
		b.doc.Cluster = c
	default:
		b.fault("", "a second cluster %.60q is left out", c.Name)
	}
}

// endGrids closes grids until n are open.
func (b *builder) endGrids(n int) {
	b.endCluster()
	for len(b.grids) > n {
		g := b.grids[len(b.grids)-1]
		b.grids = b.grids[:len(b.grids)-1]
		if up := len(b.grids); up > 0 {
			b.grids[up-1].Grids = append(b.grids[up-1].Grids, *g)
		} else if b.doc.Grid == nil {
			b.doc.Grid = g
		}
	}
}
