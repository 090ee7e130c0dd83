package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keepwatch/ui/auth"
)

const (
	pingEach    = 2 * time.Second
	recheckEach = time.Minute
	writeWithin = 10 * time.Second // a client that takes no byte for so long is gone
)

type hello struct {
	Now     Time   `json:"now"`
	Version string `json:"version"`
}

type ping struct {
	Now Time `json:"now"`
}

// Stream tells one client of changes as they happen, as server-sent events, until the client goes, the session ends
// or the hub does. It stands apart from Handler since nothing may gather or compress what it writes.
func (a *API) Stream(w http.ResponseWriter, r *http.Request) {
	if _, ok := auth.UserOf(r.Context()); !ok {
		Problem(w, http.StatusUnauthorized, "You are not signed in: sign in first.")
		return
	}
	c := a.hub.subscribe()
	if c == nil {
		w.Header().Set("Retry-After", "5")
		Problem(w, http.StatusServiceUnavailable, "There are too many open streams, or the server is stopping. Try again.")
		return
	}
	defer a.hub.unsubscribe(c)
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx must not gather it
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil { // else the server ends the request when it is over
		a.o.Log.Debug("a stream will end early", "err", err)
	}
	a.pump(r.Context(), c, &streamWriter{w: w, control: control})
}

// pump writes what is queued, and a ping when it is time.
func (a *API) pump(ctx context.Context, c *client, out *streamWriter) {
	tick, recheck := time.NewTicker(pingEach), time.NewTicker(recheckEach)
	defer tick.Stop()
	defer recheck.Stop()
	m, ok := encode("hello", hello{Now: at(time.Now()), Version: a.o.Version}), true
	for ok {
		if out.write(m) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case m, ok = <-c.queue:
		case now := <-tick.C:
			m = encode("ping", ping{Now: at(now)})
		case now := <-recheck.C:
			// When the database is away, the stream goes on: who has it was signed in a minute ago.
			if valid, err := a.o.Auth.StillValid(ctx); err == nil && !valid {
				return
			}
			m = encode("ping", ping{Now: at(now)})
		}
	}
}

type streamWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *streamWriter) write(m message) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := s.w.Write(m); err != nil {
		return err
	}
	return s.control.Flush()
}

// documentStream adds the stream to the description, which huma cannot see.
func (a *API) documentStream() {
	a.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "get-stream", Method: http.MethodGet, Path: "/api/v1/stream", Summary: "Changes as they happen",
		Description: "Server-sent events: hello {now, version}; ping {now} every two seconds; alert, notification, rule, contact {id}; " +
			"event (an Event); samples {newest_sample_at} at most each second; resync {}: changes may have been missed, ask for everything again. Needs the role viewer.",
		Security: []map[string][]string{{"session": {}}},
		Responses: map[string]*huma.Response{
			"200": {Description: "The stream", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}},
			"401": {Description: "Not signed in"},
		},
	})
}
