package extractor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"keepwatch/collector/frame"
)

// node is an aggregator: what it heard, and the streams that it serves.
type node struct {
	w      *world
	fate   fate
	addr   string
	number int
	sealer *frame.Sealer // of its own frames, since it lives
	wg     sync.WaitGroup

	mu      sync.Mutex
	alive   bool
	life    int
	entries []entry
	newest  int64
	changed chan struct{}
	conns   map[net.Conn]bool
	greeter *frame.Greeter
}

type entry struct {
	at       int64 // by a clock that was never set
	datagram []byte
}

func newNode(w *world, f fate, i int) *node {
	n := &node{w: w, fate: f, addr: fmt.Sprintf("a%d:1", i), number: i, changed: make(chan struct{}), conns: make(map[net.Conn]bool)}
	n.rise()
	return n
}

func (n *node) clock() int64 { return time.Now().UnixMilli() + n.wrong() }

// wrong is the node's skew, and what its clock is set by on the way.
func (n *node) wrong() int64 {
	by := n.fate.skew
	for _, s := range n.fate.steps {
		if n.w.now() >= s.at {
			by += s.by
		}
	}
	return by
}

func (n *node) rise() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.alive, n.life, n.entries, n.newest = true, n.life+1, nil, 0
	n.greeter = frame.NewGreeter(n.w.ring)
	n.sealer = n.w.sealer(fmt.Sprintf("a%d", n.number), uint64(1000*n.life+n.number))
}

// live plays the fate.
func (n *node) live(ctx context.Context) {
	type turn struct {
		at int64
		do func()
	}
	var turns []turn
	for _, o := range n.fate.deaths {
		turns = append(turns, turn{o.from, func() { n.cut(true) }}, turn{o.to, n.rise})
	}
	for _, at := range n.fate.cuts {
		turns = append(turns, turn{at, func() { n.cut(false) }})
	}
	slices.SortFunc(turns, func(a, b turn) int { return int(a.at - b.at) })
	for _, x := range turns {
		if !rest(ctx, time.Duration(x.at-n.w.now())*time.Millisecond) {
			break
		}
		x.do()
	}
	<-ctx.Done()
	n.cut(true)
}

func (n *node) cut(die bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if die {
		n.alive, n.entries = false, nil
	}
	for c := range n.conns {
		c.Close()
	}
}

// survives says until when it lives that lives at a time; it may be just about to die.
func (n *node) survives(at int64) int64 {
	for _, o := range n.fate.deaths {
		if o.from >= at {
			return o.from
		}
	}
	return 1 << 60
}

// hear takes a datagram after a while, if it lives then. If it goes on living for ten minutes, or to the end, it
// must be published: owe says so.
func (n *node) hear(after int64, datagram func() []byte, owe func(why string)) {
	n.wg.Go(func() {
		rest(context.Background(), time.Duration(after)*time.Millisecond)
		n.mu.Lock()
		defer n.mu.Unlock()
		if !n.alive {
			return
		}
		n.newest = max(n.newest, time.Now().UnixMilli())
		n.entries = append(n.entries, entry{n.newest, datagram()})
		close(n.changed)
		n.changed = make(chan struct{})
		if at := n.w.now(); n.survives(at) >= min(at+remembered.Milliseconds(), n.w.s.length) {
			n.w.mu.Lock()
			defer n.w.mu.Unlock()
			owe(fmt.Sprintf("%s heard it at %d and lives", n.addr, at))
		}
	})
}

func (n *node) accept(ctx context.Context) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.alive {
		if n.fate.hangs {
			n.mu.Unlock()
			<-ctx.Done()
			n.mu.Lock()
		}
		return nil, errors.New("refused")
	}
	client, server := net.Pipe()
	n.conns[server] = true
	greeter := n.greeter
	n.wg.Go(func() {
		defer func() {
			server.Close()
			n.mu.Lock()
			delete(n.conns, server)
			n.mu.Unlock()
		}()
		hello := make([]byte, frame.HelloSize)
		if _, err := io.ReadFull(server, hello); err != nil {
			return
		}
		n.mu.Lock()
		w, since, err := greeter.Accept(hello, frame.Nonce{byte(n.life), byte(len(n.entries)), byte(time.Now().UnixMilli()), byte(time.Now().UnixMilli() >> 8), byte(n.number)}, time.Now().Add(time.Duration(n.fate.skew)*time.Millisecond))
		n.mu.Unlock()
		if err == nil {
			n.serve(server, w, since)
		}
	})
	return client, nil
}

// serve does as collector/state's server: batches of entries, a heartbeat when there are none.
func (n *node) serve(c net.Conn, w *frame.StreamWriter, since int64) {
	out := w.AppendClock(w.AppendGreeting(nil), n.clock())
	next := -1
	for {
		n.mu.Lock()
		if next < 0 {
			since = max(since, n.clock()-remembered.Milliseconds()) - n.wrong()
			next, _ = slices.BinarySearchFunc(n.entries, since, func(e entry, at int64) int { return int(e.at - at) })
		}
		some := n.entries[min(next, len(n.entries)):min(next+256, len(n.entries))]
		oldest := n.clock()
		if len(n.entries) > 0 {
			oldest = max(n.entries[0].at+n.wrong(), oldest-remembered.Milliseconds())
		}
		n.newest = max(n.newest, time.Now().UnixMilli())
		changed, now, wrong := n.changed, n.clock(), n.wrong()
		n.mu.Unlock()
		next += len(some)
		for _, e := range some {
			out = w.AppendFrame(out, e.at+wrong, e.datagram)
		}
		if len(some) == 0 {
			out = w.AppendHeartbeat(out, now, oldest)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(out); err != nil {
			return
		}
		if out = out[:0]; len(some) > 0 {
			continue
		}
		beat := time.NewTimer(frame.Heartbeat)
		select {
		case <-changed:
		case <-beat.C:
		}
		beat.Stop()
	}
}
