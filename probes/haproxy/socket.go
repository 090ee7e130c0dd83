package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	timeout  = 5 * time.Second // of connecting, asking and reading together
	maxReply = 32 << 20        // bytes; a server takes some 500
	question = "show info;show stat\n"
)

// socket asks over a unix socket, one connection a question, as HAProxy's command line wants it. The buffer is used
// again: a reply is good until the next ask.
type socket struct {
	path string
	buf  []byte
}

func (s *socket) ask(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", s.path)
	if err != nil {
		return nil, explain(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, question); err != nil {
		return nil, s.late(ctx, err)
	}
	reply, err := s.readAll(conn)
	if err != nil {
		return nil, s.late(ctx, err)
	}
	return reply, nil
}

func (s *socket) readAll(r io.Reader) ([]byte, error) {
	if s.buf == nil {
		s.buf = make([]byte, 64<<10)
	}
	n := 0
	for {
		m, err := r.Read(s.buf[n:])
		n += m
		switch {
		case err == io.EOF:
			return s.buf[:n], nil
		case err != nil:
			return nil, err
		case n == maxReply:
			return nil, fmt.Errorf("the answer is longer than %d bytes", maxReply)
		case n == len(s.buf):
			s.buf = append(s.buf, make([]byte, min(n, maxReply-n))...)
		}
	}
}

// late says in place of a network error that the time was over, when it was.
func (s *socket) late(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("no whole answer in time: %w: HAProxy is stopped, overloaded or nobody reads the socket", ctx.Err())
	}
	return err
}

// explain adds what to do to the reasons that people meet.
func explain(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: start HAProxy, and see that its global section has a line \"stats socket\" with this path", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: add \"group keepwatch mode 660\" to its line \"stats socket\", or this user to the group that owns it", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: the socket is there but nobody listens: HAProxy is not running", err)
	}
	return err
}
