package extractor

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"

	"keepwatch/extractor/normalize"
	"keepwatch/metric"
)

const (
	// nameMetric tells under which other names a host is heard, by which rule, and from whom.
	nameMetric = "keepwatch_host_name_info"
	nameEvery  = 15 * 60 * 1000 // ms

	maxRenamesLogged = 100
)

// setRules puts other rules in force by which names are one host. What changes is logged.
func (e *Extractor) setRules(rules *normalize.Names) {
	for _, p := range e.pulls {
		p.rules.Store(rules)
	}
	e.polled.setRules(rules)
}

// setRules takes rules over; those that are in force change nothing.
func (t *taker) setRules(rules *normalize.Names, l *load) {
	if t.rules == rules {
		return
	}
	before := make(map[*hostLife]string)
	t.page.mu.Lock()
	defer t.page.mu.Unlock()
	for _, h := range t.page.Hosts {
		if h.kept != nil {
			before[h] = h.kept.name
		}
	}
	kept := t.page.kept
	t.rules = rules
	t.regroup(t.heardTo, l)
	t.page.leaves(kept, t.heardTo)
	t.farewells(l)
	told := renames{log: t.log}
	for h, was := range before {
		if h.kept != nil {
			told.host(h.name, was, h.kept.name, h.rule)
		}
	}
	told.end()
}

// renames logs which hosts of a cluster are kept under other names by other rules.
type renames struct {
	log   *slog.Logger
	hosts int
}

func (r *renames) host(name, was, now string, rule normalize.Rule) {
	if was == now {
		return
	}
	if r.hosts++; r.hosts <= maxRenamesLogged {
		r.log.Info("a host is kept under another name from now on", "name", name, "was", was, "now", now, "rule", string(rule))
	}
}

func (r *renames) end() {
	if more := r.hosts - maxRenamesLogged; more > 0 {
		r.log.Info("more hosts are kept under other names from now on", "hosts", more)
	}
}

// keptAs gives the name under which a host is kept. Only the goroutine that changes the hosts may ask.
func (t *taker) keptAs(cluster, host string) string {
	if h := t.page.Hosts[string(t.key(cluster, host))]; h != nil && h.kept != nil {
		return h.kept.name
	}
	name, _ := t.rules.Host(host)
	return name
}

// join puts a life where the rules want it; false when its key, which may come from the file, names no host.
func (t *taker) join(key string, h *hostLife) bool {
	h.cluster, h.name, _ = strings.Cut(key, "\x00")
	var name string
	if name, h.rule = t.rules.Host(h.name); h.Refused {
		name = h.name
	}
	return t.page.keep(h, h.cluster, name)
}

// spoke notes that the collector of a host itself spoke. Two of them that the rules would make one host are two.
func (t *taker) spoke(h *hostLife, now promise, l *load) {
	fresh := h.Own.deadline() < now.Heard // or back from silence
	h.Own = later(h.Own, now)
	if fresh && !h.Refused && len(h.kept.lives) > 1 {
		t.refuse(h, now.Heard, l)
	}
}

// refuse gives a life its own name when another one's collector lives under the name that the rules want for it.
func (t *taker) refuse(h *hostLife, at int64, l *load) {
	for _, owner := range h.kept.lives {
		if owner == h || owner.Own.Heard == 0 || at > owner.Own.deadline() {
			continue
		}
		kept := h.kept.name
		h.leave(t.page)
		h.Refused = true
		t.page.keep(h, h.cluster, h.name)
		t.names.Sweep()
		t.log.Warn("two hosts would be one by the rules of extractor.hosts; one of them keeps its own name", "host", kept, "names", []string{owner.name, h.name}, "rule", string(h.rule))
		if e, ok := t.conflictEvent(h, owner, kept, string(h.rule), at); ok && l != nil {
			l.b.Events = append(l.b.Events, e)
		}
		return
	}
}

// regroup puts every life where the rules want it now. One that was refused its name has it when nobody else does.
func (t *taker) regroup(at int64, l *load) {
	t.page.kept = make(map[string]*keptHost)
	t.names.Sweep()
	keys := make([]string, 0, len(t.page.Hosts))
	for key := range t.page.Hosts {
		keys = append(keys, key)
	}
	// Who has the name already, or by right, comes first.
	slices.SortFunc(keys, func(a, b string) int {
		x, y := t.page.Hosts[a], t.page.Hosts[b]
		return cmp.Or(cmp.Compare(t.claim(a, x), t.claim(b, y)), strings.Compare(a, b))
	})
	for _, key := range keys {
		h := t.page.Hosts[key]
		h.Refused = false
		if !t.join(key, h) {
			delete(t.page.Hosts, key)
		} else if h.Own.Heard > 0 {
			t.refuse(h, at, l)
		}
	}
}

func (t *taker) claim(key string, h *hostLife) int {
	_, name, _ := strings.Cut(key, "\x00")
	switch _, rule := t.rules.Host(name); {
	case rule == normalize.RuleOwn:
		return 0
	case !h.Refused:
		return 1
	}
	return 2
}

// from is who speaks of a host under this name.
func (h *hostLife) from() string {
	var out []string
	if h.Own.Heard > 0 {
		out = append(out, "collector")
	} else if h.Native.Heard > 0 {
		out = append(out, "probe")
	}
	if h.Gmond.Heard > 0 {
		out = append(out, "gmond")
	}
	return strings.Join(out, ",")
}

// other says whether the host has other names than the one it is kept under.
func (k *keptHost) other() bool { return len(k.lives) > 1 || k.lives[0].name != k.name }

// named tells the names of a host, at once when they are new and again every now and then.
func (t *taker) named(k *keptHost, at int64, l *load) {
	if !k.other() {
		return
	}
	for _, h := range k.lives {
		if at-h.nameTold < nameEvery {
			continue
		}
		s, err := metric.NewSeries(h.cluster, k.name, nameMetric, []metric.Label{
			{Name: "name", Value: h.name}, {Name: "rule", Value: string(h.rule)}, {Name: "from", Value: h.from()},
		}, metric.NoUnit, metric.State)
		if err == nil {
			l.b.Samples = append(l.b.Samples, metric.Sample{Series: s, Time: at, Value: 1})
		}
		h.nameTold = at
	}
}

// HostStatus is a host that is heard under other names than its own, or not under the one that the rules want.
type HostStatus struct {
	Host  string     `json:"host"` // the name under which it is kept
	Names []HostName `json:"names"`
}

// HostName is one name of a host.
type HostName struct {
	Name    string `json:"name"`
	Rule    string `json:"rule"` // by which it is this host: aliases, strip_domains DOMAIN, lowercase; empty: its own
	From    string `json:"from"` // who speaks of it so: collector, probe, gmond; xml: a gmond or gmetad that is polled
	Refused bool   `json:"refused,omitempty"`
}

// names lists the hosts with other names, in order.
func (p *page) names() []HostStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []HostStatus{}
	for _, k := range p.kept {
		if !k.other() && !k.lives[0].Refused {
			continue
		}
		s := HostStatus{Host: k.name}
		for _, h := range k.lives {
			s.Names = append(s.Names, HostName{Name: h.name, Rule: string(h.rule), From: h.from(), Refused: h.Refused})
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b HostStatus) int { return strings.Compare(a.Host, b.Host) })
	return out
}
