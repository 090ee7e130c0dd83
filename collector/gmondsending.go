package collector

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"time"

	"keepwatch/collector/gmond"
	"keepwatch/collector/gmondsend"
	"keepwatch/collector/listen"
	"keepwatch/collector/state"
	"keepwatch/internal/conf"
	"keepwatch/probes/ganglia"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"
)

var (
	gmondSent       = metrics.GetOrCreateCounter(`keepwatch_collector_gmond_packets_sent_total`)
	gmondSendErrors = metrics.GetOrCreateCounter(`keepwatch_collector_gmond_send_errors_total`)
)

// gmondSending sends this host's own metrics as gmond packets, and asks others for the metadata of theirs.
type gmondSending struct {
	log     *slog.Logger
	warned  *throttle
	host    string
	mute    bool
	started time.Time
	port    uint16 // to which requests go
	sender  *listen.Sender
	ways    way            // sender, but in tests
	groups  *listen.Sender // requests go over it to groups that are heard only
	asks    *net.UDPConn   // and from it to those who sent a value

	// own takes a packet into this host's state; nil: packets come back to this host by themselves.
	own    func(datagram []byte, from netip.Addr, at time.Time)
	source source

	mu     sync.Mutex // Reload takes it under Collector.mu: who has it must not take that one
	plan   *gmondPlan
	values []ganglia.Value // of the last collection, as metrics
	places []int
	buf    []byte
}

// way is where datagrams go.
type way interface {
	Send(datagram []byte) (sent int, err error)
}

// gmondPlan is what a reload changes.
type gmondPlan struct {
	conf     conf.Gmond
	override string // host field of packets that speak for override_hostname; empty: none
	metrics  []ganglia.Metric
	sender   *gmondsend.Sender
	probe    *ganglia.Probe
}

// openGmondSending opens the channels.
func (c *Collector) openGmondSending(ctx context.Context) (*gmondSending, error) {
	cfg := c.conf.Gmond
	s := &gmondSending{
		log: c.log, warned: &c.warned, host: c.opt.Host, mute: c.conf.Mute, started: c.started, port: requestPort(&cfg),
	}
	if c.conf.Deaf || !comesBack(&cfg, c.local.Has) {
		s.own = c.takeOwnGmond
	}
	plan, err := s.prepare(cfg)
	if err != nil {
		return nil, err
	}
	s.use(plan)
	var channels []listen.SendChannel
	for _, x := range cfg.Send {
		channels = append(channels, listen.SendChannel{Group: x.Group, Interface: x.Interface, TTL: x.TTL, To: x.To, Bind: x.Bind})
	}
	if s.sender, err = listen.OpenSender(ctx, channels, listen.Options{Channel: "gmond sender"}); err != nil {
		return nil, fmt.Errorf("collector.gmond.send: %w", err)
	}
	s.ways = s.sender
	if s.groups, err = listen.OpenSender(ctx, heardOnly(&cfg), listen.Options{Channel: "gmond requests"}); err != nil {
		return nil, errors.Join(fmt.Errorf("collector.gmond.receive: %w", err), s.sender.Close())
	}
	if s.asks, err = net.ListenUDP("udp", nil); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open a socket to ask for gmond metadata: %w", err), s.sender.Close(), s.groups.Close())
	}
	return s, nil
}

// takeOwnGmond takes a packet that this host sends into its own state.
func (c *Collector) takeOwnGmond(datagram []byte, from netip.Addr, at time.Time) {
	d := state.Datagram{Data: datagram, From: netip.AddrPortFrom(from, 0), At: at, Spoofs: true}
	if err := c.state.Gmond([]state.Datagram{d}); err != nil {
		c.log.Debug("own gmond packet dropped", "err", err)
	}
}

// close gives the sockets back.
func (s *gmondSending) close() error {
	return errors.Join(s.asks.Close(), s.groups.Close(), s.sender.Close())
}

// prepare makes what a configuration means, or gives nil when nothing has changed. The error names what is wrong.
func (s *gmondSending) prepare(cfg conf.Gmond) (*gmondPlan, error) {
	if s.plan != nil && reflect.DeepEqual(cfg, s.plan.conf) {
		return nil, nil
	}
	p := &gmondPlan{conf: cfg, override: gmondsend.Override(cfg.Hostname, cfg.IP), metrics: ganglia.Metrics()}
	names := make([]string, len(p.metrics))
	for i := range p.metrics {
		names[i] = p.metrics[i].Name
	}
	seed := fnv.New64a()
	seed.Write([]byte(s.host))
	var err error
	p.sender, err = gmondsend.New(gmondsend.Options{Names: names, Groups: cfg.Groups, Metadata: cfg.Metadata, Seed: seed.Sum64()})
	if err != nil {
		return nil, fmt.Errorf("collector.gmond.groups: %w", err)
	}
	if unknown := p.sender.Unknown(); len(unknown) > 0 && len(cfg.Send) > 0 {
		s.log.Warn("collector.gmond.groups names metrics that this host does not have; they are left out", "metrics", strings.Join(unknown, ", "))
	}
	p.probe = ganglia.New(ganglia.Options{Started: s.started, Location: cfg.Location}, time.Now())
	return p, nil
}

// use puts what prepare made in force: all is then collected and sent anew.
func (s *gmondSending) use(p *gmondPlan) {
	if p == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan, s.values = p, make([]ganglia.Value, len(p.metrics))
}

// override is the host field of packets that speak for override_hostname; empty: none.
func (s *gmondSending) override() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plan.override
}

// atStart is what of a gmond configuration takes effect at start only; the rest is prepare's, parseAccesses' and the
// XML server's.
func atStart(g conf.Gmond) conf.Gmond {
	g.Receive, g.XML.AcceptFrom = withoutAccess(g.Receive), nil
	g.Metadata, g.Groups, g.Hostname, g.IP, g.Location = 0, nil, "", "", ""
	return g
}

// run asks and sends each second what is due, until ctx ends.
func (s *gmondSending) run(ctx context.Context, heard *state.State) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.sender.Run(ctx) })
	g.Go(func() error { return s.groups.Run(ctx) })
	g.Go(func() error {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case now := <-tick.C:
				s.askAll(heard.Asks())
				s.step(now, heard.Asked())
			}
		}
	})
	return g.Wait()
}

// step collects and sends what is due at now. asked names metrics whose metadata somebody wants.
func (s *gmondSending) step(now time.Time, asked []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.plan
	if s.mute || len(p.conf.Send) == 0 {
		return
	}
	for _, name := range asked {
		p.sender.Asked(name)
	}
	since := now.Sub(s.started)
	s.places = p.sender.Collect(since, s.places[:0])
	values, err := p.probe.Collect(now, s.places)
	if err != nil && s.warned.allow("gmond metrics", now) {
		s.log.Warn("metrics for gmond could not be read; they are not sent meanwhile", "err", err)
	}
	for i, place := range s.places {
		v := values[i]
		s.values[place] = v
		p.sender.Collected(place, gmondsend.Value{Known: v.OK, Numeric: p.metrics[place].Type != ganglia.String, Number: v.Number})
	}
	for _, sending := range p.sender.Due(since) {
		p.sender.Sent(since, sending, s.sendMetrics(sending.Messages, now))
	}
}

// sendMetrics reports whether each packet has left this host by one channel at least. To retry for the sake of a
// channel that is down would repeat everything each second on those that are not.
func (s *gmondSending) sendMetrics(messages []gmondsend.Message, now time.Time) bool {
	for _, m := range messages {
		packet := s.packet(m.Metric)
		if m.Metadata && !s.sendPacket(gmond.AppendMetadata, packet, now) {
			return false
		}
		if !s.sendPacket(gmond.AppendValue, packet, now) {
			return false
		}
	}
	return true
}

func (s *gmondSending) sendPacket(encode func([]byte, *gmond.Packet) ([]byte, error), p *gmond.Packet, now time.Time) bool {
	var err error
	if s.buf, err = encode(s.buf[:0], p); err != nil {
		s.log.Error("a metric for gmond cannot be sent", "err", err)
		return true // it would fail again
	}
	return s.send(s.buf, now)
}

// send sends one datagram over all channels and takes it into our own state if it does not come back by itself.
func (s *gmondSending) send(datagram []byte, now time.Time) bool {
	sent, err := s.ways.Send(datagram)
	if err != nil {
		gmondSendErrors.Inc()
		if s.warned.allow("gmond send", now) {
			s.log.Warn("a gmond packet could not be sent", "err", err)
		}
	}
	gmondSent.Add(sent)
	if s.own != nil {
		s.own(datagram, s.source.of(s.plan.conf.Send, now), now)
	}
	return sent > 0
}
