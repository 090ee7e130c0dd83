package state

import "net/netip"

// GmondSpeaker gives the address that gmond's XML has of a host, and the source of its packets where the host speaks
// for itself; that is invalid where others speak for it. It reports whether the host is held.
func (s *State) GmondSpeaker(name string) (address string, from netip.Addr, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Speaker(name)
}
