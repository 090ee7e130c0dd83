package conf

import "time"

// Gmond is this host's place in a Ganglia network: the packets that it hears and sends, and gmond's XML port.
type Gmond struct {
	Receive  []GmondReceive `yaml:"receive" doc:"where gmond packets are heard; [] for nowhere"`
	Send     []GmondSend    `yaml:"send" doc:"where this host sends gmond packets of its own, so that gmond and gmetad go on knowing it; empty: nowhere"`
	Metadata time.Duration  `yaml:"send_metadata_interval" doc:"metadata of each metric is sent again after this, 10s to 24h"`
	Groups   []GmondGroup   `yaml:"groups" doc:"which metrics are sent and when; empty: as gmond's own default has it"`
	Hostname string         `yaml:"override_hostname" doc:"gmond packets speak for this host name instead of the sender's; empty: receivers look the source address up"`
	IP       string         `yaml:"override_ip" doc:"the address that goes with override_hostname; empty: the name again"`
	XML      GmondXML       `yaml:"xml" doc:"gmond's XML port, which gmetad polls"`
	Owner    string         `yaml:"owner" doc:"of the cluster, in the XML"`
	LatLong  string         `yaml:"latlong" doc:"of the cluster, in the XML"`
	URL      string         `yaml:"url" doc:"of the cluster, in the XML"`
	Location string         `yaml:"location" doc:"of this host, as rack,rank,plane; sent as the metric location"`
	Tags     string         `yaml:"tags" doc:"of every host, in the XML"`
	HostTmax time.Duration  `yaml:"host_tmax" doc:"a gmond host is down when it is silent for four times this, 1s to 1h"`
	Legacy   bool           `yaml:"legacy_packets" doc:"packets of gmond 2.5 to 3.0 are read too; they name no host, so their source address is it"`
}

// GmondReceive is one channel on which gmond packets are heard.
type GmondReceive struct {
	Group      string   `yaml:"group" doc:"multicast group and port, IPv4 or IPv6; give this or listen"`
	Interface  string   `yaml:"interface" doc:"interface of the group; empty: the one of the default route, else loopback"`
	Listen     string   `yaml:"listen" doc:"address:port for unicast packets"`
	AcceptFrom []string `yaml:"accept_from" doc:"networks whose packets count, the first that fits decides: 10.0.0.0/8, !10.0.0.5/32 to refuse, 'local' for this host's own addresses; all others are refused"`
	SpoofFrom  []string `yaml:"spoof_from" doc:"networks, written as in accept_from, whose packets may speak for other hosts; empty: all that accept_from lets in"`
	Buffer     int      `yaml:"buffer" doc:"bytes of the socket's receive buffer that are asked for, 65536 to 1073741824"`
}

// GmondSend is one channel to which gmond packets go.
type GmondSend struct {
	Group     string `yaml:"group" doc:"multicast group and port, IPv4 or IPv6; give this or to"`
	Interface string `yaml:"interface" doc:"interface of the group; empty: the one of the default route, else loopback"`
	TTL       int    `yaml:"ttl" doc:"multicast hops, 1 to 255"`
	To        string `yaml:"to" doc:"one receiver, host:port"`
	Bind      string `yaml:"bind" doc:"source address of the packets; empty: the system's choice"`
}

// GmondXML is gmond's XML port.
type GmondXML struct {
	Listen     string   `yaml:"listen" doc:"tcp address of gmond's XML; empty: none. Where another program has it, this is told and tried again each minute"`
	AcceptFrom []string `yaml:"accept_from" doc:"networks that may read it, as of receive"`
	Gzip       bool     `yaml:"gzip" doc:"the XML is sent gzipped"`
	Names      string   `yaml:"names" doc:"sent: each host under the name in its packets; lookup: as in gmond, under the name that the address has from which they come"`
}

// Values of GmondXML.Names.
const (
	NamesSent   = "sent"
	NamesLookup = "lookup"
)

// GmondGroup is gmond's collection_group: metrics that are collected and sent together.
type GmondGroup struct {
	Once      bool          `yaml:"once" doc:"collected at start only"`
	Every     time.Duration `yaml:"every" doc:"how often it is collected, 1s to 24h"`
	Threshold time.Duration `yaml:"time_threshold" doc:"it is sent at the latest after this, 1s to 24h"`
	Metrics   []GmondMetric `yaml:"metrics" doc:"its metrics"`
}

// GmondMetric is one metric, or several, of a GmondGroup.
type GmondMetric struct {
	Name           string  `yaml:"name" doc:"of a metric, or the beginning of several; give this or match"`
	Match          string  `yaml:"match" doc:"regular expression over the names"`
	ValueThreshold float64 `yaml:"value_threshold" doc:"the group is sent when the value has moved by this much since the collection before; 0: at each; -1: never"`
	Title          string  `yaml:"title" doc:"shown for it; empty: its own; \\1 to \\9 stand for what match caught"`
}

// Checks are remote checks that the collectors of a cluster share: each is run by one living collector of those that
// list it, or by as many as it wants vantage points.
type Checks struct {
	TCP  []TCPCheck  `yaml:"tcp" doc:"addresses that must take a TCP connection"`
	SNMP []SNMPProbe `yaml:"snmp" doc:"devices read by SNMP, by one collector at a time"`
}

// TCPCheck is an address that must take a TCP connection.
type TCPCheck struct {
	Name     string        `yaml:"name" doc:"label check of its series, unique"`
	Host     string        `yaml:"host" doc:"host that the result is of; empty: the target's"`
	Target   string        `yaml:"target" doc:"host:port"`
	Interval time.Duration `yaml:"interval" doc:"1s to 1h; 0: the collector's"`
	Timeout  time.Duration `yaml:"timeout" doc:"of one connection, 100ms to 1m"`
	Vantage  int           `yaml:"vantage" doc:"how many collectors check it, 1 to 16"`
	Quorum   int           `yaml:"quorum" doc:"it is down when so many of them say so, 1 to vantage"`
}

// Ganglia is the extractor in gmetad's place: what it polls over XML, and the XML that ganglia-web asks it for.
type Ganglia struct {
	Grid        string          `yaml:"grid" doc:"name of the grid in the XML"`
	Authority   string          `yaml:"authority" doc:"address of the web pages of this grid, in the XML; empty: the web app's"`
	Sources     []GangliaSource `yaml:"sources" doc:"gmonds and gmetads that are polled; empty: this host's own collector, for the XML alone"`
	XML         string          `yaml:"xml" doc:"tcp address of gmetad's XML; empty: none. Where another program has it, this is told and tried again each minute"`
	Interactive string          `yaml:"interactive" doc:"tcp address of gmetad's interactive port, as of xml"`
	AcceptFrom  []string        `yaml:"accept_from" doc:"networks that may read both, as of collector.gmond.receive"`
}

// GangliaSource is gmetad's data_source: one cluster or grid, polled from the first of its addresses that answers.
type GangliaSource struct {
	Name      string        `yaml:"name" doc:"of the source, unique"`
	Interval  time.Duration `yaml:"interval" doc:"how often it is polled, 1s to 1h"`
	Addresses []string      `yaml:"addresses" doc:"host:port of XML ports, in order of preference"`
	Store     bool          `yaml:"store" doc:"whether its samples are stored; false for collectors that extractor.clusters has already"`
}

// HostNames are the rules by which two names are one host.
type HostNames struct {
	Lowercase    bool        `yaml:"lowercase" doc:"names are compared in lower case"`
	StripDomains []string    `yaml:"strip_domains" doc:"domains that are cut off: example.com makes web1.example.com the host web1"`
	Aliases      []HostAlias `yaml:"aliases" doc:"names that mean one host, before the other rules"`
}

// HostAlias is one host with its other names.
type HostAlias struct {
	Host  string   `yaml:"host" doc:"the name under which it is kept"`
	Names []string `yaml:"names" doc:"other names of it, and addresses"`
}
