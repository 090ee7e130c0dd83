package keepalived

import (
	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// item is one entry of a list with the place that it comes from and comments by key.
type item[T any] struct {
	value    T
	at       report.Place
	comments map[string]string // "" stands for the entry itself
}

func (i *item[T]) comment(key, text string) {
	if i.comments == nil {
		i.comments = make(map[string]string)
	}
	i.comments[key] = text
}

// translator holds what was read so far.
type translator struct {
	file      string // the first one
	options   Options
	notes     *report.Notes
	comments  map[string]string
	global    globals
	out       conf.HAAgent
	tracks    []track
	bfd       []*bfdSession
	instances []*instance
	groups    []*group
	addresses []item[conf.Address]
	routes    []item[conf.Route]
	rules     []item[conf.Rule]
	scripts   bool // something is run as a user
	said      map[string]bool
}

// once reports whether it is asked this for the first time.
func (t *translator) once(what string) bool {
	if t.said == nil {
		t.said = make(map[string]bool)
	}
	first := !t.said[what]
	t.said[what] = true
	return first
}

// configuration translates the whole tree: first what is the default of the rest, then what is referred to.
func (t *translator) configuration(top []*statement) {
	t.global = newGlobals()
	for _, s := range top {
		if s.keyword() == "global_defs" {
			t.globals(s)
		}
	}
	for _, s := range top {
		t.section(s)
	}
	for _, s := range top {
		if s.keyword() == "vrrp_instance" {
			t.instance(s)
		}
	}
	for _, s := range top {
		if s.keyword() == "vrrp_sync_group" {
			t.group(s)
		}
	}
	t.groupsToInstances()
}

// section translates what instances may refer to, and lists what is not for VRRP.
func (t *translator) section(s *statement) {
	switch s.keyword() {
	case "", "global_defs", "vrrp_instance", "vrrp_sync_group":
	case "vrrp_script":
		t.script(s)
	case "vrrp_track_process":
		t.process(s)
	case "vrrp_track_file", "track_file":
		t.trackFile(s)
	case "bfd_instance":
		t.bfdInstance(s)
	case "static_ipaddress":
		t.staticAddresses(s)
	case "static_routes":
		t.staticRoutes(s)
	case "static_rules":
		t.staticRules(s)
	case "garp_group":
		t.garpGroup(s)
	case "virtual_server", "virtual_server_group", "SSL":
		t.balancer(s)
	default:
		if text, known := topMissing[s.keyword()]; known {
			t.notes.Add(s.at, report.Missing, "%s: %s", s.keyword(), text)
			return
		}
		t.unknown(s, append(keys(topMissing), append(topBlocks, "track_file")...))
	}
}

// balancer lists a virtual server, which Keepwatch cannot manage yet, with what is in it.
func (t *translator) balancer(s *statement) {
	name := s.keyword()
	for _, a := range s.args() {
		name += " " + a
	}
	servers := 0
	for _, b := range s.block {
		if b.keyword() == "real_server" {
			servers++
		}
	}
	what := ""
	if servers > 0 {
		what = " (" + plural(servers, "real server") + ")"
	}
	t.notes.Add(s.at, report.NotYet, "%.120s%s: IPVS is not managed yet: leave keepalived -C running for it", name, what)
}

// unknown notes a keyword that nobody knows, with one that is near.
func (t *translator) unknown(s *statement, known []string) {
	if t.notes.Full() {
		return
	}
	near := ""
	if n := conf.Nearest(s.keyword(), known); n != "" {
		near = ", perhaps " + n + " is meant"
	}
	what := "the line"
	if s.block != nil {
		what = "its block"
	}
	t.notes.Add(s.at, report.Mistake, "unknown keyword %.60q%s: %s is ignored", s.keyword(), near, what)
}
