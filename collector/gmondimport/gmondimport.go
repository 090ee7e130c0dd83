// Package gmondimport translates a gmond.conf into the configuration of a collector that takes gmond's place on its
// host: what the file says, with gmond's effective meaning. What has no equivalent, what gmond itself would refuse, and
// what works differently here becomes a note with file and line. It opens no file and asks the system nothing: the
// caller hands in what is read and known (Options). The command keepwatch import calls it.
package gmondimport

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/draft"
	"keepwatch/internal/gmondconf"
	"keepwatch/internal/report"
)

// Bounds of what is translated. What is beyond is left out with a note.
const (
	maxChannels = 64   // of each kind
	maxGroups   = 500  // collection groups
	maxMetrics  = 2000 // of all groups
)

// Options are what the configuration's meaning depends on beside its text.
type Options struct {
	gmondconf.Options
	// Own is the address of this family that this host's name stands for, for bind_hostname; nil, or false: none that
	// other hosts know.
	Own func(ipv6 bool) (address string, ok bool)
}

// Import translates a configuration; file is what notes call it.
func Import(file string, data []byte, o Options) draft.Result {
	c, err := gmondconf.Parse(file, data, o.Options)
	t := &translator{Draft: draft.New(), in: c, options: o, file: file}
	t.faults(err)
	t.faults(c.Check())
	t.includes()
	t.globals()
	t.modes()
	t.cluster()
	t.override()
	t.receive()
	t.accept()
	t.send()
	t.groups()
	t.modules()
	t.sflow()
	g := &t.Config.Collector.Gmond
	return t.Finish(file, c.Files, len(g.Receive)+len(g.Send) > 0 || g.XML.Listen != "")
}

type translator struct {
	*draft.Draft
	in      *gmondconf.Config
	options Options
	file    string
	foreign map[string][]foreign // metrics of groups that nothing here serves, by their files
}

func (t *translator) note(at report.Place, kind report.Kind, format string, args ...any) {
	t.Notes.Add(at, kind, format, args...)
}

// faults tells of that for which gmond would not start with the file.
func (t *translator) faults(err error) {
	var faults report.Faults
	if !errors.As(err, &faults) {
		return
	}
	for _, f := range faults {
		t.note(f.At, report.Mistake, "%s: gmond does not start with it", f.Text)
	}
}

func (t *translator) includes() {
	for _, i := range t.in.Included {
		switch {
		case i.Pattern == "" || i.Pattern[0] != '/':
			t.note(i.At, report.Remark, "include %.200q is relative: gmond looks in the folder in which it is started, the import in the present one", i.Pattern)
		case i.Files == 0:
			t.note(i.At, report.Remark, "include %.200q: no file fits", i.Pattern)
		}
	}
}

// globals translates what is not about channels, modes and names.
func (t *translator) globals() {
	g := &t.in.Globals
	if at, ok := g.Set["host_dmax"]; ok {
		dmax := 365 * 24 * time.Hour
		if g.HostDmax > 0 {
			dmax = t.Seconds(at, "host_dmax", g.HostDmax, time.Minute, dmax)
		} else {
			t.note(at, report.Changed, "host_dmax %d: gmond forgets no host ever; here after a year", g.HostDmax)
		}
		t.Set(at, "host_dmax", func(c *conf.Config) { c.Collector.HostDmax = dmax })
	}
	if at, ok := g.Set["host_tmax"]; ok {
		tmax := t.Seconds(at, "host_tmax", g.HostTmax, time.Second, time.Hour)
		t.Set(at, "host_tmax", func(c *conf.Config) { c.Collector.Gmond.HostTmax = tmax })
	}
	t.metadata()
	if at, ok := g.Set["tags"]; ok {
		tags := t.Text(at, g.Tags)
		t.Set(at, "tags", func(c *conf.Config) { c.Collector.Gmond.Tags = tags })
	}
	t.missing()
}

// metadata: receivers that start anew know a metric only when its metadata is sent again.
func (t *translator) metadata() {
	g := &t.in.Globals
	at, written := g.Set["send_metadata_interval"]
	if g.MetadataInterval > 0 {
		interval := t.Seconds(at, "send_metadata_interval", g.MetadataInterval, 10*time.Second, 24*time.Hour)
		t.Set(at, "send_metadata_interval", func(c *conf.Config) { c.Collector.Gmond.Metadata = interval })
		return
	}
	if !written {
		at = g.At
	}
	if at.Line == 0 {
		at = report.Place{File: t.file}
	}
	for _, s := range t.in.Send {
		if s.Join == "" {
			t.note(at, report.Changed, "send_metadata_interval 0 with the unicast channel of line %d: a receiver that starts anew never hears what the metrics are, and shows none; here metadata is sent again every 60 seconds. Set send_metadata_interval = 60 on the gmonds that stay", s.At.Line)
			return
		}
	}
	if len(t.in.Send) > 0 {
		t.note(at, report.Changed, "send_metadata_interval 0: gmond sends metadata once and on request, here every 60 seconds too")
	}
}

// missing lists what a collector has no key for, where the file says other than gmond's default.
func (t *translator) missing() {
	g := &t.in.Globals
	for _, m := range []struct {
		key   string
		other bool
		text  string
	}{
		{"daemonize", !g.Daemonize, "keepwatch stays in the foreground: the service manager starts it"},
		{"setuid", !g.Setuid, "the user is that of the service unit"},
		{"user", g.User != "nobody", "the user is that of the service unit"},
		{"debug_level", g.DebugLevel != 0, "set log.level to debug"},
		{"max_udp_msg_len", g.MaxUDPMessage != 1472, "packets are as long as what is in them, 1472 bytes at most"},
		{"allow_extra_data", !g.AllowExtraData, "the XML always has EXTRA_DATA; gmetad and ganglia-web take it"},
		{"cleanup_threshold", g.CleanupThreshold != 300, "what is too old is forgotten at once"},
		{"gexec", g.GExec, "there is no gexec: the metric gexec says OFF"},
		{"module_dir", g.ModuleDir != "", "there are no modules to load"},
	} {
		if at, ok := g.Set[m.key]; ok && m.other {
			t.note(at, report.Missing, "%s: %s", m.key, m.text)
		}
	}
}

// modes: gmond is deaf or mute when it is told so, and when it has no channel for the other.
func (t *translator) modes() {
	c, g := t.in, &t.in.Globals
	if c.Deaf() && c.Mute() {
		return // a fault already, and nothing would be left to run
	}
	switch {
	case g.Deaf:
		t.Set(g.Set["deaf"], "deaf", func(c *conf.Config) { c.Collector.Deaf = true })
	case c.Deaf():
		t.Set(report.Place{File: t.file}, "deaf", func(c *conf.Config) { c.Collector.Deaf = true })
		t.note(report.Place{File: t.file}, report.Remark, "neither udp_recv_channel nor tcp_accept_channel: gmond is deaf by that, so collector.deaf is written")
		t.Comment("collector.deaf", "gmond.conf has neither udp_recv_channel nor tcp_accept_channel")
	}
	switch {
	case g.Mute:
		t.Set(g.Set["mute"], "mute", func(c *conf.Config) { c.Collector.Mute = true })
	case c.Mute():
		t.Set(report.Place{File: t.file}, "mute", func(c *conf.Config) { c.Collector.Mute = true })
		t.note(report.Place{File: t.file}, report.Remark, "no udp_send_channel: gmond is mute by that, so collector.mute is written; take it out to have this host's own metrics too")
		t.Comment("collector.mute", "gmond.conf has no udp_send_channel; take this out to have this host's own metrics too")
	}
}

func (t *translator) cluster() {
	c := &t.in.Cluster
	if at, ok := c.Set["name"]; ok {
		name := t.Text(at, c.Name)
		t.Set(at, "cluster name", func(c *conf.Config) { c.Cluster = name })
	} else {
		t.Set(report.Place{File: t.file}, "cluster name", func(c *conf.Config) { c.Cluster = gmondconf.Unspecified })
	}
	if t.Config.Cluster == gmondconf.Unspecified {
		t.Comment("cluster", "as in gmond.conf: gmetad names its RRD folders by it, give it a name on all nodes at once")
	}
	for _, f := range []struct {
		key, text string
		target    func(*conf.Gmond) *string
	}{
		{"owner", c.Owner, func(g *conf.Gmond) *string { return &g.Owner }},
		{"latlong", c.LatLong, func(g *conf.Gmond) *string { return &g.LatLong }},
		{"url", c.URL, func(g *conf.Gmond) *string { return &g.URL }},
	} {
		at, ok := c.Set[f.key]
		if text := t.Text(at, f.text); ok && text != gmondconf.Unspecified {
			t.Set(at, "cluster "+f.key, func(c *conf.Config) { *f.target(&c.Collector.Gmond) = text })
		}
	}
	if at, ok := t.in.Host.Set["location"]; ok && t.in.Host.Location != gmondconf.Unspecified {
		location := t.Text(at, t.in.Host.Location)
		t.Set(at, "location", func(c *conf.Config) { c.Collector.Gmond.Location = location })
	}
}

func (t *translator) override() {
	g := &t.in.Globals
	nameAt, named := g.Set["override_hostname"]
	ipAt, addressed := g.Set["override_ip"]
	if addressed && !named {
		t.note(ipAt, report.Missing, "override_ip without override_hostname has no effect in gmond: it is left out")
		return
	}
	if !named {
		return
	}
	name := t.Text(nameAt, g.OverrideHostname)
	t.Set(nameAt, "override_hostname", func(c *conf.Config) { c.Collector.Gmond.Hostname = name })
	if addressed && t.Config.Collector.Gmond.Hostname != "" {
		t.Set(ipAt, "override_ip", func(c *conf.Config) { c.Collector.Gmond.IP = g.OverrideIP })
	} else if !addressed {
		t.note(nameAt, report.Remark, "override_hostname without override_ip: the XML shows the name as the IP too, and so it stays; set override_ip")
	}
}

// address is "HOST:PORT", with brackets around an IPv6 address.
func address(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}
