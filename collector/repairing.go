package collector

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/listen"
	"keepwatch/collector/repair"
	"keepwatch/internal/conf"

	"github.com/VictoriaMetrics/metrics"
)

const (
	maxMissing      = 1024    // frames missing of one sender at a time
	maxMissingTotal = 200_000 // and of all, about 32 bytes each
	maxLossy        = 1000    // hosts whose losses are counted one by one
	spreadGrace     = 25      // ms by which collectors differ in when they ask
	senderBatch     = 16      // what comes to the sending sockets are answers and requests
)

var (
	framesMissing  = metrics.GetOrCreateGauge(`keepwatch_collector_frames_missing`, nil)
	framesRepaired = metrics.GetOrCreateCounter(`keepwatch_collector_frames_repaired_total`)
	framesLost     = metrics.GetOrCreateCounter(`keepwatch_collector_frames_lost_total`)
	requestsSent   = metrics.GetOrCreateCounter(`keepwatch_collector_repair_requests_sent_total`)
	requestsTaken  = metrics.GetOrCreateCounter(`keepwatch_collector_repair_requests_total{outcome="answered"}`)
	requestsBad    = metrics.GetOrCreateCounter(`keepwatch_collector_repair_requests_total{outcome="refused"}`)
	framesAgain    = metrics.GetOrCreateCounter(`keepwatch_collector_frames_sent_again_total`)
	beatsSent      = metrics.GetOrCreateCounter(`keepwatch_collector_beats_sent_total`)
)

// sent is what this host's collector can send again. It belongs to Collector.sendMu.
type sent struct {
	ring     repair.Ring
	requests *frame.Requests
	beats    repair.Beats
}

// openSender opens the ways that frames take: the group, and each receiver of send_to.
func openSender(ctx context.Context, n *conf.Native) (*listen.Sender, error) {
	var channels []listen.SendChannel
	if n.Group != "" {
		channels = append(channels, listen.SendChannel{Group: n.Group, Interface: n.Interface, TTL: n.TTL})
	}
	for _, to := range n.SendTo {
		channels = append(channels, listen.SendChannel{To: to})
	}
	return listen.OpenSender(ctx, channels, listen.Options{Channel: "native sender", Batch: senderBatch})
}

// prepareRepair is part of New.
func (c *Collector) prepareRepair(keys *frame.Keyring) {
	c.sent.requests = frame.NewRequests(keys, c.boot)
	c.missed.wake = make(chan struct{}, 1)
	c.missed.lost = make(map[sender]uint64)
	if c.conf.Serve.Listen != "" {
		c.missed.tracker = repair.NewTracker(repair.Options{
			MaxBoots: 2*c.conf.MaxHosts + 64, MaxMissing: maxMissing, MaxTotal: maxMissingTotal,
			Grace: repair.Grace + int64(c.boot.Random%spreadGrace),
		})
	}
}

// nativeSockets are all that datagrams of the native channel come to: those that hear frames, and those that frames
// are sent from, where requests for them and answers to our own arrive.
func (c *Collector) nativeSockets() []*listen.Receiver {
	return slices.Concat(c.sockets.native, c.sockets.sender.Sockets())
}

// replySocket is the socket that reaches who sent to one of nativeSockets, and that an answer comes back to: the same
// one, so that it passes a stateful firewall on either side. One that is bound to a group gets no answers.
func (c *Collector) replySocket(via int, to netip.AddrPort) *listen.Receiver {
	all := c.nativeSockets()
	if !all[via].Multicast() {
		return all[via]
	}
	for _, r := range c.sockets.sender.Sockets() {
		if a := r.Addr().Addr().Unmap(); a.Is4() == to.Addr().Is4() || a == netip.IPv6Unspecified() {
			return r
		}
	}
	return nil
}

// takeNative takes what came to one of nativeSockets. Our own frames and beats come back by the multicast loop: the
// state has had them already.
func (c *Collector) takeNative(via int, packets []listen.Packet) {
	news := false
	for i := range packets {
		p := &packets[i]
		switch frame.KindOf(p.Data) {
		case frame.KindRequest:
			c.answer(via, p)
		case frame.KindBeat:
			if beat, err := c.state.Beat(p.Data); err == nil && beat.Boot != c.boot {
				news = c.heardBeat(beat, p.At) || news
			}
		default:
			news = c.takeFrame(via, p) || news
		}
	}
	if news {
		c.wakeRepair()
	}
}

// answer sends what a request asks for, to where it came from.
func (c *Collector) answer(via int, p *listen.Packet) {
	now := p.At.UnixMilli()
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	ranges, err := c.sent.requests.Open(p.Data, now)
	if err != nil {
		requestsBad.Inc()
		c.log.Debug("request for frames refused", "from", p.From, "err", err)
		return
	}
	requestsTaken.Inc()
	socket := c.replySocket(via, p.From)
	if socket == nil {
		return
	}
	emit := func(datagram []byte) {
		framesAgain.Inc()
		if socket.Send(datagram, p.From) != nil {
			sendErrors.Inc()
		}
	}
	if c.sent.ring.Answer(ranges, now, emit) {
		beatsSent.Inc()
		if socket.Send(c.sealer.Beat(c.sent.ring.Oldest()), p.From) != nil {
			sendErrors.Inc()
		}
	}
}

// keep holds a frame that was sealed, for who did not get it. It is called with sendMu held.
func (c *Collector) keep(datagram []byte, now time.Time) {
	if len(c.sockets.sender.Sockets()) == 0 {
		return
	}
	c.sent.ring.Add(c.sealer.Seq(), datagram, now.UnixMilli())
	c.sent.beats.Sent(now.UnixMilli())
}

// repair asks for what is missing and tells what was sent, when it is time to, until ctx ends.
func (c *Collector) repair(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.missed.wake:
		case <-timer.C:
		case now := <-minute.C:
			c.sweepRepair(now)
			continue
		}
		now := time.Now()
		next := earlier(c.beat(now), c.askAgain(now))
		if next == 0 {
			next = now.Add(time.Hour).UnixMilli()
		}
		timer.Reset(time.UnixMilli(next).Sub(now))
	}
}

// earlier is the earlier of two times, 0 being never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// beat tells over all channels what was sent, if it is time to, and gives the time of the next.
func (c *Collector) beat(now time.Time) (next int64) {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	due, next := c.sent.beats.Due(now.UnixMilli())
	if due {
		beatsSent.Inc()
		if _, err := c.sockets.sender.Send(c.sealer.Beat(c.sent.ring.Oldest())); err != nil {
			sendErrors.Inc()
		}
	}
	return next
}
