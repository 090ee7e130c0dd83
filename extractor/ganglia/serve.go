package ganglia

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/VictoriaMetrics/metrics"

	tree "keepwatch/internal/ganglia"
)

// requestTime is how long a client of the interactive port may think. gmetad waits for ever, so four that say nothing
// stop it.
const requestTime = 10 * time.Second

var requestsRefused = metrics.GetOrCreateCounter(`keepwatch_ganglia_requests_refused_total`)

// dump answers gmetad's XML port: everything, whatever the client says.
func (p *Poller) dump(_ context.Context, c net.Conn) error {
	now := time.Now()
	return tree.WriteAnswer(c, p.grid(now), tree.Request{}, now.Unix())
}

// interactive answers gmetad's interactive port: one line in, what it asks for out. A line that gmetad would refuse
// is answered as there, with nothing.
func (p *Poller) interactive(_ context.Context, c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(requestTime)); err != nil {
		return err
	}
	line, err := readLine(c)
	if err != nil {
		requestsRefused.Inc()
		return err
	}
	req, err := tree.ParseRequest(line)
	if err != nil {
		requestsRefused.Inc()
		p.log.Debug("request refused", "client", c.RemoteAddr(), "err", err)
		return nil
	}
	now := time.Now()
	return tree.WriteAnswer(c, p.grid(now), req, now.Unix())
}

// readLine reads to the first CR or LF, or the end of what the client sends.
func readLine(r io.Reader) ([]byte, error) {
	buf, n := make([]byte, tree.MaxRequest), 0
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		if i := bytes.IndexAny(buf[n:n+m], "\r\n"); i >= 0 {
			return buf[:n+i], nil
		}
		n += m
		switch {
		case errors.Is(err, io.EOF):
			return buf[:n], nil
		case err != nil:
			return nil, fmt.Errorf("no request came: %w", err)
		}
	}
	return buf, nil // which is too long for ParseRequest
}
