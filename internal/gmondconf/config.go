package gmondconf

import "keepwatch/internal/report"

// Keys are the keys that a file sets, in lower case, and where it does so last.
type Keys map[string]report.Place

// Config is what a gmond.conf says. Durations are seconds, as in the file, but where it is said otherwise.
type Config struct {
	Globals  Globals
	Cluster  Cluster
	Host     Host
	Send     []*SendChannel
	Receive  []*ReceiveChannel
	Accept   []*AcceptChannel
	Groups   []*Group
	Modules  []*Module
	SFlow    *SFlow    // nil: there is no such section
	Files    []string  // in the order in which they were read
	Included []Include // in the order of the files
}

// Globals is the section of that name.
type Globals struct {
	At               report.Place
	Set              Keys
	Daemonize        bool
	Setuid           bool
	User             string
	DebugLevel       int
	MaxUDPMessage    int  // bytes
	Mute, Deaf       bool // as written: see Config.Mute and Config.Deaf
	AllowExtraData   bool
	HostDmax         int // 0: never
	HostTmax         int
	CleanupThreshold int
	GExec            bool
	MetadataInterval int // 0: metadata goes out once and on request
	ModuleDir        string
	OverrideHostname string
	OverrideIP       string
	Tags             string
}

// Cluster is the section of that name, each "unspecified" when the file does not say it.
type Cluster struct {
	At                        report.Place
	Set                       Keys
	Name, Owner, LatLong, URL string
}

// Host is the section of that name.
type Host struct {
	At       report.Place
	Set      Keys
	Location string
}

// SendChannel is a udp_send_channel.
type SendChannel struct {
	At           report.Place
	Set          Keys
	Join         string // mcast_join, which wins over Host
	Interface    string // mcast_if
	Host         string
	Port         int // -1: none is given, gmond takes 65535
	TTL          int // multicast only
	Bind         string
	BindHostname bool
}

// ReceiveChannel is a udp_recv_channel.
type ReceiveChannel struct {
	At        report.Place
	Set       Keys
	Join      string
	Bind      string
	Port      int
	Interface string
	ACL       ACL
	Family    string // inet4 or inet6
	RetryBind bool
	Buffer    int // bytes; 0: the system's
}

// AcceptChannel is a tcp_accept_channel.
type AcceptChannel struct {
	At        report.Place
	Set       Keys
	Bind      string
	Port      int
	Interface string // which gmond does not look at
	ACL       ACL
	Timeout   int // microseconds; -1: for ever
	Family    string
	Gzip      bool
}

// ACL says who may send or connect.
type ACL struct {
	At      report.Place // of its section; no line: there is none
	Set     Keys
	Default string // allow or deny
	Access  []*Access
}

// Access is one entry of an ACL.
type Access struct {
	At               report.Place
	Set              Keys
	Action, IP, Mask string
}

// Group is a collection_group.
type Group struct {
	At        report.Place
	Set       Keys
	Once      bool
	Every     int
	Threshold int
	Metrics   []*Metric
}

// Metric is one metric of a Group.
type Metric struct {
	At             report.Place
	Set            Keys
	Name           string
	Match          string // name_match, which wins over Name
	ValueThreshold float64
	Title          string
}

// Module is a module of the section modules.
type Module struct {
	At       report.Place
	Set      Keys
	Name     string
	Language string // empty: C/C++
	Enabled  bool
	Path     string
	Params   string // one text for the module
	Param    []*Param
}

// Param is one parameter of a Module.
type Param struct {
	At    report.Place
	Set   Keys
	Name  string
	Value string
}

// SFlow is the section of that name.
type SFlow struct {
	At   report.Place
	Set  Keys
	Port int
	Bool map[string]*bool // its switches by their keys
}

// Port is gmond's own, of UDP and of XML.
const Port = 8649

func newConfig() *Config {
	return &Config{
		Globals: Globals{
			Set: Keys{}, Daemonize: true, Setuid: true, User: "nobody", MaxUDPMessage: 1472, AllowExtraData: true,
			HostDmax: 86400, HostTmax: 20, CleanupThreshold: 300,
		},
		Cluster: Cluster{Set: Keys{}, Name: Unspecified, Owner: Unspecified, LatLong: Unspecified, URL: Unspecified},
		Host:    Host{Set: Keys{}, Location: Unspecified},
	}
}

// Unspecified is what gmond calls a cluster, its attributes and a location that nobody named.
const Unspecified = "unspecified"
