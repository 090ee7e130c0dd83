package ui

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"keepwatch/ui/api"
	"keepwatch/ui/auth"
)

// policy lets the web app load nothing but its own files. Styles may stand in the page: the kit sets its variables so.
const policy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; font-src 'self'; " +
	"connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// handler is everything that is served over TCP.
func (u *UI) handler() (http.Handler, error) {
	cross, err := u.crossOrigin()
	if err != nil {
		return nil, err
	}
	zip, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypes([]string{
		"application/json", "application/problem+json", "application/openapi+json", "application/javascript", "text/javascript",
		"text/css", "text/html", "text/plain", "image/svg+xml",
	}))
	if err != nil {
		return nil, fmt.Errorf("cannot set up compression: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", u.readyz)
	if u.o.Metrics != nil {
		mux.Handle("GET /metrics", zip(u.o.Metrics))
	}
	mux.Handle("GET /api/v1/stream", u.auth.Handler(http.HandlerFunc(u.api.Stream)))
	mux.Handle("/api/", zip(cross.Handler(u.auth.Handler(u.api.Handler()))))
	mux.Handle("/prometheus/", zip(cross.Handler(u.auth.Handler(u.auth.Basic(u.queries())))))
	mux.Handle("/", zip(u.app))
	return u.guard(http.MaxBytesHandler(mux, api.MaxBody)), nil
}

// LocalHandler is the API and the PromQL API for the local control socket: whoever may use the socket is an
// administrator of the name local, without signing in.
func (u *UI) LocalHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", u.readyz)
	mux.HandleFunc("GET /api/v1/stream", u.api.Stream)
	mux.Handle("/api/", u.api.Handler())
	mux.Handle("/prometheus/", u.queries())
	return u.guard(http.MaxBytesHandler(u.auth.LocalHandler(mux), api.MaxBody))
}

// crossOrigin refuses what another site's page makes a browser send.
func (u *UI) crossOrigin() (*http.CrossOriginProtection, error) {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		api.Problem(w, http.StatusForbidden, "The request comes from a page of another site. When you reach Keepwatch through a proxy, set ui.url to the address in the browser.")
	}))
	if u.o.Config.URL == "" {
		return cross, nil
	}
	at, err := url.Parse(u.o.Config.URL)
	if err != nil {
		return nil, fmt.Errorf("cannot read ui.url: %w", err)
	}
	if err := cross.AddTrustedOrigin(at.Scheme + "://" + at.Host); err != nil {
		return nil, fmt.Errorf("cannot use ui.url as an origin: %w", err)
	}
	return cross, nil
}

// queries is the PromQL API for those who are signed in.
func (u *UI) queries() http.Handler {
	within := u.o.Query
	if within == 0 {
		within = time.Minute
	}
	next := http.StripPrefix("/prometheus", u.o.Prometheus)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := auth.UserOf(r.Context()); !ok {
			if r.Header.Get("Sec-Fetch-Mode") == "" { // no browser: a program that can be asked for a password
				w.Header().Set("WWW-Authenticate", `Basic realm="Keepwatch", charset="UTF-8"`)
			}
			api.Problem(w, http.StatusUnauthorized, "You are not signed in: sign in first, or send name and password (HTTP Basic).")
			return
		}
		if u.o.Prometheus == nil {
			api.Problem(w, http.StatusNotFound, "This process answers no PromQL.")
			return
		}
		// Both: the server ends a request when the time to read is over, also when nothing is left to read. A
		// connection that cannot be given more time keeps what it has.
		end := time.Now().Add(within + 30*time.Second)
		control := http.NewResponseController(w)
		_ = errors.Join(control.SetReadDeadline(end), control.SetWriteDeadline(end))
		next.ServeHTTP(w, r)
	})
}

// guard sets the headers that every answer has, and turns a panic into an answer and a line in the log.
func (u *UI) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // the app's own files say otherwise
		defer func() {
			p := recover()
			if p == http.ErrAbortHandler {
				panic(p) // the way to cut a connection on purpose
			}
			if p != nil {
				u.o.Log.Error("a request failed by a bug", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				api.Problem(w, http.StatusInternalServerError, "Something went wrong inside Keepwatch. Its log says what.")
			}
		}()
		next.ServeHTTP(w, r)
	})
}
