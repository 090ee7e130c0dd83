package extractor

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"time"

	"keepwatch/collector/frame"
)

const (
	dialTimeout  = 700 * time.Millisecond
	helloTimeout = time.Second
	streamBuffer = 256 << 10

	// A stream begins a little before where the last one ended: one that is opened again to the same collector, and
	// one that goes on where an earlier run ended, with another collector perhaps, which has heard the same frames at
	// other times, by another clock.
	sameMargin  = time.Second
	otherMargin = 30 * time.Second
)

// connection is a stream that was asked for.
type connection struct {
	conn  net.Conn
	br    *bufio.Reader
	r     *frame.StreamReader
	asked time.Time // when the hello was sent
	close func()
}

// open asks a collector for its stream, since a time of its clock.
func (p *pull) open(ctx context.Context, addr string, since int64) (*connection, error) {
	var nonce frame.Nonce
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, fmt.Errorf("cannot draw a nonce: %w", err)
	}
	hello, err := frame.NewHello(p.keys.Load(), nonce, since, time.Now())
	if err != nil {
		return nil, err
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := p.dial(dialing, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c := &connection{conn: conn, br: bufio.NewReaderSize(conn, streamBuffer), close: func() { stop(); conn.Close() }}
	c.r, c.asked = frame.NewStreamReader(c.br, hello), time.Now()
	c.r.Known = p.take.frames.known
	err = conn.SetDeadline(time.Now().Add(helloTimeout))
	if err == nil {
		_, err = conn.Write(hello.Bytes[:])
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("cannot ask for the stream: %w", err)
	}
	return c, nil
}

// since is from when on a stream is asked for, by the collector's clock. Of another collector than the one that was
// followed it is all that it holds: what that one had not heard, or not yet told, may be anywhere in it; frames that
// were had are known.
func (p *pull) since(addr string, now time.Time) int64 {
	switch {
	case !p.begun:
		p.begun, p.debts.had = true, p.take.page.since()
		p.take.floor = max(min(p.debts.had, now.UnixMilli())-otherMargin.Milliseconds(), 0)
		return p.byClockOf(addr, p.take.floor)
	case p.reopen:
		return p.heard - sameMargin.Milliseconds()
	}
	return p.sinceWindow(addr, now)
}

func (p *pull) sinceWindow(addr string, now time.Time) int64 {
	return p.byClockOf(addr, max(now.Add(-remembered).UnixMilli(), p.take.floor))
}

// byClockOf is our time by a collector's clock, or a little earlier; of one that is not known, 0: all that it holds.
func (p *pull) byClockOf(addr string, at int64) int64 {
	offset, ok := p.take.page.offsetOf(addr)
	if !ok {
		return 0
	}
	return max(at-offset-sameMargin.Milliseconds(), 0)
}
