package collector

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"time"

	"keepwatch/collector/gmond"
	"keepwatch/collector/listen"
	"keepwatch/collector/state"
	"keepwatch/internal/conf"
	"keepwatch/probes/ganglia"

	"github.com/VictoriaMetrics/metrics"
)

// gmondPort is where requests go when this host hears gmond packets on no port of its own.
const gmondPort = 8649

var gmondRequests = metrics.GetOrCreateCounter(`keepwatch_collector_gmond_requests_sent_total`)

// packet makes the packet of a metric, metadata and value in one.
func (s *gmondSending) packet(place int) *gmond.Packet {
	m, v := &s.plan.metrics[place], s.values[place]
	title := cmp.Or(s.plan.sender.Title(place), m.Title, m.Name)
	p := &gmond.Packet{
		Host: []byte(s.host), Name: []byte(m.Name), Type: []byte(m.Type), Units: []byte(m.Units),
		Slope: gmond.Slope(m.Slope), TMax: m.TMax,
		Extra: []gmond.Extra{ // in gmond's order
			{Name: []byte("TITLE"), Data: []byte(title)}, {Name: []byte("DESC"), Data: []byte(m.Desc)},
			{Name: []byte("GROUP"), Data: []byte(m.Group)},
		},
		ID: messageOf(m.Type), Format: []byte(m.Format), Number: v.Number, Text: []byte(v.Text),
	}
	if o := s.plan.override; o != "" {
		p.Host, p.Spoof = []byte(o), true
	}
	return p
}

// messageOf is the message in which gmond's modules send a type.
func messageOf(t ganglia.Type) gmond.ID {
	switch t {
	case ganglia.Uint16:
		return gmond.ValueUshort
	case ganglia.Uint32:
		return gmond.ValueUint
	case ganglia.Float:
		return gmond.ValueFloat
	case ganglia.Double:
		return gmond.ValueDouble
	}
	return gmond.ValueString
}

// requestPort is the port on which this host hears gmond packets: those who send to it hear requests there too.
func requestPort(cfg *conf.Gmond) uint16 {
	for _, r := range cfg.Receive {
		if ap, err := netip.ParseAddrPort(cmp.Or(r.Group, r.Listen)); err == nil {
			return ap.Port()
		}
	}
	return gmondPort
}

// askAll sends requests for metadata, as many as the state lets out in a second.
func (s *gmondSending) askAll(list []state.Ask) {
	for _, a := range list {
		s.ask(a.Host, a.Name, a.To.Addr())
	}
}

// ask asks for the metadata of a host's metric: over our own channels, which is all that a gmond does; at the address
// that sent the value; and in the groups that this host only hears, as a gmond that is bound to its group takes nothing
// at its address. The name goes bare and without spoof, as one with override_hostname answers nothing else. A muted
// collector asks too.
func (s *gmondSending) ask(host, name string, sender netip.Addr) {
	datagram, err := gmond.AppendRequest(nil, []byte(host), []byte(name), false)
	if err != nil {
		s.log.Debug("cannot ask for gmond metadata", "host", host, "metric", name, "err", err)
		return
	}
	gmondRequests.Inc()
	if sender.IsValid() {
		if _, err := s.asks.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(sender.Unmap(), s.port)); err != nil {
			s.log.Debug("cannot ask for gmond metadata", "host", host, "metric", name, "err", err)
		}
	}
	for _, to := range []way{s.ways, s.groups} {
		if _, err := to.Send(datagram); err != nil {
			gmondSendErrors.Inc()
		}
	}
}

// heardOnly is the groups that this host hears and does not send to.
func heardOnly(cfg *conf.Gmond) (channels []listen.SendChannel) {
	for _, r := range cfg.Receive {
		sent := slices.ContainsFunc(cfg.Send, func(s conf.GmondSend) bool { return s.Group == r.Group })
		if r.Group != "" && !sent {
			channels = append(channels, listen.SendChannel{Group: r.Group, Interface: r.Interface})
		}
	}
	return channels
}

// comesBack says whether this host hears where it sends: a group, whose packets come back to their sender's listeners,
// or an address of its own. To take what was sent into the state as well would be harmless, as it is to a gmond, but
// each value would be there twice.
func comesBack(cfg *conf.Gmond, local func(netip.Addr) bool) bool {
	return slices.ContainsFunc(cfg.Send, func(s conf.GmondSend) bool {
		to, err := netip.ParseAddrPort(cmp.Or(s.Group, s.To))
		return err == nil && slices.ContainsFunc(cfg.Receive, func(r conf.GmondReceive) bool {
			if s.Group != "" {
				at, err := netip.ParseAddrPort(r.Group)
				return err == nil && at == to
			}
			_, port, err := net.SplitHostPort(r.Listen)
			_, sent, _ := net.SplitHostPort(s.To)
			return err == nil && port == sent && local(to.Addr())
		})
	})
}

// source finds the address from which this host's packets go, for our own XML: receivers see it.
type source struct {
	addr netip.Addr
	at   time.Time
}

// of asks the kernel at most once a minute.
func (s *source) of(ways []conf.GmondSend, now time.Time) netip.Addr {
	if s.addr.IsValid() && now.Sub(s.at) < time.Minute {
		return s.addr
	}
	s.addr, s.at = netip.AddrFrom4([4]byte{127, 0, 0, 1}), now
	for _, w := range ways {
		if a, err := netip.ParseAddr(w.Bind); err == nil {
			s.addr = a
			break
		}
		d := net.Dialer{Timeout: time.Second}             // it may look a name up
		conn, err := d.Dial("udp", cmp.Or(w.Group, w.To)) // sends nothing: the kernel only chooses the way
		if err != nil {
			continue
		}
		s.addr = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		_ = conn.Close()
		break
	}
	return s.addr
}
