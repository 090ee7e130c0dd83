package collector

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/listen"
	"keepwatch/collector/repair"
)

// missed is what others sent and this collector did not get.
type missed struct {
	mu      sync.Mutex
	tracker *repair.Tracker // nil: nobody asks this collector for the cluster's state, so it need not be whole
	lost    map[sender]uint64
	wake    chan struct{} // something is due earlier than thought
}

type sender struct{ cluster, host string }

// HostLoss is what was lost of a host's frames for good since the start.
type HostLoss struct {
	Cluster string `json:"cluster"`
	Host    string `json:"host"`
	Frames  uint64 `json:"frames"`
}

// takeFrame reports whether frames before this one are missing.
func (c *Collector) takeFrame(via int, p *listen.Packet) (missing bool) {
	origin, ok := frame.HeaderOrigin(p.Data)
	if ok && origin.Boot == c.boot {
		framesOwn.Inc()
		return false
	}
	if err := c.state.Native(p.Data, p.From.Addr(), p.At); err != nil {
		c.warnFrame(err, p.From.Addr(), p.At)
		if !frame.Opened(err) {
			return false
		}
	}
	m := &c.missed
	if m.tracker == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	missing, repaired := m.tracker.Saw(origin, repair.Peer{Addr: p.From, Socket: via}, p.At.UnixMilli())
	if repaired {
		framesRepaired.Inc()
	}
	return missing
}

func (c *Collector) heardBeat(beat frame.Beat, at time.Time) (missing bool) {
	m := &c.missed
	if m.tracker == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tracker.Told(beat, at.UnixMilli())
}

func (c *Collector) wakeRepair() {
	select {
	case c.missed.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (c *Collector) sweepRepair(now time.Time) {
	c.missed.mu.Lock()
	defer c.missed.mu.Unlock()
	if c.missed.tracker != nil {
		c.missed.tracker.Sweep(now.UnixMilli())
	}
}

// asking is a request that must be sent.
type asking struct {
	of     frame.Boot
	at     repair.Peer
	ranges []frame.Range
}

func (c *Collector) askAgain(now time.Time) (next int64) {
	m := &c.missed
	if m.tracker == nil {
		return 0
	}
	var asks []asking
	m.mu.Lock()
	next = m.tracker.Due(now.UnixMilli(), func(of frame.Boot, at repair.Peer, ranges []frame.Range) {
		asks = append(asks, asking{of, at, slices.Clone(ranges)})
	})
	framesMissing.Set(float64(m.tracker.Missing()))
	losses := slices.Clone(m.tracker.Losses())
	m.mu.Unlock()
	for _, w := range asks {
		c.ask(&w)
	}
	for _, l := range losses {
		c.lose(l, now)
	}
	return next
}

func (c *Collector) ask(w *asking) {
	socket := c.replySocket(w.at.Socket, w.at.Addr)
	if socket == nil {
		return // a collector that sends nothing and hears a group alone
	}
	var nonce frame.RequestNonce
	if _, err := rand.Read(nonce[:]); err != nil {
		return
	}
	request, err := frame.AppendRequest(nil, c.keys.Load(), w.of, nonce, w.ranges)
	if err != nil {
		c.log.Error("cannot ask for frames", "err", err)
		return
	}
	requestsSent.Inc()
	if err := socket.Send(request, w.at.Addr); err != nil {
		sendErrors.Inc()
		c.log.Debug("cannot ask for frames", "err", err)
	}
}

// lose counts frames that were given up, and tells of them once a minute for each host.
func (c *Collector) lose(l repair.Loss, now time.Time) {
	framesLost.AddInt64(int64(l.Frames))
	cluster, host, _ := c.state.SenderOf(l.Boot)
	who := sender{cluster, host}
	c.missed.mu.Lock()
	if _, known := c.missed.lost[who]; known || len(c.missed.lost) < maxLossy {
		c.missed.lost[who] += l.Frames
	}
	total := c.missed.lost[who]
	c.missed.mu.Unlock()
	if c.warned.allow(fmt.Sprintf("lost %s\x00%s", cluster, host), now) {
		c.log.Warn("frames of a host are lost: it was asked for them and did not answer; let udp from this host reach the port that its frames come from, and look at the network between the two",
			"host", host, "cluster", cluster, "boot", l.Boot, "frames", l.Frames, "frames_since_start", total)
	}
}

// losses are the hosts whose frames were lost, by name.
func (c *Collector) losses() []HostLoss {
	c.missed.mu.Lock()
	defer c.missed.mu.Unlock()
	var out []HostLoss
	for who, n := range c.missed.lost {
		out = append(out, HostLoss{who.cluster, who.host, n})
	}
	slices.SortFunc(out, func(a, b HostLoss) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Host, b.Host))
	})
	return out
}
