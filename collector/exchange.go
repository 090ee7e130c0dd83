package collector

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/listen"
	"keepwatch/collector/state"
	"keepwatch/internal/batch"
	"keepwatch/metric"

	"github.com/VictoriaMetrics/metrics"
)

const (
	resendTimes = 2    // frames of later probe runs in which an event goes out again
	maxResend   = 1000 // events waiting to go out again
)

var (
	framesSent    = metrics.GetOrCreateCounter(`keepwatch_collector_frames_sent_total`)
	sendErrors    = metrics.GetOrCreateCounter(`keepwatch_collector_send_errors_total`)
	framesOwn     = metrics.GetOrCreateCounter(`keepwatch_collector_frames_own_total`)
	itemsTooLarge = metrics.GetOrCreateCounter(`keepwatch_collector_items_too_large_total`)
)

// warnFrame tells of drops that somebody must put right, each kind at most once a minute.
func (c *Collector) warnFrame(err error, from netip.Addr, now time.Time) {
	for _, w := range []struct {
		err  error
		text string
	}{
		{frame.ErrUnknownKey, "a frame is sealed with a key that this host lacks: give every host the same collector.keys"},
		{frame.ErrSeal, "a frame's seal does not fit: its sender holds another key of the same id, or it was forged"},
		{frame.ErrStale, "a frame is of a start of its host that is over: give no two hosts the same name, or somebody plays old frames again"},
	} {
		if errors.Is(err, w.err) && c.warned.allow(w.text, now) {
			c.log.Warn(w.text, "from", from, "err", err)
		}
	}
}

// gmondAsks bounds how many requests for metadata go out in a second.
const gmondAsks = 100

// takeGmond takes what came on one channel of gmond packets.
func (c *Collector) takeGmond(ch *gmondChannel, packets []listen.Packet) {
	access := ch.access.Load()
	ch.batch = ch.batch[:0]
	for _, p := range packets {
		from := p.From.Addr()
		d := state.Datagram{Data: p.Data, From: p.From, At: p.At, Spoofs: access.spoof == nil || access.spoof.Accepts(from, c.local.Has)}
		switch {
		case !access.accept.Accepts(from, c.local.Has):
			d.Refused = state.ErrSource
			if c.warned.allow("source", p.At) {
				c.log.Warn("a gmond packet came from a network that accept_from of its channel in collector.gmond.receive does not list; it is dropped", "from", from)
			}
		case p.Truncated:
			d.Refused = state.ErrTooLong
		}
		ch.batch = append(ch.batch, d)
	}
	if err := c.state.Gmond(ch.batch); err != nil {
		c.log.Debug("gmond packet dropped", "err", err)
	}
}

// publish seals a batch, sends it and hands it to our own state. What it says of this host and what it says of others
// goes out apart: interval is the promise for the others, the pulse that for this host. Events go out again, under the
// same ID, with the next frames of two probe runs: a lost datagram loses no event.
func (c *Collector) publish(b *batch.Batch, interval time.Duration, run bool) {
	pulse := c.pulse()
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	own, others := c.split.byHost(b, c.opt.Host)
	fresh := len(own.Events)
	if run {
		own.Events = c.resend.append(own.Events)
	}
	c.resend.add(own.Events[:fresh])
	c.fitPayload()
	now := time.Now()
	c.seal(own, frame.Stamp{Now: now, Interval: pulse})
	c.seal(others, frame.Stamp{Now: now, Interval: interval})
	c.wakeRepair()
}

// fitPayload keeps frames within what the network takes without cutting them into fragments: one lost fragment loses
// all of a frame.
func (c *Collector) fitPayload() {
	if n := c.sockets.sender.Payload(); n > 0 {
		c.sealer.SetPayload(min(c.opt.Config.Native.Payload, n))
	}
}

func (c *Collector) seal(b *batch.Batch, stamp frame.Stamp) {
	lost := c.sealer.Seal(b, stamp, func(datagram []byte) {
		framesSent.Inc()
		c.keep(datagram, stamp.Now)
		if _, err := c.sockets.sender.Send(datagram); err != nil {
			sendErrors.Inc()
			if c.warned.allow("send", stamp.Now) {
				c.log.Warn("a frame could not be sent", "err", err)
			}
		}
		if err := c.state.Native(datagram, netip.Addr{}, stamp.Now); err != nil {
			c.log.Error("own frame dropped", "err", err)
		}
	})
	if lost > 0 {
		itemsTooLarge.Add(lost)
		c.log.Warn("samples or events do not fit into one datagram and are dropped; raise collector.native.payload", "count", lost)
	}
}

// split parts batches; it uses its memory again.
type split struct {
	own, others batch.Batch
}

// byHost parts b into what it says of host, together with all events, and what it says of others.
func (s *split) byHost(b *batch.Batch, host string) (own, others *batch.Batch) {
	s.own.Reset()
	s.others.Reset()
	for _, x := range b.Samples {
		if x.Series.Host == host {
			s.own.Samples = append(s.own.Samples, x)
		} else {
			s.others.Samples = append(s.others.Samples, x)
		}
	}
	s.own.Events = append(s.own.Events, b.Events...)
	return &s.own, &s.others
}

// resend holds the events that go out again.
type resend struct {
	events []metric.Event
	left   []int
}

// add notes new events; past maxResend the oldest are given up, having been sent at least once.
func (r *resend) add(events []metric.Event) {
	for _, e := range events {
		r.events, r.left = append(r.events, e), append(r.left, resendTimes)
	}
	if over := len(r.events) - maxResend; over > 0 {
		r.events, r.left = r.events[over:], r.left[over:]
	}
}

// append appends what is due again to dst.
func (r *resend) append(dst []metric.Event) []metric.Event {
	keep := 0
	for i, e := range r.events {
		dst = append(dst, e)
		if r.left[i]--; r.left[i] > 0 {
			r.events[keep], r.left[keep] = e, r.left[i]
			keep++
		}
	}
	clear(r.events[keep:])
	r.events, r.left = r.events[:keep], r.left[:keep]
	return dst
}

// throttle allows each kind of message once a minute.
type throttle struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (t *throttle) allow(kind string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, ok := t.last[kind]; ok && now.Sub(last) < time.Minute {
		return false
	}
	if t.last == nil {
		t.last = make(map[string]time.Time)
	}
	t.last[kind] = now
	return true
}
