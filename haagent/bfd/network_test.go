package bfd

import (
	"container/heap"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// network is a simulated wire between two nodes with a virtual clock: every packet and timer is an entry of one
// queue.
type network struct {
	t     *rapid.T
	now   time.Time
	queue events
	seq   int
	nodes [2]*node

	loss, dup int           // percent
	delay     time.Duration // at most
	cut       bool
}

type node struct {
	net    *network
	id     int
	config Config
	state  State
	alive  bool
	told   []Changed
	timer  int // generation: an older timer is void
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
	return percent > 0 && rapid.IntRange(0, 99).Draw(n.t, what) < percent
}

func (n *network) carry(from *node, p Packet) {
	if n.cut || n.chance(n.loss, "lost") {
		return
	}
	to := n.nodes[1-from.id]
	copies := 1
	if n.chance(n.dup, "duplicated") {
		copies = 2
	}
	payload := p.Append(nil)
	for range copies {
		d := 50 * time.Microsecond
		if n.delay > 0 {
			d += time.Duration(rapid.Int64Range(0, int64(n.delay)).Draw(n.t, "delay"))
		}
		n.after(d, func() { to.step(Received{&Heard{TTL: TTL, Payload: payload}}) })
	}
}

func (nd *node) boot() {
	nd.alive = true
	nd.state = New(nd.config, rapid.Uint32Range(1, 1<<32-1).Draw(nd.net.t, "discriminator"), rapid.Uint64().Draw(nd.net.t, "seed"), nd.net.now)
	nd.step(Start{})
}

func (nd *node) die() { nd.alive = false; nd.timer++ }

func (nd *node) step(in Input) {
	if !nd.alive {
		return
	}
	wasUp := nd.state.Phase == Up
	var out []Action
	nd.state, out = Step(nd.state, in, nd.net.now)
	told := 0
	for _, a := range out {
		switch a := a.(type) {
		case Send:
			if a.Poll && a.Final || a.Phase != Up && a.DesiredMinTx < SlowInterval {
				nd.net.t.Fatalf("node %d sends %+v", nd.id, a.Packet)
			}
			nd.net.carry(nd, a.Packet)
		case Changed:
			told++
			nd.told = append(nd.told, a)
		}
	}
	_, starting := in.(Start)
	_, stopping := in.(Stop)
	if isUp := nd.state.Phase == Up; !starting && !stopping && (told == 1) != (wasUp != isUp) {
		nd.net.t.Fatalf("node %d: up %t to %t, told %d times", nd.id, wasUp, isUp, told)
	}
	nd.timer++
	if at, ok := nd.state.Deadline(); ok {
		mine := nd.timer
		nd.net.after(max(at.Sub(nd.net.now), 0), func() {
			if nd.timer == mine {
				nd.step(Tick{})
			}
		})
	}
}

func newNetwork(t *rapid.T) *network {
	n := &network{t: t, now: epoch}
	passive := rapid.IntRange(0, 2).Draw(t, "passive") // 2: nobody; both passive would wait for ever
	for i := range n.nodes {
		n.nodes[i] = &node{net: n, id: i, config: Config{
			Interval:   rapid.SampledFrom([]time.Duration{5 * ms, 10 * ms, 50 * ms, time.Second, 4 * time.Second}).Draw(t, "interval"),
			Multiplier: rapid.SampledFrom([]uint8{2, 3, 5}).Draw(t, "multiplier"), Passive: passive == i,
		}}
	}
	for _, nd := range n.nodes {
		nd.boot()
	}
	return n
}

// slowest is an interval that no packet of a session that is not up is rarer than.
func (n *network) slowest() time.Duration {
	return max(SlowInterval, n.nodes[0].config.Interval, n.nodes[1].config.Interval)
}

func (n *network) mishap() {
	nd := n.nodes[rapid.IntRange(0, 1).Draw(n.t, "node")]
	switch rapid.IntRange(0, 5).Draw(n.t, "what") {
	case 0:
		nd.die()
	case 1:
		nd.step(Stop{})
	case 2:
		nd.die()
		nd.boot()
	case 3:
		n.cut = !n.cut
	case 4:
		nd.config.Interval = rapid.SampledFrom([]time.Duration{5 * ms, 20 * ms, 2 * time.Second}).Draw(n.t, "interval")
		nd.step(Reconfigure{nd.config})
	case 5:
		nd.step(Received{&Heard{TTL: TTL, Payload: rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(n.t, "junk")}})
	}
}

// Whatever happened before: once the wire is whole and both run, both sides are up within the time of a few slow
// packets and a detection time, agree on the intervals, and stay so.
func TestBothUpOnceWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNetwork(t)
		n.loss, n.dup = rapid.IntRange(0, 60).Draw(t, "loss"), rapid.IntRange(0, 30).Draw(t, "dup")
		n.delay = rapid.SampledFrom([]time.Duration{0, 5 * ms, 250 * ms}).Draw(t, "delays")
		for range rapid.IntRange(0, 12).Draw(t, "mishaps") {
			n.mishap()
			n.run(time.Duration(rapid.IntRange(1, 1500).Draw(t, "ms")) * ms)
		}
		n.loss, n.dup, n.delay, n.cut = 0, 0, 0, false
		n.run(250 * ms)
		for _, nd := range n.nodes {
			if !nd.alive || nd.state.Phase == AdminDown {
				nd.boot()
			}
			nd.step(Reconfigure{nd.config})
		}
		// An old detection time may have to pass, with intervals of before a change; then three slow packets each way.
		n.run(5*max(4*time.Second, n.slowest()) + 4*n.slowest())
		a, b := n.nodes[0], n.nodes[1]
		n.agree()
		told := len(a.told) + len(b.told)
		n.run(10 * n.slowest())
		n.agree()
		if len(a.told)+len(b.told) != told {
			t.Fatalf("the session did not stay up: %+v, %+v", a.told, b.told)
		}
	})
}

func (n *network) agree() {
	a, b := &n.nodes[0].state, &n.nodes[1].state
	for i, s := range []*State{a, b} {
		if s.Phase != Up || s.Polling || s.Remote.Phase != Up {
			n.t.Fatalf("node %d is %s, polling %t, and believes the peer %s", i, s.Phase, s.Polling, s.Remote.Phase)
		}
	}
	if a.Remote.Discriminator != b.Local || b.Remote.Discriminator != a.Local {
		n.t.Fatalf("the discriminators are crossed: %d-%d, %d-%d", a.Local, a.Remote.Discriminator, b.Local, b.Remote.Discriminator)
	}
	want := max(a.Config.Interval, b.Config.Interval)
	for _, got := range []time.Duration{a.TransmitInterval(), a.ReceiveInterval(), b.TransmitInterval(), b.ReceiveInterval()} {
		if got != want {
			n.t.Fatalf("an interval is %s, want %s", got, want)
		}
	}
}

// A peer that falls silent is found down within the detection time, and the survivor says why; one that says
// farewell is known to have said it.
func TestDeathAndFarewell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNetwork(t)
		n.dup = rapid.IntRange(0, 30).Draw(t, "dup")
		n.run(8*n.slowest() + time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "moment")))
		n.agree()
		who := rapid.IntRange(0, 1).Draw(t, "who")
		gone, left := n.nodes[who], n.nodes[1-who]
		left.told = nil
		if rapid.Bool().Draw(t, "farewell") {
			gone.step(Stop{})
			n.run(ms)
			if len(left.told) != 1 || left.told[0].Up || !left.told[0].Admin || left.told[0].Diag != DiagPeerDown {
				t.Fatalf("the survivor told %+v", left.told)
			}
			return
		}
		limit := left.state.DetectionTime()
		gone.die()
		n.run(limit + 50*time.Microsecond) // a packet may have been under way
		if len(left.told) != 1 || left.told[0].Up || left.told[0].Admin || left.told[0].Diag != DiagSilent || left.told[0].Silence != limit {
			t.Fatalf("the survivor told %+v, its detection time was %s", left.told, limit)
		}
	})
}

// Multiplier 3 and two lost packets in a row, again and again: never down.
func TestLossWithinTheMultiplier(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNetwork(t)
		for _, nd := range n.nodes {
			nd.config.Multiplier = 3
			nd.step(Reconfigure{nd.config})
		}
		n.run(8 * n.slowest())
		n.agree()
		told := len(n.nodes[0].told) + len(n.nodes[1].told)
		interval := max(n.nodes[0].config.Interval, n.nodes[1].config.Interval)
		for range 20 {
			n.cut = true
			n.run(interval * 3 / 2) // two packets at the most, each 75 to 100 % of an interval after the other
			n.cut = false
			n.run(2 * interval)
		}
		n.agree()
		if len(n.nodes[0].told)+len(n.nodes[1].told) != told {
			t.Fatalf("the session went down: %+v, %+v", n.nodes[0].told, n.nodes[1].told)
		}
	})
}
