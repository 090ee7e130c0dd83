package vrrp

import (
	"container/heap"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// network is a simulated segment with a virtual clock: every packet and timer is an entry of one queue.
type network struct {
	t     interface{ Fatalf(string, ...any) }
	draw  *rapid.T // nil: nothing is left to chance
	now   time.Time
	queue events
	seq   int
	nodes []*node

	loss, dup int           // percent
	delay     time.Duration // at most
	cut       []bool        // a node cut off hears and is heard by nobody
}

type node struct {
	net    *network
	id     int
	config Config
	state  State
	up     bool
	holds  bool
	timer  int // generation: an older timer is void
	boots  int

	stalled bool
	waiting []Input
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	x := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return x
}

func (n *network) after(d time.Duration, do func()) {
	n.seq++
	heap.Push(&n.queue, event{at: n.now.Add(d), seq: n.seq, do: do})
}

func (n *network) run(d time.Duration) {
	end := n.now.Add(d)
	for len(n.queue) > 0 && !n.queue[0].at.After(end) {
		e := heap.Pop(&n.queue).(event)
		n.now = e.at
		e.do()
	}
	n.now = end
}

func (n *network) chance(percent int, what string) bool {
	return percent > 0 && rapid.IntRange(0, 99).Draw(n.draw, what) < percent
}

func (n *network) broadcast(from *node, payload []byte) {
	if n.cut[from.id] {
		return
	}
	for _, to := range n.nodes {
		if to == from || n.cut[to.id] || n.chance(n.loss, "lost") {
			continue
		}
		copies := 1
		if n.chance(n.dup, "duplicated") {
			copies = 2
		}
		for range copies {
			d := 50 * time.Microsecond
			if n.delay > 0 {
				d += time.Duration(rapid.Int64Range(0, int64(n.delay)).Draw(n.draw, "delay"))
			}
			p := Packet{Source: from.state.Source, Dest: GroupIPv4, TTL: 255, Payload: payload}
			n.after(d, func() { to.step(Received{&p}) })
		}
	}
}

func (nd *node) boot() {
	nd.up, nd.holds, nd.stalled, nd.waiting = true, false, false, nil
	nd.boots++
	nd.state = New(nd.config, nd.net.now)
	nd.step(LinkChanged{Up: true, Source: netip.AddrFrom4([4]byte{10, 0, 0, byte(nd.id + 1)})})
	nd.step(Start{})
}

// die is kill -9 with the lease run out: no word, the addresses are gone.
func (nd *node) die() { nd.up, nd.holds = false, false; nd.timer++ }

func (nd *node) step(in Input) {
	if !nd.up {
		return
	}
	if nd.stalled {
		nd.waiting = append(nd.waiting, in)
		return
	}
	before := nd.state.Phase
	var out []Action
	nd.state, out = Step(nd.state, in, nd.net.now)
	transitions := 0
	for _, a := range out {
		switch a := a.(type) {
		case SendAdvert:
			advert := nd.state.Config.Advert(a.Priority)
			nd.net.broadcast(nd, advert.Append(nil, nd.state.Source, GroupIPv4, WithPseudoHeader))
		case TakeAddresses:
			nd.holds = true
		case ReleaseAddresses:
			if !nd.holds {
				nd.net.t.Fatalf("node %d releases what it does not hold", nd.id)
			}
			nd.holds = false
		case Transition:
			transitions++
		}
	}
	nd.check(before, transitions)
	nd.timer++
	if at, armed := nd.state.Deadline(); armed {
		mine := nd.timer
		nd.net.after(max(at.Sub(nd.net.now), 0), func() {
			if nd.timer == mine {
				nd.step(Tick{})
			}
		})
	}
}

func (nd *node) check(before Phase, transitions int) {
	t, phase := nd.net.t, nd.state.Phase
	_, armed := nd.state.Deadline()
	if armed != (phase == Backup || phase == Master || nd.state.Leaving()) {
		t.Fatalf("node %d: timer armed %v in %s", nd.id, armed, phase)
	}
	if nd.holds != nd.state.Holding || phase == Master && !nd.holds {
		t.Fatalf("node %d: holds %v in %s", nd.id, nd.holds, phase)
	}
	if transitions > 2 || transitions == 0 && before != phase {
		t.Fatalf("node %d: %d transitions reported from %s to %s", nd.id, transitions, before, phase)
	}
}

// Whatever happened before: once the segment is whole and all routers run, one of them is master within the time
// that the protocol promises, and stays so. With preemption it is the strongest one.
func TestOneMasterOnceWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version, interval := uint8(3), 100*ms
		if rapid.Bool().Draw(t, "v2") {
			version, interval = 2, time.Second
		}
		nodes := rapid.IntRange(3, 5).Draw(t, "nodes")
		n := &network{t: t, draw: t, now: epoch, cut: make([]bool, nodes)}
		nopreempt := rapid.Bool().Draw(t, "nopreempt")
		for i := range nodes {
			c := Config{Interface: "eth0", Family: IPv4, Version: version, VRID: 51, Interval: interval, NoPreempt: nopreempt, Addresses: addrs("10.0.0.100"),
				Handover: rapid.Bool().Draw(t, "handover"),
				Priority: rapid.SampledFrom([]uint8{1, 100, 100, 150, 200, 254}).Draw(t, "priority"),
				Tracks:   []Track{{Name: "weight", Weight: -60, Up: true}, {Name: "fault", Up: true}}}
			n.nodes = append(n.nodes, &node{net: n, id: i, config: c})
		}
		for _, nd := range n.nodes {
			nd.boot()
		}
		n.loss, n.dup, n.delay = rapid.IntRange(0, 60).Draw(t, "loss"), rapid.IntRange(0, 30).Draw(t, "dup"), rapid.SampledFrom([]time.Duration{0, 5 * ms, 250 * ms}).Draw(t, "delays")
		for range rapid.IntRange(0, 25).Draw(t, "mishaps") {
			n.mishap()
			n.run(time.Duration(rapid.IntRange(1, 6).Draw(t, "intervals")) * interval)
		}
		n.heal()
		n.run(2*MasterDown(version, 1, interval) + n.nodes[0].state.Config.handoverBound())
		master := n.onlyMaster("after the time that an election may take")
		for range 20 {
			n.run(interval / 2)
			if m := n.onlyMaster("later"); m != master {
				t.Fatalf("the master moved from node %d to node %d without a cause", master.id, m.id)
			}
		}
		if !nopreempt {
			n.mustBeStrongest(master)
		}
	})
}

func (n *network) mishap() {
	nd := n.nodes[rapid.IntRange(0, len(n.nodes)-1).Draw(n.draw, "node")]
	switch rapid.IntRange(0, 9).Draw(n.draw, "what") {
	case 0:
		nd.die()
	case 1:
		nd.step(Shutdown{})
		nd.die()
	case 2:
		nd.die()
		nd.boot()
	case 3:
		n.cut[nd.id] = !n.cut[nd.id]
	case 4:
		nd.step(TrackChanged{Name: "weight", Up: rapid.Bool().Draw(n.draw, "up")})
	case 5:
		nd.step(TrackChanged{Name: "fault", Up: rapid.Bool().Draw(n.draw, "up")})
	case 6:
		nd.step(LinkChanged{Up: rapid.Bool().Draw(n.draw, "link"), Source: nd.state.Source})
	case 7:
		nd.step(StepAside{Why: "an operator's word"})
	case 8:
		nd.step(PeerLost{Peer: nd.state.Master.Address, Skew: 10 * ms, Detail: "lost"})
	case 9:
		nd.stall(time.Duration(rapid.IntRange(1, 8).Draw(n.draw, "stalled")) * nd.state.Config.Interval)
	}
}

// stall is a process that is not scheduled for a while: what it should have heard meanwhile it hears first then.
func (nd *node) stall(d time.Duration) {
	if !nd.up {
		return
	}
	nd.stalled = true
	nd.timer++
	mine := nd.boots
	nd.net.after(d, func() {
		if !nd.up || nd.boots != mine {
			return
		}
		nd.stalled = false
		waiting := nd.waiting
		nd.waiting = nil
		for _, in := range waiting {
			nd.step(in)
		}
		nd.step(Tick{})
	})
}

// heal makes all whole and lets what is still under way arrive.
func (n *network) heal() {
	n.loss, n.dup, n.delay = 0, 0, ms
	n.run(9 * n.nodes[0].config.Interval)
	for i, nd := range n.nodes {
		n.cut[i] = false
		if !nd.up {
			nd.boot()
		}
		nd.step(TrackChanged{Name: "weight", Up: true})
		nd.step(TrackChanged{Name: "fault", Up: true})
		nd.step(LinkChanged{Up: true, Source: nd.state.Source})
	}
}

func (n *network) onlyMaster(when string) *node {
	var found *node
	for _, nd := range n.nodes {
		if nd.state.Phase == Master && nd.up {
			if found != nil {
				n.t.Fatalf("%s: nodes %d and %d hold the addresses", when, found.id, nd.id)
			}
			found = nd
		}
	}
	if found == nil {
		n.t.Fatalf("%s: nobody holds the addresses", when)
	}
	return found
}

func (n *network) mustBeStrongest(master *node) {
	for _, nd := range n.nodes {
		if nd.state.Aside == "" && nd.state.Priority > master.state.Priority {
			n.t.Fatalf("node %d of priority %d is master, node %d has %d", master.id, master.state.Priority, nd.id, nd.state.Priority)
		}
	}
}

// The times that RFC 9568 promises, to the microsecond of the network's delay.
func TestHandoverTimes(t *testing.T) {
	n := &network{t: t, now: epoch, cut: make([]bool, 3)}
	for i, priority := range []uint8{254, 253, 252} {
		c := Config{Interface: "eth0", Family: IPv4, Version: 3, VRID: 51, Interval: 100 * ms, Priority: priority, Addresses: addrs("10.0.0.100")}
		n.nodes = append(n.nodes, &node{net: n, id: i, config: c})
	}
	for _, nd := range n.nodes {
		nd.die()
		nd.boot()
	}
	n.run(time.Second)
	if m := n.onlyMaster("start"); m.id != 0 {
		t.Fatalf("node %d is master", m.id)
	}
	n.nodes[0].step(Shutdown{})
	n.run(Skew(3, 253, 100*ms) + 100*time.Microsecond)
	if m := n.onlyMaster("one skew after the farewell"); m.id != 1 {
		t.Fatalf("node %d is master", m.id)
	}
	n.nodes[0].boot()
	n.run(MasterDown(3, 254, 100*ms) + 100*time.Microsecond)
	if m := n.onlyMaster("one master down after the return"); m.id != 0 {
		t.Fatalf("node %d is master", m.id)
	}
}
