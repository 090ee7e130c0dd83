package keepalived

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"keepwatch/internal/conf"
)

// globals are the defaults that global_defs set for instances.
type globals struct {
	version       int
	announce      conf.Announce
	spacing       map[string]time.Duration // of a garp_group, by interface
	downIntervals int
	group4        netip.Addr
	group6        netip.Addr
	firstOnly     bool
	strict        bool
	device        string
}

func newGlobals() globals {
	v := conf.NewItem[conf.Instance]()
	return globals{version: 2, announce: v.Announce, downIntervals: v.DownIntervals, device: "eth0", spacing: make(map[string]time.Duration)}
}

func keys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

const (
	mail    = "the alerter sends mail: see alerter.smtp"
	tuning  = "the agent's own way of scheduling is not set"
	balance = "IPVS is not managed yet"
	snmp    = "there is no SNMP agent: Keepwatch has its own metrics and events"
	filters = "the agent writes rules of its own into nftables where it needs some"
	buffers = "buffers are sized by the agent"
)

// globalMissing is what of global_defs has no equivalent, and what happens instead.
var globalMissing = map[string]string{
	"notification_email": mail, "notification_email_from": mail, "smtp_server": mail, "smtp_helo_name": mail,
	"smtp_connect_timeout": mail, "smtp_alert": mail, "smtp_alert_vrrp": mail, "smtp_alert_checker": mail,
	"no_email_faults": mail, "no_checker_emails": mail,
	"router_id":         "hosts are known by their name: see host",
	"max_auto_priority": tuning, "min_auto_priority_delay": tuning, "vrrp_priority": tuning, "vrrp_rt_priority": tuning,
	"vrrp_rlimit_rttime": tuning, "vrrp_cpu_affinity": tuning, "vrrp_no_swap": tuning, "bfd_priority": tuning,
	"bfd_rt_priority": tuning, "bfd_rlimit_rttime": tuning, "bfd_cpu_affinity": tuning, "bfd_no_swap": tuning,
	"checker_priority": balance, "checker_rt_priority": balance, "checker_rlimit_rttime": balance, "checker_cpu_affinity": balance,
	"checker_no_swap": balance, "lvs_sync_daemon": balance, "lvs_timeouts": balance, "lvs_flush": balance,
	"lvs_flush_on_stop": balance, "lvs_flush_onstop": balance, "lvs_notify_fifo": balance, "lvs_notify_fifo_script": balance,
	"checker_log_all_failures": balance, "rs_init_notifies": balance, "nftables_ipvs": balance, "nftables_ipvs_priority": balance,
	"nftables_ipvs_start_fwmark": balance,
	"enable_snmp_vrrp":           snmp, "enable_snmp_checker": snmp, "enable_snmp_rfc": snmp, "enable_snmp_rfcv2": snmp,
	"enable_snmp_rfcv3": snmp, "enable_traps": snmp, "snmp_socket": snmp, "enable_snmp_keepalived": snmp,
	"enable_dbus": "there is no D-Bus interface: see keepwatch ha status", "dbus_service_name": "there is no D-Bus interface",
	"nftables": filters, "nftables_priority": filters, "nftables_counters": filters, "nftables_ifindex": filters,
	"vrrp_iptables": filters, "vrrp_ipsets": filters, "disable_local_igmp": filters,
	"vrrp_netlink_cmd_rcv_bufs": buffers, "vrrp_netlink_cmd_rcv_bufs_force": buffers, "vrrp_netlink_monitor_rcv_bufs": buffers,
	"vrrp_netlink_monitor_rcv_bufs_force": buffers, "lvs_netlink_cmd_rcv_bufs": buffers, "lvs_netlink_cmd_rcv_bufs_force": buffers,
	"lvs_netlink_monitor_rcv_bufs": buffers, "lvs_netlink_monitor_rcv_bufs_force": buffers, "process_monitor_rcv_bufs": buffers,
	"process_monitor_rcv_bufs_force": buffers, "vrrp_rx_bufs_policy": buffers, "vrrp_rx_bufs_multiplier": buffers,
	"notify_fifo_script": "nothing is started beside the pipe: start its reader as a service", "vrrp_notify_fifo_script": "nothing is started beside the pipe: start its reader as a service",
	"fifo_write_vrrp_states_on_reload": "the pipe gets transitions only", "vrrp_notify_priority_changes": "a change of the priority is in status and metrics",
	"startup_script": "let the unit run it: ExecStartPre=", "shutdown_script": "let the unit run it: ExecStopPost=",
	"startup_script_timeout": "let the unit run it", "shutdown_script_timeout": "let the unit run it",
	"vrrp_lower_prio_no_advert":  "a master answers a weaker one with an advertisement, as RFC 9568 says",
	"vrrp_garp_lower_prio_delay": "a master that hears a weaker one announces as on becoming master", "vrrp_garp_lower_prio_repeat": "a master that hears a weaker one announces as on becoming master",
	"vrrp_garp_master_refresh_repeat": "the refresh is one message for each address", "vrrp_garp_extra_if": "the refresh goes out on every interface that has an address",
	"log_unknown_vrids": "advertisements that are not for this host are counted", "vmac_prefix": "name the interface by virtual_mac_name", "vmac_addr_prefix": "only the instance's interface has a virtual MAC",
	"random_seed": "${_RANDOM} becomes its least number", "reload_check_config": "every reload checks first", "include_check": "every file that cannot be read is reported",
	"reload_time_file": "a reload is asked for by SIGHUP", "reload_repeat": "a reload is asked for by SIGHUP", "reload_file": "a reload is asked for by SIGHUP",
	"data_use_instance": "see keepwatch ha status --json", "config_save_dir": "the configuration is not saved", "tmp_config_directory": "nothing is kept in a temporary file",
	"process_names": tuning, "process_name": tuning, "vrrp_process_name": tuning, "checker_process_name": balance, "bfd_process_name": tuning,
	"umask": "the unit sets it: UMask=", "old_unicast_checksum": "the checksum of keepalived up to 1.3.6 is not spoken",
	"linkbeat_use_polling": "the kernel tells of every change of a link", "instance": "every agent has a data folder of its own (--data)",
	"net_namespace": "start the agent in the namespace, with ip netns exec", "use_pid_dir": "no PID file is written",
}

// globalSame is what of global_defs is always so here.
var globalSame = []string{"enable_script_security", "dynamic_interfaces", "vrrp_higher_prio_send_advert", "vrrp_check_unicast_src"}

var globalKnown = []string{
	"vrrp_version", "vrrp_strict", "vrrp_skip_check_adv_addr", "vrrp_mcast_group4", "vrrp_mcast_group6", "default_interface",
	"script_user", "vrrp_startup_delay", "vrrp_down_timer_adverts", "notify_fifo", "vrrp_notify_fifo", "vrrp_min_garp",
	"vrrp_garp_master_delay", "vrrp_garp_master_repeat", "vrrp_garp_master_refresh", "vrrp_garp_interval", "vrrp_gna_interval",
}

func (t *translator) globals(s *statement) {
	for _, g := range s.block {
		if text, ok := globalMissing[g.keyword()]; ok {
			t.notes.add(g.at, Missing, "%s: %s", g.keyword(), text)
			continue
		}
		if slices.Contains(globalSame, g.keyword()) || t.globalAnnounce(g, g.keyword()) {
			continue
		}
		t.globalKey(g)
	}
}

func (t *translator) globalKey(g *statement) {
	switch g.keyword() {
	case "vrrp_version":
		if n, ok := t.number(g, 2, 3); ok {
			t.global.version = n
		}
	case "vrrp_strict":
		t.global.strict = t.yes(g)
	case "vrrp_skip_check_adv_addr":
		t.global.firstOnly = t.yes(g)
	case "vrrp_mcast_group4", "vrrp_mcast_group6":
		t.globalGroup(g)
	case "default_interface":
		if t.needs(g) {
			t.global.device = g.arg()
		}
	case "script_user":
		if t.needs(g) {
			t.out.ScriptUser = g.arg()
			t.noGroup(g, g.words[2:])
		}
	case "vrrp_startup_delay":
		if d, ok := t.duration(g, 0, 10*time.Minute); ok {
			t.out.StartDelay = d
		}
	case "vrrp_down_timer_adverts":
		if n, ok := t.number(g, 1, 100); ok {
			t.global.downIntervals = n
		}
	case "notify_fifo", "vrrp_notify_fifo":
		t.fifo(g)
	default:
		t.unknown(g, append(append(keys(globalMissing), globalKnown...), globalSame...))
	}
}

func (t *translator) globalGroup(g *statement) {
	six := g.keyword() == "vrrp_mcast_group6"
	a, ok := t.address(g, g.arg())
	if !ok {
		return
	}
	if !a.IsMulticast() || a.Is6() != six {
		t.notes.add(g.at, Mistake, "%s %s is no multicast group of its family: the line is ignored", g.keyword(), a)
		return
	}
	if six {
		t.global.group6 = a
	} else {
		t.global.group4 = a
	}
}

func (t *translator) fifo(g *statement) {
	if !t.needs(g) {
		return
	}
	if t.out.Notify.FIFO != "" {
		t.notes.add(g.at, Missing, "%s: there is one pipe for all, %s", g.keyword(), t.out.Notify.FIFO)
		return
	}
	t.out.Notify.FIFO = g.arg()
	if len(g.words) > 2 {
		t.notes.add(g.at, Missing, "%s: user and group of the pipe: make the pipe before the start, as whom you want", g.keyword())
	}
}

// globalAnnounce reads the settings of gratuitous ARP under their global names.
func (t *translator) globalAnnounce(g *statement, keyword string) bool {
	switch keyword {
	case "vrrp_garp_master_delay", "vrrp_garp_master_repeat", "vrrp_garp_master_refresh", "vrrp_garp_interval", "vrrp_gna_interval":
		t.announce(g, &t.global.announce)
	case "vrrp_min_garp":
		if t.yes(g) {
			t.global.announce.Count, t.global.announce.Delay = 1, 0
		}
	default:
		return false
	}
	return true
}

// announce reads one setting of gratuitous ARP, global or of an instance.
func (t *translator) announce(s *statement, a *conf.Announce) {
	switch s.keyword() {
	case "vrrp_garp_master_delay", "garp_master_delay":
		if n, ok := t.number(s, 0, 300); ok {
			a.Delay = time.Duration(n) * time.Second
		}
	case "vrrp_garp_master_repeat", "garp_master_repeat":
		if n, ok := t.number(s, 1, 100); ok {
			a.Count = n
		}
	case "vrrp_garp_master_refresh", "garp_master_refresh":
		if n, ok := t.number(s, 0, 86400); ok {
			a.Refresh = time.Duration(n) * time.Second
		}
	default: // the intervals: 0 is what keepalived refuses and has as its default
		if s.arg() == "0" {
			t.notes.add(s.at, Mistake, "%s 0: keepalived refuses 0, and means it by default: no pause", s.keyword())
		} else if d, ok := t.duration(s, time.Microsecond, time.Second); ok {
			a.Spacing = max(a.Spacing, d)
		}
	}
}

// garpGroup is the pause between announcements on some interfaces.
func (t *translator) garpGroup(s *statement) {
	var a conf.Announce
	var names []string
	for _, g := range s.block {
		switch g.keyword() {
		case "garp_interval", "gna_interval":
			t.announce(g, &a)
		case "interface":
			names = append(names, g.args()...)
		case "interfaces":
			for _, one := range g.block {
				names = append(names, one.words...)
			}
			t.notes.add(g.at, Changed, "interfaces: the pause is kept on each interface by itself")
		default:
			t.unknown(g, []string{"garp_interval", "gna_interval", "interface", "interfaces"})
		}
	}
	for _, name := range names {
		t.global.spacing[name] = a.Spacing
	}
}
