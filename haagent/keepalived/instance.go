package keepalived

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// instance is an instance with what decides on its keys only when all of it is read.
type instance struct {
	item[conf.Instance]
	name        string // keepalived's
	master      *statement
	priority    *statement
	version     int // 0: the global one
	interval    *statement
	authType    *statement
	password    string
	strict      bool
	accept      *statement // accept or no_accept
	six         bool
	peersAt     report.Place
	minTTL      map[netip.Addr]int
	preemptWait *statement
}

// Bounds of advertisement intervals (conf has the RFCs' sections).
const (
	step     = 10 * time.Millisecond
	longest3 = 4095 * step
	longest2 = 255 * time.Second
)

var instanceKeys = []string{
	"state", "interface", "virtual_router_id", "priority", "advert_int", "version", "nopreempt", "preempt", "preempt_delay",
	"authentication", "virtual_ipaddress", "virtual_ipaddress_excluded", "virtual_routes", "virtual_rules", "unicast_peer",
	"unicast_src_ip", "mcast_src_ip", "mcast_dst_ip", "track_interface", "track_script", "track_process", "track_file",
	"track_bfd", "use_vmac", "native_ipv6", "accept", "no_accept", "strict_mode", "skip_check_adv_addr",
	"down_timer_adverts", "garp_master_delay", "garp_master_repeat", "garp_master_refresh", "notify_master",
	"notify_backup", "notify_fault", "notify_stop", "notify",
}

func (t *translator) instance(s *statement) {
	if !t.needs(s) || t.tooMany(s, len(t.instances)) {
		return
	}
	var taken []string
	for _, other := range t.instances {
		taken = append(taken, other.value.Name)
		if other.name == s.arg() {
			t.notes.Add(s.at, report.Mistake, "vrrp_instance %.80q stands twice: the first one counts, as for keepalived", s.arg())
			return
		}
	}
	v := &instance{name: s.arg(), strict: t.global.strict, minTTL: make(map[netip.Addr]int)}
	v.at = s.at
	v.comment("", s.at.String())
	v.value = conf.NewItem[conf.Instance]()
	v.value.Name = t.name(s, s.arg(), taken)
	v.value.Announce = t.global.announce
	v.value.DownIntervals = t.global.downIntervals
	if t.global.firstOnly {
		v.value.CheckAddresses = "first"
	}
	for _, k := range s.block { // the interface first: a track of it is told apart by its name
		if k.keyword() == "interface" && t.needs(k) {
			v.value.Interface = k.arg()
		}
	}
	for _, k := range s.block {
		if k.keyword() == "interface" || t.instanceKey(v, k) || t.instanceMore(v, k) || t.notifyKey(&v.value.Notify, k) {
			continue
		}
		if text, ok := instanceMissing[k.keyword()]; ok {
			t.notes.Add(k.at, report.Missing, "%s: %s", k.keyword(), text)
		} else if !slices.Contains(instanceSame, k.keyword()) {
			t.unknown(k, append(append(keys(instanceMissing), instanceKeys...), instanceSame...))
		}
	}
	if t.finish(v) {
		t.instances = append(t.instances, v)
	}
}

// instanceKey reads the keys of the protocol.
func (t *translator) instanceKey(v *instance, k *statement) bool {
	switch k.keyword() {
	case "state":
		t.state(v, k)
	case "virtual_router_id":
		if n, ok := t.number(k, 1, 255); ok {
			v.value.VRID = n
		}
	case "priority":
		v.priority = k
		if n, ok := t.number(k, 1, 255); ok {
			v.value.Priority = n
		} else {
			v.value.Priority = 100 // as keepalived says in its log
			t.notes.Add(k.at, report.Mistake, "priority: 100 is used, as keepalived does")
		}
	case "version":
		if n, ok := t.number(k, 2, 3); ok {
			v.version = n
		}
	case "advert_int":
		v.interval = k
	case "nopreempt":
		v.value.NoPreempt = true
	case "preempt":
		v.value.NoPreempt = false
	case "preempt_delay":
		if d, ok := t.duration(k, 0, 1000*time.Second); ok {
			v.value.PreemptDelay, v.preemptWait = d, k
		}
	case "down_timer_adverts":
		if n, ok := t.number(k, 1, 100); ok {
			v.value.DownIntervals = n
		}
	case "accept", "no_accept":
		v.accept = k
	case "strict_mode":
		v.strict = t.yes(k)
	case "skip_check_adv_addr":
		v.value.CheckAddresses = "each"
		if t.yes(k) {
			v.value.CheckAddresses = "first"
		}
	case "authentication":
		t.authentication(v, k)
	case "garp_master_delay", "garp_master_repeat", "garp_master_refresh":
		t.announce(k, &v.value.Announce)
	default:
		return false
	}
	return true
}

// instanceMore reads addresses, peers, routes, tracks and the virtual MAC.
func (t *translator) instanceMore(v *instance, k *statement) bool {
	switch k.keyword() {
	case "virtual_ipaddress":
		v.value.Addresses = append(v.value.Addresses, values(t.addressList(k, ""))...)
	case "virtual_ipaddress_excluded":
		v.value.Excluded = append(v.value.Excluded, values(t.addressList(k, ""))...)
	case "virtual_routes":
		v.value.Routes = append(v.value.Routes, values(t.routeList(k))...)
	case "virtual_rules":
		v.value.Rules = append(v.value.Rules, values(t.ruleList(k))...)
	case "unicast_peer":
		t.peers(v, k)
	case "unicast_src_ip", "mcast_src_ip":
		if a, ok := t.address(k, k.arg()); ok {
			v.value.Source = a
		}
	case "mcast_dst_ip":
		if a, ok := t.address(k, k.arg()); ok {
			v.value.MulticastGroup = a
		}
	case "track_interface", "track_script", "track_process", "track_file", "track_bfd":
		v.value.Track = append(v.value.Track, t.uses(k, v.value.Interface)...)
	case "use_vmac":
		t.virtualMAC(v, k)
	default:
		return false
	}
	return true
}

func values[T any](items []item[T]) (all []T) {
	for _, i := range items {
		all = append(all, i.value)
	}
	return all
}

func (t *translator) state(v *instance, k *statement) {
	switch k.arg() {
	case "MASTER":
		v.master = k
		if t.once("state") {
			t.notes.Add(k.at, report.Remark, "state: there is none here: every router starts as backup, and the priority decides")
		}
	case "BACKUP":
		v.master = nil
	default:
		v.master = nil
		t.notes.Add(k.at, report.Mistake, "unknown state %.40q: keepalived takes it as BACKUP, and so it is read", k.arg())
	}
}

func comment(at report.Place, format string, args ...any) string {
	return fmt.Sprintf("from %s: ", at) + fmt.Sprintf(format, args...)
}
