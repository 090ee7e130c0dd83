package conf

import (
	"fmt"
	"strings"
	"time"
)

func (k *checker) proxy(p *Proxy) {
	const at = "haagent.proxy"
	k.oneOf(at+".engine", p.Engine, "haproxy")
	if p.Binary != "" {
		k.absolute(at+".binary", p.Binary)
	}
	if p.ConfigFile != "" {
		k.absolute(at+".config_file", p.ConfigFile)
		if len(p.Frontends)+len(p.Backends) > 0 {
			k.add(at+".config_file", "set beside frontends or backends: want one of them")
		}
	}
	k.number(at+".maxconn", p.MaxConn, 1, 10_000_000)
	modes, backends := make(map[string]string), make(map[string]string)
	for i := range p.Backends {
		b := &p.Backends[i]
		k.backend(fmt.Sprintf("%s.backends[%d]", at, i), b, backends)
		modes[b.Name] = b.Mode
	}
	frontends, binds := make(map[string]string), make(map[string]string)
	for i := range p.Frontends {
		k.frontend(fmt.Sprintf("%s.frontends[%d]", at, i), &p.Frontends[i], frontends, binds, modes)
	}
}

// frontend checks f; names and binds are what other frontends have taken, modes those of the backends by name.
func (k *checker) frontend(at string, f *Frontend, names, binds, modes map[string]string) {
	k.name(at+".name", f.Name)
	k.unique(at+".name", f.Name, names)
	k.oneOf(at+".mode", f.Mode, "http", "tcp")
	if len(f.Bind) == 0 {
		k.add(at+".bind", "none: want address:port, as 10.0.0.100:80")
	}
	for i, b := range f.Bind {
		one := fmt.Sprintf("%s.bind[%d]", at, i)
		host, port, ok := splitHostPort(b)
		if !ok || port == 0 || host != "" && host != "*" && !validHost(host) {
			k.add(one, "%.60q: want address:port, as 10.0.0.100:80 or :80", b)
		}
		k.unique(one, b, binds)
	}
	mode, ok := modes[f.Backend]
	switch {
	case !ok:
		k.add(at+".backend", "%.60q: want the name of one of haagent.proxy.backends", f.Backend)
	case mode != f.Mode:
		k.add(at+".backend", "%.60q: is of mode %.10q, want %.10q as this frontend", f.Backend, mode, f.Mode)
	}
}

func (k *checker) backend(at string, b *Backend, names map[string]string) {
	k.name(at+".name", b.Name)
	k.unique(at+".name", b.Name, names)
	k.oneOf(at+".mode", b.Mode, "http", "tcp")
	k.oneOf(at+".balance", b.Balance, "roundrobin", "leastconn", "source", "first")
	if p := b.Check.Path; p != "" && !httpPath(p) {
		k.add(at+".check.path", "%.60q: want an HTTP path, as /healthz, without blanks and quotes", p)
	}
	k.duration(at+".check.interval", b.Check.Interval, 100*time.Millisecond, time.Hour)
	k.number(at+".check.rise", b.Check.Rise, 1, 100)
	k.number(at+".check.fall", b.Check.Fall, 1, 100)
	if len(b.Servers) == 0 {
		k.add(at+".servers", "none: want at least one server")
	}
	servers := make(map[string]string)
	for i, s := range b.Servers {
		one := fmt.Sprintf("%s.servers[%d]", at, i)
		k.name(one+".name", s.Name)
		k.unique(one+".name", s.Name, servers)
		k.target(one+".address", s.Address)
		k.number(one+".weight", s.Weight, 0, 256)
	}
}

// httpPath: what haproxy.cfg takes as one word without quoting.
func httpPath(p string) bool {
	return len(p) <= 1000 && p[0] == '/' && !strings.ContainsFunc(p, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"'\#$`, r)
	})
}
