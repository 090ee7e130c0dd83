// Package status is what the HA agent tells over its socket: the JSON of its state and of what happened. It never
// holds a running part; haagent fills it, probes/vrrp and the command line read it.
package status

import "time"

// Socket is the name of the agent's unix socket in the data folder. It serves HTTP: GET /status and GET /events.
const Socket = "haagent.sock"

// Status is the agent at one moment.
type Status struct {
	Host      string     `json:"host"`
	Boot      string     `json:"boot"` // changes with each start
	Started   time.Time  `json:"started"`
	Now       time.Time  `json:"now"`
	Instances []Instance `json:"instances"`
	Tracks    []Track    `json:"tracks"`
	Proxy     *Proxy     `json:"proxy,omitempty"`
}

// Instance is one virtual router.
type Instance struct {
	Name               string            `json:"name"`
	Interface          string            `json:"interface"`
	Family             string            `json:"family"` // ipv4 or ipv6
	VRID               int               `json:"vrid"`
	State              string            `json:"state"` // init, backup, master, fault
	StateNumber        int               `json:"state_number"`
	Since              time.Time         `json:"since"`
	Reason             string            `json:"reason"`
	Priority           int               `json:"priority"` // effective
	PriorityConfigured int               `json:"priority_configured"`
	IntervalMS         int64             `json:"interval_ms"`
	Addresses          []string          `json:"addresses"`
	Held               []string          `json:"held"` // of Addresses, those on the interface by this agent
	Source             string            `json:"source"`
	Master             *Peer             `json:"master,omitempty"` // whom a backup follows
	Sent               uint64            `json:"sent"`
	Received           uint64            `json:"received"`  // accepted ones
	Discarded          uint64            `json:"discarded"` // of Received, those of a priority too low to count
	Dropped            map[string]uint64 `json:"dropped"`   // refused, by reason
	AddressMismatch    uint64            `json:"address_mismatch"`

	ChecksumPseudoHeader uint64 `json:"checksum_pseudo_header"` // of Received, by the way the checksum was computed
	ChecksumMessageOnly  uint64 `json:"checksum_message_only"`

	Transitions uint64 `json:"transitions"`
	Stalls      uint64 `json:"stalls"` // times that this agent stood still for longer than others wait

	LastError   string     `json:"last_error,omitempty"` // what the kernel refused last
	LastErrorAt *time.Time `json:"last_error_at,omitempty"`
}

// Peer is another router as last heard.
type Peer struct {
	Address  string    `json:"address"`
	Priority int       `json:"priority"`
	Heard    time.Time `json:"heard"`
}

// Track is a health that moves priorities.
type Track struct {
	Name   string    `json:"name"`
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
