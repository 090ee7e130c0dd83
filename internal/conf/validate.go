package conf

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"keepwatch/metric"
)

// Validate checks every value against the bounds that its doc tag promises and every reference to another key. The
// error is Faults, all of them. It does no I/O: that a file exists or an address answers is doctor's to say.
func (c *Config) Validate() error { return c.faults().report() }

func (c *Config) faults() Faults {
	var k checker
	if metric.CheckHost("cluster", c.Cluster) != nil {
		k.add("cluster", "%.60q: want 1 to %d bytes of text without control characters", c.Cluster, metric.MaxHost)
	}
	if c.Host != "" && metric.CheckHost("host", c.Host) != nil {
		k.add("host", "%.60q: want at most %d bytes of text without control characters", c.Host, metric.MaxHost)
	}
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "text", "json")
	k.database(&c.Database)
	k.bus(&c.Bus)
	k.collector(&c.Collector)
	k.extractor(&c.Extractor)
	k.alerter(&c.Alerter)
	k.haagent(&c.HAAgent)
	k.ui(&c.UI)
	k.listeners(c)
	return k.faults
}

// listeners: two that want the same socket would fail at start, one of them at random.
func (k *checker) listeners(c *Config) {
	udp, tcp := make(map[string]string), make(map[string]string)
	type listener struct {
		path, address string
		seen          map[string]string
	}
	all := []listener{
		{"collector.native.listen", c.Collector.Native.Listen, udp},
		{"collector.serve.listen", c.Collector.Serve.Listen, tcp},
		{"collector.gmond.xml.listen", c.Collector.Gmond.XML.Listen, tcp},
		{"extractor.ganglia.xml", c.Extractor.Ganglia.XML, tcp},
		{"extractor.ganglia.interactive", c.Extractor.Ganglia.Interactive, tcp},
		{"ui.listen", c.UI.Listen, tcp},
	}
	for i, r := range c.Collector.Gmond.Receive {
		all = append(all, listener{fmt.Sprintf("collector.gmond.receive[%d].listen", i), r.Listen, udp})
	}
	for _, l := range all {
		if _, port, _ := splitHostPort(l.address); port != 0 {
			k.unique(l.path, l.address, l.seen)
		}
	}
}

func (k *checker) database(d *Database) {
	if d.URL != "" {
		u, err := url.Parse(d.URL)
		switch {
		case err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql":
			k.add("database.url", "(not shown): want postgres://USER@HOST:PORT/DATABASE")
		case hasPassword(u):
			k.add("database.url", "(not shown): want no password in it; name a password file, as postgres://USER@HOST/DATABASE?passfile=/etc/keepwatch/pgpass")
		}
	}
	k.number("database.max_conns", d.MaxConns, 4, 200)
}

func hasPassword(u *url.URL) bool {
	_, set := u.User.Password()
	return set || u.Query().Has("password")
}

func (k *checker) bus(b *Bus) {
	if b.URL != "" {
		for one := range strings.SplitSeq(b.URL, ",") {
			u, err := url.Parse(strings.TrimSpace(one))
			if err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Host == "" {
				k.add("bus.url", "(not shown): want nats://HOST:PORT, several separated by commas")
				break
			}
		}
	}
	k.atLeast("bus.max_bytes", b.MaxBytes, 16<<20)
}

func (k *checker) extractor(e *Extractor) {
	names := make(map[string]string)
	for i, c := range e.Clusters {
		at := fmt.Sprintf("extractor.clusters[%d]", i)
		if metric.CheckHost("cluster", c.Name) != nil {
			k.add(at+".name", "%.60q: want 1 to %d bytes of text without control characters", c.Name, metric.MaxHost)
		} else {
			k.unique(at+".name", c.Name, names)
		}
		if len(c.Collectors) == 0 {
			k.add(at+".collectors", "none: want host:port of at least one state stream")
		}
		seen := make(map[string]string)
		for j, a := range c.Collectors {
			k.target(fmt.Sprintf("%s.collectors[%d]", at, j), a)
			k.unique(fmt.Sprintf("%s.collectors[%d]", at, j), a, seen)
		}
	}
	k.duration("extractor.storage.retention", e.Storage.Retention, 24*time.Hour, 10*8760*time.Hour)
	k.duration("extractor.storage.flush", e.Storage.Flush, 100*time.Millisecond, 10*time.Second)
	k.duration("extractor.query.timeout", e.Query.Timeout, time.Second, 10*time.Minute)
	k.atLeast("extractor.query.max_samples", int64(e.Query.MaxSamples), 1000)
	k.duration("extractor.query.lookback", e.Query.Lookback, time.Second, 24*time.Hour)
	k.ganglia(&e.Ganglia)
	k.hostNames(&e.Hosts)
}

func (k *checker) ui(u *UI) {
	k.listen("ui.listen", u.Listen)
	if u.URL != "" {
		if p, err := url.Parse(u.URL); err != nil || !webURL(u.URL) || p.User != nil || p.RawQuery != "" || p.Fragment != "" {
			k.add("ui.url", "want http://HOST or https://HOST without user, query and fragment")
		}
	}
	k.duration("ui.session", u.Session, time.Minute, 720*time.Hour)
}
