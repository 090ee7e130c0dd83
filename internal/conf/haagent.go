package conf

import (
	"net/netip"
	"time"
)

// HAAgent runs VRRP and the proxy of this host. It is off without instances.
type HAAgent struct {
	Instances  []Instance    `yaml:"instances" doc:"VRRP virtual routers"`
	Groups     []SyncGroup   `yaml:"groups" doc:"sync groups: instances that are master, backup or in fault together"`
	Tracks     []Track       `yaml:"tracks" doc:"things whose health moves priorities"`
	BFD        []BFDSession  `yaml:"bfd" doc:"BFD sessions with other nodes (RFC 5880, 5881), which see a death sooner than VRRP can"`
	Static     Static        `yaml:"static" doc:"addresses, routes and rules that are always there, whoever is master"`
	Notify     Notify        `yaml:"notify" doc:"programs told of the transitions of every instance and group"`
	ScriptUser string        `yaml:"script_user" doc:"user as whom scripts run; empty: nobody when the agent runs as root, else the agent's own user"`
	StartDelay time.Duration `yaml:"start_delay" doc:"no instance becomes master sooner than this after the start, 0 to 10m; advertisements of others are heard meanwhile"`
	Realtime   int           `yaml:"realtime" doc:"priority of the agent among real-time processes (round-robin), 1 to 49; 0: scheduled as any other. Advertisements then leave in time on a busy host, where the system allows it"`
	Proxy      Proxy         `yaml:"proxy" doc:"the HAProxy that the agent runs; off without frontends and without config_file"`
	Lease      Lease         `yaml:"lease" doc:"how long an address outlives an agent that was killed"`
}

// Lease is how long an address outlives an agent that was killed.
type Lease struct {
	Lifetime time.Duration `yaml:"lifetime" doc:"valid lifetime that the kernel holds for a VIP, renewed every half; 2s to 60s"`
}

// Instance is one VRRP virtual router.
type Instance struct {
	Name           string        `yaml:"name" doc:"unique; letters, digits, _ . : -"`
	Interface      string        `yaml:"interface" doc:"interface on which the addresses are held and advertised"`
	VRID           int           `yaml:"vrid" doc:"1 to 255, unique for its interface and address family"`
	Version        int           `yaml:"version" doc:"2 (RFC 3768, IPv4 only) or 3 (RFC 5798, 9568)"`
	Priority       int           `yaml:"priority" doc:"1 to 254, 255 for the owner of the addresses"`
	Interval       time.Duration `yaml:"interval" doc:"advertisement interval; version 3: 10ms to 40.95s in steps of 10ms, version 2: 1s to 255s in whole seconds"`
	DownIntervals  int           `yaml:"down_intervals" doc:"intervals without an advertisement after which the master is given up, 1 to 100; the same on all routers, the RFCs say 3"`
	NoPreempt      bool          `yaml:"nopreempt" doc:"do not take over from a master of lower priority"`
	PreemptDelay   time.Duration `yaml:"preempt_delay" doc:"wait this long before taking over from a master of lower priority, 0 to 1h"`
	Pair           bool          `yaml:"pair" doc:"there are two routers and no more: the backup waits the least skew there is, whatever its priority, because nobody else would come first; so it is with one peer"`
	Degraded       string        `yaml:"degraded" doc:"what a master does whose priority a track lowers: advertise (the others find out, as keepalived) or handover (it offers the addresses at once)"`
	Strict         bool          `yaml:"strict" doc:"follow the RFC to the letter: no peers, no password, and version 2 drops advertisements whose addresses differ"`
	Password       string        `yaml:"password" conf:"secret" doc:"version 2: PASS authentication, the first 8 bytes count; sent in the clear, it keeps out mistakes, not attackers"`
	Source         netip.Addr    `yaml:"source" doc:"address that advertisements leave from; empty: the interface's first that is not virtual"`
	MulticastGroup netip.Addr    `yaml:"multicast_group" doc:"group of the advertisements; empty: 224.0.0.18 or ff02::12"`
	Peers          []netip.Addr  `yaml:"peers" doc:"the other routers' addresses: advertisements go to each of them by unicast, and only theirs are accepted"`
	MinTTL         int           `yaml:"min_ttl" doc:"with peers: least TTL or hop limit of an accepted advertisement, 0 (any) to 255"`
	Addresses      []Address     `yaml:"addresses" doc:"virtual addresses of one family with prefix length, each as 10.0.0.100/24 [dev eth1] [scope link] [label eth1:1]"`
	Excluded       []Address     `yaml:"excluded" doc:"further virtual addresses of any family that advertisements do not list"`
	Routes         []Route       `yaml:"routes" doc:"routes that the master has, as ip-route writes them: default via 10.0.0.1 [dev eth0] [src 10.0.0.100] [metric 10] [table 100] [onlink]"`
	Rules          []Rule        `yaml:"rules" doc:"routing rules that the master has, as ip-rule writes them: from 10.0.0.100 lookup 100 [priority 1000]"`
	Accept         bool          `yaml:"accept" doc:"false: a master that is not the owner does not take packets for the virtual addresses (RFC 9568, Accept_Mode)"`
	CheckAddresses string        `yaml:"check_addresses" doc:"compare the addresses of every advertisement with ours (each), of the first of a master (first), or of none (never)"`
	Checksum       string        `yaml:"checksum" doc:"version 3 over IPv4: keepalived (with pseudo-header) or rfc9568 (without)"`
	VirtualMAC     bool          `yaml:"virtual_mac" doc:"hold the addresses on a macvlan interface with the virtual router's MAC address"`
	VirtualMACName string        `yaml:"virtual_mac_name" doc:"name of that interface; empty: vrrp4.VRID or vrrp6.VRID"`
	Announce       Announce      `yaml:"announce" doc:"gratuitous ARP and unsolicited neighbour advertisements"`
	Track          []TrackUse    `yaml:"track" doc:"tracks that move this instance"`
	BFD            []string      `yaml:"bfd" doc:"BFD sessions: when the one with the master is lost, the master counts as dead"`
	Quorum         string        `yaml:"quorum" doc:"a track, a ping group mostly, that must be up before this router takes over from a silent master"`
	Fence          Fence         `yaml:"fence" doc:"program that must confirm a silent master's death before this router takes over; off without command"`
	Duplicates     time.Duration `yaml:"duplicates" doc:"how often a master asks by ARP whether another host has its IPv4 addresses, 100ms to 1h; 0: never"`
	Notify         Notify        `yaml:"notify" doc:"programs told of this instance's transitions"`
}

// Announce is how neighbours are told who holds the addresses.
type Announce struct {
	Count   int           `yaml:"count" doc:"messages for each address in a burst, 1 to 100"`
	Delay   time.Duration `yaml:"delay" doc:"pause until the second burst, 0 (none) to 5m"`
	Refresh time.Duration `yaml:"refresh" doc:"pause between the single messages of a master that stays, 1s to 24h; 0: none"`
	Spacing time.Duration `yaml:"spacing" doc:"pause between two messages on the interface, 0 to 1s"`
}

// Fence is the program that must confirm a silent master's death.
type Fence struct {
	Command []string      `yaml:"command" doc:"program and arguments, no shell; the dead master's address follows; exit status 0: it is dead"`
	Timeout time.Duration `yaml:"timeout" doc:"100ms to 10m; an answer that comes later is none"`
}

// Notify are programs that are told of transitions, as keepalived's. None of them is waited for.
type Notify struct {
	Master []string `yaml:"master" doc:"program and arguments, no shell; run on becoming master"`
	Backup []string `yaml:"backup" doc:"run on becoming backup"`
	Fault  []string `yaml:"fault" doc:"run on a fault"`
	Stop   []string `yaml:"stop" doc:"run when the agent stops"`
	Any    []string `yaml:"any" doc:"run on every transition with INSTANCE or GROUP, its name, MASTER, BACKUP, FAULT or STOP, and the priority"`
	FIFO   string   `yaml:"fifo" doc:"named pipe that gets a line for every transition: INSTANCE \"web\" MASTER 150"`
}

// SyncGroup is a set of instances that are master, backup or in fault together.
type SyncGroup struct {
	Name    string     `yaml:"name" doc:"unique; letters, digits, _ . : -"`
	Members []string   `yaml:"members" doc:"names of instances, all of the same priority"`
	Track   []TrackUse `yaml:"track" doc:"tracks that move every member"`
	Notify  Notify     `yaml:"notify" doc:"programs told of the group's transitions"`
}

// TrackUse is how a track moves an instance.
type TrackUse struct {
	Name    string `yaml:"name" doc:"name of a track, or proxy: the health of the proxy that the agent runs"`
	Weight  int    `yaml:"weight" doc:"added while up when positive, subtracted while down when negative, -253 to 253; 0: FAULT while down. The weight of a file multiplies its number"`
	Reverse bool   `yaml:"reverse" doc:"up counts as down and down as up"`
}

// Track is something whose health moves priorities: exactly one of process, script, interface, route, file, ping,
// http, tcp and bfd.
type Track struct {
	Name      string        `yaml:"name" doc:"unique, not proxy"`
	Process   string        `yaml:"process" doc:"name of the executable that must run; its birth and death are told by the kernel"`
	Script    []string      `yaml:"script" doc:"program and arguments, no shell; exit status 0 is up"`
	User      string        `yaml:"user" doc:"script: user as whom it runs; empty: script_user"`
	Interface string        `yaml:"interface" doc:"interface that must be up and have a carrier"`
	Route     string        `yaml:"route" doc:"destination that the main routing table must have, as default or 10.0.0.0/8"`
	File      string        `yaml:"file" doc:"path of a file that holds a number; with weight 0 another number than 0 is a fault"`
	Ping      []string      `yaml:"ping" doc:"addresses of a ping group"`
	HTTP      string        `yaml:"http" doc:"URL that must answer with a status from 200 to 399"`
	TCP       string        `yaml:"tcp" doc:"address:port that must take a connection"`
	BFD       string        `yaml:"bfd" doc:"name of a BFD session that must be up"`
	AtLeast   int           `yaml:"at_least" doc:"process, ping: how many must run or answer, 1 to 1000"`
	Interval  time.Duration `yaml:"interval" doc:"script, ping, http, tcp: pause between two looks, 50ms to 1h"`
	Timeout   time.Duration `yaml:"timeout" doc:"script, ping, http, tcp: an answer that comes later is none, 10ms to 1h; 0: as long as interval"`
	Rise      int           `yaml:"rise" doc:"script, ping, http, tcp: good looks until it is up, 1 to 1000"`
	Fall      int           `yaml:"fall" doc:"script, ping, http, tcp: bad looks until it is down, 1 to 1000"`
	Delay     time.Duration `yaml:"delay" doc:"process: how long it must have been gone before it counts as down, 0 to 1h"`
	InitFail  bool          `yaml:"init_fail" doc:"counts as down until the first look is good; otherwise as up until the first look is bad"`
}

// BFDSession is one session of bidirectional forwarding detection with another node, asynchronous and single hop.
type BFDSession struct {
	Name       string        `yaml:"name" doc:"unique; letters, digits, _ . : -"`
	Peer       netip.Addr    `yaml:"peer" doc:"the other node's address"`
	Source     netip.Addr    `yaml:"source" doc:"own address; empty: the kernel's choice"`
	Interval   time.Duration `yaml:"interval" doc:"pause between the packets that this node sends and wants, 5ms to 10s"`
	Multiplier int           `yaml:"multiplier" doc:"packets that must be missing in a row before the session is lost, 1 to 255"`
	Passive    bool          `yaml:"passive" doc:"wait for the peer's first packet"`
}

// Static are addresses, routes and rules that are there while the agent runs, whoever is master.
type Static struct {
	Addresses []Address `yaml:"addresses" doc:"each with its interface: 10.1.0.1/24 dev eth1"`
	Routes    []Route   `yaml:"routes" doc:"as those of an instance"`
	Rules     []Rule    `yaml:"rules" doc:"as those of an instance"`
}

// Configured reports whether there is anything for an HA agent to do.
func (h *HAAgent) Configured() bool { return len(h.Instances) > 0 || h.Proxy.Enabled() }

// Enabled reports whether the configuration asks for a proxy at all.
func (p *Proxy) Enabled() bool { return p.ConfigFile != "" || len(p.Frontends) > 0 }
