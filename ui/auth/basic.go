package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"
	"time"

	"keepwatch/schema/db"
)

// How long and for how many users a checked HTTP Basic password is remembered, so that a dashboard's many queries
// cost one argon2 hash.
const (
	rememberFor = 5 * time.Minute
	maxRemember = 256
)

// remembered knows by a keyed hash which name and password were right lately, and the stamp of the stored password
// they were right for.
type remembered struct {
	mu  sync.Mutex
	key [32]byte
	was map[[32]byte]verdict
}

type verdict struct {
	stamp string
	until time.Time
}

func newRemembered() *remembered {
	r := &remembered{was: make(map[[32]byte]verdict)}
	rand.Read(r.key[:])
	return r
}

func (r *remembered) digest(name, password string) (d [32]byte) {
	h := hmac.New(sha256.New, r.key[:])
	h.Write([]byte(name))
	h.Write([]byte{0})
	h.Write([]byte(password))
	h.Sum(d[:0])
	return d
}

func (r *remembered) get(d [32]byte, now time.Time) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.was[d]
	return v.stamp, ok && now.Before(v.until)
}

func (r *remembered) put(d [32]byte, stamp string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.was) >= maxRemember {
		clear(r.was)
	}
	r.was[d] = verdict{stamp, now.Add(rememberFor)}
}

// Basic also lets in who brings name and password with each request (HTTP Basic, RFC 7617), as Grafana and promtool
// do. It goes inside of Handler, around what such programs may read. Failures count as those of SignIn.
func (a *Auth) Basic(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, given := r.BasicAuth()
		if _, ok := UserOf(r.Context()); ok || !given {
			next.ServeHTTP(w, r)
			return
		}
		u, err := a.basicUser(r.Context(), name, password)
		switch {
		case errors.Is(err, ErrRefused):
			next.ServeHTTP(w, r) // as nobody
		case err != nil:
			a.fail(w, r, err)
		default:
			next.ServeHTTP(w, r.WithContext(WithUser(r.Context(), u)))
		}
	})
}

func (a *Auth) basicUser(ctx context.Context, name, password string) (User, error) {
	now := time.Now()
	d := a.basic.digest(name, password)
	if was, ok := a.basic.get(d, now); ok {
		row, err := a.db.UserByName(ctx, name)
		if err = db.Map(err); err != nil && !errors.Is(err, db.ErrNotFound) {
			return User{}, err
		}
		if err == nil && !row.Disabled && stamp(row.Password) == was {
			return userOf(row), nil
		}
	}
	row, err := a.check(ctx, name, password)
	if err != nil {
		return User{}, err
	}
	a.basic.put(d, stamp(row.Password), now)
	return userOf(row), nil
}
