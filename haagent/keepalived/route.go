package keepalived

import (
	"slices"
	"strings"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// routeWords are the options of a route that have a value; those of the first kind exist here too.
var (
	routeWords   = []string{"via", "gw", "dev", "src", "scope", "table", "metric", "priority", "preference", "mtu"}
	routeDropped = []string{"tos", "dsfield", "protocol", "hoplimit", "advmss", "rtt", "rttvar", "reordering", "window", "cwnd",
		"ssthresh", "realms", "rto_min", "initcwnd", "initrwnd", "vrf", "features", "fastopen_no_cookie", "quickack", "congctl",
		"pref", "as", "encap", "ttl-propagate", "track_group"}
	ruleWords   = []string{"from", "to", "table", "lookup", "iif", "dev", "oif", "fwmark", "preference", "priority", "order"}
	ruleDropped = []string{"realms", "protocol", "track_group", "suppress_prefixlength", "suppress_prefixlen", "suppress_ifgroup"}
)

// routeList translates the lines of virtual_routes and static_routes.
func (t *translator) routeList(s *statement) (all []item[conf.Route]) {
	for _, k := range s.block {
		if r, ok := t.route(k); ok {
			all = append(all, item[conf.Route]{value: r, at: k.at})
		}
	}
	return all
}

// route writes keepalived's line as ours and reads that.
func (t *translator) route(k *statement) (r conf.Route, ok bool) {
	kind, dest := "", ""
	var rest []string
	words := k.words
	for i := 0; i < len(words); i++ {
		w, value := words[i], ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		switch {
		case w == "blackhole" || w == "unreachable" || w == "prohibit":
			kind = w + " "
		case w == "to":
			dest = value
			i++
		case w == "or" || w == "nexthop":
			t.notes.Add(k.at, report.Missing, "a route with several gateways is left out: write the one to use under routes")
			return r, false
		case w == "onlink":
			rest = append(rest, w)
		case w == "inet" || w == "inet6" || w == "unicast" || w == "no_track" || w == "append" || w == "prepend" || w == "add":
		case slices.Contains(routeWords, w):
			if t.skipped(k, w, value) && i+2 < len(words) {
				i++
				value = words[i+1]
			}
			rest = append(rest, strings.Replace(w, "gw", "via", 1), value)
			i++
		case slices.Contains(routeDropped, w):
			t.notes.Add(k.at, report.Missing, "route: %s %.40q is left out", w, value)
			i++
		case dest == "":
			dest = w
		default:
			t.notes.Add(k.at, report.Mistake, "route: %.40q is unknown: the route is left out, as keepalived does", w)
			return r, false
		}
	}
	if slices.Contains(words, "inet6") && (dest == "default" || dest == "0.0.0.0/0") {
		dest = "::/0"
	}
	text := strings.TrimSpace(kind + dest + " " + strings.Join(rest, " "))
	if err := r.UnmarshalText([]byte(text)); err != nil {
		t.notes.Add(k.at, report.Mistake, "route: %v: it is left out", err)
		return r, false
	}
	return r, true
}

// skipped reports whether a word between an option and its value is passed over: a gateway's family, or lock.
func (t *translator) skipped(k *statement, option, word string) bool {
	if option == "mtu" && word == "lock" {
		t.notes.Add(k.at, report.Missing, "route: lock is left out")
		return true
	}
	return (option == "via" || option == "gw") && (word == "inet" || word == "inet6")
}

// ruleList translates the lines of virtual_rules and static_rules.
func (t *translator) ruleList(s *statement) (all []item[conf.Rule]) {
	for _, k := range s.block {
		if r, ok := t.rule(k); ok {
			all = append(all, item[conf.Rule]{value: r, at: k.at})
		}
	}
	return all
}

// rule leaves out a rule of which a condition has no equivalent: without it more packets would match.
func (t *translator) rule(k *statement) (r conf.Rule, ok bool) {
	var rest []string
	priority := false
	for i := 0; i < len(k.words); i++ {
		w, value := k.words[i], ""
		if i+1 < len(k.words) {
			value = k.words[i+1]
		}
		switch {
		case w == "inet" || w == "inet6":
			rest = append([]string{w}, rest...)
		case w == "no_track":
		case slices.Contains(ruleWords, w):
			priority = priority || slices.Contains(ruleWords[8:], w)
			rest = append(rest, w, value)
			i++
		case slices.Contains(ruleDropped, w):
			t.notes.Add(k.at, report.Missing, "rule: %s %.40q is left out", w, value)
			i++
		default:
			t.notes.Add(k.at, report.Missing, "rule: %.40q: the rule is left out", w)
			return r, false
		}
	}
	if err := r.UnmarshalText([]byte(strings.Join(rest, " "))); err != nil {
		t.notes.Add(k.at, report.Mistake, "rule: %v: it is left out", err)
		return r, false
	}
	if !priority {
		t.notes.Add(k.at, report.Remark, "rule without preference: the kernel chooses one, keepalived counts down from 16384: write priority NUMBER")
	}
	return r, true
}

func (t *translator) staticRoutes(s *statement) { t.routes = append(t.routes, t.routeList(s)...) }

func (t *translator) staticRules(s *statement) { t.rules = append(t.rules, t.ruleList(s)...) }
