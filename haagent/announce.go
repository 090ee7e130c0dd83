package haagent

import (
	"context"
	"net/netip"
	"time"
)

// announce tells the neighbours who holds the addresses. A pause between the messages is the spacer's, so that the
// next advertisement does not wait for it.
func (i *instance) announce(count int) {
	addrs := hostsOf(wanted(&i.config))
	if i.config.Announce.Spacing > 0 {
		i.spacer.set(announcement{addrs: addrs, count: count, spacing: i.config.Announce.Spacing})
		return
	}
	for range count {
		for _, a := range addrs {
			if err := i.announceOne(a); err != nil {
				i.failed("cannot announce the addresses", err)
				return
			}
		}
	}
}

func (i *instance) announceOne(a netip.Addr) error {
	_, announcer, err := i.port.sockets()
	if err != nil {
		return err
	}
	i.announced.Add(1)
	return announcer.Announce(a)
}

// announcement is a burst with pauses.
type announcement struct {
	addrs   []netip.Addr
	count   int
	spacing time.Duration
}

// spacer sends bursts with pauses; a new one replaces one under way.
type spacer struct {
	next chan announcement
}

func (s *spacer) set(a announcement) {
	select {
	case <-s.next:
	default:
	}
	s.next <- a // set has one caller
}

func (s *spacer) run(ctx context.Context, i *instance) {
	pause := time.NewTimer(time.Hour)
	pause.Stop()
	defer pause.Stop()
	var a announcement
	n := 0
	for {
		select {
		case <-ctx.Done():
			return
		case a = <-s.next:
			n = 0
		case <-pause.C:
		}
		if n < a.count*len(a.addrs) && i.holds() {
			if err := i.announceOne(a.addrs[n%len(a.addrs)]); err != nil {
				i.failed("cannot announce the addresses", err)
			}
			n++
			pause.Reset(a.spacing)
		}
	}
}

func (i *instance) holds() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.held) > 0
}
