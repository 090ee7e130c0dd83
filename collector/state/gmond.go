package state

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/gmond"
	"keepwatch/internal/ganglia"
	"keepwatch/metric"
)

const (
	// flushAt is how many gmond samples become frames at once: enough that those of one host stand together, few
	// enough that sealing them does not hold up the intake for longer than a socket's buffer bears.
	flushAt = 4000

	maxAsks  = 1000 // requests for metadata that wait to be sent
	maxAsked = 1000 // names of metrics whose metadata others want
)

var (
	// ErrSource and ErrTooLong are why a gmond packet is refused unread: see Datagram.Refused.
	ErrSource  = errors.New("source that no access list accepts")
	ErrTooLong = errors.New("longer than a gmond packet may be")

	errSpoof = errors.New("source that may not speak for other hosts")
)

// Datagram is one gmond packet as it came.
type Datagram struct {
	Data    []byte // read until Gmond returns
	From    netip.AddrPort
	At      time.Time // when the kernel got it
	Spoofs  bool      // From may speak for other hosts
	Refused error     // ErrSource or ErrTooLong: it is not read, only counted
}

// Ask is a request for a metric's metadata that should be sent now: gmond.AppendRequest(dst, Host, Name, false), to
// the sender of its value and to wherever this host sends gmond packets.
type Ask struct {
	Host, Name string
	To         netip.AddrPort
}

// pending is a gmond sample that waits to become part of a frame.
type pending struct {
	sample  metric.Sample
	next    int32 // of the same host, its place + 1
	hearsay bool  // the packet that brought it was no sign of life of its host
}

// Gmond takes gmond packets, all under one lock. What is wrong with one is counted under its reason; the error is that
// of the last such one, for a log of every detail.
func (s *State) Gmond(packets []Datagram) (last error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(packets) > 0 {
		some := packets[:min(len(packets), ahead)]
		packets = packets[len(some):]
		for i := range some {
			s.wrong[i] = s.readGmond(&some[i], &s.packets[i])
		}
		s.table.Ahead(s.packets[:len(some)])
		for i := range some {
			d, p, err := &some[i], &s.packets[i], s.wrong[i]
			var outcome gmond.Outcome
			if err == nil {
				outcome, err = s.gmond(d, p)
			}
			if err != nil {
				last = err
				s.dropGmond(d, p, err)
				continue
			}
			gmondOutcomes[outcome].Inc()
		}
	}
	return last
}

// ahead is how many packets are read before the first of them is taken.
const ahead = 32

// readGmond decodes what may be taken.
func (s *State) readGmond(d *Datagram, p *gmond.Packet) error {
	if d.Refused != nil {
		p.ID = 0
		return d.Refused
	}
	decode := gmond.Decode
	if s.opt.Legacy && gmond.IsLegacy(d.Data) {
		decode = gmond.DecodeLegacy
	}
	if err := decode(d.Data, p); err != nil {
		return err
	}
	if p.Spoof && !d.Spoofs && p.ID != gmond.Request {
		return errSpoof
	}
	return nil
}

func (s *State) dropGmond(d *Datagram, p *gmond.Packet, err error) {
	var name []byte
	if d.Refused == nil {
		name = p.Host
	}
	count(gmondDrops, s.drops.packets, err, name, d.From.Addr().Unmap())
	if errors.Is(err, gmond.ErrTooManyHosts) || errors.Is(err, ErrTooManyHosts) {
		s.crowded = d.At
	}
}

func (s *State) gmond(d *Datagram, p *gmond.Packet) (gmond.Outcome, error) {
	heard := s.notice(d.At)
	res, err := s.table.Add(p, d.From.Addr(), d.At.UnixMilli())
	if err == nil && res.Outcome == gmond.Asked {
		if len(s.asked) < maxAsked && len(res.Name) <= metric.MaxName {
			s.asked[res.Name] = struct{}{}
		}
		return gmond.Asked, nil
	}
	if res.Host == "" {
		return 0, err
	}
	h, alive, full := s.hearGmond(p, &res, d.From.Addr().Unmap(), heard)
	if full != nil {
		return 0, full
	}
	if err != nil {
		h.dropped++
		return 0, err
	}
	s.told(h, &res, d, !alive)
	return res.Outcome, nil
}

// hearGmond finds the host of a packet, or makes it, and notes whether the packet says that it lives. That says a value
// or a heartbeat, and of a host that speaks for itself no one else: a stranger's spoofed packet must not keep a dead
// host alive (gmond lets it, and takes metadata and requests for signs of life too). A host may spoof its own name:
// with override_hostname it does in every packet.
func (s *State) hearGmond(p *gmond.Packet, res *gmond.Result, from netip.Addr, at int64) (h *host, alive bool, err error) {
	h, _ = (*res.Tag).(*host)
	if h == nil || h.forgotten {
		if h, err = s.hosts.newGmond(s.opt.Cluster, res.Host); err != nil {
			return nil, false, err
		}
		*res.Tag = h
	}
	value, fresh := p.ID != gmond.Metadata, h.gmond.heard == 0
	if value && !p.Spoof {
		h.own = from
	}
	if stranger := h.own.IsValid() && h.own != from; !fresh && (!value || p.Spoof && stranger) {
		return h, false, nil
	}
	h.address = from
	interval := s.opt.GmondTmax.Milliseconds()
	now := channel{heard: at, sent: at - at%interval, interval: interval, epoch: res.Started * 1000}
	s.events = h.hear(s.events, &h.gmond, now, "gmond-")
	return h, true, nil
}

// newGmond gives the host of a gmond packet, made when it is not there.
func (hs *hosts) newGmond(cluster, name string) (*host, error) {
	h := hs.find(cluster, name)
	if h == nil {
		if len(hs.m) >= hs.maxHosts {
			return nil, ErrTooManyHosts
		}
		h = &host{cluster: cluster, name: name}
		hs.m[string(hs.key)] = h
	}
	return h, nil
}

// told takes up what came of a packet.
func (s *State) told(h *host, res *gmond.Result, d *Datagram, hearsay bool) {
	at := d.At.UnixMilli()
	if res.Ask && len(s.asks) < maxAsks {
		s.asks = append(s.asks, Ask{Host: res.Host, Name: res.Name, To: d.From})
	}
	if res.Conflict != "" {
		s.events = append(s.events, h.conflict(res, at))
	}
	if res.Retyped && (h.retyped == 0 || at-h.retyped >= tellEvery) {
		h.retyped = at
		s.events = append(s.events, h.retype(res.Name, at))
	}
	if res.Descr != nil {
		if x, err := res.Descr.Info(s.opt.Cluster, res.Host, at); err == nil {
			s.pend(h, pending{sample: x, hearsay: hearsay}, d.At)
		}
	}
	if res.Sample.Series != nil {
		s.pend(h, pending{sample: res.Sample, hearsay: hearsay}, d.At)
	}
}

// pend puts a sample behind those of the same host.
func (s *State) pend(h *host, x pending, at time.Time) {
	s.pending = append(s.pending, x)
	place := int32(len(s.pending))
	if h.first == 0 {
		h.first = place
		s.spoken = append(s.spoken, h)
	} else {
		s.pending[h.last-1].next = place
	}
	h.last = place
	if len(s.pending) >= flushAt {
		s.flushGmond(at)
	}
}

// flushGmond puts the samples that came in gmond packets into the history, as frames of this collector. Those that are
// no sign of life go into frames of their own, which say so.
func (s *State) flushGmond(now time.Time) {
	for _, hearsay := range [...]bool{false, true} {
		for _, h := range s.spoken {
			for i := h.first; i > 0; i = s.pending[i-1].next {
				if x := &s.pending[i-1]; x.hearsay == hearsay {
					s.own.Samples = append(s.own.Samples, x.sample)
				}
			}
		}
		s.seal(frame.Stamp{Now: now, Interval: s.opt.GmondTmax, Gmond: true, Derived: hearsay})
	}
	for _, h := range s.spoken {
		h.first, h.last = 0, 0
	}
	clear(s.spoken)
	clear(s.pending)
	s.spoken, s.pending = s.spoken[:0], s.pending[:0]
}

// Asks is the requests for metadata to be sent now, at most once each.
func (s *State) Asks() []Ask {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asks
	s.asks = nil
	return out
}

// Asked is the names of the metrics whose metadata somebody asked for since the last call, as raw bytes: whoever sends
// such a metric should send its metadata again.
func (s *State) Asked() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.asked {
		names = append(names, name)
	}
	clear(s.asked)
	return names
}

// GmondHosts appends the names of the hosts that gmond's XML tells of to dst, in no order.
func (s *State) GmondHosts(dst []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Names(dst)
}

// FillGmond tells of one host what gmond's XML tells at now, ms since the epoch, but for its tags. It reports false of
// a host that is not held. The lock is held for one host at a time, so a reader of all holds up no packet for long.
func (s *State) FillGmond(name string, now int64, h *ganglia.Host) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.DMax = uint32(s.opt.HostDmax / time.Second)
	return s.table.Fill(name, now, h)
}

// conflict is the event of a second address that speaks for a host. Its ID is the same at every collector in the same
// hour.
func (h *host) conflict(res *gmond.Result, at int64) metric.Event {
	id := "gmond-conflict-" + digest(res.Address, res.Conflict) + "-" + strconv.FormatInt(at/time.Hour.Milliseconds(), 10)
	text := fmt.Sprintf("is spoken for by %s and by %s: two hosts have one name, a host has moved, or packets are forged. "+
		"Give each host a name of its own, and say in spoof_from who may speak for others", res.Address, res.Conflict)
	e := h.event(id, metric.EventHostConflict, at, text)
	e.Labels = []metric.Label{{Name: "address", Value: res.Address}, {Name: "other", Value: res.Conflict}}
	return e
}

// retype is the event of a metric that is another thing now.
func (h *host) retype(name string, at int64) metric.Event {
	shown := strings.Trim(fmt.Sprintf("%.100q", name), `"`)
	id := "gmond-retyped-" + digest(name) + "-" + strconv.FormatInt(at/tellEvery, 10)
	text := fmt.Sprintf("sends the metric %s with another type, unit or slope than before: a new series follows. Two senders may use one name for different things", shown)
	e := h.event(id, metric.EventMetricRetyped, at, text)
	e.Labels = append(e.Labels, metric.Label{Name: "metric", Value: shown})
	return e
}

// digest makes text of any length and content fit for an ID.
func digest(parts ...string) string {
	sum := fnv.New64a()
	for _, p := range parts {
		sum.Write(append([]byte(p), 0))
	}
	return strconv.FormatUint(sum.Sum64(), 36)
}
