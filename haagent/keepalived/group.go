package keepalived

import (
	"slices"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// group is a sync group with its members as keepalived names them.
type group struct {
	item[conf.SyncGroup]
	members []*instance
	weights bool // the members' tracks keep their weights
}

func (t *translator) group(s *statement) {
	if !t.needs(s) || t.tooMany(s, len(t.groups)) {
		return
	}
	var taken []string
	for _, other := range t.groups {
		taken = append(taken, other.value.Name)
	}
	g := &group{}
	g.at = s.at
	g.value.Name = t.name(s, s.arg(), taken)
	for _, k := range s.block {
		t.groupKey(g, k)
	}
	if len(g.members) == 0 {
		t.notes.Add(s.at, report.Mistake, "vrrp_sync_group %.80q has no member that is an instance: it is left out", s.arg())
		return
	}
	t.groups = append(t.groups, g)
}

func (t *translator) groupKey(g *group, k *statement) {
	switch k.keyword() {
	case "group":
		for _, m := range k.block {
			for _, name := range m.words {
				t.member(g, m, name)
			}
		}
		for _, name := range k.args() {
			t.member(g, k, name)
		}
	case "track_interface", "track_script", "track_process", "track_file", "track_bfd":
		g.value.Track = append(g.value.Track, t.uses(k, "")...)
	case "sync_group_tracking_weight":
		g.weights = true
	case "global_tracking":
		t.notes.Add(k.at, report.Mistake, "global_tracking: keepalived has given it up: a fault of one member is a fault of all anyway")
	case "smtp_alert":
		t.notes.Add(k.at, report.Missing, "smtp_alert: %s", mail)
	case "notify_deleted", "notify_priority_changes":
		t.notes.Add(k.at, report.Missing, "%s: %s", k.keyword(), instanceMissing[k.keyword()])
	default:
		if !t.notifyKey(&g.value.Notify, k) {
			t.unknown(k, []string{"group", "track_interface", "track_script", "track_process", "track_file", "track_bfd",
				"sync_group_tracking_weight", "notify", "notify_master", "notify_backup", "notify_fault", "notify_stop"})
		}
	}
}

func (t *translator) member(g *group, s *statement, name string) {
	at := slices.IndexFunc(t.instances, func(v *instance) bool { return v.name == name })
	if at < 0 {
		t.notes.Add(s.at, report.Mistake, "group: there is no instance %.80q: it is left out", name)
		return
	}
	for _, other := range append(slices.Clone(t.groups), g) {
		if slices.Contains(other.members, t.instances[at]) {
			t.notes.Add(s.at, report.Mistake, "group: %.80q is in a group already: it is left out here, as keepalived does", name)
			return
		}
	}
	if t.tooMany(s, len(g.members)) {
		return
	}
	g.members = append(g.members, t.instances[at])
}

// groupsToInstances gives the members of a group what they must share, and a member that is alone its group's keys.
func (t *translator) groupsToInstances() {
	t.groups = slices.DeleteFunc(t.groups, func(g *group) bool {
		first := g.members[0]
		for _, m := range g.members {
			g.value.Members = append(g.value.Members, m.value.Name)
			if len(g.members) > 1 {
				t.shareGroup(g, first, m)
			}
		}
		if len(g.members) > 1 {
			return false
		}
		t.notes.Add(g.at, report.Mistake, "vrrp_sync_group %.80q has one member: the group is left out, its tracks go to %s", g.value.Name, first.value.Name)
		for _, u := range g.value.Track {
			if !slices.ContainsFunc(first.value.Track, func(o conf.TrackUse) bool { return o.Name == u.Name }) {
				first.value.Track = append(first.value.Track, u)
			}
		}
		if n := g.value.Notify; n.Master != nil || n.Backup != nil || n.Fault != nil || n.Stop != nil || n.Any != nil {
			t.notes.Add(g.at, report.Missing, "vrrp_sync_group %.80q: its notify programs are left out with it", g.value.Name)
		}
		return true
	})
}

func (t *translator) shareGroup(g *group, first, m *instance) {
	if m.value.Priority != first.value.Priority {
		t.notes.Add(m.at, report.Changed, "vrrp_instance %.80q: the members of a group have one priority: %d as %s, instead of %d", m.name, first.value.Priority, first.value.Name, m.value.Priority)
		m.comment("priority", comment(m.at, "priority %d; a group's members have one", m.value.Priority))
		m.value.Priority = first.value.Priority
	}
	if g.weights {
		return
	}
	for i := range m.value.Track {
		if u := &m.value.Track[i]; u.Weight != 0 {
			t.notes.Add(m.at, report.Changed, "vrrp_instance %.80q: the weight of track %s is 0 in a group, as for keepalived: down is a fault. Put the track into the group to keep its weight", m.name, u.Name)
			u.Weight = 0
		}
	}
}

// notifyKey reads a program that is told of transitions.
func (t *translator) notifyKey(n *conf.Notify, k *statement) bool {
	to := map[string]*[]string{
		"notify_master": &n.Master, "notify_backup": &n.Backup, "notify_fault": &n.Fault, "notify_stop": &n.Stop, "notify": &n.Any,
	}[k.keyword()]
	if to == nil {
		return false
	}
	argv, rest := t.command(k)
	if *to != nil && argv != nil {
		t.notes.Add(k.at, report.Mistake, "%s stands twice: the first one counts", k.keyword())
		return true
	}
	*to = argv
	t.scripts = t.scripts || argv != nil
	if len(rest) > 0 {
		t.notes.Add(k.at, report.Missing, "%s: user %.40q: notify programs run as haagent.script_user", k.keyword(), rest[0])
	}
	return true
}
