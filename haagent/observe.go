package haagent

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
)

// lateness is how late this master's timers were served: the worst of this minute, of the one before, and of all.
type lateness struct {
	minute              time.Time
	now, before, always time.Duration
}

func (l *lateness) note(now time.Time, late time.Duration) {
	l.turn(now)
	l.now = max(l.now, late)
	l.always = max(l.always, late)
}

func (l *lateness) turn(now time.Time) {
	switch since := now.Sub(l.minute); {
	case since >= 2*time.Minute:
		l.minute, l.now, l.before = now, 0, 0
	case since >= time.Minute:
		l.minute, l.now, l.before = now, 0, l.now
	}
}

func (l *lateness) worst(now time.Time) time.Duration {
	l.turn(now)
	return max(l.now, l.before)
}

func (i *instance) noteLateness(now time.Time, late time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.late.note(now, late)
}

// A conflict is an address of ours that another host has too.
type (
	conflictKey struct {
		addr   netip.Addr
		source string
	}
	conflict struct {
		who  string
		seen time.Time
	}
)

const (
	sourceARP  = status.SourceARP
	sourceVRRP = status.SourceVRRP

	conflictKept = 5 * time.Second // after it was last seen
	maxConflicts = 64
)

// conflict notes and tells that another host has an address of ours.
func (i *instance) conflict(addr netip.Addr, mac string, source, who string, now time.Time) {
	key := conflictKey{addr, source}
	i.mu.Lock()
	if i.conflicts == nil {
		i.conflicts = make(map[conflictKey]conflict)
	}
	_, known := i.conflicts[key]
	if known || len(i.conflicts) < maxConflicts {
		i.conflicts[key] = conflict{who: mac, seen: now}
	}
	i.mu.Unlock()
	if !known && source == sourceARP {
		i.journal.add(now, "vrrp_duplicate", fmt.Sprintf("%s: %s is on another host too, %s", i.name, addr, who), i.labels("vip", addr.String(), "mac", mac))
	}
}

// duplicate is called with what link.WatchDuplicates found.
func (i *instance) duplicate(addr netip.Addr, mac net.HardwareAddr) {
	i.conflict(addr, mac.String(), sourceARP, "with the hardware address "+mac.String(), time.Now())
}

func (i *instance) forgetConflicts(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for key, c := range i.conflicts {
		if now.Sub(c.seen) > conflictKept {
			delete(i.conflicts, key)
		}
	}
}

// holding are the addresses that are held now, for who asks the network about them.
func (i *instance) holding() []netip.Addr {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.Phase() != vrrp.Master {
		return nil
	}
	return hostsOf(i.held)
}

// status is what the instance is like in a state.
func (i *instance) status(s vrrp.State, now time.Time, drained bool) status.Instance {
	i.mu.Lock()
	held, lastError, failedAt := hosts(hostsOf(i.held)), i.lastError, i.failedAt
	late, lateMax := i.late.worst(now), i.late.always
	var conflicts []status.Conflict
	for key, c := range i.conflicts {
		conflicts = append(conflicts, status.Conflict{Address: key.addr.String(), MAC: c.who, Seen: c.seen, Source: key.source})
	}
	c, group := i.shown, i.group
	i.mu.Unlock()
	n := &s.Counters
	out := status.Instance{
		Name: i.name, Interface: c.Interface, Family: s.Config.Family.String(), VRID: int(i.vrid), Version: int(s.Config.Version), Group: group,
		Peers: hosts(s.Config.Peers), Strict: c.Strict, NoPreempt: c.NoPreempt,
		State: s.Phase.String(), StateNumber: int(s.Phase), Since: s.Since, Reason: s.Reason, Paused: paused(&s, drained), Leaving: s.Leaving(),
		Priority: int(s.Priority), PriorityConfigured: int(s.Config.Priority), IntervalMS: s.Config.Interval.Milliseconds(),
		Addresses: hosts(s.Config.Addresses), Excluded: hosts(hostsOf(c.Excluded)), Held: held, Tracks: effects(s.Config.Tracks), BFD: c.BFD,
		PeersSeen: neighbours(&s), Conflicts: conflicts,
		Sent: n.Sent, SentZero: n.SentZero, Received: n.Received, ReceivedZero: n.ReceivedZero, Discarded: n.Discarded, AddressMismatch: n.AddressMismatch,
		Announced: i.announced.Load(), ChecksumPseudoHeader: n.PseudoHeader, ChecksumMessageOnly: n.MessageOnly,
		Dropped: i.dropped(&s), Transitions: n.Transitions, Stalls: n.Stalls, LateStepdowns: n.Stalls,
		LatenessMS: milliseconds(late), LatenessMaxMS: milliseconds(lateMax), ScriptsDropped: i.notifier.Dropped(), LastError: lastError,
	}
	if lastError != "" {
		out.LastErrorAt = &failedAt
	}
	if s.Source.IsValid() {
		out.Source = s.Source.String()
	}
	if m := s.Master; m.Address.IsValid() {
		out.Master = &status.Peer{Address: m.Address.String(), Priority: int(m.Priority), IntervalMS: m.Interval.Milliseconds(), Heard: m.Heard}
	}
	return out
}

func paused(s *vrrp.State, drained bool) string {
	switch {
	case drained:
		return status.PausedDrained
	case s.Aside != "":
		return status.PausedSwitchover
	}
	return ""
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func hosts(addrs []netip.Addr) []string {
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return texts
}

func effects(tracks []vrrp.Track) (all []status.TrackEffect) {
	for _, t := range tracks {
		if t.Name == trackDrain {
			continue
		}
		add, fault := t.Effect()
		all = append(all, status.TrackEffect{Name: t.Name, Weight: t.Weight, Reverse: t.Reverse, Up: t.Up, Value: t.Value, Effect: add, Fault: fault})
	}
	return all
}

func neighbours(s *vrrp.State) (all []status.Peer) {
	for _, n := range s.Neighbours() {
		p := status.Peer{Address: n.Address.String(), Priority: int(n.Priority), IntervalMS: n.Interval.Milliseconds(), Heard: n.Heard}
		for _, k := range n.Notes {
			p.Notes = append(p.Notes, string(k))
		}
		all = append(all, p)
	}
	return all
}

// dropped counts the refused packets by reason.
func (i *instance) dropped(s *vrrp.State) map[string]uint64 {
	d := make(map[string]uint64)
	for _, reason := range vrrp.Drops() {
		if n := s.Counters.Dropped[reason] + i.refused[reason].Load(); n > 0 {
			d[reason.String()] = n
		}
	}
	if n := i.port.overflowed(); n > 0 {
		d["flood"] = n
	}
	return d
}
