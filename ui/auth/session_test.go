package auth_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
	"keepwatch/ui/auth"
)

// A long request, as a stream, learns that its session is over.
func TestStillValid(t *testing.T) {
	d := pgtest.New(t)
	hash, err := auth.Hash(t.Context(), "a good password")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateUser(t.Context(), db.CreateUserParams{Name: "ann", Role: "viewer", Password: hash}); err != nil {
		t.Fatal(err)
	}
	fail := func(_ http.ResponseWriter, _ *http.Request, err error) { t.Error(err) }
	a := auth.New(auth.Options{Config: conf.UI{Session: time.Hour}, DB: d, Log: slog.New(slog.DiscardHandler), Fail: fail})
	var cookie *http.Cookie
	do := func(fn http.HandlerFunc) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		if cookie != nil {
			r.AddCookie(cookie)
		}
		a.Handler(fn).ServeHTTP(httptest.NewRecorder(), r)
	}
	do(func(_ http.ResponseWriter, r *http.Request) {
		if ok, err := a.StillValid(r.Context()); ok || err != nil {
			t.Errorf("nobody: got %v, %v", ok, err)
		}
		if _, cookie, err = a.SignIn(r.Context(), "ann", "a good password"); err != nil {
			t.Fatal(err)
		}
	})
	do(func(_ http.ResponseWriter, r *http.Request) {
		if u, ok := auth.UserOf(r.Context()); !ok || u.Name != "ann" {
			t.Errorf("got %+v", u)
		}
		check := func(when string, want bool) {
			t.Helper()
			if ok, err := a.StillValid(r.Context()); ok != want || err != nil {
				t.Errorf("%s: got %v, %v; want %v", when, ok, err, want)
			}
		}
		exec := func(sql string) {
			t.Helper()
			if _, err := d.Pool.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		check("at once", true)
		exec("UPDATE users SET disabled = true")
		check("disabled", false)
		exec("UPDATE users SET disabled = false, password = 'another'")
		check("with another password", false)
		exec("DELETE FROM sessions")
		check("signed out elsewhere", false)
	})
}
