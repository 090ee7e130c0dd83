// Package state owns what a collector knows of its cluster: which hosts it hears, how many series each has, and the
// frames of the last ten minutes as they came, which it serves to extractors. It is soft: nothing is written to disk,
// and every collector of a cluster that hears the same frames holds the same. It never opens a UDP socket, runs a
// probe or talks to a database. The collector feeds it every datagram and ticks it once a second.
package state

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/gmond"
	"keepwatch/collector/holders"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// Window is how long frames are kept.
const Window = 10 * time.Minute

// gmondInterval is how long a gmond host may be silent before it is missed: host_tmax, which its heartbeat keeps.
const gmondInterval = 20 * time.Second

const (
	sweepEvery  = time.Hour // of series; a series silent for two of these is forgotten
	warnEvery   = time.Minute
	deriveEvery = 10 * time.Second
)

// maxPending bounds the gmond samples between two ticks; past it they are dropped and counted.
const maxPending = 100_000

// Options are the bounds and the identity of the collector whose state this is.
type Options struct {
	Cluster   string
	Host      string
	Keys      *frame.Keyring
	Boot      frame.Boot // of the frames that the state itself makes; never that of another Sealer
	Payload   int        // bytes of such a frame at most
	MaxHosts  int
	MaxSeries int           // of one host
	MaxBytes  int64         // of the history; 0: none is kept
	HostDmax  time.Duration // a host silent for longer is forgotten
	Log       *slog.Logger
}

// State is safe for concurrent use. None of its methods waits for a client of the stream.
type State struct {
	log     *slog.Logger
	history *Log

	mu      sync.Mutex
	opt     Options
	opener  *frame.Opener
	sealer  *frame.Sealer
	hosts   *hosts
	table   *gmond.Table
	vips    *holders.Table
	checks  *checks
	packet  gmond.Packet
	own     batch.Batch // gmond samples and events since the last tick
	events  []metric.Event
	view    batch.Batch // samples made of what others said
	swept   time.Time
	warned  time.Time
	derived time.Time // when the samples that are made of what others said were last made in full
}

// New checks the options.
func New(opt Options) (*State, error) {
	if opt.MaxHosts < 1 || opt.MaxSeries < 1 || opt.MaxBytes < 0 || opt.HostDmax <= 0 {
		return nil, fmt.Errorf("state of %d hosts, %d series, %d bytes, host_dmax %v: each must be positive", opt.MaxHosts, opt.MaxSeries, opt.MaxBytes, opt.HostDmax)
	}
	opener, err := frame.NewOpener(frame.OpenerOptions{Keys: opt.Keys, MaxBoots: 2*opt.MaxHosts + 64})
	if err != nil {
		return nil, err
	}
	sealer, err := frame.NewSealer(frame.SealerOptions{Keys: opt.Keys, Boot: opt.Boot, Cluster: opt.Cluster, Host: opt.Host, Payload: opt.Payload})
	if err != nil {
		return nil, err
	}
	table, err := gmond.NewTable(gmond.TableOptions{Cluster: opt.Cluster, MaxHosts: opt.MaxHosts, MaxMetrics: opt.MaxSeries})
	if err != nil {
		return nil, err
	}
	return &State{
		log: opt.Log, history: newLog(opt.MaxBytes), opt: opt, opener: opener, sealer: sealer, table: table, vips: holders.New(holders.MaxWords),
		checks: newChecks(), hosts: newHosts(opt.MaxHosts, opt.MaxSeries),
	}, nil
}

// History is the log of frames that Server serves.
func (s *State) History() *Log { return s.history }

// Native takes one datagram of the native channel that came at that time. What is wrong with it is returned and
// counted under its reason.
func (s *State) Native(datagram []byte, from netip.Addr, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.native(datagram, from, at)
	countFrame(err)
	return err
}

func (s *State) native(datagram []byte, from netip.Addr, at time.Time) error {
	f, err := s.opener.Open(datagram, at)
	if err != nil {
		return err
	}
	visit := s.hosts.visit()
	n, _, err := batch.Scan(f.Payload, visit)
	if err != nil {
		visit.abort()
		if !errors.Is(err, batch.ErrMalformed) {
			s.hosts.dropped(f.Cluster, f.Host)
		}
		return err
	}
	s.events = visit.commit(s.events, &f, from, at.UnixMilli())
	samplesTotal.Add(n)
	s.history.Append(at.UnixMilli(), datagram)
	s.hold(visit, at)
	return nil
}

// hold judges what was said in a frame by HA agents and of shared checks. A change is published at once.
func (s *State) hold(visit *visit, at time.Time) {
	ms := at.UnixMilli()
	for _, h := range visit.silent {
		s.events = s.vips.Silent(h.cluster, h.name, ms, s.events)
	}
	for _, w := range visit.words {
		w.Heard = ms
		s.events = s.vips.Hear(w, s.events)
	}
	if checked := s.checks.hear(visit.checks, ms); checked || s.vips.Changed() {
		s.derive(at, false)
		s.flush(at)
	}
}

// Doubt reports whether this host should say now what addresses it holds: another host says that it has one of them.
func (s *State) Doubt(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vips.Doubt(s.opt.Cluster, s.opt.Host, now.UnixMilli())
}

// Gmond takes one datagram of the gmond channel. Whether its source counts was decided before.
func (s *State) Gmond(datagram []byte, from netip.Addr, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	outcome, err := s.gmond(datagram, from, at.UnixMilli())
	countGmond(outcome, err)
	return err
}

func (s *State) gmond(datagram []byte, from netip.Addr, at int64) (gmond.Outcome, error) {
	if err := gmond.Decode(datagram, &s.packet); err != nil {
		return 0, err
	}
	res, err := s.table.Add(&s.packet, at)
	if res.Host != "" {
		var full error
		if s.events, full = s.hosts.hearGmond(s.events, s.opt.Cluster, &res, from, at); full != nil {
			return 0, full
		}
	}
	if err != nil {
		if errors.Is(err, gmond.ErrTooManyMetrics) {
			s.hosts.dropped(s.opt.Cluster, res.Host)
		}
		return 0, err
	}
	if res.Outcome == gmond.Joined {
		if len(s.own.Samples) >= maxPending {
			return 0, errPending
		}
		s.own.Samples = append(s.own.Samples, res.Sample)
	}
	return res.Outcome, nil
}

// Tick is called once a second. It puts what came in gmond packets, and the events of hosts that came or fell silent,
// into the history as frames of this collector, and forgets what is too old.
func (s *State) Tick(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ms := now.UnixMilli()
	s.events = s.hosts.findLost(s.events, ms, s.opt.HostDmax.Milliseconds())
	s.events = s.vips.Tick(ms, s.events)
	checkWordsLost.Set(s.checks.tick(ms))
	s.derive(now, now.Sub(s.derived) >= deriveEvery)
	s.flush(now)
	s.history.Expire(ms)
	hostsKnown.Set(float64(len(s.hosts.m)))
	vipWordsLost.Set(s.vips.Dropped())
	historyBytes.Set(float64(s.history.Bytes()))
	if s.warned.IsZero() {
		s.warned, s.swept = now, now
	}
	if now.Sub(s.warned) >= warnEvery {
		s.warned = now
		s.opener.Sweep(now)
		s.warnDropped()
	}
	if now.Sub(s.swept) >= sweepEvery {
		s.swept = now
		s.table.Sweep(ms, s.opt.HostDmax.Milliseconds())
		s.hosts.sweepSeries()
		s.sealer.Forget()
	}
}

// derive puts the samples that are made of what others said into the history: of all, or of what has changed. All are
// stamped with a multiple of deriveEvery, so that those of two collectors are the same samples.
func (s *State) derive(now time.Time, all bool) {
	at := now
	if all {
		s.derived = now.Truncate(deriveEvery)
		at = s.derived
	}
	s.view.Samples = s.vips.Samples(at.UnixMilli(), all, s.view.Samples)
	s.view.Samples = s.checks.samples(now.UnixMilli(), at.UnixMilli(), all, s.view.Samples)
	groupByHost(s.view.Samples)
	stamp := frame.Stamp{Now: now, Derived: true}
	tooLargeTotal.Add(s.sealer.Seal(&s.view, stamp, func(d []byte) { s.history.Append(now.UnixMilli(), d) }))
	s.view.Reset()
}

func (s *State) flush(now time.Time) {
	stamp := frame.Stamp{Now: now, Interval: gmondInterval, Gmond: true}
	groupByHost(s.own.Samples)
	lost := s.sealer.Seal(&s.own, stamp, func(d []byte) { s.history.Append(now.UnixMilli(), d) })
	s.own.Reset()
	stamp.Gmond = false
	s.own.Events = append(s.own.Events, s.events...)
	s.events = s.events[:0]
	lost += s.sealer.Seal(&s.own, stamp, func(d []byte) { s.history.Append(now.UnixMilli(), d) })
	s.own.Reset()
	tooLargeTotal.Add(lost)
}

func (s *State) warnDropped() {
	for _, h := range s.hosts.m {
		if n := h.dropped - h.warned; n > 0 {
			h.warned = h.dropped
			s.log.Warn("a host sends more than its share: what is too much is dropped; raise collector.max_series or collector.max_hosts if it is right",
				"host", h.name, "cluster", h.cluster, "dropped", n, "series", h.series.len(), "hosts", len(s.hosts.m))
		}
	}
}

// SetKeys puts another keyring in force. Frames in the history stay sealed with the key they came with.
func (s *State) SetKeys(ring *frame.Keyring) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sealer.SetKeys(ring); err != nil {
		return err
	}
	s.opener.SetKeys(ring)
	return nil
}

// SetHostDmax changes after how long a silent host is forgotten.
func (s *State) SetHostDmax(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.HostDmax = d
}
