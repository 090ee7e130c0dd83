// Package control owns the server's side of the control socket: the unix socket in the data folder by which the
// operator's tools on the same host ask without a password. It never decides what is answered: that is given to it.
// The programs under cmd serve it.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/datafolder"
)

// Socket is its name in the data folder. The file's mode lets only the user in who runs keepwatch.
const Socket = "keepwatch.sock"

// Controls is what the socket serves besides PromQL and the API.
type Controls struct {
	Status   func() any                                                          // GET /status
	Metrics  http.Handler                                                        // GET /metrics: what this process counts of itself
	Password func(ctx context.Context, user string) (password string, err error) // POST /password?user=; nil: no database here
	Send     func(metric []byte) error                                           // POST /send, JSON; nil: no collector here
	Local    http.Handler                                                        // everything else; may be nil
}

// Serve serves the socket until ctx ends.
func Serve(ctx context.Context, ln net.Listener, c Controls, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(c.Status()); err != nil {
			log.Debug("cannot answer on the control socket", "err", err)
		}
	})
	mux.Handle("GET /metrics", c.Metrics)
	if c.Password != nil {
		mux.HandleFunc("POST /password", func(w http.ResponseWriter, r *http.Request) {
			password, err := c.Password(r.Context(), r.URL.Query().Get("user"))
			if err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			_, _ = io.WriteString(w, password) // the client is gone, then
		})
	}
	mux.HandleFunc("POST /send", c.send)
	if c.Local != nil {
		mux.Handle("/", c.Local)
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 1 << 16, BaseContext: func(net.Listener) context.Context { return ctx }}
	stopped := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stopped()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve the control socket: %w", err)
	}
	return nil
}

// maxMetric bounds what one 'keepwatch send' hands over: a gmond packet holds less.
const maxMetric = 64 << 10

func (c *Controls) send(w http.ResponseWriter, r *http.Request) {
	if c.Send == nil {
		http.Error(w, "the keepwatch that answers on this data folder runs no collector: name the collector's folder with --data", http.StatusConflict)
		return
	}
	metric, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMetric))
	if err != nil {
		http.Error(w, fmt.Sprintf("cannot read the metric: %v", err), http.StatusBadRequest)
		return
	}
	if err := c.Send(metric); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Listen binds a socket that only its owner may use. A socket file that a killed process left is replaced; one
// that answers is in use.
func Listen(path string) (net.Listener, error) {
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
