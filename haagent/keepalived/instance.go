package keepalived

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"keepwatch/internal/conf"
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
	peersAt     Place
	minTTL      map[netip.Addr]int
	spacing     bool
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

// instanceMissing is what of an instance has no equivalent, and what happens instead.
var instanceMissing = map[string]string{
	"dont_track_primary":         "an interface that is down or has no address is a fault",
	"linkbeat_use_polling":       "the kernel tells of every change of a link",
	"vmac_xmit_base":             "advertisements leave from the interface with the virtual MAC",
	"use_vmac_addr":              "only the instance's own interface has a virtual MAC",
	"use_ipvlan":                 "the addresses are held on the interface itself",
	"vrf":                        "name the interface that is in it",
	"unicast_ttl":                "advertisements are sent with TTL 255",
	"old_unicast_checksum":       "the checksum of keepalived up to 1.3.6 is not spoken",
	"garp_lower_prio_delay":      "a master that hears a weaker one announces as on becoming master",
	"garp_lower_prio_repeat":     "a master that hears a weaker one announces as on becoming master",
	"garp_master_refresh_repeat": "the refresh is one message for each address",
	"garp_extra_if":              "the refresh goes out on every interface that has an address",
	"lower_prio_no_advert":       "a master answers a weaker one with an advertisement, as RFC 9568 says",
	"debug":                      "see log.level",
	"smtp_alert":                 mail,
	"notify_deleted":             "an instance that a reload takes out stops: notify stop is run",
	"notify_master_rx_lower_pri": "a second master is an event and an alert",
	"notify_priority_changes":    "a change of the priority is in status and metrics",
	"lvs_sync_daemon_interface":  balance,
	"lvs_sync_daemon":            balance,
	"kernel_rx_buf_size":         buffers,
}

// instanceSame is what is always so here.
var instanceSame = []string{"preempt", "track_src_ip", "check_unicast_src", "unicast_fault_no_peer", "promote_secondaries", "higher_prio_send_advert", "native_ipv6"}

func (t *translator) instance(s *statement) {
	if !t.needs(s) {
		return
	}
	var taken []string
	for _, other := range t.instances {
		taken = append(taken, other.value.Name)
		if other.name == s.arg() {
			t.notes.add(s.at, Mistake, "vrrp_instance %.80q stands twice: the first one counts, as for keepalived", s.arg())
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
			t.notes.add(k.at, Missing, "%s: %s", k.keyword(), text)
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
			t.notes.add(k.at, Mistake, "priority: 100 is used, as keepalived does")
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
			t.notes.add(k.at, Remark, "state: there is none here: every router starts as backup, and the priority decides")
		}
	case "BACKUP":
		v.master = nil
	default:
		v.master = nil
		t.notes.add(k.at, Mistake, "unknown state %.40q: keepalived takes it as BACKUP, and so it is read", k.arg())
	}
}

// authentication remembers the password; whether it counts is known at the end.
func (t *translator) authentication(v *instance, s *statement) {
	for _, k := range s.block {
		switch k.keyword() {
		case "auth_type":
			v.authType = k
		case "auth_pass":
			v.password = k.arg()
			if len(v.password) > 8 {
				v.password = v.password[:8]
				t.notes.add(k.at, Mistake, "auth_pass is longer than 8 bytes: the first 8 count, as for keepalived")
			}
			if len(k.words) > 2 {
				t.notes.add(k.at, Mistake, "auth_pass: a blank ends it: put it into quotes")
			}
		default:
			t.unknown(k, []string{"auth_type", "auth_pass"})
		}
	}
}

func (t *translator) peers(v *instance, s *statement) {
	v.peersAt = s.at
	for _, k := range s.block {
		a, ok := t.address(k, k.keyword())
		if !ok {
			continue
		}
		if slices.Contains(v.value.Peers, a) {
			t.notes.add(k.at, Mistake, "unicast_peer %s stands twice: the first one counts", a)
			continue
		}
		v.value.Peers = append(v.value.Peers, a)
		for args := k.args(); len(args) > 0; {
			if len(args) < 2 || args[0] != "min_ttl" && args[0] != "max_ttl" {
				t.notes.add(k.at, Mistake, "unicast_peer %s: %.40q is unknown: it is ignored. One peer stands on each line", a, args[0])
				args = args[1:]
				continue
			}
			if n, ok := t.numberOf(k, args[1], 0, 255); ok && args[0] == "min_ttl" {
				v.minTTL[a] = n
			} else if ok && n < 255 {
				t.notes.add(k.at, Missing, "unicast_peer %s: max_ttl: a peer that is too near is taken too", a)
			}
			args = args[2:]
		}
	}
}

func (t *translator) virtualMAC(v *instance, k *statement) {
	v.value.VirtualMAC = true
	for _, a := range k.args() {
		switch {
		case len(a) <= 15 && !isMAC(a):
			v.value.VirtualMACName = a
		default:
			t.notes.add(k.at, Missing, "use_vmac %.40q: the MAC address is the one of RFC 9568, 7.3", a)
		}
	}
}

func isMAC(s string) bool {
	colons := 0
	for _, c := range s {
		if c == ':' {
			colons++
		}
	}
	return colons >= 4
}

// intervalOf is the advertisement interval as keepalived rounds it for the version.
func (t *translator) intervalOf(k *statement, version int) time.Duration {
	d, ok := t.duration(k, step, longest2)
	if !ok {
		return time.Second
	}
	to := d.Round(step)
	if version == 2 {
		to = max(time.Duration(math.Round(d.Seconds()))*time.Second, time.Second)
	} else {
		to = min(max(to, step), longest3)
	}
	if to != d {
		t.notes.add(k.at, Mistake, "advert_int %s: version %d has %s: keepalived rounds it to %s, and so it is written", k.arg(), version,
			map[int]string{2: "whole seconds", 3: "steps of 10ms up to 40.95s"}[version], to)
	}
	return to
}

func comment(at Place, format string, args ...any) string {
	return fmt.Sprintf("from %s: ", at) + fmt.Sprintf(format, args...)
}
