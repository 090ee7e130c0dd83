package collector

import (
	"net/netip"
	"time"

	"keepwatch/internal/ganglia"
)

// looked shows hosts as gmond does, which knows a host by the address from which its packets come, or that a spoofed
// one says, and names it by a reverse lookup of that; a host for which others speak alone has the name that they say.
// What has one address, or one name then, is one HOST. Who is not looked up yet is left out: gmetad would make RRDs of
// a name that is gone a moment later. The names come sorted.
func (x *xmlServer) looked(names []string, now time.Time) (out []shownHost) {
	type station struct {
		from netip.Addr // of one that speaks for itself
		of   []string
	}
	stations := make(map[string]*station, len(names))
	var order []*station
	for _, name := range names {
		address, from, held := x.source.GmondSpeaker(name)
		if !held {
			continue
		}
		if address == "" {
			address = "\x00" + name
		}
		s := stations[address]
		if s == nil {
			s = &station{}
			stations[address] = s
			order = append(order, s)
		}
		s.of = append(s.of, name)
		if from.IsValid() {
			s.from = from
		}
	}
	at := make(map[string]int, len(order))
	for _, s := range order {
		name := s.of[0]
		if s.from.IsValid() {
			if name = x.peers.name(s.from, now); name == "" {
				continue
			}
		}
		if i, twice := at[name]; twice {
			out[i].of = append(out[i].of, s.of...)
			continue
		}
		at[name] = len(out)
		out = append(out, shownHost{name, s.of})
	}
	return out
}

// speakers are the addresses of the hosts that speak for themselves.
func (x *xmlServer) speakers() (out []netip.Addr) {
	for _, name := range x.source.GmondHosts(nil) {
		if _, from, _ := x.source.GmondSpeaker(name); from.IsValid() {
			out = append(out, from)
		}
	}
	return out
}

// merged makes one host of several. Its memory is used again.
type merged struct {
	host, one ganglia.Host
	at        map[string]int // place of each metric
}

// fill gives host what is told of a shown host; false: nothing is, any more.
func (m *merged) fill(source gmondSource, s shownHost, now int64) (any bool) {
	for _, name := range s.of {
		if !any {
			any = source.FillGmond(name, now, &m.host)
		} else if source.FillGmond(name, now, &m.one) {
			m.add()
		}
	}
	m.at = nil
	m.host.Name = s.name
	return any
}

// add adds one to host: of what both have the newer.
func (m *merged) add() {
	h, o := &m.host, &m.one
	newer := o.TN < h.TN
	if newer {
		h.TN, h.Reported, h.TMax, h.DMax = o.TN, o.Reported, o.TMax, o.DMax
	}
	if o.Started != 0 && (newer || h.Started == 0) {
		h.Started = o.Started
	}
	if o.Location != "unspecified" && (newer || h.Location == "unspecified") {
		h.Location = o.Location
	}
	if m.at == nil {
		m.at = make(map[string]int, len(h.Metrics))
		for i := range h.Metrics {
			m.at[h.Metrics[i].Name] = i
		}
	}
	for _, x := range o.Metrics {
		i, twice := m.at[x.Name]
		switch {
		case !twice:
			m.at[x.Name] = len(h.Metrics)
			h.Metrics = append(h.Metrics, x)
		case x.TN < h.Metrics[i].TN:
			h.Metrics[i] = x
		}
	}
}
