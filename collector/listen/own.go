package listen

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// localEvery is how often at most the host's own addresses are read anew: a virtual address may have come.
const localEvery = 5 * time.Second

// Own knows the addresses of this host: the word local of an access list. The zero value is ready; several goroutines
// may ask it.
type Own struct {
	known atomic.Pointer[ownAddrs]
}

type ownAddrs struct {
	read  time.Time
	addrs map[netip.Addr]bool
}

// Has reports whether addr is an address of this host. One that came less than 5 s ago may not be known yet, one that
// went may still be.
func (o *Own) Has(addr netip.Addr) bool { return o.has(addr, time.Now) }

func (o *Own) has(addr netip.Addr, clock func() time.Time) bool {
	addr = addr.Unmap().WithZone("")
	known := o.known.Load()
	if addr.IsLoopback() || known != nil && known.addrs[addr] {
		return true
	}
	now := clock()
	if known != nil && now.Sub(known.read) < localEvery {
		return false
	}
	known = &ownAddrs{read: now, addrs: readOwn()}
	o.known.Store(known)
	return known.addrs[addr]
}

func readOwn() map[netip.Addr]bool {
	out := make(map[netip.Addr]bool)
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return out // nobody else is accepted by mistake
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out[p.Addr().Unmap()] = true
		}
	}
	return out
}
