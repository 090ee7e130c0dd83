package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/control"
)

// controlSocket is where 'keepwatch status' and its like ask, without a password.
const controlSocket = control.Socket

// controlClient talks to a keepwatch that runs on this data folder.
type controlClient struct {
	http   *http.Client
	socket string
}

func (g *global) control(socket string) *controlClient {
	path := filepath.Join(g.data, socket)
	return &controlClient{socket: path, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}}
}

// errNotRunning says that nobody answers on the data folder's socket.
var errNotRunning = errors.New("no keepwatch runs on this data folder: start it, or name its folder with --data")

// call does one request and returns the body of a 2xx answer; others become errors in the server's own words.
func (c *controlClient) call(ctx context.Context, method, path string, in any) ([]byte, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://local"+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w (%s)", errNotRunning, c.socket)
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("only the user who runs keepwatch may use %s", c.socket)
		}
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		return nil, errors.New(problem(res.Status, text))
	}
	return text, nil
}

// problem takes the sentence for people out of an error answer, of our own API or of the Prometheus one.
func problem(status string, text []byte) string {
	var p struct{ Detail, Error string }
	if json.Unmarshal(text, &p) == nil && p.Detail+p.Error != "" {
		return p.Detail + p.Error
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %.300s", status, text))
}

func queryPath(expr string, at, start, end time.Time, step time.Duration) string {
	q := url.Values{"query": {expr}}
	if step == 0 {
		q.Set("time", fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000))
		return "/prometheus/api/v1/query?" + q.Encode()
	}
	q.Set("start", fmt.Sprint(start.Unix()))
	q.Set("end", fmt.Sprint(end.Unix()))
	q.Set("step", fmt.Sprint(step.Seconds()))
	return "/prometheus/api/v1/query_range?" + q.Encode()
}
