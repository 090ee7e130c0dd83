// Package status is what the HA agent tells over its socket: the JSON of its state and of what happened. It never
// holds a running part; haagent fills it, probes/vrrp and the command line read it.
package status

import "time"

// Socket is the name of the agent's unix socket in the data folder. It serves HTTP: GET /status and GET /events, and
// for the one who may open it POST /switchover and POST /drain (see Answer).
const Socket = "haagent.sock"

// Status is the agent at one moment.
type Status struct {
	Host      string       `json:"host"`
	Boot      string       `json:"boot"` // changes with each start
	Started   time.Time    `json:"started"`
	Now       time.Time    `json:"now"`
	Parent    bool         `json:"parent"`  // a parent stands by: it takes the addresses off when the agent is killed
	Drained   bool         `json:"drained"` // told to hold nothing until told otherwise
	Instances []Instance   `json:"instances"`
	Groups    []Group      `json:"groups,omitempty"`
	BFD       []BFDSession `json:"bfd,omitempty"`
	Tracks    []Track      `json:"tracks"`
	Proxy     *Proxy       `json:"proxy,omitempty"`
}

// Instance is one virtual router.
type Instance struct {
	Name               string            `json:"name"`
	Interface          string            `json:"interface"`
	Family             string            `json:"family"` // ipv4 or ipv6
	VRID               int               `json:"vrid"`
	Version            int               `json:"version"`          // 2 or 3
	Group              string            `json:"group,omitempty"`  // the sync group it belongs to
	Peers              []string          `json:"peers,omitempty"`  // configured unicast peers; none: multicast
	Strict             bool              `json:"strict,omitempty"` // follows the RFC to the letter
	NoPreempt          bool              `json:"nopreempt,omitempty"`
	State              string            `json:"state"` // init, backup, master, fault
	StateNumber        int               `json:"state_number"`
	Since              time.Time         `json:"since"`
	Reason             string            `json:"reason"`
	Paused             string            `json:"paused,omitempty"`  // why it does not take over: PausedSwitchover or PausedDrained
	Leaving            bool              `json:"leaving,omitempty"` // a handover is under way: addresses are still held although it is not master
	Priority           int               `json:"priority"`          // effective
	PriorityConfigured int               `json:"priority_configured"`
	IntervalMS         int64             `json:"interval_ms"`
	Addresses          []string          `json:"addresses"`
	Excluded           []string          `json:"excluded,omitempty"` // addresses that advertisements do not list
	Held               []string          `json:"held"`               // of Addresses and Excluded, those on the interface by this agent
	Tracks             []TrackEffect     `json:"tracks,omitempty"`   // what moves the priority
	BFD                []string          `json:"bfd,omitempty"`      // names of the sessions whose loss is the master's death
	Source             string            `json:"source"`
	Master             *Peer             `json:"master,omitempty"`     // whom a backup follows
	PeersSeen          []Peer            `json:"peers_seen,omitempty"` // every other router heard lately
	Conflicts          []Conflict        `json:"conflicts,omitempty"`  // addresses that another host has too, as seen now
	Sent               uint64            `json:"sent"`
	SentZero           uint64            `json:"sent_zero"`     // of Sent, those of priority 0: handing over
	Received           uint64            `json:"received"`      // accepted ones
	ReceivedZero       uint64            `json:"received_zero"` // of Received, those of priority 0
	Announced          uint64            `json:"announced"`     // gratuitous ARP and unsolicited neighbour advertisements sent
	Discarded          uint64            `json:"discarded"`     // of Received, those of a priority too low to count
	Dropped            map[string]uint64 `json:"dropped"`       // refused, by reason
	AddressMismatch    uint64            `json:"address_mismatch"`

	ChecksumPseudoHeader uint64 `json:"checksum_pseudo_header"` // of Received, by the way the checksum was computed
	ChecksumMessageOnly  uint64 `json:"checksum_message_only"`

	Transitions uint64 `json:"transitions"`
	Stalls      uint64 `json:"stalls"` // times that this agent stood still for longer than others wait

	LatenessMS     float64 `json:"lateness_ms"`     // how late the latest advertisement of the last minute left
	LatenessMaxMS  float64 `json:"lateness_max_ms"` // the same since the start
	LateStepdowns  uint64  `json:"late_stepdowns"`  // times that it gave up being master because it was too late
	ScriptsDropped uint64  `json:"scripts_dropped"` // notifications not run: too many under way

	LastError   string     `json:"last_error,omitempty"` // what the kernel refused last
	LastErrorAt *time.Time `json:"last_error_at,omitempty"`
}

// Values of Instance.Paused.
const (
	PausedSwitchover = "switched over" // until another router was master, or nobody is
	PausedDrained    = "drained"       // until the drain is lifted
)

// Peer is another router as last heard.
type Peer struct {
	Address    string    `json:"address"`
	Priority   int       `json:"priority"`
	IntervalMS int64     `json:"interval_ms,omitempty"` // as it advertises it
	Heard      time.Time `json:"heard"`
	Notes      []string  `json:"notes,omitempty"` // what is odd about it, as other addresses or the other checksum
}

// Sources of a Conflict.
const (
	SourceARP       = "arp"       // it answered a probe for the address
	SourceVRRP      = "vrrp"      // it advertises the same virtual router as master
	SourceCollector = "collector" // it says so to the collectors
)

// Conflict is a virtual address that another host has while this one holds it.
type Conflict struct {
	Address string    `json:"address"` // one of the instance's, without prefix length
	MAC     string    `json:"mac,omitempty"`
	Seen    time.Time `json:"seen"`   // last
	Source  string    `json:"source"` // SourceARP, SourceVRRP or SourceCollector
}

// TrackEffect is what a track does to the priority of an instance now.
type TrackEffect struct {
	Name    string `json:"name"`
	Weight  int    `json:"weight"`
	Reverse bool   `json:"reverse,omitempty"`
	Up      bool   `json:"up"`              // before Reverse
	Value   int    `json:"value,omitempty"` // a file's number
	Effect  int    `json:"effect"`          // what it adds to or takes off the priority, before the bounds 1 and 254
	Fault   bool   `json:"fault,omitempty"` // it forces the fault state
}

// Group is a sync group: its members are master, backup or in fault together.
type Group struct {
	Name    string   `json:"name"`
	State   string   `json:"state"` // as Instance.State; of the members while they agree, else the least of them
	Members []string `json:"members"`
	Reason  string   `json:"reason"`
}

// BFDSession is one session of bidirectional forwarding detection.
type BFDSession struct {
	Name        string            `json:"name"`
	Peer        string            `json:"peer"`
	State       string            `json:"state"` // admin_down, down, init, up (RFC 5880, section 6.2)
	Up          bool              `json:"up"`
	Since       time.Time         `json:"since"`
	DetectionMS float64           `json:"detection_ms"` // silence after which it is lost, as negotiated
	Sent        uint64            `json:"sent"`
	Received    uint64            `json:"received"` // accepted ones
	Dropped     map[string]uint64 `json:"dropped,omitempty"`
	RemoteDiag  string            `json:"remote_diag,omitempty"` // why the peer's end was last down
}

// Track is a health that moves priorities.
type Track struct {
	Name   string    `json:"name"`
	Kind   string    `json:"kind,omitempty"`   // process, script, interface, route, file, ping, http, tcp, bfd or proxy
	Target string    `json:"target,omitempty"` // what it looks at
	Value  int       `json:"value,omitempty"`  // a file's number
	Up     bool      `json:"up"`
	Since  time.Time `json:"since"`
	Detail string    `json:"detail"`
}

// Proxy is the managed proxy.
type Proxy struct {
	Engine   string    `json:"engine"`
	Up       bool      `json:"up"`
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	Reason   string    `json:"reason,omitempty"`
	Socket   string    `json:"socket"` // its stats socket
}

// Event is something that happened once. Boot and Seq name it.
type Event struct {
	Seq    uint64            `json:"seq"`
	Time   time.Time         `json:"time"`
	Kind   string            `json:"kind"` // as metric.EventKind
	Text   string            `json:"text"`
	Labels map[string]string `json:"labels"`
}

// Events answers GET /events?after=SEQ&boot=BOOT&wait=SECONDS: what came after SEQ, as soon as there is something.
// When boot is not the agent's, everything remembered comes.
type Events struct {
	Boot   string  `json:"boot"`
	Last   uint64  `json:"last"` // the newest number given out
	Missed uint64  `json:"missed"`
	Items  []Event `json:"items"`
}

// Answer is the body of a 200 to POST /switchover?instance=NAME (without a name: every instance that is master) and to
// POST /drain?on=true or on=false.
type Answer struct {
	Text string `json:"text"` // what was done, for people
}

// Refusal is the body of any other answer to them; 409 says that it cannot be done as things stand.
type Refusal struct {
	Error string `json:"error"` // why, and what to do
}
