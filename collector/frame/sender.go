package frame

import "fmt"

// sender is a host that seals frames, and its boot in force.
type sender struct {
	cluster, host string
	boot          Boot
	top           uint64 // highest sequence of boot that was opened
	heard         int64  // receiver's clock, ms
}

// Sender is what must be remembered of a host over a restart of the receiver, so that what was recorded before it
// cannot be played again after it.
type Sender struct {
	Cluster, Host string
	Boot          Boot   // the one in force
	Top           uint64 // its highest sequence that was opened; this and all below it are refused
	Heard         int64  // receiver's clock, ms
}

// Senders appends every sender that is known, in no order.
func (o *Opener) Senders(dst []Sender) []Sender {
	for _, s := range o.senders {
		dst = append(dst, Sender{s.cluster, s.host, s.boot, s.top, s.heard})
	}
	return dst
}

// Remember takes back what Senders gave before a restart, until MaxBoots are known. Call it before the first Open.
func (o *Opener) Remember(senders []Sender) {
	for _, s := range senders {
		if len(o.senders) >= o.maxBoots {
			return
		}
		o.senders[senderName(s.Cluster, s.Host)] = &sender{s.Cluster, s.Host, s.Boot, s.Top, s.Heard}
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
	if s.boot == h.boot {
		if b.window.top == 0 && s.top > 0 {
			b.window.floor = s.top // known from before a restart or a long silence, or by a key that is no more
		}
		if !b.window.fresh(h.seq) {
			return fmt.Errorf("%w: %d of boot %v", ErrReplay, h.seq, h.boot)
		}
		return nil
	}
	if h.boot.Start >= s.boot.Start {
		return nil
	}
	if now-s.heard < takeOver || checkTime(sent, now) != nil {
		return fmt.Errorf("%w: boot %v of host %q ended, a later one has been heard", ErrStale, h.boot, b.host)
	}
	return nil
}

// heardOf notes a frame that was opened.
func (s *sender) heardOf(h header, now int64) {
	if s.boot != h.boot {
		s.boot, s.top = h.boot, 0
	}
	s.top, s.heard = max(s.top, h.seq), now
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
