package tcpserve

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// localEvery is how often at most the host's own addresses are read: a virtual address may have come.
const localEvery = 5 * time.Second

// LocalAddrs tells of an address whether this host has it. It may be called by several goroutines.
func LocalAddrs() func(netip.Addr) bool {
	var (
		mu   sync.Mutex
		read time.Time
		own  map[netip.Addr]bool
	)
	return func(a netip.Addr) bool {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); own == nil || now.Sub(read) >= localEvery {
			read, own = now, addresses()
		}
		return own[a]
	}
}

func addresses() map[netip.Addr]bool {
	out := make(map[netip.Addr]bool)
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return out // nobody else is let in by mistake
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out[p.Addr().Unmap()] = true
		}
	}
	return out
}
