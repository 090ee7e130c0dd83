package gmond

import "net/netip"

// Ahead looks at what Add will need of packets that came together: their slots, then their entries, then their hosts.
// Packets of many hosts come in no order, so all of that is far from the processor. Taken one by one each packet waits
// for one piece of memory after the other; here each step waits for those of all packets at once. Nothing but time
// hangs on it.
func (t *Table) Ahead(packets []Packet) {
	x, mask, near := &t.entries, uint32(len(t.entries.slots)-1), t.near[:0]
	for i := range packets {
		t.hashAhead(&packets[i])
	}
	for i := range packets {
		near = append(near, nearby{at: x.slots[uint32(packets[i].hash)&mask].at})
	}
	for i := range near {
		if n := &near[i]; n.at != 0 {
			n.host = x.at(n.at - 1).host
		}
	}
	touched := 0
	for i := range near {
		if h := near[i].host; h != nil {
			touched += int(h.turn) + int(h.name[0])
		}
	}
	t.touched = touched
	clear(near)
	t.near = near
}

// nearby is what is probably a packet's.
type nearby struct {
	at   uint32 // of the slot
	host *host
}

// hashed marks a hash that was made.
const hashed = 1 << 32

func (t *Table) hashAhead(p *Packet) {
	if p.Legacy || p.ID == 0 || p.ID == Heartbeat || p.ID == Request {
		return
	}
	if c, err := t.claimOf(p, netip.Addr{}); err == nil {
		p.hash = uint64(t.hash(c.name, t.metricOf(p))) | hashed
	}
}
