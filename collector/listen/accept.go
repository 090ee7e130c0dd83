package listen

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// localEvery is how often at most the host's own addresses are read anew: a virtual address may have come.
const localEvery = 5 * time.Second

// Sources says which source addresses count. It may be used by several goroutines.
type Sources struct {
	nets  []netip.Prefix
	local bool
	own   atomic.Pointer[ownAddrs]
}

type ownAddrs struct {
	read  time.Time
	addrs map[netip.Addr]bool
}

// ParseSources reads networks (10.0.0.0/8), addresses and the word "local", which means this host's own addresses.
func ParseSources(list []string) (*Sources, error) {
	s := &Sources{}
	for _, text := range list {
		if text == "local" {
			s.local = true
			continue
		}
		if a, err := netip.ParseAddr(text); err == nil {
			s.nets = append(s.nets, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("accept_from %q: want a network as 10.0.0.0/8, an address, or the word local", text)
		}
		s.nets = append(s.nets, p.Masked())
	}
	s.own.Store(&ownAddrs{})
	return s, nil
}

// Accepts reports whether packets from this address count. now is when it came.
func (s *Sources) Accepts(from netip.Addr, now time.Time) bool {
	from = from.Unmap().WithZone("")
	for _, p := range s.nets {
		if p.Contains(from) {
			return true
		}
	}
	if !s.local {
		return false
	}
	own := s.own.Load()
	if from.IsLoopback() || own.addrs[from] {
		return true
	}
	if now.Sub(own.read) < localEvery {
		return false
	}
	own = &ownAddrs{read: now, addrs: readOwn()}
	s.own.Store(own)
	return own.addrs[from]
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
