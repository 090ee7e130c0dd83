package gmondconf

import "keepwatch/internal/report"

type opener = func(title string, at report.Place) section

// section is the whole file's. The sections that may not repeat are merged key by key, the others make a list.
func (c *Config) section() section {
	return section{blocks: map[string]opener{
		"globals": func(_ string, at report.Place) section { c.Globals.At = at; return c.Globals.section() },
		"cluster": func(_ string, at report.Place) section {
			s := &c.Cluster
			s.At = at
			return section{set: s.Set, keys: map[string]any{"name": &s.Name, "owner": &s.Owner, "latlong": &s.LatLong, "url": &s.URL}}
		},
		"host": func(_ string, at report.Place) section {
			c.Host.At = at
			return section{set: c.Host.Set, keys: map[string]any{"location": &c.Host.Location}}
		},
		"udp_send_channel":   func(_ string, at report.Place) section { return c.send(at) },
		"udp_recv_channel":   func(_ string, at report.Place) section { return c.receive(at) },
		"tcp_accept_channel": func(_ string, at report.Place) section { return c.accept(at) },
		"collection_group":   func(_ string, at report.Place) section { return c.group(at) },
		"modules": func(string, report.Place) section {
			return section{blocks: map[string]opener{"module": func(_ string, at report.Place) section { return c.module(at) }}}
		},
		"sflow": func(_ string, at report.Place) section { return c.sflow(at) },
	}}
}

func (g *Globals) section() section {
	return section{set: g.Set, keys: map[string]any{
		"daemonize": &g.Daemonize, "setuid": &g.Setuid, "user": &g.User, "debug_level": &g.DebugLevel,
		"max_udp_msg_len": &g.MaxUDPMessage, "mute": &g.Mute, "deaf": &g.Deaf, "allow_extra_data": &g.AllowExtraData,
		"host_dmax": &g.HostDmax, "host_tmax": &g.HostTmax, "cleanup_threshold": &g.CleanupThreshold, "gexec": &g.GExec,
		"send_metadata_interval": &g.MetadataInterval, "module_dir": &g.ModuleDir, "override_hostname": &g.OverrideHostname,
		"override_ip": &g.OverrideIP, "tags": &g.Tags,
	}}
}

func (c *Config) send(at report.Place) section {
	s := &SendChannel{At: at, Set: Keys{}, Port: -1, TTL: 1}
	c.Send = append(c.Send, s)
	return section{set: s.Set, keys: map[string]any{
		"mcast_join": &s.Join, "mcast_if": &s.Interface, "host": &s.Host, "port": &s.Port, "ttl": &s.TTL, "bind": &s.Bind,
		"bind_hostname": &s.BindHostname,
	}}
}

func (c *Config) receive(at report.Place) section {
	r := &ReceiveChannel{At: at, Set: Keys{}, Port: -1, Family: "inet4", RetryBind: true, ACL: newACL()}
	c.Receive = append(c.Receive, r)
	return section{set: r.Set, blocks: map[string]opener{"acl": r.ACL.open}, keys: map[string]any{
		"mcast_join": &r.Join, "bind": &r.Bind, "port": &r.Port, "mcast_if": &r.Interface, "family": &r.Family,
		"retry_bind": &r.RetryBind, "buffer": &r.Buffer,
	}}
}

func (c *Config) accept(at report.Place) section {
	a := &AcceptChannel{At: at, Set: Keys{}, Port: -1, Timeout: -1, Family: "inet4", ACL: newACL()}
	c.Accept = append(c.Accept, a)
	return section{set: a.Set, blocks: map[string]opener{"acl": a.ACL.open}, keys: map[string]any{
		"bind": &a.Bind, "port": &a.Port, "interface": &a.Interface, "timeout": &a.Timeout, "family": &a.Family,
		"gzip_output": &a.Gzip,
	}}
}

func newACL() ACL { return ACL{Set: Keys{}, Default: "allow"} }

func (a *ACL) open(_ string, at report.Place) section {
	a.At = at
	return section{set: a.Set, keys: map[string]any{"default": &a.Default}, blocks: map[string]opener{
		"access": func(_ string, at report.Place) section {
			e := &Access{At: at, Set: Keys{}}
			a.Access = append(a.Access, e)
			return section{set: e.Set, keys: map[string]any{"action": &e.Action, "ip": &e.IP, "mask": &e.Mask}}
		},
	}}
}

func (c *Config) group(at report.Place) section {
	g := &Group{At: at, Set: Keys{}, Every: 60, Threshold: 3600}
	c.Groups = append(c.Groups, g)
	keys := map[string]any{"collect_once": &g.Once, "collect_every": &g.Every, "time_threshold": &g.Threshold}
	return section{set: g.Set, keys: keys, blocks: map[string]opener{
		"metric": func(_ string, at report.Place) section {
			m := &Metric{At: at, Set: Keys{}, ValueThreshold: -1}
			g.Metrics = append(g.Metrics, m)
			return section{set: m.Set, keys: map[string]any{
				"name": &m.Name, "name_match": &m.Match, "value_threshold": &m.ValueThreshold, "title": &m.Title,
			}}
		},
	}}
}
