package collector

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
	"keepwatch/probes"
	"keepwatch/probes/haproxy"
	"keepwatch/probes/host"
	"keepwatch/probes/snmp"
	"keepwatch/probes/vrrp"
)

// probeSet is the probes of one configuration.
type probeSet struct {
	probes []*scheduled
	shared []*sharedCheck // of which others may run some in this host's place
	names  map[string]bool
	pulse  time.Duration // the shortest interval: this host is heard again after it at the latest
}

// scheduled is one probe with what its runs need.
type scheduled struct {
	probe        probes.Probe
	name         string
	interval     time.Duration
	up, duration *metric.Series
	out          batch.Batch
	now          chan struct{} // a run out of turn is wanted

	mu   sync.Mutex
	last ProbeStatus
}

// ProbeStatus is how the last run of a probe went.
type ProbeStatus struct {
	Name     string        `json:"name"`
	Interval time.Duration `json:"interval"`
	Ran      time.Time     `json:"ran"` // start of the last run; zero before the first
	Took     time.Duration `json:"took"`
	Error    string        `json:"error,omitempty"`
}

// wanted is one probe that a configuration asks for.
type wanted struct {
	key  string // in the configuration, under collector.probes
	make func() (probes.Probe, error)
}

// table is the one place that knows the sources.
func (c *Collector) table(cfg *conf.Probes) []wanted {
	cluster, name := c.opt.Cluster, c.opt.Host
	list := []wanted{{"self", func() (probes.Probe, error) { return newSelfProbe(c) }}}
	if cfg.Host.Enabled {
		list = append(list, wanted{"host", func() (probes.Probe, error) {
			return host.New(host.Options{Cluster: cluster, Host: name, Interval: cfg.Host.Interval})
		}})
	}
	for i, p := range cfg.HAProxy {
		list = append(list, wanted{fmt.Sprintf("haproxy[%d]", i), func() (probes.Probe, error) {
			return haproxy.New(haproxy.Options{Cluster: cluster, Host: name, Config: p})
		}})
	}
	for i, p := range cfg.SNMP {
		list = append(list, wanted{fmt.Sprintf("snmp[%d]", i), func() (probes.Probe, error) {
			return snmp.New(snmp.Options{Cluster: cluster, Config: p})
		}})
	}
	if socket := c.agentSocket(cfg.VRRP.Agent); socket != "" {
		list = append(list, wanted{"vrrp.agent", func() (probes.Probe, error) {
			return vrrp.NewAgent(vrrp.AgentOptions{Cluster: cluster, Host: name, Socket: socket, Interval: cfg.VRRP.Interval, Log: c.log})
		}})
	}
	if len(cfg.VRRP.Listen) > 0 {
		list = append(list, wanted{"vrrp.listen", func() (probes.Probe, error) {
			return vrrp.NewListener(vrrp.ListenerOptions{Cluster: cluster, Host: name, Interfaces: cfg.VRRP.Listen, Interval: cfg.VRRP.Interval})
		}})
	}
	return list
}

// agentSocket is the socket of this host's HA agent; empty when there is none to ask.
func (c *Collector) agentSocket(configured string) string {
	if configured == "" && c.opt.HAAgent {
		return filepath.Join(c.opt.DataDir, "haagent.sock")
	}
	return configured
}

// buildProbes makes every probe that the configuration asks for; a mute collector has none.
func (c *Collector) buildProbes(cfg conf.Collector) (*probeSet, error) {
	set := &probeSet{pulse: cfg.Interval}
	if cfg.Mute {
		return set, nil
	}
	for _, w := range c.table(&cfg.Probes) {
		p, err := w.make()
		if err != nil {
			return nil, fmt.Errorf("collector.probes.%s: %w", w.key, err)
		}
		if err := set.add(c.opt, p, cfg.Interval); err != nil {
			return nil, err
		}
	}
	return set, c.addShared(set, &cfg)
}

// add adds a probe that runs here all the time.
func (set *probeSet) add(opt Options, p probes.Probe, interval time.Duration) error {
	s, err := set.schedule(opt, p, interval)
	if err != nil {
		return err
	}
	set.probes = append(set.probes, s)
	set.pulse = min(set.pulse, s.interval)
	return nil
}

// schedule prepares the runs of a probe.
func (set *probeSet) schedule(opt Options, p probes.Probe, interval time.Duration) (*scheduled, error) {
	s := &scheduled{probe: p, name: p.Name(), interval: p.Interval(), now: make(chan struct{}, 1)}
	if s.interval <= 0 {
		s.interval = interval
	}
	if s.interval < 100*time.Millisecond {
		return nil, fmt.Errorf("collector.probes: interval %v of probe %q is too short: want 100ms or more", s.interval, s.name)
	}
	if set.names[s.name] {
		return nil, fmt.Errorf("collector.probes: two probes are named %q: give each its own name", s.name)
	}
	labels := []metric.Label{{Name: "probe", Value: s.name}}
	var err error
	if s.up, err = metric.NewSeries(opt.Cluster, opt.Host, "keepwatch_probe_up", labels, metric.NoUnit, metric.State); err != nil {
		return nil, err
	}
	if s.duration, err = metric.NewSeries(opt.Cluster, opt.Host, "keepwatch_probe_duration_seconds", labels, metric.Seconds, metric.Gauge); err != nil {
		return nil, err
	}
	s.last = ProbeStatus{Name: s.name, Interval: s.interval}
	if set.names == nil {
		set.names = make(map[string]bool)
	}
	set.names[s.name] = true
	return s, nil
}

func (set *probeSet) status() []ProbeStatus {
	out := make([]ProbeStatus, 0, len(set.probes))
	for _, p := range set.probes {
		p.mu.Lock()
		out = append(out, p.last)
		p.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b ProbeStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// report keeps how a run went and logs when that changes.
func (s *scheduled) report(log *slog.Logger, start time.Time, took time.Duration, err error) {
	s.mu.Lock()
	before := s.last
	s.last.Ran, s.last.Took, s.last.Error = start, took, ""
	if err != nil {
		s.last.Error = err.Error()
	}
	s.mu.Unlock()
	switch {
	case err != nil && before.Error != err.Error():
		log.Warn("probe failed", "probe", s.name, "err", err)
	case err == nil && before.Error != "":
		log.Info("probe works again", "probe", s.name)
	}
}
