package keepalived

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// sieve puts the translation together and takes out what conf would refuse after all, each with a note. So a
// configuration of which one part is beyond repair still runs with the rest.
func sieve(t translator) (conf.HAAgent, map[string]string) {
	t.dropUnused()
	for range 200 {
		c := conf.Default()
		c.HAAgent = t.assemble()
		var faults conf.Faults
		if !errors.As(c.Validate(), &faults) {
			return c.HAAgent, t.allComments()
		}
		if !t.drop(faults) {
			break
		}
	}
	t.notes.Add(report.Place{File: t.file}, report.Mistake, "nothing is imported: too much of it is wrong")
	return conf.Default().HAAgent, nil
}

// dropUnused leaves out scripts that no instance tracks: keepalived does not run them either.
func (t *translator) dropUnused() {
	t.tracks = slices.DeleteFunc(t.tracks, func(k track) bool {
		if !k.used {
			t.notes.Add(k.at, report.Remark, "no instance tracks %.80q: it is left out, keepalived does not look at it either", k.name)
		}
		return !k.used
	})
	for _, k := range t.tracks {
		t.scripts = t.scripts || k.value.Script != nil && k.value.User == ""
	}
	if t.scripts && t.out.ScriptUser == "" && t.options.ScriptUser != "" {
		t.out.ScriptUser = t.options.ScriptUser
		t.comments["haagent.script_user"] = "keepalived.conf names no script_user: keepalived runs scripts as this one"
	}
}

func (t *translator) assemble() conf.HAAgent {
	h := t.out
	h.Instances, h.Groups, h.Tracks, h.BFD = nil, nil, nil, nil
	for _, v := range t.instances {
		n := v.value
		n.Track, n.Addresses, n.Excluded = slices.Clone(n.Track), slices.Clone(n.Addresses), slices.Clone(n.Excluded)
		h.Instances = append(h.Instances, n)
	}
	for _, g := range t.groups {
		h.Groups = append(h.Groups, g.value)
	}
	for _, k := range t.tracks {
		h.Tracks = append(h.Tracks, k.value)
	}
	for _, b := range t.bfd {
		h.BFD = append(h.BFD, b.value)
	}
	h.Static = conf.Static{Addresses: values(t.addresses), Routes: values(t.routes), Rules: values(t.rules)}
	return h
}

// drop takes out what faults are about, from the end of each list so that the places of the others stay. It reports
// whether that was anything.
func (t *translator) drop(faults conf.Faults) (any bool) {
	said := make(map[string]bool)
	for _, f := range slices.Backward(faults) {
		list, at, rest := splitPath(f.Path)
		key := list + "[" + strconv.Itoa(at) + "]"
		if said[key] && list != "" {
			continue
		}
		said[key] = true
		any = t.dropOne(list, at, rest, f.Text) || any
	}
	return any
}

// splitPath takes haagent.instances[2].track[0].weight apart into instances, 2 and track[0].weight.
func splitPath(path string) (list string, at int, rest string) {
	path = strings.TrimPrefix(path, "haagent.")
	list, rest, ok := strings.Cut(path, "[")
	if !ok {
		return path, -1, ""
	}
	number, rest, _ := strings.Cut(rest, "]")
	at, err := strconv.Atoi(number)
	if err != nil {
		return path, -1, ""
	}
	return list, at, strings.TrimPrefix(rest, ".")
}

func (t *translator) dropOne(list string, at int, rest, text string) bool {
	switch list {
	case "instances":
		if t.dropPart(t.instances[at], rest, text) {
			return true
		}
		return remove(&t.instances, at, func(v *instance) { t.dropped(v.at, "vrrp_instance "+v.name, rest, text) })
	case "groups":
		return remove(&t.groups, at, func(g *group) { t.dropped(g.at, "vrrp_sync_group "+g.value.Name, rest, text) })
	case "tracks":
		return remove(&t.tracks, at, func(k track) { t.dropped(k.at, k.kind+" "+k.name, rest, text) })
	case "bfd":
		return remove(&t.bfd, at, func(b *bfdSession) { t.dropped(b.at, "bfd_instance "+b.name, rest, text) })
	case "static.addresses":
		return remove(&t.addresses, at, func(a item[conf.Address]) { t.dropped(a.at, "static address", rest, text) })
	case "static.routes":
		return remove(&t.routes, at, func(r item[conf.Route]) { t.dropped(r.at, "static route", rest, text) })
	case "static.rules":
		return remove(&t.rules, at, func(r item[conf.Rule]) { t.dropped(r.at, "static rule", rest, text) })
	}
	switch {
	case strings.HasPrefix(list, "notify"):
		t.out.Notify = conf.Notify{}
	case list == "script_user":
		t.out.ScriptUser = ""
	case list == "start_delay":
		t.out.StartDelay = 0
	default:
		return false
	}
	t.notes.Add(report.Place{File: t.file}, report.Mistake, "%s: %s: it is left out", list, text)
	return true
}

// dropPart takes an entry out of one of an instance's lists, if that is enough.
func (t *translator) dropPart(v *instance, rest, text string) bool {
	list, at, _ := splitPath(rest)
	n := &v.value
	say := func() { t.dropped(v.at, "vrrp_instance "+v.name+": "+list, "", text) }
	switch {
	case list == "track" && at >= 0:
		return remove(&n.Track, at, func(conf.TrackUse) { say() })
	case list == "excluded" && at >= 0:
		return remove(&n.Excluded, at, func(conf.Address) { say() })
	case list == "addresses" && at >= 0 && len(n.Addresses) > 1:
		return remove(&n.Addresses, at, func(conf.Address) { say() })
	case list == "routes" && at >= 0:
		return remove(&n.Routes, at, func(conf.Route) { say() })
	case list == "rules" && at >= 0:
		return remove(&n.Rules, at, func(conf.Rule) { say() })
	case strings.HasPrefix(list, "notify"):
		n.Notify = conf.Notify{}
	case list == "multicast_group":
		n.MulticastGroup = conf.Instance{}.MulticastGroup
	case list == "source":
		n.Source = conf.Instance{}.Source
	case list == "virtual_mac_name":
		n.VirtualMACName = ""
	default:
		return false
	}
	say()
	return true
}

func remove[T any](list *[]T, at int, say func(T)) bool {
	if at < 0 || at >= len(*list) {
		return false
	}
	say((*list)[at])
	*list = slices.Delete(*list, at, at+1)
	return true
}

func (t *translator) dropped(at report.Place, what, key, text string) {
	if key != "" {
		key = " (" + key + ")"
	}
	t.notes.Add(at, report.Mistake, "%.100s is left out%s: %s", what, key, text)
}

// allComments gives the comments of entries their paths.
func (t *translator) allComments() map[string]string {
	for i, v := range t.instances {
		t.commentsOf("haagent.instances", i, v.comments)
	}
	for i, k := range t.tracks {
		t.commentsOf("haagent.tracks", i, k.comments)
	}
	return t.comments
}

func (t *translator) commentsOf(list string, i int, comments map[string]string) {
	for key, text := range comments {
		path := list + "[" + strconv.Itoa(i) + "]"
		if key != "" {
			path += "." + key
		}
		t.comments[path] = text
	}
}
