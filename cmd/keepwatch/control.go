package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/datafolder"
)

// controlSocket is where 'keepwatch status' and its like ask, without a password: the file's mode lets only the
// user in who runs keepwatch.
const controlSocket = "keepwatch.sock"

// controls is what the socket serves besides PromQL and the API.
type controls struct {
	status   func() any                                                          // GET /status
	password func(ctx context.Context, user string) (password string, err error) // POST /password?user=; nil: no database here
	local    http.Handler                                                        // everything else; may be nil
}

// serveControl serves the socket until ctx ends.
func serveControl(ctx context.Context, ln net.Listener, c controls, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(c.status()); err != nil {
			log.Debug("cannot answer on the control socket", "err", err)
		}
	})
	if c.password != nil {
		mux.HandleFunc("POST /password", func(w http.ResponseWriter, r *http.Request) {
			password, err := c.password(r.Context(), r.URL.Query().Get("user"))
			if err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			_, _ = io.WriteString(w, password) // the client is gone, then
		})
	}
	if c.local != nil {
		mux.Handle("/", c.local)
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 1 << 16, BaseContext: func(net.Listener) context.Context { return ctx }}
	stopped := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stopped()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve the control socket: %w", err)
	}
	return nil
}

// listenUnix binds a socket that only its owner may use. A socket file that a killed process left is replaced; one
// that answers is in use.
func listenUnix(path string) (net.Listener, error) {
	if len(path) > 107 {
		return nil, fmt.Errorf("the path of the control socket is longer than the 107 bytes that a socket's may be: name a shorter folder with --data (%s)", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("the control socket %s is in use by another keepwatch", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot replace the control socket: %w", err)
	}
	old := unix.Umask(0o177)
	ln, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("cannot make the control socket: %w", datafolder.Full(err))
	}
	return ln, nil
}

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
