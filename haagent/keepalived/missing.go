package keepalived

// topMissing is what of the top of a file has no equivalent, and what happens instead.
var topMissing = map[string]string{
	"track_group":              "an instance that holds an address repairs it; static addresses move no instance",
	"linkbeat_interfaces":      "the kernel tells of every change of a link",
	"interface_up_down_delays": "a link that is down is a fault at once",
	"net_namespace":            "start the agent in the namespace, with ip netns exec",
	"net_namespace_ipvs":       "IPVS is not managed yet",
	"namespace_with_ipsets":    "no ipset is used",
	"instance":                 "every agent has a data folder of its own (--data)",
	"use_pid_dir":              "no PID file is written",
	"linkbeat_use_polling":     "the kernel tells of every change of a link",
	"child_wait_time":          "the agent has one child, and waits for it as the unit says",
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
