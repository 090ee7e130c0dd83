package conf

import (
	"fmt"
	"regexp"
	"time"
)

func (k *checker) collector(c *Collector) {
	k.duration("collector.interval", c.Interval, time.Second, time.Hour)
	k.duration("collector.host_dmax", c.HostDmax, time.Minute, 8760*time.Hour)
	if c.HostDmax >= time.Minute && c.HostDmax < 4*c.Interval {
		k.add("collector.host_dmax", "%s: want at least four times collector.interval, %s", short(c.HostDmax), short(4*c.Interval))
	}
	k.keys(c.Keys)
	k.native(&c.Native)
	k.gmond(&c.Gmond)
	if c.Serve.Listen != "" {
		k.listen("collector.serve.listen", c.Serve.Listen)
	}
	k.number("collector.max_hosts", c.MaxHosts, 1, 1_000_000)
	k.number("collector.max_series", c.MaxSeries, 1, 10_000_000)
	k.atLeast("collector.max_bytes", c.MaxBytes, 1<<20)
	k.probes(&c.Probes)
	k.checks(c)
	if c.Deaf && c.Mute {
		k.add("collector.mute", "true, and collector.deaf too: want at most one, or there is nothing to do")
	}
}

var hexKey = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)

func (k *checker) keys(keys []Key) {
	ids := make(map[string]string)
	for i, key := range keys {
		at := fmt.Sprintf("collector.keys[%d]", i)
		k.number(at+".id", key.ID, 1, 255)
		k.unique(at+".id", fmt.Sprint(key.ID), ids)
		if hexKey.MatchString(key.File) {
			k.add(at+".file", "(not shown): want the path of a file that holds the key, not the key")
		} else {
			k.secretFile(at+".file", key.File)
		}
	}
}

// secretFile checks the path of a file that holds a secret. The value is not shown: it may be the secret itself.
func (k *checker) secretFile(path, v string) {
	switch {
	case v == "":
		k.add(path, `"": want the absolute path of a file that holds it`)
	case v[0] != '/':
		k.add(path, "(not shown): want the absolute path of a file that holds it")
	}
}

func (k *checker) secretFileIfAny(path, v string) {
	if v != "" {
		k.secretFile(path, v)
	}
}

func (k *checker) native(n *Native) {
	k.multicast("collector.native.group", n.Group)
	if n.Interface != "" {
		k.iface("collector.native.interface", n.Interface)
	}
	k.number("collector.native.ttl", n.TTL, 1, 255)
	if n.Listen != "" {
		k.listen("collector.native.listen", n.Listen)
	}
	seen := make(map[string]string)
	for i, a := range n.SendTo {
		at := fmt.Sprintf("collector.native.send_to[%d]", i)
		k.target(at, a)
		k.unique(at, a, seen)
	}
	k.number("collector.native.payload", n.Payload, 576, 8900)
}

func (k *checker) probeInterval(path string, v time.Duration) {
	k.durationOrZero(path, v, time.Second, time.Hour, "the collector's")
}

func (k *checker) probes(p *Probes) {
	k.probeInterval("collector.probes.host.interval", p.Host.Interval)
	names := make(map[string]string)
	for i, h := range p.HAProxy {
		at := fmt.Sprintf("collector.probes.haproxy[%d]", i)
		k.name(at+".name", h.Name)
		k.unique(at+".name", h.Name, names)
		k.absolute(at+".socket", h.Socket)
		k.probeInterval(at+".interval", h.Interval)
	}
	if p.VRRP.Agent != "" {
		k.absolute("collector.probes.vrrp.agent", p.VRRP.Agent)
	}
	interfaces := make(map[string]string)
	for i, name := range p.VRRP.Listen {
		at := fmt.Sprintf("collector.probes.vrrp.listen[%d]", i)
		k.iface(at, name)
		k.unique(at, name, interfaces)
	}
	k.probeInterval("collector.probes.vrrp.interval", p.VRRP.Interval)
	devices := make(map[string]string)
	for i := range p.SNMP {
		k.snmp(fmt.Sprintf("collector.probes.snmp[%d]", i), &p.SNMP[i], devices)
	}
}

func (k *checker) snmp(at string, p *SNMPProbe, devices map[string]string) {
	if !validHost(p.Target) { // a bare IPv6 address is a host too
		k.target(at+".target", p.Target)
	}
	if p.Host != "" {
		k.unique(at+".host", p.Host, devices)
	} else {
		k.unique(at+".target", p.Target, devices)
	}
	k.oneOf(at+".version", p.Version, "1", "2c", "3")
	k.probeInterval(at+".interval", p.Interval)
	k.duration(at+".timeout", p.Timeout, 100*time.Millisecond, time.Minute)
	k.number(at+".retries", p.Retries, 0, 10)
	if p.Version == "3" {
		k.snmpUser(at, p)
		return
	}
	k.secretFileIfAny(at+".community_file", p.CommunityFile)
	for _, f := range [][2]string{
		{"user", p.User}, {"auth_protocol", p.AuthProtocol}, {"auth_file", p.AuthFile},
		{"priv_protocol", p.PrivProtocol}, {"priv_file", p.PrivFile},
	} {
		if f[1] != "" {
			k.add(at+"."+f[0], "set: is of version 3 only")
		}
	}
}

func (k *checker) snmpUser(at string, p *SNMPProbe) {
	k.present(at+".user", p.User)
	if p.CommunityFile != "" {
		k.add(at+".community_file", "set: version 3 has no community")
	}
	if p.AuthProtocol != "" {
		k.oneOf(at+".auth_protocol", p.AuthProtocol, "md5", "sha", "sha256", "sha512")
		k.secretFile(at+".auth_file", p.AuthFile)
	} else if p.AuthFile != "" {
		k.add(at+".auth_protocol", `"": want md5, sha, sha256 or sha512 for auth_file`)
	}
	switch {
	case p.PrivProtocol != "":
		k.oneOf(at+".priv_protocol", p.PrivProtocol, "des", "aes", "aes192", "aes256")
		k.secretFile(at+".priv_file", p.PrivFile)
		if p.AuthProtocol == "" {
			k.add(at+".auth_protocol", `"": want one, privacy needs authentication`)
		}
	case p.PrivFile != "":
		k.add(at+".priv_protocol", `"": want des, aes, aes192 or aes256 for priv_file`)
	}
}
