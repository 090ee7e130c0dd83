package notify

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// errNoReader says that nobody has the pipe open for reading.
var errNoReader = errors.New("nobody reads it")

// feed writes the lines of one named pipe in order. The pipe stays open, so that a reader sees no end after each line.
func (n *Notifier) feed(l life, path string, q *queue[string]) {
	p := &pipe{path: path, fd: -1}
	defer p.close()
	said := ""
	for {
		text, ok, more := q.take()
		if !ok {
			if !more {
				return
			}
			<-q.bell
			continue
		}
		err := p.write(text)
		if err == nil {
			said = ""
			continue
		}
		n.count(q.giveBack(text))
		if now := err.Error(); now != said && !errors.Is(err, errNoReader) {
			n.opt.Log.Warn("lines wait for the notify pipe", "path", path, "err", err)
			said = now
		}
		if !n.again(l, q, err) {
			return
		}
	}
}

// again waits until it is time for the next attempt. After the end it waits for a slow reader only; without one the
// lines are dropped and it returns false.
func (n *Notifier) again(l life, q *queue[string], why error) bool {
	pause := retryEvery
	if q.isClosed() {
		if !errors.Is(why, unix.EAGAIN) || l.stop.Err() != nil {
			n.dropped.Add(q.discard())
			return false
		}
		pause /= 10
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.bell:
	}
	return true
}

// pipe is a named pipe that is open for writing while fd is not negative.
type pipe struct {
	path string
	fd   int
	stat unix.Stat_t
}

func (p *pipe) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}

// write hands the line to the pipe without waiting. A line is shorter than what the kernel writes in one piece.
func (p *pipe) write(text string) error {
	if p.fd < 0 {
		if err := p.open(); err != nil {
			return err
		}
	}
	_, err := unix.Write(p.fd, []byte(text))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("%s is full: its reader does not keep up: %w", p.path, err)
	case errors.Is(err, unix.EPIPE):
		p.close()
		return errNoReader
	default:
		p.close()
		return fmt.Errorf("cannot write to %s: %w", p.path, err)
	}
}

// open opens the pipe and makes it when it is missing. Anything but a named pipe is left alone.
func (p *pipe) open() error {
	if err := unix.Mkfifo(p.path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot make the named pipe %s: %w", p.path, err)
	}
	if err := p.isPipe(unix.Stat(p.path, &p.stat)); err != nil {
		return err // before it is opened: to open a device can have an effect
	}
	fd, err := unix.Open(p.path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	switch {
	case errors.Is(err, unix.ENXIO):
		return errNoReader
	case err != nil:
		return fmt.Errorf("cannot open the named pipe %s: %w", p.path, err)
	}
	if err := p.isPipe(unix.Fstat(fd, &p.stat)); err != nil {
		_ = unix.Close(fd)
		return err
	}
	p.fd = fd
	return nil
}

// isPipe judges what stat tells, or the error of the call that filled it.
func (p *pipe) isPipe(err error) error {
	if err != nil {
		return fmt.Errorf("cannot look at the named pipe %s: %w", p.path, err)
	}
	if p.stat.Mode&unix.S_IFMT != unix.S_IFIFO {
		return fmt.Errorf("%s is no named pipe: remove it, or name another", p.path)
	}
	return nil
}
