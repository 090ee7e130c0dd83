// Package gmetadimport translates a gmetad.conf into the configuration of an extractor that takes gmetad's place: its
// sources, its XML ports and who may read them. What has no equivalent (RRDs, exports), what gmetad itself would refuse,
// and what works differently here becomes a note with file and line. It opens no file and asks the system nothing: the
// caller hands in what is read and known (Options). The command keepwatch import calls it.
package gmetadimport

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/draft"
	"keepwatch/internal/gmetadconf"
	"keepwatch/internal/report"
)

// Bounds of what is translated. What is beyond is left out with a note.
const (
	maxSources   = 500 // data_sources
	maxAddresses = 64  // of one data_source
	maxTrusted   = 500 // hosts
)

// Options are what the configuration's meaning depends on beside its text.
type Options struct {
	gmetadconf.Options
	// Resolve gives the IPv4 address that a host's name stands for, as gmetad asks once at its start; nil, or false: none.
	Resolve func(name string) (address string, ok bool)
	Host    string // name of the host that gmetad runs on; empty: not known
}

// Import translates a configuration; file is what notes call it.
func Import(file string, data []byte, o Options) draft.Result {
	c, err := gmetadconf.Parse(file, data, o.Options)
	t := &translator{Draft: draft.New(), in: c, options: o, file: file}
	t.faults(err)
	for at, name := range c.Relative {
		t.Notes.Add(at, report.Remark, "include %.200q is relative: gmetad looks in the folder in which it is started, the import in the present one", name)
	}
	t.repeated()
	t.grid()
	t.ports()
	t.trust()
	t.sources()
	t.missing()
	return t.Finish(file, c.Files, len(t.Config.Extractor.Ganglia.Sources) > 0)
}

type translator struct {
	*draft.Draft
	in      *gmetadconf.Config
	options Options
	file    string
}

func (t *translator) note(at report.Place, kind report.Kind, format string, args ...any) {
	t.Notes.Add(at, kind, format, args...)
}

// faults tells of that for which gmetad would not start with the file.
func (t *translator) faults(err error) {
	var faults report.Faults
	if !errors.As(err, &faults) {
		return
	}
	for _, f := range faults {
		t.note(f.At, report.Mistake, "%s: gmetad does not start with it", f.Text)
	}
}

// repeated tells of what gmetad passes over: directives that stand again, arguments too many, arguments cut by #.
func (t *translator) repeated() {
	for _, d := range t.in.Directives {
		if d.Lost != "" {
			t.note(d.At, report.Mistake, "%s: %.60q is lost, since a # behind it begins a comment: put it into quotes, or a blank between", d.Name, d.Lost)
		}
		switch d.Name {
		case "include", "includepath", "data_source", "trusted_hosts", "rras", "summarized_metrics", "unsummarized_metrics":
			continue
		}
		if last := t.in.Set[d.Name]; last != d.At {
			t.note(d.At, report.Mistake, "%s stands again, %s: the last one is in force", d.Name, last)
		} else if len(d.Args) > 1 {
			t.note(d.At, report.Mistake, "%s takes one value: %.60q behind it is ignored, as by gmetad; put blanks into quotes", d.Name, strings.Join(d.Args[1:], " "))
		}
	}
	for _, s := range t.in.Replaced {
		t.note(s.At, report.Mistake, "data_source %.60q stands again later: the last one is in force, as for gmetad", s.Name)
	}
}

func (t *translator) grid() {
	c, set := t.in, t.in.Set
	if at, ok := set["gridname"]; ok {
		name := t.Text(at, c.Grid)
		t.Set(at, "gridname", func(c *conf.Config) { c.Extractor.Ganglia.Grid = name })
	}
	t.authority()
	if at, ok := set["case_sensitive_hostnames"]; ok && !c.Sensitive {
		t.Set(at, "case_sensitive_hostnames", func(c *conf.Config) { c.Extractor.Hosts.Lowercase = true })
	}
	if at, ok := set["scalable"]; ok && !c.Scalable {
		t.note(at, report.Missing, "scalable off: a grid that is polled stays a grid of its own, its hosts are not mixed with this one's. Poll its clusters by data_sources of their own")
	}
}

// authority: without one gmetad names its own host, and an extractor the web app.
func (t *translator) authority() {
	if at, ok := t.in.Set["authority"]; ok {
		authority := t.Text(at, t.in.Authority)
		t.Set(at, "authority", func(c *conf.Config) { c.Extractor.Ganglia.Authority = authority })
		return
	}
	at := report.Place{File: t.file}
	if t.options.Host == "" {
		t.note(at, report.Changed, "no authority: gmetad tells http://HOST/ganglia/ with the name of its host, the extractor the address of the web app: set extractor.ganglia.authority")
		return
	}
	authority := "http://" + t.options.Host + "/ganglia/"
	if t.Set(at, "authority", func(c *conf.Config) { c.Extractor.Ganglia.Authority = authority }) {
		t.note(at, report.Remark, "no authority: %s is written, which gmetad tells on this host. Take it out when the web app's address is to be told", authority)
	}
}

// ports: gmetad listens on all IPv4 addresses.
func (t *translator) ports() {
	for _, p := range []struct {
		key      string
		port     int
		standard int
		target   func(*conf.Ganglia) *string
	}{
		{"xml_port", t.in.XMLPort, 8651, func(g *conf.Ganglia) *string { return &g.XML }},
		{"interactive_port", t.in.Interactive, 8652, func(g *conf.Ganglia) *string { return &g.Interactive }},
	} {
		at, ok := t.in.Set[p.key]
		if !ok {
			at = report.Place{File: t.file}
		}
		if p.port < 1 || p.port > 65535 {
			t.note(at, report.Mistake, "%s %d: want 1 to 65535; %d is written", p.key, p.port, p.standard)
			p.port = p.standard
		}
		listen := fmt.Sprintf("0.0.0.0:%d", p.port)
		t.Set(at, p.key, func(c *conf.Config) { *p.target(&c.Extractor.Ganglia) = listen })
	}
}

// trust translates who may read the ports. gmetad trusts 127.0.0.1 always, and everybody when it only sees all_trusted.
func (t *translator) trust() {
	const path = "extractor.ganglia.accept_from"
	if t.in.AllTrusted {
		at := t.in.Set["all_trusted"]
		t.Set(at, "all_trusted", func(c *conf.Config) { c.Extractor.Ganglia.AcceptFrom = []string{"0.0.0.0/0", "::/0"} })
		text := "gmetad looks only whether all_trusted is there: everybody may read"
		for _, d := range t.in.Directives {
			if d.Name == "all_trusted" && off(d.Args) {
				t.note(d.At, report.Remark, "all_trusted %.20q: %s. So it is imported; write accept_from by hand if that was not meant", d.Args[0], text)
			}
		}
		t.Comment(path, report.Place{File: at.File, Line: at.Line}.String()+": "+text)
		return
	}
	list := []string{"127.0.0.1/32"}
	for i, h := range t.in.Trusted {
		if i == maxTrusted {
			t.note(h.At, report.Mistake, "more than %d trusted_hosts: this one and those behind it are left out", maxTrusted)
			break
		}
		if entry, ok := t.trusted(h); ok && !slices.Contains(list, entry) {
			list = append(list, entry)
		}
	}
	at, ok := t.in.Set["trusted_hosts"]
	if !ok {
		at = report.Place{File: t.file}
		t.Comment(path, "gmetad.conf has no trusted_hosts: gmetad trusts 127.0.0.1 alone")
	}
	t.Set(at, "trusted_hosts", func(c *conf.Config) { c.Extractor.Ganglia.AcceptFrom = list })
}

func off(args []string) bool {
	return len(args) > 0 && slices.Contains([]string{"off", "no", "0", "false"}, strings.ToLower(args[0]))
}

func (t *translator) trusted(h gmetadconf.Host) (entry string, ok bool) {
	a, err := netip.ParseAddr(h.Name)
	if err == nil && a.Is4() {
		return h.Name + "/32", true
	}
	if err == nil || strings.Contains(h.Name, "/") {
		t.note(h.At, report.Mistake, "trusted_hosts: %.60q: gmetad takes names and IPv4 addresses of single hosts: it is left out", h.Name)
		return "", false
	}
	if t.options.Resolve != nil {
		if found, ok := t.options.Resolve(h.Name); ok {
			t.note(h.At, report.Changed, "trusted_hosts: %.60q is written as %s, which it stands for now: change it when the address changes", h.Name, found)
			return found + "/32", true
		}
	}
	t.note(h.At, report.Mistake, "trusted_hosts: %.60q stands for no address: it is left out, gmetad does so too", h.Name)
	return "", false
}

func (t *translator) sources() {
	list := t.in.Sources
	if len(list) > maxSources {
		t.note(list[maxSources].At, report.Mistake, "more than %d data_sources: this one and those behind it are left out", maxSources)
		list = list[:maxSources]
	}
	for _, s := range list {
		item := conf.NewItem[conf.GangliaSource]()
		item.Name = t.Text(s.At, s.Name)
		if slices.ContainsFunc(t.Config.Extractor.Ganglia.Sources, func(o conf.GangliaSource) bool { return o.Name == item.Name }) {
			t.note(s.At, report.Mistake, "data_source %.60q stands twice: the first one is imported", item.Name)
			continue
		}
		item.Interval = t.Seconds(s.At, "data_source "+strconv.Quote(item.Name)+": step", s.Step, time.Second, time.Hour)
		item.Addresses = t.addresses(s)
		if len(item.Addresses) == 0 {
			t.note(s.At, report.Mistake, "data_source %.60q has no address that can be polled: it is left out", item.Name)
			continue
		}
		t.Add(s.At, "data_source "+strconv.Quote(item.Name), func(c *conf.Config) {
			c.Extractor.Ganglia.Sources = append(c.Extractor.Ganglia.Sources, item)
		})
	}
}

// addresses are those of a source, each judged by itself.
func (t *translator) addresses(s *gmetadconf.Source) (out []string) {
	for i, a := range s.Addresses {
		if i == maxAddresses {
			t.note(s.At, report.Mistake, "data_source %.60q: more than %d hosts: the rest is left out", s.Name, maxAddresses)
			break
		}
		address := fmt.Sprintf("%s:%d", a.Host, a.Port)
		if slices.Contains(out, address) {
			t.note(s.At, report.Mistake, "data_source %.60q: %.60q stands twice: it is imported once", s.Name, address)
			continue
		}
		probe := draft.New()
		ok := probe.Add(s.At, fmt.Sprintf("data_source %.60q: %s", s.Name, address), func(c *conf.Config) {
			c.Extractor.Ganglia.Sources = []conf.GangliaSource{{Name: "x", Interval: time.Second, Addresses: []string{address}}}
		})
		if !ok {
			t.note(s.At, report.Mistake, "data_source %.60q: %.60q: want HOST or HOST:PORT, a name or an IPv4 address: it is left out", s.Name, address)
			continue
		}
		if a.Host == "localhost" || strings.HasPrefix(a.Host, "127.") {
			t.note(s.At, report.Remark, "data_source %.60q polls this host: where a collector of Keepwatch answers there, set store to false, or its samples come twice", s.Name)
		}
		out = append(out, address)
	}
	return out
}
