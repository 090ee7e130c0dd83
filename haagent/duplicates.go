package haagent

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"keepwatch/haagent/link"
)

// asking is the question on an interface whether another host has an address that is held there.
type asking struct {
	every time.Duration
	stop  context.CancelFunc
}

// askDuplicates asks once for all instances of an interface, as often as the most eager wants. The caller holds mu.
func (a *Agent) askDuplicates() {
	every := make(map[string]time.Duration)
	for _, l := range a.on(func(*instance) bool { return true }) {
		d := l.member.asked().Duplicates
		if place := l.member.placed; d > 0 && (every[place] == 0 || d < every[place]) {
			every[place] = d
		}
	}
	for place, now := range a.asking {
		if every[place] != now.every {
			now.stop()
			delete(a.asking, place)
		}
	}
	for place, d := range every {
		if _, ok := a.asking[place]; ok {
			continue
		}
		ctx, stop := context.WithCancel(a.ctx)
		a.asking[place] = asking{d, stop}
		on := func(i *instance) bool { return i.placed == place }
		a.keep(ctx, func(err error) {
			a.opt.Log.Error("cannot ask whether another host has the addresses", "interface", place, "err", err)
		}, func(ctx context.Context) error {
			return link.WatchDuplicates(ctx, place, d, func() []netip.Addr { return a.held(on) }, func(addr netip.Addr, mac net.HardwareAddr) { a.duplicate(on, addr, mac) })
		})
	}
}

func (a *Agent) held(on func(*instance) bool) (all []netip.Addr) {
	a.mu.Lock()
	told := a.on(on)
	a.mu.Unlock()
	for _, l := range told {
		all = append(all, l.member.holding()...)
	}
	return all
}

func (a *Agent) duplicate(on func(*instance) bool, addr netip.Addr, mac net.HardwareAddr) {
	a.mu.Lock()
	told := a.on(on)
	a.mu.Unlock()
	for _, l := range told {
		if slices.Contains(l.member.holding(), addr) {
			l.member.duplicate(addr, mac)
		}
	}
}
