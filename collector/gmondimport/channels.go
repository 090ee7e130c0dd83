package gmondimport

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"keepwatch/internal/conf"
	"keepwatch/internal/gmondconf"
	"keepwatch/internal/report"
)

// port is a channel's port. Without one gmond takes the 16 bits of −1, and of a larger one what fits into 16 bits.
func (t *translator) port(at report.Place, what string, port int) int {
	if port < 1 || port > 65535 {
		t.note(at, report.Mistake, "%s: port %d: gmond uses %d; %d is written, Ganglia's own", what, port, uint16(port), gmondconf.Port)
		return gmondconf.Port
	}
	return port
}

// least is the first limit entries of a list.
func least[T any](t *translator, what string, list []T, limit int) []T {
	if len(list) > limit {
		t.note(report.Place{File: t.file}, report.Mistake, "%d of %s: the first %d are imported", len(list), what, limit)
		return list[:limit]
	}
	return list
}

func (t *translator) receive() {
	t.Config.Collector.Gmond.Receive = nil
	if t.in.Deaf() {
		for _, r := range t.in.Receive {
			t.note(r.At, report.Missing, "udp_recv_channel of a gmond that is deaf: it is left out, gmond does not open it either")
		}
		return
	}
	for _, r := range least(t, "udp_recv_channel", t.in.Receive, maxChannels) {
		t.receiveChannel(r)
	}
	if len(t.in.Receive) == 0 {
		t.Comment("collector.gmond.receive", "gmond.conf has no udp_recv_channel")
	}
}

func (t *translator) receiveChannel(r *gmondconf.ReceiveChannel) {
	const what = "udp_recv_channel"
	if t.isSFlow(r) {
		t.note(r.At, report.Missing, "udp_recv_channel of sFlow: sFlow is not read. Send it to a gmond that stays, or to an sFlow collector")
		return
	}
	item := conf.NewItem[conf.GmondReceive]()
	rules, comment := t.acl(r.At, &r.ACL)
	item.AcceptFrom = rules
	if r.Buffer > 0 {
		item.Buffer = min(max(r.Buffer, 1<<16), 1<<30)
		if item.Buffer != r.Buffer {
			t.note(r.Set["buffer"], report.Changed, "buffer %d: %d is asked for", r.Buffer, item.Buffer)
		}
	}
	if at, ok := r.Set["retry_bind"]; ok && !r.RetryBind {
		t.note(at, report.Missing, "retry_bind no: an address that another program has is tried again, the collector does not end")
	}
	port := t.port(r.At, what, r.Port)
	if r.Join == "" {
		item.Listen = address(t.bound(r.Bind, r.Family), port)
		t.addReceive(r.At, item, comment)
		return
	}
	item.Group, item.Interface = address(r.Join, port), r.Interface
	t.addReceive(r.At, item, comment)
	if r.Bind == r.Join {
		return
	}
	// Bound to no group, gmond's socket takes what comes to the port by unicast too.
	item.Group, item.Interface = "", ""
	item.Listen = address(t.bound(r.Bind, r.Family), port)
	t.note(r.At, report.Changed, "udp_recv_channel with mcast_join and another bind than that: gmond hears unicast on the port too, so two channels are written")
	t.addReceive(r.At, item, comment)
}

// bound is the address that a channel listens on.
func (t *translator) bound(bind, family string) string {
	switch {
	case bind != "":
		return bind
	case family == "inet6":
		return "::"
	}
	return "0.0.0.0"
}

// isSFlow: gmond takes the channel of sFlow's port for that.
func (t *translator) isSFlow(r *gmondconf.ReceiveChannel) bool {
	port := gmondconf.SFlowPort
	if t.in.SFlow != nil {
		port = t.in.SFlow.Port
	}
	return r.Port == port
}

func (t *translator) addReceive(at report.Place, item conf.GmondReceive, comment string) {
	list := t.Config.Collector.Gmond.Receive
	same := func(o conf.GmondReceive) bool {
		return o.Listen == item.Listen && o.Group == item.Group && o.Interface == item.Interface
	}
	if slices.ContainsFunc(list, same) {
		t.note(at, report.Mistake, "udp_recv_channel of %s stands twice: the first one is imported", item.Group+item.Listen)
		return
	}
	path := fmt.Sprintf("collector.gmond.receive[%d]", len(list))
	ok := t.Add(at, "udp_recv_channel", func(c *conf.Config) { c.Collector.Gmond.Receive = append(c.Collector.Gmond.Receive, item) })
	if ok {
		t.Comment(path, comment)
	}
}

// acl is an acl with a comment that says whom gmond lets in by it, and a note where that is not what it looks like.
func (t *translator) acl(at report.Place, a *gmondconf.ACL) (rules []string, comment string) {
	rules, faults := a.Rules()
	for _, f := range faults {
		t.note(f.At, report.Mistake, "%s", f.Text)
	}
	where := report.Place{File: at.File, Line: at.Line}.String()
	switch {
	case !a.Written():
		return rules, where + ": no acl: gmond lets everybody in"
	case len(a.Access) == 0 && !strings.EqualFold(a.Default, "allow"):
		t.note(a.At, report.Remark, "acl with default = %.20q and no access entry: gmond ignores it and lets everybody in. So it is imported; write accept_from by hand if nobody was meant", a.Default)
		return rules, where + fmt.Sprintf(": acl { default = %.20q } without an access entry: gmond ignores it, everybody is let in", a.Default)
	case len(a.Access) == 0:
		return rules, where + ": acl without an access entry: gmond lets everybody in"
	case strings.EqualFold(a.Default, "allow"):
		return rules, where + ": acl with default = allow: whom no entry names is let in"
	}
	return rules, where + fmt.Sprintf(": acl with default = %.20q: whom no entry names is refused", a.Default)
}

// accept translates the first tcp_accept_channel; there is one XML port.
func (t *translator) accept() {
	t.Config.Collector.Gmond.XML.Listen = ""
	if t.in.Deaf() {
		for _, a := range t.in.Accept {
			t.note(a.At, report.Missing, "tcp_accept_channel of a gmond that is deaf: it is left out, gmond does not open it either")
		}
		return
	}
	for i, a := range least(t, "tcp_accept_channel", t.in.Accept, maxChannels) {
		if at, ok := a.Set["interface"]; ok {
			t.note(at, report.Missing, "interface: gmond does not look at it either: set bind")
		}
		if i > 0 {
			t.note(a.At, report.Missing, "a further tcp_accept_channel, %s: there is one XML port, that of line %d",
				address(t.bound(a.Bind, a.Family), a.Port), t.in.Accept[0].At.Line)
			continue
		}
		t.acceptChannel(a)
	}
	if len(t.in.Accept) == 0 {
		t.Comment("collector.gmond.xml.listen", "gmond.conf has no tcp_accept_channel")
	}
}

func (t *translator) acceptChannel(a *gmondconf.AcceptChannel) {
	rules, comment := t.acl(a.At, &a.ACL)
	listen := address(t.bound(a.Bind, a.Family), t.port(a.At, "tcp_accept_channel", a.Port))
	ok := t.Set(a.At, "tcp_accept_channel", func(c *conf.Config) {
		c.Collector.Gmond.XML = conf.GmondXML{Listen: listen, AcceptFrom: rules, Gzip: a.Gzip, Names: conf.NamesLookup}
	})
	if ok {
		t.Comment("collector.gmond.xml", comment)
		t.note(a.At, report.Remark, "names: lookup is written: as in gmond a host has the name that a reverse lookup of its address gives here, so gmetad finds its RRDs; look names up on every aggregator alike")
	}
	if at, ok := a.Set["timeout"]; ok {
		t.note(at, report.Missing, "timeout: a reader that does not read is let go by the collector's own deadline, and holds up nobody")
	}
}

func (t *translator) send() {
	for _, s := range least(t, "udp_send_channel", t.in.Send, maxChannels) {
		t.sendChannel(s)
	}
	if t.in.Globals.Mute && len(t.in.Send) > 0 {
		t.note(t.in.Globals.Set["mute"], report.Remark, "mute: nothing of this host is sent; the channels are imported all the same, requests for metadata go there")
		return
	}
	t.frames()
}

// frames tells, once, that the channels do not carry frames, which go by multicast alone.
func (t *translator) frames() {
	for _, s := range t.in.Send {
		if s.Join == "" && s.Host != "" {
			t.note(s.At, report.Remark, "udp_send_channel by unicast: the collector's own frames go by multicast until it is told otherwise. Before the last gmond goes, list the aggregators in collector.native.send_to, port 8660, and set collector.native.listen there")
			return
		}
	}
}

func (t *translator) sendChannel(s *gmondconf.SendChannel) {
	item := conf.NewItem[conf.GmondSend]()
	host := s.Join
	if host == "" {
		host = s.Host
	}
	if host == "" {
		t.note(s.At, report.Mistake, "udp_send_channel with neither mcast_join nor host goes to this host alone: it is left out")
		return
	}
	to := address(host, t.port(s.At, "udp_send_channel", s.Port))
	if s.Join == "" {
		item.To = to
		if at, ok := s.Set["mcast_if"]; ok {
			t.note(at, report.Missing, "mcast_if without mcast_join: the routes decide, for gmond too; set bind to choose the source address")
		}
	} else {
		item.Group, item.Interface = to, s.Interface
		item.TTL = min(max(s.TTL, 1), 255)
		if item.TTL != s.TTL {
			t.note(s.Set["ttl"], report.Changed, "ttl %d: %d is written", s.TTL, item.TTL)
		}
		if at, ok := s.Set["host"]; ok {
			t.note(at, report.Missing, "host beside mcast_join has no effect in gmond: it is left out")
		}
	}
	item.Bind = t.source(s, host)
	if slices.Contains(t.Config.Collector.Gmond.Send, item) {
		t.note(s.At, report.Changed, "udp_send_channel to %s stands twice, gmond sends everything twice: it is imported once", to)
		return
	}
	t.Add(s.At, "udp_send_channel to "+to, func(c *conf.Config) { c.Collector.Gmond.Send = append(c.Collector.Gmond.Send, item) })
}

// source is the address that a channel sends from.
func (t *translator) source(s *gmondconf.SendChannel, host string) string {
	if !s.BindHostname {
		return s.Bind
	}
	a, err := netip.ParseAddr(host)
	if t.options.Own != nil {
		if own, ok := t.options.Own(err == nil && a.Is6()); ok {
			t.note(s.Set["bind_hostname"], report.Changed, "bind_hostname: bind %s is written, which this host's name stands for now: change it when the address changes", own)
			return own
		}
	}
	t.note(s.Set["bind_hostname"], report.Missing, "bind_hostname: this host's name stands for no address that others know: set bind, or let the system choose")
	return ""
}
