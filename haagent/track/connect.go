package track

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"keepwatch/internal/conf"
)

// dialer connects without the extras that a check has no use for.
func dialer() *net.Dialer {
	return &net.Dialer{KeepAlive: -1, FallbackDelay: -1}
}

// lookTCP connects and hangs up by a reset, which leaves no connection in TIME_WAIT behind: ten checks a second would
// hold 600 ports.
func lookTCP(c conf.Track) looker {
	d := dialer()
	d.Timeout = timeout(c)
	return func(ctx context.Context, verdict func(good bool, detail string)) {
		conn, err := d.DialContext(ctx, "tcp", c.TCP)
		if err != nil {
			verdict(false, why(err, d.Timeout))
			return
		}
		verdict(true, c.TCP+" takes connections")
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// why is the reason of a failed connection without what the reader knows.
func why(err error, limit time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", limit)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Sprintf("no answer within %s", limit)
	}
	return err.Error()
}

const (
	maxHeader = 16 << 10
	maxBody   = 64 << 10
)

// checkHTTP asks by GET, each time over a new connection: one that is kept would show a server that takes no new
// ones as healthy. Redirects are answers, not followed. A certificate must be valid for the name in the URL.
func checkHTTP(ctx context.Context, c conf.Track, t *teller) error {
	request, err := http.NewRequest(http.MethodGet, c.HTTP, nil)
	if err != nil || request.Host == "" {
		return fmt.Errorf("%.120q: want a URL, as http://127.0.0.1:80/health", c.HTTP)
	}
	request.Header.Set("User-Agent", "keepwatch-haagent")
	transport := &http.Transport{
		DialContext: dialer().DialContext, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: maxHeader, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	return check(ctx, c, lookHTTP(request, timeout(c), transport), t)
}

func lookHTTP(request *http.Request, limit time.Duration, transport *http.Transport) looker {
	return func(ctx context.Context, verdict func(good bool, detail string)) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		answer, err := transport.RoundTrip(request.WithContext(ctx))
		if err != nil {
			verdict(false, why(err, limit))
			return
		}
		verdict(answer.StatusCode >= 200 && answer.StatusCode < 400, fmt.Sprintf("the answer is %d", answer.StatusCode))
		_, _ = io.CopyN(io.Discard, answer.Body, maxBody) // a server logs an error for a short page that is not read
		_ = answer.Body.Close()
	}
}
