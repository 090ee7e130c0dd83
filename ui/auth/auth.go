// Package auth owns who may do what in the web app and the API: passwords, sign-in and its limits, sessions, roles
// and the first administrator. It never draws, answers no API call itself and knows nothing of what the API offers.
// Package ui puts its Handler around the API; package api signs in and out with it and asks it for the user of a
// request; cmd/keepwatch calls EnsureAdmin and ResetPassword.
package auth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
)

// absolute is how long a session lasts at most, however much it is used.
const absolute = 90 * 24 * time.Hour

// CookieName is the session's cookie.
const CookieName = "keepwatch"

// Options is what New needs.
type Options struct {
	Config conf.UI
	DB     *db.DB
	Log    *slog.Logger

	// Fail answers a request whose user cannot be looked up, since the database does not answer.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
}

// Auth signs people in and knows who is signed in.
type Auth struct {
	db       *db.DB
	log      *slog.Logger
	fail     func(http.ResponseWriter, *http.Request, error)
	sessions *scs.SessionManager
	idle     time.Duration
	failures *throttle
	basic    *remembered
}

// New makes an Auth. It starts nothing.
func New(o Options) *Auth {
	a := &Auth{db: o.DB, log: o.Log, fail: o.Fail, idle: o.Config.Session, failures: newThrottle(), basic: newRemembered()}
	a.sessions = &scs.SessionManager{ // not scs.New, which starts a goroutine that never ends
		IdleTimeout: o.Config.Session,
		Lifetime:    absolute,
		Store:       &store{db: o.DB},
		Codec:       scs.GobCodec{},
		Cookie: scs.SessionCookie{
			Name: CookieName, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Persist: true,
			Secure: secure(o.Config),
		},
	}
	return a
}

// User is who makes a request.
type User struct {
	ID       int32 // 0: the local control socket
	Name     string
	FullName string
	Role     Role
	Language string
}

// Local is the user of the local control socket, which the socket's file mode protects.
var Local = User{Name: "local", FullName: "local control socket", Role: Admin}

type contextKey int

const (
	userKey contextKey = iota
	addressKey
	expiryKey
)

// UserOf gives the user of a request's context; false: nobody is signed in.
func UserOf(ctx context.Context) (User, bool) {
	u, ok := ctx.Value(userKey).(User)
	return u, ok
}

// WithUser makes a context in which u is signed in.
func WithUser(ctx context.Context, u User) context.Context { return context.WithValue(ctx, userKey, u) }

// addressOf is where the request of a context came from.
func addressOf(ctx context.Context) string {
	s, _ := ctx.Value(addressKey).(string)
	return s
}

// Handler finds out who makes a request and puts it into its context. It refuses nobody: that is up to the API,
// which knows what each call needs.
func (a *Auth) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Cookie")
		ctx, err := a.identify(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// LocalHandler makes Local the user of every request.
func (a *Auth) LocalHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), addressKey, "local")
		ctx, err := a.sessions.Load(ctx, "")
		if err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithUser(ctx, Local)))
	})
}

func (a *Auth) identify(r *http.Request) (context.Context, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	ctx := context.WithValue(r.Context(), addressKey, host)
	ctx = context.WithValue(ctx, expiryKey, new(time.Time))
	var token string
	if c, err := r.Cookie(CookieName); err == nil && len(c.Value) <= 100 {
		token = c.Value
	}
	ctx, err = a.sessions.Load(ctx, token)
	if err != nil {
		return nil, err
	}
	u, ok, err := a.current(ctx)
	if err != nil {
		return nil, err
	}
	if ok {
		return WithUser(ctx, u), a.touch(ctx)
	}
	return ctx, nil
}

// What a session holds.
const (
	sessionUser  = "user"  // int: the user's id
	sessionStamp = "stamp" // string: stamp of the password as it was at sign-in
)

// current is the user of the loaded session. A user who was deleted, disabled or given another password since has
// no session any more.
func (a *Auth) current(ctx context.Context) (User, bool, error) {
	id := a.sessions.GetInt(ctx, sessionUser)
	if id == 0 {
		return User{}, false, nil
	}
	row, err := a.db.UIUser(ctx, int32(id))
	switch err = db.Map(err); {
	case errors.Is(err, db.ErrNotFound):
		return User{}, false, nil
	case err != nil:
		return User{}, false, err
	}
	if row.Disabled || stamp(row.Password) != a.sessions.GetString(ctx, sessionStamp) {
		return User{}, false, nil
	}
	return userOf(row), true, nil
}

func userOf(u db.User) User {
	return User{ID: u.ID, Name: u.Name, FullName: u.FullName, Role: Role(u.Role), Language: u.Language}
}

// touch puts off the end of a session that is in use, but not at each request.
func (a *Auth) touch(ctx context.Context) error {
	ends, _ := ctx.Value(expiryKey).(*time.Time)
	next := time.Now().Add(a.idle)
	if d := a.sessions.Deadline(ctx); d.Before(next) {
		next = d
	}
	if ends == nil || next.Sub(*ends) < min(a.idle/10, time.Minute) {
		return nil
	}
	return db.Map(a.db.UITouchSession(ctx, db.UITouchSessionParams{Token: hashToken(a.sessions.Token(ctx)), Expiry: next}))
}

// StillValid looks again whether the session of a long request still stands, and puts off its end.
func (a *Auth) StillValid(ctx context.Context) (bool, error) {
	if u, ok := UserOf(ctx); ok && u.ID == 0 {
		return true, nil
	}
	token := a.sessions.Token(ctx)
	if token == "" {
		return false, nil
	}
	row, err := a.db.UISession(ctx, hashToken(token))
	switch err = db.Map(err); {
	case errors.Is(err, db.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	if _, ok, err := a.current(ctx); !ok || err != nil {
		return false, err
	}
	return true, a.touch(context.WithValue(ctx, expiryKey, &row.Expiry))
}

// Sweep deletes sessions that are over, until ctx ends.
func (a *Auth) Sweep(ctx context.Context) error {
	for {
		if _, err := a.db.UIDropOldSessions(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("cannot delete old sessions; will try again", "err", db.Map(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Minute):
		}
	}
}

// audit writes who did what. Details must hold no secret.
func audit(ctx context.Context, q *db.Queries, actor, action, object string, details map[string]any) error {
	if details == nil {
		details = map[string]any{}
	}
	text, err := json.Marshal(details)
	if err != nil {
		return err
	}
	return db.Map(q.UIWriteAudit(ctx, db.UIWriteAuditParams{Actor: actor, Action: action, Object: object, Details: text}))
}
