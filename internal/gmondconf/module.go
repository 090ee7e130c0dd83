package gmondconf

import (
	"strings"

	"keepwatch/internal/report"
)

func (c *Config) module(at report.Place) section {
	m := &Module{At: at, Set: Keys{}, Enabled: true}
	c.Modules = append(c.Modules, m)
	keys := map[string]any{
		"name": &m.Name, "language": &m.Language, "enabled": &m.Enabled, "path": &m.Path, "params": &m.Params,
	}
	return section{set: m.Set, keys: keys, blocks: map[string]opener{titled: m.param}}
}

// param opens a parameter. One of the same title, without regard to case, is written anew in its place.
func (m *Module) param(title string, at report.Place) section {
	p := &Param{At: at, Set: Keys{}, Name: title}
	s := section{set: p.Set, keys: map[string]any{"value": &p.Value}}
	for i, old := range m.Param {
		if strings.EqualFold(old.Name, title) {
			m.Param[i] = p
			return s
		}
	}
	m.Param = append(m.Param, p)
	return s
}

func (c *Config) sflow(at report.Place) section {
	if c.SFlow == nil {
		c.SFlow = &SFlow{Set: Keys{}, Port: SFlowPort, Bool: make(map[string]*bool)}
	}
	s := c.SFlow
	s.At = at
	keys := map[string]any{"udp_port": &s.Port}
	for key, on := range map[string]bool{
		"accept_vm_metrics": true, "accept_http_metrics": true, "accept_memcache_metrics": true, "accept_jvm_metrics": true,
		"multiple_http_instances": false, "multiple_memcache_instances": false, "multiple_jvm_instances": false,
	} {
		if s.Bool[key] == nil {
			s.Bool[key] = &on
		}
		keys[key] = s.Bool[key]
	}
	return section{set: s.Set, keys: keys}
}

// SFlowPort is where gmond takes sFlow when the configuration does not say it.
const SFlowPort = 6343
