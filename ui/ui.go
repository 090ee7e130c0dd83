// Package ui owns the HTTP server of Keepwatch: its address, limits and headers, who is let in, and what is mounted
// where: the API, the PromQL API, metrics, health and the web app. It computes nothing that another part owns.
// cmd/keepwatch runs it and mounts its LocalHandler on the local control socket.
package ui

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
	"keepwatch/ui/api"
	"keepwatch/ui/auth"
)

// Options is what New needs.
type Options struct {
	Config     conf.UI
	DB         *db.DB
	Prometheus http.Handler                    // PromQL, mounted at /prometheus: it answers /api/v1/query, query_range, series, labels …
	Metrics    http.Handler                    // the process's own metrics, mounted at /metrics
	Channels   func() (mail, sms string)       // why a channel cannot send; "": it can
	Ready      func(ctx context.Context) error // what else must be well for /readyz; nil: nothing
	Version    string                          // of the program
	Cluster    string                          // name of this installation's own cluster
	Query      time.Duration                   // bound of a PromQL query; 0: the default of extractor.query.timeout
	Stale      time.Duration                   // a sample older than this says nothing about the present; 0: a minute. Four times the longest interval of probes is right.
	Log        *slog.Logger
}

// UI is the server.
type UI struct {
	o    Options
	auth *auth.Auth
	api  *api.API
	app  http.Handler
	ln   net.Listener
}

// New makes the server and binds its address, so that a port that is taken is told at once.
func New(o Options) (*UI, error) {
	ln, err := net.Listen("tcp", o.Config.Listen)
	if err != nil {
		return nil, listenFault(o.Config.Listen, err)
	}
	u := &UI{o: o, ln: ln}
	// The API answers what goes wrong in auth and auth lets users into the API: one of them must come first.
	u.auth = auth.New(auth.Options{Config: o.Config, DB: o.DB, Log: o.Log, Fail: func(w http.ResponseWriter, r *http.Request, err error) { u.api.Fail(w, r, err) }})
	u.api = api.New(api.Options{
		DB: o.DB, Auth: u.auth, Prometheus: o.Prometheus, Channels: o.Channels, Version: o.Version, Cluster: o.Cluster,
		Query: o.Query, Stale: o.Stale, Started: time.Now(), Log: o.Log,
	})
	if u.app, err = newApp(); err != nil {
		ln.Close()
		return nil, err
	}
	return u, nil
}

func listenFault(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot serve the web app: %s is in use by another program; set ui.listen to a free address:port", address)
	}
	return fmt.Errorf("cannot serve the web app: set ui.listen to an address:port of this host: %w", err)
}

// Addr is the address that the server listens on.
func (u *UI) Addr() net.Addr { return u.ln.Addr() }

// stopWithin bounds how long open requests may take to end.
const stopWithin = 2 * time.Second

// Run serves until ctx ends. Streams end at once, other requests are given two seconds.
func (u *UI) Run(ctx context.Context) error {
	handler, err := u.handler()
	if err != nil {
		return err
	}
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute, // put off by what takes longer: queries and streams
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(u.o.Log.Handler(), slog.LevelDebug), // broken clients, not our faults
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return u.api.Run(ctx) })
	g.Go(func() error { return u.auth.Sweep(ctx) })
	g.Go(func() error {
		if err := s.Serve(u.ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("cannot serve the web app: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if s.Shutdown(last) != nil {
			_ = s.Close() // what is still open has had its time
		}
		return nil
	})
	return g.Wait()
}
