package ganglia

import (
	"bytes"
	"strings"
	"time"

	"keepwatch/probes/host"
)

const maxInterfaces = 1024

// The four rates, in the order of their metrics from bytesIn on.
const nRates = 4

func fields() [nRates]int {
	return [nRates]int{
		0: host.NetReceivedBytes, bytesOut - bytesIn: host.NetSentBytes,
		pktsIn - bytesIn: host.NetReceivedPackets, pktsOut - bytesIn: host.NetSentPackets,
	}
}

// network holds the counters of all interfaces at the last collection of each rate.
//
// As gmond does, it leaves out the loopback and bonds: what passes a bond is counted once, on the interfaces that
// carry it. Unlike gmond's it knows a bond whatever its name is, leaves out no interface that merely begins with "lo",
// takes an interface that appears as having counted nothing before, and one whose counters went back as having counted
// from 0, not as having passed 2^64.
type network struct {
	interfaces map[string]*counters
	rates      [nRates]rate
}

type counters struct {
	old  [nRates]uint64
	seen [nRates]bool
}

type rate struct {
	at    time.Time
	value float64
	known bool
}

// begin takes the counters from which the first rates count.
func (n *network) begin(bond func(string) bool, b []byte, now time.Time) {
	n.interfaces = make(map[string]*counters)
	for i := range n.rates {
		n.step(bond, b, i)
		n.rates[i].at = now
	}
}

func (p *Probe) readNetwork(now time.Time, places []int) error {
	b, err := p.tree.Read("/proc/net/dev")
	if err != nil {
		return err
	}
	b = bytes.Clone(b) // the look for bonds uses the tree's memory
	n := &p.net
	if n.interfaces == nil {
		n.begin(p.bonding, b, now)
		return nil
	}
	for _, place := range places {
		if place < bytesIn || place >= bytesIn+nRates {
			continue
		}
		r := &n.rates[place-bytesIn]
		if passed := now.Sub(r.at).Seconds(); passed > 0 {
			r.value, r.known, r.at = n.step(p.bonding, b, place-bytesIn)/passed, true, now
		}
		if r.known {
			p.number(place, r.value)
		}
	}
	return nil
}

// step gives how much one counter has grown over all interfaces since the last step of it.
func (n *network) step(bond func(string) bool, b []byte, rate int) (grown float64) {
	at := fields()[rate]
	for len(b) > 0 {
		var line []byte
		line, b = host.CutLine(b)
		var v [host.NetFields]uint64
		name, ok := host.ParseNetLine(line, &v)
		if !ok || string(name) == "lo" || bond(string(name)) {
			continue
		}
		c := n.interfaces[string(name)]
		if c == nil {
			if len(n.interfaces) >= maxInterfaces {
				clear(n.interfaces) // of interfaces that came and went; those of now begin again
			}
			c = new(counters)
			n.interfaces[string(name)] = c
		}
		switch {
		case !c.seen[rate]:
		case v[at] >= c.old[rate]:
			grown += float64(v[at] - c.old[rate])
		default:
			grown += float64(v[at])
		}
		c.old[rate], c.seen[rate] = v[at], true
	}
	return grown
}

// bonding says whether an interface is a bond, which counts what its members count too.
func (p *Probe) bonding(name string) bool {
	if strings.HasPrefix(name, "bond") {
		return true
	}
	_, err := p.tree.Read("/sys/class/net/" + name + "/bonding/mode")
	return err == nil
}
