// Package conf is the configuration file: one struct per part, every default in Default, every check in Validate.
// It never opens a socket or a database and never changes a running part; cmd/keepwatch loads it and hands each
// part its own struct.
package conf

import (
	"time"
)

// Config is the whole file. Every key has a default: an empty file is valid.
type Config struct {
	Cluster string `yaml:"cluster" doc:"name of the cluster that this host belongs to"`
	Host    string `yaml:"host" doc:"name of this host; the system's own when empty"`
	Log     Log    `yaml:"log" doc:"how the process logs to standard error"`

	Database  Database  `yaml:"database" doc:"the Postgres that keeps everything"`
	Bus       Bus       `yaml:"bus" doc:"the NATS JetStream between extractor, writer and alerter"`
	Collector Collector `yaml:"collector" doc:"runs the probes, shares what they see and serves the cluster's state"`
	Extractor Extractor `yaml:"extractor" doc:"pulls from collectors, stores and answers queries"`
	Alerter   Alerter   `yaml:"alerter" doc:"judges samples and notifies"`
	HAAgent   HAAgent   `yaml:"haagent" doc:"runs VRRP and the proxy of this host; off without instances"`
	UI        UI        `yaml:"ui" doc:"the web app and its API"`
}

// Log is how the process logs to standard error.
type Log struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error"`
	Format string `yaml:"format" doc:"text or json"`
}

// Database is the Postgres that keeps everything.
type Database struct {
	URL      string `yaml:"url" doc:"postgres://… of a server you run, its password in a file named by ?passfile=; empty: a private server under the data folder" conf:"secret"`
	MaxConns int    `yaml:"max_conns" doc:"connections of this process, 4 to 200"`
}

// Bus is the NATS JetStream between extractor, writer and alerter.
type Bus struct {
	URL      string `yaml:"url" doc:"nats://… of a cluster you run; empty: a server inside this process, on disk under the data folder" conf:"secret"`
	MaxBytes int64  `yaml:"max_bytes" doc:"bytes kept on the bus while the database is away, at least 16777216; the oldest are dropped and counted past it"`
}

// Key seals native frames and the state stream. The first key listed sends; all are accepted.
type Key struct {
	ID   int    `yaml:"id" doc:"1 to 255, the same on every node"`
	File string `yaml:"file" doc:"file that holds the key: 64 hexadecimal digits"`
}

// Collector runs the probes, shares what they see and serves the cluster's state.
type Collector struct {
	Interval  time.Duration `yaml:"interval" doc:"how often probes run unless they say otherwise, 1s to 1h"`
	HostDmax  time.Duration `yaml:"host_dmax" doc:"a host silent for longer is forgotten, 1m to 8760h and at least four intervals"`
	Keys      []Key         `yaml:"keys" doc:"frame keys; empty: one made at first start in the data folder"`
	Native    Native        `yaml:"native" doc:"the channel of sealed frames"`
	Gmond     Gmond         `yaml:"gmond" doc:"this host's place in a Ganglia network, whose packets are plain"`
	Serve     Serve         `yaml:"serve" doc:"where extractors fetch the cluster's state"`
	MaxHosts  int           `yaml:"max_hosts" doc:"hosts held in soft state, 1 to 1000000"`
	MaxSeries int           `yaml:"max_series" doc:"series held in soft state, of one host, 1 to 10000000"`
	MaxBytes  int64         `yaml:"max_bytes" doc:"bytes of the last minutes' history, at least 1048576"`
	Probes    Probes        `yaml:"probes" doc:"the sources that this host reads"`
	Checks    Checks        `yaml:"checks" doc:"remote checks that the collectors of a cluster share"`
	Deaf      bool          `yaml:"deaf" doc:"nothing is heard or served: this host only sends"`
	Mute      bool          `yaml:"mute" doc:"no probe runs and no sample is sent: this host only hears and serves"`
}

// Native is the channel of sealed frames.
type Native struct {
	Group     string   `yaml:"group" doc:"multicast group and port; empty: none"`
	Interface string   `yaml:"interface" doc:"interface of the multicast group; empty: the one of the default route, else loopback"`
	TTL       int      `yaml:"ttl" doc:"multicast hops, 1 to 255"`
	Listen    string   `yaml:"listen" doc:"address for unicast frames; empty: none"`
	SendTo    []string `yaml:"send_to" doc:"unicast receivers, host:port"`
	Payload   int      `yaml:"payload" doc:"bytes of one datagram at most, 576 to 8900"`
}

// Serve is where extractors fetch the cluster's state.
type Serve struct {
	Listen string `yaml:"listen" doc:"tcp address of the state stream; empty: none"`
}

// Probes are the sources that this host reads.
type Probes struct {
	Host    HostProbe      `yaml:"host" doc:"CPU, memory, disks, I/O, processes and network of this host"`
	HAProxy []HAProxyProbe `yaml:"haproxy" doc:"HAProxy instances, each read by its stats socket"`
	VRRP    VRRPProbe      `yaml:"vrrp" doc:"the HA agent of this host, and anybody's advertisements"`
	SNMP    []SNMPProbe    `yaml:"snmp" doc:"devices read by SNMP"`
}

// HostProbe reads this host's own CPU, memory, disks, I/O, processes and network.
type HostProbe struct {
	Enabled  bool          `yaml:"enabled" doc:"whether this host is read"`
	Interval time.Duration `yaml:"interval" doc:"1s to 1h; 0: the collector's"`
}

// HAProxyProbe reads one HAProxy by its stats socket.
type HAProxyProbe struct {
	Name     string        `yaml:"name" doc:"label proxy_instance of its series, unique"`
	Socket   string        `yaml:"socket" doc:"path of the stats socket"`
	Interval time.Duration `yaml:"interval" doc:"1s to 1h; 0: the collector's"`
}

// VRRPProbe reads our own HA agent and listens to the advertisements of anybody.
type VRRPProbe struct {
	Agent    string        `yaml:"agent" doc:"socket of the HA agent; empty: haagent.sock in the data folder when haagent is configured"`
	Listen   []string      `yaml:"listen" doc:"interfaces on which advertisements are heard passively; needs CAP_NET_RAW"`
	Interval time.Duration `yaml:"interval" doc:"1s to 1h; 0: the collector's"`
}

// SNMPProbe reads system and IF-MIB of one device.
type SNMPProbe struct {
	Host          string        `yaml:"host" doc:"name under which the device's series are kept; empty: the target's"`
	Target        string        `yaml:"target" doc:"host or host:port"`
	Version       string        `yaml:"version" doc:"1, 2c or 3"`
	CommunityFile string        `yaml:"community_file" doc:"file that holds the community; empty: public"`
	User          string        `yaml:"user" doc:"user name of version 3"`
	AuthProtocol  string        `yaml:"auth_protocol" doc:"md5, sha, sha256 or sha512"`
	AuthFile      string        `yaml:"auth_file" doc:"file that holds the authentication pass phrase"`
	PrivProtocol  string        `yaml:"priv_protocol" doc:"des, aes, aes192 or aes256"`
	PrivFile      string        `yaml:"priv_file" doc:"file that holds the privacy pass phrase"`
	Interval      time.Duration `yaml:"interval" doc:"1s to 1h; 0: the collector's"`
	Timeout       time.Duration `yaml:"timeout" doc:"of one request, 100ms to 1m"`
	Retries       int           `yaml:"retries" doc:"tries after the first, 0 to 10"`
}

// Extractor pulls from collectors, stores and answers queries.
type Extractor struct {
	Clusters []Cluster `yaml:"clusters" doc:"where each cluster's state is fetched; empty: this host's own collector"`
	Storage  Storage   `yaml:"storage" doc:"bounds of what is kept"`
	Query    Query     `yaml:"query" doc:"bounds of what one PromQL query may cost"`
	Ganglia  Ganglia   `yaml:"ganglia" doc:"gmonds and gmetads that are polled over XML, and gmetad's own ports"`
	Hosts    HostNames `yaml:"hosts" doc:"which names mean one host"`
}

// Cluster lists the aggregators of one cluster, in order of preference.
type Cluster struct {
	Name       string   `yaml:"name" doc:"name of the cluster, unique"`
	Collectors []string `yaml:"collectors" doc:"host:port of state streams"`
}

// Storage bounds what is kept.
type Storage struct {
	Retention time.Duration `yaml:"retention" doc:"how long raw samples are kept, 24h to 87600h"`
	Flush     time.Duration `yaml:"flush" doc:"a batch is committed at the latest after this, 100ms to 10s"`
}

// Query bounds what one PromQL query may cost.
type Query struct {
	Timeout    time.Duration `yaml:"timeout" doc:"a query is ended after this, 1s to 10m"`
	MaxSamples int           `yaml:"max_samples" doc:"samples in memory of one query, at least 1000"`
	Lookback   time.Duration `yaml:"lookback" doc:"how old the newest sample may be to count as the present one, 1s to 24h"`
}

// Alerter judges samples and notifies.
type Alerter struct {
	SMTP      SMTP          `yaml:"smtp" doc:"the mail server that notifications leave by"`
	SMS       SMSGateway    `yaml:"sms" doc:"the HTTP gateway that short messages leave by"`
	NoDataFor time.Duration `yaml:"no_data_for" doc:"a series that a threshold watched and that sends nothing for this long is UNKNOWN, 1s to 24h"`
	Repeat    time.Duration `yaml:"repeat" doc:"an unacknowledged problem is told again after this, 1m to 720h; 0: never"`
}

// SMTP is the mail server that notifications leave by.
type SMTP struct {
	Address      string        `yaml:"address" doc:"host:port; empty: mail cannot be sent"`
	From         string        `yaml:"from" doc:"sender of the mails"`
	User         string        `yaml:"user" doc:"user name at the mail server; empty: no sign-in"`
	PasswordFile string        `yaml:"password_file" doc:"file that holds the password of user"`
	TLS          string        `yaml:"tls" doc:"starttls (when offered), require, implicit or none"`
	Timeout      time.Duration `yaml:"timeout" doc:"of one mail, 1s to 5m"`
}

// SMSGateway is the HTTP gateway that short messages leave by. In URL, body and header values, {{.To}}, {{.Text}},
// {{.ID}} and {{.Secret}} stand for the number, the message, the notification's id and the content of secret_file;
// the functions query and json escape for a URL and for a JSON string.
type SMSGateway struct {
	URL        string            `yaml:"url" doc:"template; empty: short messages cannot be sent" conf:"secret"`
	Method     string            `yaml:"method" doc:"GET or POST"`
	Body       string            `yaml:"body" doc:"template of the body, POST only" conf:"secret"`
	Headers    map[string]string `yaml:"headers" doc:"header names and templates of their values" conf:"secret"`
	SecretFile string            `yaml:"secret_file" doc:"file whose content {{.Secret}} stands for"`
	Success    string            `yaml:"success" doc:"regular expression that the answer's body must match; empty: any 2xx answer is success"`
	Timeout    time.Duration     `yaml:"timeout" doc:"of one request, 1s to 5m"`
}

// Proxy is the HAProxy that the agent runs, off without frontends and without config_file.
type Proxy struct {
	Engine     string     `yaml:"engine" doc:"haproxy"`
	Binary     string     `yaml:"binary" doc:"path; empty: found by name"`
	ConfigFile string     `yaml:"config_file" doc:"an own haproxy.cfg used as it is; empty: rendered from frontends and backends"`
	MaxConn    int        `yaml:"maxconn" doc:"connections at most, 1 to 10000000"`
	Frontends  []Frontend `yaml:"frontends" doc:"where clients come in"`
	Backends   []Backend  `yaml:"backends" doc:"sets of servers"`
}

// Frontend is where clients come in.
type Frontend struct {
	Name    string   `yaml:"name" doc:"unique; letters, digits, _ . : -"`
	Mode    string   `yaml:"mode" doc:"http or tcp"`
	Bind    []string `yaml:"bind" doc:"address:port; an address that is a VIP may be bound before it is held"`
	Backend string   `yaml:"backend" doc:"name of the backend that serves it, of the same mode"`
}

// Backend is a set of servers.
type Backend struct {
	Name    string   `yaml:"name" doc:"unique; letters, digits, _ . : -"`
	Mode    string   `yaml:"mode" doc:"http or tcp"`
	Balance string   `yaml:"balance" doc:"roundrobin, leastconn, source or first"`
	Check   Check    `yaml:"check" doc:"how the servers are checked"`
	Servers []Server `yaml:"servers" doc:"the servers of this backend"`
}

// Check is how a backend's servers are checked.
type Check struct {
	Path     string        `yaml:"path" doc:"HTTP path; empty: a TCP connection"`
	Interval time.Duration `yaml:"interval" doc:"100ms to 1h"`
	Rise     int           `yaml:"rise" doc:"good checks until a server is up, 1 to 100"`
	Fall     int           `yaml:"fall" doc:"bad checks until a server is down, 1 to 100"`
}

// Server is one server of a backend.
type Server struct {
	Name    string `yaml:"name" doc:"unique within its backend"`
	Address string `yaml:"address" doc:"host:port"`
	Weight  int    `yaml:"weight" doc:"0 to 256"`
	Backup  bool   `yaml:"backup" doc:"used only when all others are down"`
}

// UI is the web app and its API.
type UI struct {
	Listen        string        `yaml:"listen" doc:"address:port of the web app and the API"`
	URL           string        `yaml:"url" doc:"address under which people reach the web app, for links in mails; empty: http:// and listen"`
	Session       time.Duration `yaml:"session" doc:"a session ends after this long without use, 1m to 720h"`
	SecureCookies bool          `yaml:"secure_cookies" doc:"cookies only over https; on when url is https"`
}

// Default is the configuration of an empty file. Host is left empty: Load fills it with the system's name.
func Default() Config {
	return Config{
		Cluster:  "default",
		Log:      Log{Level: "info", Format: "text"},
		Database: Database{MaxConns: 16},
		Bus:      Bus{MaxBytes: 4 << 30},
		Collector: Collector{
			Interval: 15 * time.Second, HostDmax: 24 * time.Hour,
			Native: Native{Group: "239.2.11.72:8660", TTL: 1, Payload: 1400},
			Gmond: Gmond{
				Receive:  []GmondReceive{{Group: "239.2.11.71:8649", AcceptFrom: []string{"local"}, Buffer: 8 << 20}},
				Metadata: time.Minute, HostTmax: 20 * time.Second,
				XML: GmondXML{Listen: "127.0.0.1:8649", AcceptFrom: []string{"local"}, Names: NamesSent},
			},
			Serve:    Serve{Listen: "127.0.0.1:8660"},
			MaxHosts: 20_000, MaxSeries: 20_000, MaxBytes: 512 << 20,
			Probes: Probes{Host: HostProbe{Enabled: true}},
		},
		Extractor: Extractor{
			Storage: Storage{Retention: 14 * 24 * time.Hour, Flush: time.Second},
			Query:   Query{Timeout: 30 * time.Second, MaxSamples: 20_000_000, Lookback: 5 * time.Minute},
			Ganglia: Ganglia{Grid: "unspecified", XML: "127.0.0.1:8651", Interactive: "127.0.0.1:8652", AcceptFrom: []string{"local"}},
		},
		Alerter: Alerter{
			SMTP:      SMTP{From: "keepwatch@localhost", TLS: "starttls", Timeout: 20 * time.Second},
			SMS:       SMSGateway{Method: "GET", Timeout: 20 * time.Second},
			NoDataFor: 2 * time.Minute, Repeat: 4 * time.Hour,
		},
		HAAgent: HAAgent{
			Realtime: 10,
			Lease:    Lease{Lifetime: 2 * time.Second},
			Proxy:    Proxy{Engine: "haproxy", MaxConn: 2000},
		},
		UI: UI{Listen: "127.0.0.1:8080", Session: 12 * time.Hour},
	}
}
