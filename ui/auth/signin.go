package auth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
)

// ErrRefused says that name or password is wrong, or the user disabled: which one is not told.
var ErrRefused = errors.New("the name or the password is wrong")

// unknownName stands in the audit for names that no user has: people type passwords there.
const unknownName = "(unknown name)"

// SignIn checks a password and begins a session with a new token. It returns the cookie to set. The error is
// ErrRefused, *TooManyError, ErrBusy or the database's. ctx is that of a request that went through Handler.
func (a *Auth) SignIn(ctx context.Context, name, password string) (User, *http.Cookie, error) {
	row, err := a.check(ctx, name, password)
	if err != nil {
		return User{}, nil, err
	}
	if err := a.sessions.RenewToken(ctx); err != nil {
		return User{}, nil, err
	}
	a.sessions.Put(ctx, sessionUser, int(row.ID))
	a.sessions.Put(ctx, sessionStamp, stamp(row.Password))
	token, _, err := a.sessions.Commit(ctx)
	if err != nil {
		return User{}, nil, err
	}
	err = a.db.InTx(ctx, func(tx *db.Tx) error {
		if err := tx.UISignedIn(ctx, row.ID); err != nil {
			return err
		}
		return audit(ctx, tx.Queries, row.Name, "session.create", row.Name, map[string]any{"address": addressOf(ctx)})
	})
	return userOf(row), a.cookie(token, int(absolute.Seconds())), err
}

// check verifies a password under the limits on failures. Refusals are audited.
func (a *Auth) check(ctx context.Context, name, password string) (db.User, error) {
	address := addressOf(ctx)
	if err := a.failures.take(name, address, time.Now()); err != nil {
		return db.User{}, err
	}
	row, err := a.db.UserByName(ctx, name)
	known := true
	if err = db.Map(err); errors.Is(err, db.ErrNotFound) || errors.Is(err, db.ErrCheck) { // ErrCheck: NUL in the name
		known, err = false, nil
	}
	if err != nil {
		return db.User{}, err
	}
	stored := nobody
	if known {
		stored = row.Password
	}
	ok, err := Verify(ctx, stored, password)
	if err != nil {
		return db.User{}, err
	}
	if ok && known && !row.Disabled {
		a.failures.succeeded(name, address)
		return row, nil
	}
	object := unknownName
	if known {
		object = row.Name
	}
	if err := audit(ctx, a.db.Queries, "system", "session.refuse", object, map[string]any{"address": address}); err != nil {
		return db.User{}, err
	}
	return db.User{}, ErrRefused
}

// SignOut ends the session of the request and returns the cookie that makes the browser forget it.
func (a *Auth) SignOut(ctx context.Context) (*http.Cookie, error) {
	u, ok := UserOf(ctx)
	if err := a.sessions.Destroy(ctx); err != nil {
		return nil, err
	}
	if ok {
		if err := audit(ctx, a.db.Queries, u.Name, "session.delete", u.Name, map[string]any{"address": addressOf(ctx)}); err != nil {
			return nil, err
		}
	}
	return a.cookie("", -1), nil
}

// ChangePassword sets the password of the signed-in user, who must know the present one. All other sessions of the
// user are over; this one goes on under a new token, whose cookie is returned. Errors are those of SignIn.
func (a *Auth) ChangePassword(ctx context.Context, current, next string) (*http.Cookie, error) {
	u, _ := UserOf(ctx)
	if _, err := a.check(ctx, u.Name, current); err != nil {
		return nil, err
	}
	hash, err := Hash(ctx, next)
	if err != nil {
		return nil, err
	}
	err = a.db.InTx(ctx, func(tx *db.Tx) error {
		if err := tx.UISetPassword(ctx, db.UISetPasswordParams{ID: u.ID, Password: hash}); err != nil {
			return err
		}
		return audit(ctx, tx.Queries, u.Name, "user.password", u.Name, nil)
	})
	if err != nil {
		return nil, err
	}
	if err := a.sessions.RenewToken(ctx); err != nil {
		return nil, err
	}
	a.sessions.Put(ctx, sessionUser, int(u.ID))
	a.sessions.Put(ctx, sessionStamp, stamp(hash))
	token, _, err := a.sessions.Commit(ctx)
	if err != nil {
		return nil, err
	}
	return a.cookie(token, int(absolute.Seconds())), nil
}

func (a *Auth) cookie(value string, age int) *http.Cookie {
	c := a.sessions.Cookie
	return &http.Cookie{Name: c.Name, Value: value, Path: c.Path, HttpOnly: c.HttpOnly, Secure: c.Secure, SameSite: c.SameSite, MaxAge: age}
}

func secure(c conf.UI) bool {
	return c.SecureCookies || len(c.URL) >= 8 && c.URL[:8] == "https://"
}
