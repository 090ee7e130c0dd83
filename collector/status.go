package collector

import (
	"net"
	"net/netip"
	"time"

	"keepwatch/collector/state"
)

// Listeners are the addresses of the open sockets, with the ports that port 0 became.
type Listeners struct {
	Native []netip.AddrPort
	Gmond  []netip.AddrPort
	Serve  netip.AddrPort // invalid when nothing is served
}

// Listeners gives the addresses at which this collector is reached, from New on.
func (c *Collector) Listeners() Listeners {
	var l Listeners
	for _, r := range c.sockets.native {
		l.Native = append(l.Native, r.Addr())
	}
	for _, ch := range c.sockets.gmond {
		l.Gmond = append(l.Gmond, ch.receiver.Addr())
	}
	if c.sockets.serve != nil {
		l.Serve = c.sockets.serve.Addr().(*net.TCPAddr).AddrPort()
	}
	return l
}

// Status is what `keepwatch status` shows of a collector.
type Status struct {
	Cluster string        `json:"cluster"`
	Host    string        `json:"host"`
	Boot    string        `json:"boot"`
	Started time.Time     `json:"started"`
	Clients int           `json:"clients"` // extractors connected
	State   state.Status  `json:"state"`
	Probes  []ProbeStatus `json:"probes"` // by name
	Checks  []CheckStatus `json:"checks"` // shared, by name
	Lost    []HostLoss    `json:"lost"`   // hosts whose frames were lost for good, by name
}

// Status takes a copy of what is known now.
func (c *Collector) Status() Status {
	c.mu.Lock()
	set := c.set
	c.mu.Unlock()
	now := time.Now()
	return Status{
		Cluster: c.opt.Cluster, Host: c.opt.Host, Boot: c.boot.String(), Started: c.started,
		Clients: c.server.Clients(), State: c.state.Status(now), Probes: set.status(), Checks: c.sharedStatus(set, now),
		Lost: c.losses(),
	}
}
