package extractor

import (
	"fmt"
	"slices"
	"strings"

	"keepwatch/metric"
)

// farewell is that nothing more is said of a host under a name. It stays in the page until its event is on the bus.
type farewell struct {
	At int64  `json:"at"`           // ms
	As string `json:"as,omitempty"` // name under which it is kept from then on; empty: it was silent for host_dmax
}

// leaves notes which of the hosts that were kept before are kept no more.
func (p *page) leaves(before map[string]*keptHost, at int64) {
	for key, k := range before {
		if p.kept[key] != nil {
			continue
		}
		f := farewell{At: at}
		for _, h := range k.lives {
			if h.kept != nil {
				f.As = h.kept.name
			}
		}
		if p.Forgotten == nil {
			p.Forgotten = make(map[string]farewell)
		}
		p.Forgotten[key] = f
	}
}

// farewells puts an event into l for each farewell that is in no load of this run yet.
func (t *taker) farewells(l *load) {
	from := len(l.farewells)
	for key, f := range t.page.Forgotten {
		if t.parting[key] == f {
			continue
		}
		if t.parting == nil {
			t.parting = make(map[string]farewell)
		}
		t.parting[key] = f
		e := f.event(key, t.hostDmax)
		if e.Check() != nil { // the key, which may come from the file, names no host
			delete(t.page.Forgotten, key)
			continue
		}
		l.farewells = append(l.farewells, e)
	}
	slices.SortFunc(l.farewells[from:], func(a, b metric.Event) int { return strings.Compare(a.Host, b.Host) })
	for key := range t.parting {
		if _, waits := t.page.Forgotten[key]; !waits {
			delete(t.parting, key)
		}
	}
}

func (f farewell) event(key string, hostDmax int64) metric.Event {
	e := metric.Event{ID: fmt.Sprintf("forgotten-%d", f.At), Time: f.At, Kind: metric.EventHostForgotten}
	e.Cluster, e.Host, _ = strings.Cut(key, "\x00")
	if f.As != "" {
		e.Text = fmt.Sprintf("%.250s is kept as %.250s from now on: nothing more is said of it under this name", e.Host, f.As)
		e.Labels = []metric.Label{{Name: "as", Value: f.As}}
	} else {
		e.Text = fmt.Sprintf("%.250s has been silent for %d s (host_dmax) and is forgotten", e.Host, hostDmax/1000)
	}
	return e
}

// parted notes that the farewells of a load are on the bus.
func (p *page) parted(events []metric.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if key := e.Cluster + "\x00" + e.Host; p.Forgotten[key].At == e.Time {
			delete(p.Forgotten, key)
		}
	}
}
