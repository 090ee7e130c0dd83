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

const (
	sweepEvery  = time.Hour // of series; a series silent for two of these is forgotten
	tidyEvery   = time.Minute
	deriveEvery = 10 * time.Second

	// crowdedDmax takes the place of a longer host_dmax, for gmond hosts, while new ones are refused: who fills the
	// table with names of no host must not keep real ones out for a day. It does so for crowdedFor after the last refusal,
	// until those who were heard just before it are forgotten everywhere.
	crowdedDmax = 5 * time.Minute
	crowdedFor  = crowdedDmax + 2*tidyEvery
)

// Options are the bounds and the identity of the collector whose state this is.
type Options struct {
	Cluster   string
	Host      string
	Keys      *frame.Keyring
	Boot      frame.Boot // of the frames that the state itself makes; never that of another Sealer
	MaxHosts  int
	MaxSeries int           // of one host
	MaxBytes  int64         // of the history; 0: none is kept
	HostDmax  time.Duration // a host silent for longer is forgotten
	GmondTmax time.Duration // a gmond host is down when it is silent for four times this
	MaxAsks   int           // requests for gmond metadata in a second; 0: Asks is always empty
	Legacy    bool          // packets of gmond before 3.1 are read
	Stall     time.Duration // between two calls there is more only when our clock was set forward or we did not run; 0: there may be
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
	drops   drops
	sender  string              // of the frame that was opened last
	packets [ahead]gmond.Packet // those that are taken together
	wrong   [ahead]error        // why they cannot be read
	pending []pending           // gmond samples since the last flush
	spoken  []*host             // of which they are
	asks    []Ask
	asked   map[string]struct{}
	own     batch.Batch    // what is being sealed
	events  []metric.Event // since the last flush
	swept   time.Time
	tidied  time.Time
	crowded time.Time // when a gmond host was last refused for want of room
	ticked  int64     // ms
	seen    int64     // ms: the newest time that a call told, since the clock was set back
	resumed int64     // ms: the end of the last time in which we heard nobody
	derived time.Time // the stamp of the samples that are made of what others said when they were last made in full
}

// New checks the options.
func New(opt Options) (*State, error) {
	if opt.MaxHosts < 1 || opt.MaxSeries < 1 || opt.MaxBytes < 0 || opt.HostDmax <= 0 || opt.GmondTmax < time.Second {
		return nil, fmt.Errorf("state of %d hosts, %d series, %d bytes, host_dmax %v, host_tmax %v: each must be positive, host_tmax a second at least",
			opt.MaxHosts, opt.MaxSeries, opt.MaxBytes, opt.HostDmax, opt.GmondTmax)
	}
	opener, err := frame.NewOpener(frame.OpenerOptions{Keys: opt.Keys, MaxBoots: 2*opt.MaxHosts + 64})
	if err != nil {
		return nil, err
	}
	sealer, err := frame.NewSealer(frame.SealerOptions{Keys: opt.Keys, Boot: opt.Boot, Cluster: opt.Cluster, Host: opt.Host, Payload: frame.MaxPayload})
	if err != nil {
		return nil, err
	}
	table, err := gmond.NewTable(gmond.TableOptions{
		Cluster: opt.Cluster, MaxHosts: opt.MaxHosts, MaxMetrics: opt.MaxSeries, MaxAsks: opt.MaxAsks, HostTMax: uint32(opt.GmondTmax / time.Second),
	})
	if err != nil {
		return nil, err
	}
	return &State{
		log: opt.Log, history: newLog(opt.MaxBytes), opt: opt, opener: opener, sealer: sealer, table: table, vips: holders.New(holders.MaxWords),
		checks: newChecks(), hosts: newHosts(opt.MaxHosts, opt.MaxSeries), drops: newDrops(), asked: make(map[string]struct{}),
	}, nil
}

// History is the log of frames that Server serves.
func (s *State) History() *Log { return s.history }

// Native takes one datagram of the native channel that came at that time. What is wrong with it is returned and
// counted under its reason.
func (s *State) Native(datagram []byte, from netip.Addr, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sender = ""
	err := s.native(datagram, from, at, s.notice(at))
	if err != nil {
		count(frameDrops, s.drops.frames, err, []byte(s.sender), from)
		return err
	}
	framesTotal.Inc()
	return nil
}

func (s *State) native(datagram []byte, from netip.Addr, at time.Time, heard int64) error {
	f, err := s.opener.Open(datagram, at)
	if err != nil {
		return err
	}
	s.sender = f.Host
	visit := s.hosts.visit(heard)
	n, _, err := batch.Scan(f.Payload, visit)
	if err != nil {
		visit.abort()
		if !errors.Is(err, batch.ErrMalformed) {
			s.hosts.dropped(f.Cluster, f.Host)
		}
		return err
	}
	s.events = visit.commit(s.events, &f, from)
	samplesTotal.Add(n)
	s.history.Append(at.UnixMilli(), datagram)
	s.hold(visit, f.Origin, at, heard)
	return nil
}

// hold judges what was said in a frame by HA agents and of shared checks. A change is published at once.
func (s *State) hold(visit *visit, origin frame.Origin, at time.Time, heard int64) {
	visit.date(origin, s.opener.Late(origin))
	for _, h := range visit.silent {
		s.events = s.vips.Silent(h.cluster, h.name, heard, s.events)
	}
	for _, w := range visit.words {
		w.Heard = heard
		s.events = s.vips.Hear(w, s.events)
	}
	if checked := s.checks.hear(visit.checks, heard); checked || s.vips.Changed() {
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

// Tick is called once a second. It puts what came in gmond packets, and the events of hosts that came or fell silent,
// into the history as frames of this collector, and forgets what is too old.
func (s *State) Tick(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ms := now.UnixMilli()
	if ms < s.ticked {
		s.clockSetBack(now)
	}
	s.ticked = ms
	s.notice(now)
	s.events = s.hosts.findLost(s.events, ms, s.opt.HostDmax.Milliseconds(), s.gmondDmax(now))
	s.events = s.vips.Tick(ms, s.events)
	s.events = s.tell(ms, s.events)
	checkWordsLost.Set(s.checks.tick(ms))
	s.derive(now, !now.Truncate(deriveEvery).Equal(s.derived))
	s.flush(now)
	s.history.Expire(ms)
	hostsKnown.Set(float64(len(s.hosts.m)))
	vipWordsLost.Set(s.vips.Dropped())
	historyBytes.Set(float64(s.history.Bytes()))
	if s.tidied.IsZero() {
		s.tidied, s.swept = now, now
	}
	if now.Sub(s.tidied) >= tidyEvery {
		s.tidied = now
		s.opener.Sweep(now)
		s.hosts.room.tidy()
		s.table.Sweep(ms, s.gmondDmax(now))
	}
	if now.Sub(s.swept) >= sweepEvery {
		s.swept = now
		s.hosts.sweepSeries()
	}
}

// notice sees by the time of a call whether we heard nobody since the one before, and takes that out of everybody's silence.
// It gives the time at which what came counts as heard: what waited for us meanwhile was said when we could not hear, and
// counts as heard when we could again.
func (s *State) notice(at time.Time) (heard int64) {
	now := at.UnixMilli()
	if gap := now - s.seen; s.opt.Stall > 0 && s.seen > 0 && gap > s.opt.Stall.Milliseconds() {
		s.log.Warn("the clock was set forward, or the collector did not run: nobody counts as silent for that time", "time", time.Duration(gap)*time.Millisecond)
		s.hosts.away(gap, now)
		s.table.Away(gap, now)
		s.vips.Away(gap, now)
		s.checks.away(gap, now)
		s.resumed = now
	}
	s.seen = max(s.seen, now)
	return max(now, s.resumed)
}

// clockSetBack keeps what was noted in the future from holding up what comes. The tables of addresses and of checks see it
// by themselves.
func (s *State) clockSetBack(now time.Time) {
	ms := now.UnixMilli()
	s.seen, s.resumed = ms, min(s.resumed, ms)
	s.hosts.away(0, ms)
	s.table.Away(0, ms)
	s.drops.clockSetBack(ms)
	if s.crowded.After(now) {
		s.crowded = now
	}
}

// gmondDmax is for how long a gmond host may be silent before it is forgotten, ms.
func (s *State) gmondDmax(now time.Time) int64 {
	if now.Sub(s.crowded) < crowdedFor {
		return min(s.opt.HostDmax, crowdedDmax).Milliseconds()
	}
	return s.opt.HostDmax.Milliseconds()
}

// derive puts the samples that are made of what others said into the history: of all, or of what has changed. All are
// stamped with a multiple of deriveEvery, so that those of two collectors are the same samples.
func (s *State) derive(now time.Time, all bool) {
	at := now
	if all {
		s.derived = now.Truncate(deriveEvery)
		at = s.derived
	}
	s.own.Samples = s.vips.Samples(at.UnixMilli(), all, s.own.Samples)
	s.own.Samples = s.checks.samples(now.UnixMilli(), at.UnixMilli(), all, s.own.Samples)
	groupByHost(s.own.Samples)
	s.seal(frame.Stamp{Now: now, Derived: true})
}

// flush puts what came in gmond packets, and events, into the history.
func (s *State) flush(now time.Time) {
	s.flushGmond(now)
	s.own.Events = append(s.own.Events, s.events...)
	clear(s.events)
	s.events = s.events[:0]
	s.seal(frame.Stamp{Now: now})
}

// seal makes frames of s.own, which it empties, and puts them into the history.
func (s *State) seal(stamp frame.Stamp) {
	if s.history.maxBytes > 0 {
		at := stamp.Now.UnixMilli()
		tooLargeTotal.Add(s.sealer.Seal(&s.own, stamp, func(d []byte) { s.history.Append(at, d) }))
	}
	s.own.Reset()
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
