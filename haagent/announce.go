package haagent

import (
	"context"
	"net/netip"
	"time"

	"keepwatch/haagent/vrrp"
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
	if i.vmac != nil {
		announcer = i.vmac.announcer
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

// succeed keeps requests alive that are under way at a router that still serves: what its clients send here after
// the announcement is passed on to it for as long as it lingers.
func (i *instance) succeed(s *vrrp.State, a vrrp.Succeed) {
	relay := i.port.forwards()
	if relay == nil || i.firewall == nil || i.vmac != nil {
		return // with a virtual MAC address the clients' segments go where it was heard last
	}
	if !a.Now {
		i.check("cannot prepare a handover", relay.Prepare(a.From))
		return
	}
	window, addrs := vrrp.Linger(s.Config.Interval), hostsOf(wanted(&i.config))
	i.check("cannot keep connections over the handover", i.firewall.Handover(addrs, window))
	i.check("cannot keep connections over the handover", relay.Start(addrs, a.From, window))
}
