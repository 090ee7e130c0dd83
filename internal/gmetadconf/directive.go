package gmetadconf

import (
	"slices"
	"strconv"
	"strings"

	"keepwatch/internal/conf"
)

// arguments say how dotconf reads those of a directive.
type arguments byte

const (
	list arguments = iota // any number
	one                   // at least one, the first counts
	number
	toggle
)

// directives are all that gmetad 3.7 knows.
var directives = map[string]arguments{
	"include": one, "includepath": one, "data_source": list, "gridname": one, "authority": one, "trusted_hosts": list,
	"all_trusted": number, "debug_level": number, "xml_port": number, "interactive_port": number, "server_threads": number,
	"umask": number, "rrd_rootdir": one, "rrdcached_address": one, "setuid": toggle, "setuid_username": one,
	"scalable": one, "rras": list, "write_rrds": one, "case_sensitive_hostnames": number, "carbon_server": one,
	"carbon_port": number, "carbon_protocol": one, "carbon_timeout": number, "memcached_parameters": one,
	"graphite_prefix": one, "graphite_path": one, "riemann_server": one, "riemann_port": number, "riemann_protocol": one,
	"riemann_attributes": one, "unsummarized_metrics": list, "unsummarized_sflow_vm_metrics": toggle,
	"summarized_metrics": list, "memcached_include_cluster_in_key": number,
}

// apply takes one directive.
func (p *parser) apply(d Directive, depth int) {
	kind, known := directives[d.Name]
	if !known {
		near := ""
		names := make([]string, 0, len(directives))
		for name := range directives {
			names = append(names, name)
		}
		slices.Sort(names)
		if n := conf.Nearest(d.Name, names); n != "" {
			near = ": perhaps " + n + " is meant"
		}
		p.fault(d.At, "%.60q: gmetad knows no such directive%s", d.Name, near)
		return
	}
	if kind != list && len(d.Args) == 0 {
		p.fault(d.At, "%s: want a value behind it", d.Name)
		return
	}
	if kind == one && strings.HasPrefix(d.Args[0], "<<") {
		p.stop(d.At, "%s: a here-document is not read: write the value on one line", d.Name)
		return
	}
	p.config.Set[d.Name] = d.At
	p.config.Directives = append(p.config.Directives, d)
	switch c := p.config; d.Name {
	case "include":
		p.include(d, depth)
	case "includepath":
		p.folder = d.Args[0]
	case "data_source":
		p.source(d)
	case "gridname":
		c.Grid = d.Args[0]
	case "authority":
		c.Authority = d.Args[0]
	case "trusted_hosts":
		for _, name := range d.Args {
			c.Trusted = append(c.Trusted, Host{d.At, name})
		}
	case "all_trusted":
		c.AllTrusted = true
	case "xml_port":
		c.XMLPort = integer(d.Args[0])
	case "interactive_port":
		c.Interactive = integer(d.Args[0])
	case "case_sensitive_hostnames":
		c.Sensitive = integer(d.Args[0]) != 0
	case "scalable":
		c.Scalable = c.Scalable && d.Args[0] != "off"
	}
}

// source reads NAME [STEP] HOST[:PORT] …. A second argument that is a number is the step.
func (p *parser) source(d Directive) {
	if len(d.Args) < 2 {
		p.fault(d.At, `data_source: want a name and at least one host, as data_source "web" 15 web1 web2:8655; gmetad crashes at this`)
		return
	}
	s := &Source{At: d.At, Name: d.Args[0], Step: 15}
	hosts := d.Args[1:]
	if n, err := strconv.ParseUint(strings.TrimPrefix(hosts[0], "+"), 10, 31); err == nil && n > 0 {
		s.Step, hosts = int(n), hosts[1:]
	}
	for _, h := range hosts {
		host, port, given := strings.Cut(h, ":")
		a := Address{host, Port}
		if given {
			a.Port = decimal(port)
		}
		s.Addresses = append(s.Addresses, a)
	}
	c := p.config
	for i, old := range c.Sources {
		if old.Name == s.Name {
			c.Replaced = append(c.Replaced, old)
			c.Sources[i] = s
			return
		}
	}
	c.Sources = append(c.Sources, s)
}

// decimal is atoi: the digits at the beginning, 0 without any.
func decimal(text string) int {
	n := 0
	for i := 0; i < len(text) && text[i] >= '0' && text[i] <= '9' && n < 1<<24; i++ {
		n = 10*n + int(text[i]-'0')
	}
	return n
}

// integer is sscanf's %li: decimal, 0x1f or 017 at the beginning, whatever follows; 0 without any.
func integer(text string) int {
	text = strings.TrimLeft(text, blank)
	sign := 1
	if text != "" && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	base, digits := 10, "0123456789"
	switch {
	case len(text) > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'):
		base, digits, text = 16, "0123456789abcdefABCDEF", text[2:]
	case strings.HasPrefix(text, "0"):
		base, digits = 8, "01234567"
	}
	n := 0
	for n < len(text) && n < 12 && strings.IndexByte(digits, text[n]) >= 0 {
		n++
	}
	value, _ := strconv.ParseInt(text[:n], base, 64) // no digits are 0; 12 of them fit
	return sign * int(value)
}
