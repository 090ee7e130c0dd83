package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The definitions that all numbers rest on.
const (
	every    = time.Millisecond       // a new connection, whatever became of those before it
	promptly = 50 * time.Millisecond  // an answer that takes no longer shows that the service is there
	patience = 200 * time.Millisecond // a request without an answer by then has failed
)

// request is one connection: made at start (since the client's begin), answered by node after took, or failed.
type request struct {
	start, took time.Duration
	node        byte // 0: not answered
	done        bool
}

func (r *request) prompt() bool { return r.node != 0 && r.took <= promptly }
func (r *request) failed() bool { return r.done && r.node == 0 }

// client makes a new TCP connection every millisecond and reads one line from each. It never waits for one: the
// sockets are non-blocking and looked after by one thread, whose own lateness is kept.
type client struct {
	to      unix.SockaddrInet4
	begun   time.Time
	stopped atomic.Bool
	ended   chan struct{}

	epoll, timer int
	open         map[int]int // socket to its request
	fds          []int       // of the requests from oldest on
	oldest       int         // of all before it, what became of them is known
	err          error       // after ended
	cpu          time.Duration

	mu       sync.Mutex
	requests []request
}

// newClient prepares a client; run does the work and must be called in the namespace that the requests leave from.
func newClient(address [4]byte) *client {
	return &client{to: unix.SockaddrInet4{Port: port, Addr: address}, begun: time.Now(), ended: make(chan struct{}), open: make(map[int]int)}
}

// stop ends the client as soon as what became of every request is known.
func (c *client) stop() error {
	c.stopped.Store(true)
	<-c.ended
	return c.err
}

// since is now on the client's clock.
func (c *client) since(t time.Time) time.Duration { return t.Sub(c.begun) }

// from copies the requests that started at or after a time on the client's clock.
func (c *client) from(start time.Duration) []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.requests)
	for n > 0 && c.requests[n-1].start >= start {
		n--
	}
	return append([]request(nil), c.requests[n:]...)
}

// run makes requests until stop.
func (c *client) run() {
	defer close(c.ended)
	before := threadCPU()
	c.err = c.loop()
	for fd := range c.open {
		_ = unix.Close(fd)
	}
	c.cpu = threadCPU() - before
}

func threadCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (c *client) loop() (err error) {
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("cannot make the client's epoll: %w", err)
	}
	defer unix.Close(c.epoll)
	if c.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return fmt.Errorf("cannot make the client's timer: %w", err)
	}
	defer unix.Close(c.timer)
	tick := unix.NsecToTimespec(int64(every))
	if err := unix.TimerfdSettime(c.timer, 0, &unix.ItimerSpec{Interval: tick, Value: tick}, nil); err != nil {
		return fmt.Errorf("cannot set the client's timer: %w", err)
	}
	if err := c.watch(c.timer); err != nil {
		return err
	}
	var events [64]unix.EpollEvent
	var ticks [8]byte
	for {
		n, err := unix.EpollWait(c.epoll, events[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("the client cannot wait: %w", err)
		}
		due := false
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == c.timer {
				_, _ = unix.Read(c.timer, ticks[:]) // ticks that were missed are not made up for
				due = true
				continue
			}
			c.finish(int(e.Fd))
		}
		if !due {
			continue
		}
		c.expire()
		if c.stopped.Load() {
			if len(c.open) == 0 {
				return nil
			}
			continue
		}
		if err := c.request(); err != nil {
			return err
		}
	}
}

func (c *client) watch(fd int) error {
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("the client cannot watch a socket: %w", err)
	}
	return nil
}

// request starts one.
func (c *client) request() error {
	start := time.Since(c.begun)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("the client cannot make a socket: %w", err)
	}
	// Closing resets the connection, so that neither side keeps it: there are a thousand a second.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return errors.Join(fmt.Errorf("the client cannot set a socket: %w", err), unix.Close(fd))
	}
	r := request{start: start}
	if err := unix.Connect(fd, &c.to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		r.done = true // the kernel knows no way to the address
		_ = unix.Close(fd)
		fd = -1
	}
	c.mu.Lock()
	c.requests = append(c.requests, r)
	n := len(c.requests) - 1
	c.mu.Unlock()
	c.fds = append(c.fds, fd)
	if fd < 0 {
		return nil
	}
	c.open[fd] = n
	return c.watch(fd)
}

// finish reads what a socket has: the line, or why there will be none.
func (c *client) finish(fd int) {
	n, known := c.open[fd]
	if !known {
		return
	}
	var line [16]byte
	read, err := unix.Read(fd, line[:])
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	var node byte
	if err == nil && read == 2 && line[1] == '\n' {
		node = line[0]
	}
	c.settle(n, fd, node)
}

// settle says what became of a request and closes its socket.
func (c *client) settle(n, fd int, node byte) {
	now := time.Since(c.begun)
	c.mu.Lock()
	r := &c.requests[n]
	r.done, r.node, r.took = true, node, now-r.start
	c.mu.Unlock()
	delete(c.open, fd)
	_ = unix.Close(fd)
}

// expire gives up the requests that waited too long.
func (c *client) expire() {
	now := time.Since(c.begun)
	for len(c.fds) > 0 {
		c.mu.Lock()
		r := c.requests[c.oldest]
		c.mu.Unlock()
		if !r.done {
			if now-r.start <= patience {
				return
			}
			c.settle(c.oldest, c.fds[0], 0)
		}
		c.fds = c.fds[1:]
		c.oldest++
	}
}

// outcome is what clients saw in a span.
type outcome struct {
	gap      time.Duration // longest time without answer
	failed   int
	requests int
	hole     time.Duration // longest pause between two requests: the client's own lateness, a bound of its error
}

// judge looks at the requests, in their order, and the span [from, to). The time without answer is that between the
// starts of two requests that were answered promptly with no such one between them, as far as it lies in the span.
func judge(all []request, from, to time.Duration) (o outcome) {
	last, before := time.Duration(-1), time.Duration(-1)
	for i := range all {
		r := &all[i]
		if r.prompt() {
			if last >= 0 {
				o.gap = max(o.gap, min(r.start, to)-max(last, from))
			}
			last = r.start
		}
		if r.start >= from && r.start < to {
			o.requests++
			if r.failed() {
				o.failed++
			}
			if before >= 0 {
				o.hole = max(o.hole, r.start-before)
			}
		}
		before = r.start
	}
	return o
}
