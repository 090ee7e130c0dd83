package frame

import (
	"fmt"
	"slices"
)

// JoinReach: who hears of a sender first by a frame of at most this number asks for those before it, too. Of a sender
// that has been there for longer nothing before the first frame heard is missing.
const JoinReach = 16

// maxEnded is how many boots of a host are remembered after another took their place.
const maxEnded = 4

// sender is a host that seals frames, and its boot in force.
type sender struct {
	cluster, host string
	boot          Boot
	top           uint64 // highest sequence of boot that was opened
	heard         int64  // receiver's clock, ms
	ended         []Ended
	restored      bool // from before a restart of the receiver, and not heard since
}

// Sender is what must be remembered of a host over a restart of the receiver, so that what was recorded before it
// cannot be played again after it.
type Sender struct {
	Cluster, Host string
	Boot          Boot    // the one in force
	Top           uint64  // its highest sequence that was opened; this and all below it are refused
	Heard         int64   // receiver's clock, ms
	Ended         []Ended // boots that were in force before, the one that ended last at the end
}

// Ended is a boot that another one took the place of.
type Ended struct {
	Boot Boot
	Top  uint64 // its highest sequence that was opened
}

// Senders appends every sender that is known, in no order.
func (o *Opener) Senders(dst []Sender) []Sender {
	for _, s := range o.senders {
		dst = append(dst, Sender{s.cluster, s.host, s.boot, s.top, s.heard, slices.Clone(s.ended)})
	}
	return dst
}

// Remember takes back what Senders gave before a restart, until MaxBoots are known. Call it before the first Open.
func (o *Opener) Remember(senders []Sender) {
	for _, s := range senders {
		if len(o.senders) >= o.maxBoots {
			return
		}
		o.senders[senderName(s.Cluster, s.Host)] = &sender{
			s.Cluster, s.Host, s.Boot, s.Top, s.Heard, slices.Clone(s.Ended[max(len(s.Ended)-maxEnded, 0):]), true,
		}
	}
}

// SenderOf gives the host that a boot is of, when a frame of it has been opened.
func (o *Opener) SenderOf(id Boot) (cluster, host string, ok bool) {
	for i := range o.unseal.ring.keys {
		if b := o.boots[bootKey{o.unseal.ring.keys[i].id, id}]; b != nil {
			return b.cluster, b.host, true
		}
	}
	return "", "", false
}

func senderName(cluster, host string) string { return cluster + "\x00" + host }

// checkBoot finds the sender of a frame that has been unsealed, and refuses what was opened before it was forgotten
// one by one, and what an earlier run of the same host sent. It changes nothing that is told by Senders.
func (o *Opener) checkBoot(b *boot, h header, sent, now int64) error {
	if b.sender == nil {
		s, err := o.sender(b.cluster, b.host, now)
		if err != nil {
			return err
		}
		b.sender = s
	}
	s := b.sender
	ended := s.find(h.boot)
	if s.boot != h.boot && (ended >= 0 || h.boot.Start < s.boot.Start) && (now-s.heard < takeOver || checkTime(sent, now) != nil) {
		return fmt.Errorf("%w: boot %v of host %q ended, another has been heard since", ErrStale, h.boot, b.host)
	}
	if ended >= 0 {
		b.window.floor = max(b.window.floor, s.ended[ended].Top)
	}
	if b.window.top == 0 {
		b.window.floor = max(b.window.floor, s.had(h))
	}
	if !b.window.fresh(h.seq) {
		return fmt.Errorf("%w: %d of boot %v", ErrReplay, h.seq, h.boot)
	}
	return nil
}

// had is the sequence up to which a boot's frames are refused that is not remembered one by one: known from before a
// restart or a long silence, or by a key that is no more. What the receiver had since it was saved what it knew is before
// the first frame that comes after the restart, and nobody asks for that again.
func (s *sender) had(h header) (seq uint64) {
	if s.boot == h.boot {
		seq = s.top
	}
	if s.restored && h.seq > JoinReach {
		seq = max(seq, h.seq-1)
	}
	return seq
}

// find gives the place of a boot among those that ended, or -1.
func (s *sender) find(id Boot) int {
	return slices.IndexFunc(s.ended, func(e Ended) bool { return e.Boot == id })
}

// heardOf notes a frame that was opened.
func (s *sender) heardOf(h header, now int64) {
	if s.boot != h.boot {
		s.end(h.boot)
		s.boot, s.top = h.boot, 0
	}
	s.top, s.heard, s.restored = max(s.top, h.seq), now, false
}

// end puts the boot in force among those that ended, as another takes its place. Two of one start live side by side.
func (s *sender) end(next Boot) {
	if i := s.find(next); i >= 0 {
		s.ended = slices.Delete(s.ended, i, i+1)
	}
	if s.boot == (Boot{}) || s.boot.Start == next.Start {
		return
	}
	if len(s.ended) >= maxEnded {
		s.ended = slices.Delete(s.ended, 0, 1)
	}
	s.ended = append(s.ended, Ended{s.boot, s.top})
}

// sender finds a host, or makes it, in the place of the one that has been silent for longest when there are too many.
func (o *Opener) sender(cluster, host string, now int64) (*sender, error) {
	name := senderName(cluster, host)
	if s := o.senders[name]; s != nil {
		return s, nil
	}
	if len(o.senders) >= o.maxBoots && !o.evict(now) {
		return nil, fmt.Errorf("%w: %d", ErrTooMany, len(o.senders))
	}
	s := &sender{cluster: cluster, host: host}
	o.senders[name] = s
	return s, nil
}

// evict looks at most once a second, so that a flood of names does not make each datagram walk the table.
func (o *Opener) evict(now int64) bool {
	if now-o.evicted < 1000 && now >= o.evicted {
		return false
	}
	o.evicted = now
	oldest, at := "", now-rememberFor.Milliseconds()
	for name, s := range o.senders {
		if s.heard < at {
			oldest, at = name, s.heard
		}
	}
	if oldest == "" {
		return false
	}
	delete(o.senders, oldest)
	return true
}
