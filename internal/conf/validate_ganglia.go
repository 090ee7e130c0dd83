package conf

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	"keepwatch/metric"
)

func (k *checker) gmond(g *Gmond) {
	for i := range g.Receive {
		k.gmondReceive(fmt.Sprintf("collector.gmond.receive[%d]", i), &g.Receive[i])
	}
	for i := range g.Send {
		k.gmondSend(fmt.Sprintf("collector.gmond.send[%d]", i), &g.Send[i])
	}
	k.duration("collector.gmond.send_metadata_interval", g.Metadata, 10*time.Second, 24*time.Hour)
	for i := range g.Groups {
		k.gmondGroup(fmt.Sprintf("collector.gmond.groups[%d]", i), &g.Groups[i])
	}
	if g.Hostname != "" && (metric.CheckHost("host", g.Hostname) != nil || strings.Contains(g.Hostname, ":")) {
		k.add("collector.gmond.override_hostname", "%.60q: want at most %d bytes of text without colon and control characters", g.Hostname, metric.MaxHost)
	}
	if g.IP != "" {
		if a, err := netip.ParseAddr(g.IP); err != nil || !a.Is4() {
			k.add("collector.gmond.override_ip", "%.60q: want an IPv4 address, as 10.0.0.1: gmond packets carry no other", g.IP)
		}
		if g.Hostname == "" {
			k.add("collector.gmond.override_ip", "set: goes with collector.gmond.override_hostname only")
		}
	}
	if g.XML.Listen != "" {
		k.listen("collector.gmond.xml.listen", g.XML.Listen)
	}
	k.accessList("collector.gmond.xml.accept_from", g.XML.AcceptFrom)
	k.oneOf("collector.gmond.xml.names", g.XML.Names, NamesSent, NamesLookup)
	for _, f := range [][2]string{
		{"owner", g.Owner}, {"latlong", g.LatLong}, {"url", g.URL}, {"location", g.Location}, {"tags", g.Tags},
	} {
		if len(f[1]) > 255 || strings.ContainsFunc(f[1], control) {
			k.add("collector.gmond."+f[0], "%.60q: want at most 255 bytes of text without control characters", f[1])
		}
	}
	k.duration("collector.gmond.host_tmax", g.HostTmax, time.Second, time.Hour)
}

func (k *checker) gmondReceive(at string, r *GmondReceive) {
	k.oneChannel(at, "listen", r.Group, r.Listen, r.Interface)
	if r.Listen != "" {
		k.listen(at+".listen", r.Listen)
	}
	k.accessList(at+".accept_from", r.AcceptFrom)
	k.accessList(at+".spoof_from", r.SpoofFrom)
	k.number(at+".buffer", r.Buffer, 1<<16, 1<<30)
}

func (k *checker) gmondSend(at string, s *GmondSend) {
	k.oneChannel(at, "to", s.Group, s.To, s.Interface)
	if s.To != "" {
		k.target(at+".to", s.To)
	}
	k.number(at+".ttl", s.TTL, 1, 255)
	if s.Bind != "" {
		if _, err := netip.ParseAddr(s.Bind); err != nil {
			k.add(at+".bind", "%.60q: want an address of this host, as 10.0.0.1", s.Bind)
		}
	}
}

// oneChannel: a channel is a multicast group or one address.
func (k *checker) oneChannel(at, other, group, address, iface string) {
	switch {
	case group == "" && address == "":
		k.add(at, "neither group nor %s: want one", other)
	case group != "" && address != "":
		k.add(at+"."+other, "%.60q, and group too: want one; write two channels", address)
	}
	k.multicast(at+".group", group)
	if iface != "" {
		k.iface(at+".interface", iface)
		if group == "" {
			k.add(at+".interface", "%s: goes with group only", iface)
		}
	}
}

// accessList checks entries as 10.0.0.0/8, 10.0.0.5, local, each with ! before it to refuse.
func (k *checker) accessList(path string, list []string) {
	for i, entry := range list {
		at, text := fmt.Sprintf("%s[%d]", path, i), strings.TrimPrefix(entry, "!")
		if text == "local" {
			continue
		}
		if _, err := netip.ParseAddr(text); err == nil {
			continue
		}
		k.network(at, text)
	}
}

func (k *checker) gmondGroup(at string, g *GmondGroup) {
	k.duration(at+".every", g.Every, time.Second, 24*time.Hour)
	k.duration(at+".time_threshold", g.Threshold, time.Second, 24*time.Hour)
	if len(g.Metrics) == 0 {
		k.add(at+".metrics", "none: want at least one")
	}
	for i := range g.Metrics {
		m, at := &g.Metrics[i], fmt.Sprintf("%s.metrics[%d]", at, i)
		if (m.Name == "") == (m.Match == "") {
			k.add(at, "want either name or match")
		}
		if m.Match != "" {
			k.expression(at+".match", m.Match)
		}
		if m.ValueThreshold < 0 && m.ValueThreshold != -1 {
			k.add(at+".value_threshold", "%v: want 0 or more, or -1 for never", m.ValueThreshold)
		}
		if len(m.Title) > 255 || strings.ContainsFunc(m.Title, control) {
			k.add(at+".title", "%.60q: want at most 255 bytes of text without control characters", m.Title)
		}
	}
}

func (k *checker) expression(path, v string) {
	if _, err := regexp.Compile(v); err != nil {
		text := err.Error()
		if e, ok := err.(*syntax.Error); ok {
			text = e.Code.String()
		}
		k.add(path, "%.60q: want a regular expression: %s", v, text)
	}
}

// maxChecks is also the bound of collector/share.
const maxChecks = 1000

func (k *checker) checks(all *Collector) {
	c := &all.Checks
	n := len(c.TCP) + len(c.SNMP)
	if n > maxChecks {
		k.add("collector.checks", "%d: want at most %d", n, maxChecks)
	}
	if n > 0 && all.Deaf {
		k.add("collector.checks", "set, and collector.deaf too: who hears nobody cannot share them")
	}
	names, devices := make(map[string]string), make(map[string]string)
	for i, p := range all.Probes.SNMP {
		devices[cmp.Or(p.Host, p.Target)] = fmt.Sprintf("collector.probes.snmp[%d]", i)
	}
	for i := range c.TCP {
		t, at := &c.TCP[i], fmt.Sprintf("collector.checks.tcp[%d]", i)
		k.name(at+".name", t.Name)
		k.unique(at+".name", t.Name, names)
		if t.Host != "" && metric.CheckHost("host", t.Host) != nil {
			k.add(at+".host", "%.60q: want 1 to %d bytes of text without control characters", t.Host, metric.MaxHost)
		}
		k.target(at+".target", t.Target)
		k.probeInterval(at+".interval", t.Interval)
		k.duration(at+".timeout", t.Timeout, 100*time.Millisecond, time.Minute)
		k.number(at+".vantage", t.Vantage, 1, 16)
		if t.Vantage >= 1 && t.Vantage <= 16 {
			k.number(at+".quorum", t.Quorum, 1, t.Vantage)
		}
	}
	for i := range c.SNMP {
		k.snmp(fmt.Sprintf("collector.checks.snmp[%d]", i), &c.SNMP[i], devices)
	}
}

func (k *checker) ganglia(g *Ganglia) {
	if metric.CheckHost("grid", g.Grid) != nil {
		k.add("extractor.ganglia.grid", "%.60q: want 1 to %d bytes of text without control characters", g.Grid, metric.MaxHost)
	}
	if g.Authority != "" && !webURL(g.Authority) {
		k.add("extractor.ganglia.authority", "%.60q: want http://HOST/PATH or https://HOST/PATH", g.Authority)
	}
	names := make(map[string]string)
	for i, s := range g.Sources {
		at := fmt.Sprintf("extractor.ganglia.sources[%d]", i)
		if metric.CheckHost("source", s.Name) != nil {
			k.add(at+".name", "%.60q: want 1 to %d bytes of text without control characters", s.Name, metric.MaxHost)
		} else {
			k.unique(at+".name", s.Name, names)
		}
		k.duration(at+".interval", s.Interval, time.Second, time.Hour)
		if len(s.Addresses) == 0 {
			k.add(at+".addresses", "none: want host:port of at least one XML port")
		}
		seen := make(map[string]string)
		for j, a := range s.Addresses {
			k.target(fmt.Sprintf("%s.addresses[%d]", at, j), a)
			k.unique(fmt.Sprintf("%s.addresses[%d]", at, j), a, seen)
		}
	}
	for _, l := range [][2]string{{"xml", g.XML}, {"interactive", g.Interactive}} {
		if l[1] != "" {
			k.listen("extractor.ganglia."+l[0], l[1])
		}
	}
	k.accessList("extractor.ganglia.accept_from", g.AcceptFrom)
}

// hostNames: a name means one host, and no alias leads to another alias.
func (k *checker) hostNames(h *HostNames) {
	for i, d := range h.StripDomains {
		if !hostForm.MatchString(strings.TrimPrefix(d, ".")) {
			k.add(fmt.Sprintf("extractor.hosts.strip_domains[%d]", i), "%.60q: want a domain, as example.com", d)
		}
	}
	hosts, names := make(map[string]string), make(map[string]string)
	for i, a := range h.Aliases {
		at := fmt.Sprintf("extractor.hosts.aliases[%d]", i)
		if metric.CheckHost("host", a.Host) != nil {
			k.add(at+".host", "%.60q: want 1 to %d bytes of text without control characters", a.Host, metric.MaxHost)
		}
		k.unique(at+".host", h.fold(a.Host), hosts)
		if len(a.Names) == 0 {
			k.add(at+".names", "none: want at least one other name of %.60q", a.Host)
		}
		for j, n := range a.Names {
			at := fmt.Sprintf("%s.names[%d]", at, j)
			if metric.CheckHost("host", n) != nil {
				k.add(at, "%.60q: want 1 to %d bytes of text without control characters", n, metric.MaxHost)
			}
			k.unique(at, h.fold(n), names)
		}
	}
	for i, a := range h.Aliases {
		if first, both := names[h.fold(a.Host)]; both {
			k.add(fmt.Sprintf("extractor.hosts.aliases[%d].host", i), "%.60q: is another name in %s: want a name that means itself", a.Host, first)
		}
	}
}

func (h *HostNames) fold(name string) string {
	if h.Lowercase {
		return strings.ToLower(name)
	}
	return name
}
