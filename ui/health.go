package ui

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"keepwatch/schema/db"
)

// healthz says that the process answers.
func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // the client is gone, then
}

// readiness is the answer of /readyz, which needs no sign-in and so tells no names.
type readiness struct {
	Ready           bool     `json:"ready"`
	Why             string   `json:"why,omitempty"`
	NewestSampleAge *float64 `json:"newest_sample_age_seconds"` // null: there is none yet
}

const readyWithin = 3 * time.Second

// readyz says whether the server can answer in full: 503 when not.
func (u *UI) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	a := readiness{Ready: true}
	d, err := u.o.DB.UIData(ctx)
	switch {
	case err != nil:
		a.Ready, a.Why = false, "the database does not answer"
		u.o.Log.Debug("not ready", "err", db.Map(err))
	case d.Newest.After(time.Unix(0, 0)):
		age := max(0, d.Now.Sub(d.Newest).Seconds())
		a.NewestSampleAge = &age
	}
	if a.Ready && u.o.Ready != nil {
		if err := u.o.Ready(ctx); err != nil {
			a.Ready, a.Why = false, err.Error()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if !a.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(a) // the client is gone, then
}
