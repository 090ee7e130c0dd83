package ganglia

import (
	"fmt"
	"net/netip"
	"testing"

	"keepwatch/internal/netnstest"
)

var quick = []string{"cpu_num", "mem_total", "os_name", "boottime", "load_one", "mem_free", "cpu_idle"}

// eachSeesAll waits until every node's XML tells of all nodes with all metrics.
func eachSeesAll(t *testing.T, hosts []*host) {
	t.Helper()
	for _, h := range hosts {
		netnstest.Await(t, h.name+" sees all", func() error {
			s, err := h.sees(h)
			if err != nil {
				return err
			}
			return s.complete(hosts, quick...)
		})
	}
}

// A cluster of two gmonds and one of ours: each sees all, and what is told of a metric is the same everywhere. Then
// ours is replaced by a gmond, and put back.
func TestClusterOfBothKinds(t *testing.T) {
	r := newRig(t)
	hosts := []*host{r.host(1), r.host(2), r.host(3)}
	hosts[0].gmond("mixed")
	hosts[1].gmond("mixed")
	hosts[2].ours("mixed")
	eachSeesAll(t, hosts)
	sameWords(t, hosts)

	hosts[2].stop()
	hosts[2].gmond("mixed")
	eachSeesAll(t, hosts)

	hosts[2].stop()
	hosts[2].ours("mixed")
	eachSeesAll(t, hosts)
	sameWords(t, hosts)
}

// sameWords compares what the three tell of each metric but for its value, and that ours and gmond's own metrics are
// told in the same words.
func sameWords(t *testing.T, hosts []*host) {
	t.Helper()
	word := func(m metric) string {
		return fmt.Sprintf("type %s units %q tmax %s dmax %s slope %s extra %v", m.Type, m.Units, m.TMax, m.DMax, m.Slope, m.Extra)
	}
	first, err := hosts[0].sees(hosts[0])
	must(t, err)
	for _, teller := range hosts {
		s, err := teller.sees(teller)
		must(t, err)
		for _, of := range hosts {
			for _, name := range quick {
				a := netip.MustParseAddr(of.ip)
				if got, want := word(s[a][name]), word(first[netip.MustParseAddr(hosts[0].ip)][name]); got != want {
					t.Errorf("%s tells of %s's %s: %s; gmond tells of its own: %s", teller.name, of.name, name, got, want)
				}
			}
		}
	}
}
