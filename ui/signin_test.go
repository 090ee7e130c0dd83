package ui_test

import (
	"net/http"
	"strings"
	"testing"
)

type credentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

func TestSignInAndOut(t *testing.T) {
	s := start(t)
	s.user("ann", "operator")
	c := s.client()
	c.refused(401, "GET", "/api/v1/session", nil)
	c.refused(401, "POST", "/api/v1/session", credentials{"ann", "wrong"})
	c.refused(401, "POST", "/api/v1/session", credentials{"nobody", password})
	var me map[string]string
	r := c.want(200, "POST", "/api/v1/session", credentials{"ann", password}, &me)
	if me["name"] != "ann" || me["role"] != "operator" {
		t.Errorf("got %v", me)
	}
	cookie := r.header.Get("Set-Cookie")
	for _, want := range []string{"keepwatch=", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie lacks %s: %s", want, cookie)
		}
	}
	token, _, _ := strings.Cut(strings.TrimPrefix(cookie, "keepwatch="), ";")
	if n := s.count("SELECT count(*) FROM sessions WHERE token = $1", token); n != 0 {
		t.Error("the cookie's value itself is in the database")
	}
	c.want(200, "GET", "/api/v1/session", nil, nil)
	c.want(204, "DELETE", "/api/v1/session", nil, nil)
	if got := s.client().do("GET", "/api/v1/session", nil, "Cookie", "keepwatch="+token); got.status != 401 {
		t.Errorf("the session lives on after signing out: %d", got.status)
	}
	for action, want := range map[string]int{"session.create": 1, "session.delete": 1, "session.refuse": 2} {
		if got := s.count("SELECT count(*) FROM audit WHERE action = $1", action); got != want {
			t.Errorf("%s: %d rows of audit, want %d", action, got, want)
		}
	}
	if n := s.count("SELECT count(*) FROM audit WHERE object = 'nobody' OR details::text LIKE '%password%'"); n != 0 {
		t.Error("the audit tells what was typed")
	}
}

// A session begun by somebody else must not become one's own by signing in with it.
func TestSignInMakesNewToken(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	first := c.want(200, "POST", "/api/v1/session", credentials{"viewer1", password}, nil).header.Get("Set-Cookie")
	second := c.want(200, "POST", "/api/v1/session", credentials{"viewer1", password}, nil).header.Get("Set-Cookie")
	if first == second {
		t.Error("the token stayed the same")
	}
	if n := s.count("SELECT count(*) FROM sessions"); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
	made := s.client().do("POST", "/api/v1/session", credentials{"viewer1", password}, "Cookie", "keepwatch=chosen-by-the-attacker")
	if strings.Contains(made.header.Get("Set-Cookie"), "chosen") {
		t.Error("a token from outside was taken")
	}
}

func TestSignInIsLimited(t *testing.T) {
	s := start(t)
	s.user("ann", "viewer")
	c := s.client()
	for range 5 {
		c.refused(401, "POST", "/api/v1/session", credentials{"ann", "wrong"})
	}
	r := c.do("POST", "/api/v1/session", credentials{"ann", password})
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q: %s", r.status, r.header.Get("Retry-After"), r.body)
	}
	c.refused(401, "POST", "/api/v1/session", credentials{"bob", "wrong"})
}

func TestDisabledAndDeletedUsersAreOut(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	s.exec("UPDATE users SET disabled = true")
	c.refused(401, "GET", "/api/v1/hosts", nil)
	c.refused(401, "POST", "/api/v1/session", credentials{"viewer1", password})
	s.exec("UPDATE users SET disabled = false")
	c.want(200, "GET", "/api/v1/hosts", nil, nil)
	s.exec("DELETE FROM users")
	c.refused(401, "GET", "/api/v1/hosts", nil)
}

func TestSessionEndsWhenIdle(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	s.exec("UPDATE sessions SET expiry = now() + interval '10 seconds'")
	c.want(200, "GET", "/api/v1/session", nil, nil) // use puts off the end
	if n := s.count("SELECT count(*) FROM sessions WHERE expiry > now() + interval '59 minutes'"); n != 1 {
		t.Error("the session in use still ends")
	}
	s.exec("UPDATE sessions SET expiry = now()")
	c.refused(401, "GET", "/api/v1/session", nil)
}

func TestOwnAccount(t *testing.T) {
	s := start(t)
	c, other := s.as("viewer"), s.client()
	other.want(200, "POST", "/api/v1/session", credentials{"viewer1", password}, nil)
	var me map[string]string
	c.want(200, "PUT", "/api/v1/me", map[string]string{"full_name": "Li Hua", "language": "zh"}, &me)
	if me["full_name"] != "Li Hua" || me["language"] != "zh" {
		t.Errorf("got %v", me)
	}
	change := func(current, next string) map[string]string {
		return map[string]string{"current": current, "new": next}
	}
	if at, _ := c.refused(422, "PUT", "/api/v1/me/password", change("wrong", "another password")); at != "body.current" {
		t.Errorf("at %s", at)
	}
	at, detail := c.refused(422, "PUT", "/api/v1/me/password", change(password, "short"))
	if at != "body.new" {
		t.Errorf("at %s: %s", at, detail)
	}
	c.want(204, "PUT", "/api/v1/me/password", change(password, "another password"), nil)
	c.want(200, "GET", "/api/v1/session", nil, nil)
	other.refused(401, "GET", "/api/v1/session", nil)
	s.client().want(200, "POST", "/api/v1/session", credentials{"viewer1", "another password"}, nil)
}

func TestRefusalsTellNoPassword(t *testing.T) {
	s := start(t)
	c := s.as("admin")
	for _, r := range []reply{
		c.do("POST", "/api/v1/users", map[string]any{"name": "bob", "full_name": "", "role": "viewer", "password": "s3cret!"}),
		c.do("POST", "/api/v1/users", map[string]any{"full_name": "", "role": "viewer", "password": "s3cret!"}),
		c.do("POST", "/api/v1/session", map[string]any{"password": "s3cret!"}),
		c.do("PUT", "/api/v1/me/password", map[string]any{"current": "s3cret!", "new": "s3cret!"}),
	} {
		if r.status != 422 || strings.Contains(string(r.body), "s3cret!") {
			t.Errorf("got %d: %s", r.status, r.body)
		}
	}
}

func TestOtherSitesAreRefused(t *testing.T) {
	s := start(t)
	c := s.as("operator")
	body := map[string]any{"name": "x", "email": "x@example.org", "phone": "", "language": "en", "sms_from": "critical", "enabled": true}
	for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		if r := c.do("POST", "/api/v1/contacts", body, h[0], h[1]); r.status != 403 {
			t.Errorf("%v: got %d, want 403", h, r.status)
		}
	}
	if r := c.do("POST", "/api/v1/contacts", body, "Origin", s.url, "Sec-Fetch-Site", "same-origin"); r.status != 201 {
		t.Errorf("own page: got %d: %s", r.status, r.body)
	}
}

func TestPrometheusNeedsSignIn(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	c.want(200, "GET", "/prometheus/api/v1/query?query=up", nil, nil)
	stranger := s.client()
	if r := stranger.do("GET", "/prometheus/api/v1/query?query=up", nil); r.status != 401 || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("got %d, %v", r.status, r.header)
	}
	basic := func(name, pass string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/prometheus/api/v1/query?query=up", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(name, pass)
		res, err := stranger.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	for range 2 { // the second time, the password is remembered
		if got := basic("viewer1", password); got != 200 {
			t.Errorf("HTTP Basic: got %d, want 200", got)
		}
	}
	if got := basic("viewer1", "wrong"); got != 401 {
		t.Errorf("wrong password: got %d, want 401", got)
	}
	s.exec("UPDATE users SET disabled = true")
	if got := basic("viewer1", password); got != 401 {
		t.Errorf("disabled user: got %d, want 401", got)
	}
}
