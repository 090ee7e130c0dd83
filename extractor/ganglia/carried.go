package ganglia

import (
	"math"
	"net/netip"
	"slices"
	"time"

	tree "keepwatch/internal/ganglia"
)

const (
	defaultHostDmax = 24 * time.Hour

	// Bounds on what of one source's earlier documents is carried on.
	maxCarriedHosts   = 20_000
	maxCarriedMetrics = 500_000
)

// carried is what a source told before. A gmond that was restarted, or another one that answers in its place, does not
// know who is dead: gmetad updates what it has and forgets hosts and metrics by their DMAX alone, and so do we. A
// cluster that a document leaves out is not shown, but its hosts are there again when it comes back.
type carried struct {
	dmax     uint32 // s, of what says 0, which is for ever to gmetad
	clusters map[string]tree.Cluster
	hosts    int // that may be carried yet, of the present document
	metrics  int
}

func newCarried(hostDmax time.Duration) *carried {
	if hostDmax <= 0 {
		hostDmax = defaultHostDmax
	}
	return &carried{dmax: uint32(min(hostDmax/time.Second, math.MaxUint32)), clusters: make(map[string]tree.Cluster)}
}

// join adds to a new view what earlier ones had and it has not, and says whether all of it found room.
func (p *carried) join(v *view) (all bool) {
	p.hosts, p.metrics = maxCarriedHosts, maxCarriedMetrics
	told := make(map[string][]*tree.Cluster)
	for _, c := range v.all() {
		if len(c.Hosts) > 0 || c.Summary == nil { // else only a summary was told
			told[c.Name] = append(told[c.Name], c)
		}
	}
	for name, old := range p.clusters {
		age := uint32(min(max(v.polled-old.Polled, 0), math.MaxUint32))
		if same := told[name]; same != nil {
			p.cluster(same, &old, age)
		} else if old.Hosts = p.stillKept(old.Hosts, age); len(old.Hosts) > 0 {
			old.Polled = v.polled
			p.clusters[name] = old
		} else {
			delete(p.clusters, name)
		}
	}
	for name, same := range told {
		c := tree.Cluster{Name: name, Polled: v.polled}
		for _, s := range same {
			c.Hosts = append(c.Hosts, s.Hosts...)
		}
		p.clusters[name] = c
	}
	return p.hosts >= 0 && p.metrics >= 0
}

// cluster adds to the clusters of one name what an earlier one of that name had.
func (p *carried) cluster(same []*tree.Cluster, old *tree.Cluster, age uint32) {
	told := make(map[string]*tree.Host)
	for _, c := range same {
		for _, i := range newest(c.Hosts) {
			h := &c.Hosts[i]
			if other := told[h.Name]; other == nil || h.TN < other.TN {
				told[h.Name] = h
			}
		}
	}
	var dead []tree.Host
	for _, i := range newest(old.Hosts) {
		if h := &old.Hosts[i]; told[h.Name] != nil {
			p.addMetrics(told[h.Name], h.Metrics, age)
		} else {
			dead = append(dead, *h)
		}
	}
	if len(dead) > 0 {
		renamed := renamedHosts(told, old.Hosts)
		dead = slices.DeleteFunc(dead, func(h tree.Host) bool { return renamed[h.Name] })
	}
	same[0].Hosts = append(same[0].Hosts, p.stillKept(dead, age)...)
}

// renamedHosts are those that go on under another name: a gmond gives a host the name that its address had when it
// heard it first, so another one, or the same after a restart, may give it another. Who had an address alone, and is
// told no more, is the one that is new, lives and has it alone now.
func renamedHosts(told map[string]*tree.Host, old []tree.Host) map[string]bool {
	had := make(map[netip.Addr][]string)
	known := make(map[string]bool, len(old))
	for i := range old {
		h := &old[i]
		known[h.Name] = true
		if ip, err := netip.ParseAddr(h.IP); err == nil && !slices.Contains(had[ip], h.Name) {
			had[ip] = append(had[ip], h.Name)
		}
	}
	have := make(map[netip.Addr][]*tree.Host)
	for _, h := range told {
		if ip, err := netip.ParseAddr(h.IP); err == nil {
			have[ip] = append(have[ip], h)
		}
	}
	out := make(map[string]bool)
	for ip, now := range have {
		if len(now) == 1 && now[0].Up() && !known[now[0].Name] && len(had[ip]) == 1 && told[had[ip][0]] == nil {
			out[had[ip][0]] = true
		}
	}
	return out
}

// stillKept are those of hosts that their DMAX does not forget, age seconds later.
func (p *carried) stillKept(hosts []tree.Host, age uint32) (out []tree.Host) {
	for _, h := range hosts {
		if h.TN = later(h.TN, age); p.forgotten(h.TN, h.DMax) {
			continue
		}
		if p.hosts--; p.hosts < 0 {
			return out
		}
		metrics := h.Metrics
		h.Metrics, h.Carried = make([]tree.Metric, 0, len(metrics)), true
		p.addMetrics(&h, metrics, age)
		out = append(out, h)
	}
	return out
}

// addMetrics adds to a host those metrics that it had age seconds ago and has not now.
func (p *carried) addMetrics(h *tree.Host, had []tree.Metric, age uint32) {
	missing := missingOf(h.Metrics, had)
	for i := range missing {
		m := missing[i]
		if m.TN = later(m.TN, age); p.forgotten(m.TN, m.DMax) {
			continue
		}
		if p.metrics--; p.metrics < 0 {
			return
		}
		m.Carried = true
		h.Metrics = append(h.Metrics, m)
	}
}

// missingOf are those of had whose names are not among has. A gmond tells its metrics in the same order each time.
func missingOf(has, had []tree.Metric) (missing []tree.Metric) {
	same := 0
	for same < len(has) && same < len(had) && has[same].Name == had[same].Name {
		same++
	}
	if same == len(has) {
		return had[same:]
	}
	names := make(map[string]struct{}, len(has)-same)
	for i := range has {
		names[has[i].Name] = struct{}{}
	}
	for _, m := range had[same:] {
		if _, there := names[m.Name]; !there {
			missing = append(missing, m)
		}
	}
	return missing
}

func (p *carried) forgotten(tn, dmax uint32) bool {
	if dmax == 0 {
		dmax = p.dmax
	}
	return tn > dmax
}

func later(tn, age uint32) uint32 { return uint32(min(uint64(tn)+uint64(age), math.MaxUint32)) }
