package auth_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
	"keepwatch/ui/auth"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestPasswords(t *testing.T) {
	phc, err := auth.Hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("got %q, %v", phc, err)
	}
	again, err := auth.Hash(t.Context(), "correct horse")
	if err != nil || again == phc {
		t.Errorf("two hashes of one password are equal: %v", err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
		if got, err := auth.Verify(t.Context(), phc, password); got != want || err != nil {
			t.Errorf("%q: got %v, %v; want %v", password, got, err, want)
		}
	}
}

// The value is from the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1.
func TestReferenceHash(t *testing.T) {
	const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, err := auth.Verify(t.Context(), phc, "password"); !ok || err != nil {
		t.Errorf("got %v, %v; want true", ok, err)
	}
}

var damaged = []string{
	"", "$", "plain", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$BBBB", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=65536,t=2,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=65536,t=2$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=65536,t=2,p=1$!!!!$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
}

func TestDamagedHashesAreRefused(t *testing.T) {
	for _, s := range damaged {
		if ok, err := auth.Verify(t.Context(), s, "password"); ok || err == nil {
			t.Errorf("%q: got %v, %v; want an error", s, ok, err)
		}
	}
}

func TestRolesInclude(t *testing.T) {
	all := []auth.Role{"", auth.Viewer, auth.Operator, auth.Admin, "king"}
	may := map[auth.Role]string{"": "", auth.Viewer: " viewer", auth.Operator: " viewer operator", auth.Admin: " viewer operator admin", "king": ""}
	for _, have := range all {
		got := ""
		for _, need := range []auth.Role{auth.Viewer, auth.Operator, auth.Admin} {
			if have.May(need) {
				got += " " + string(need)
			}
		}
		if got != may[have] {
			t.Errorf("%q may:%s, want:%s", have, got, may[have])
		}
	}
}

func TestFirstAdminOnce(t *testing.T) {
	d := pgtest.New(t)
	var mu sync.Mutex
	var passwords []string
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			password, created, err := auth.EnsureAdmin(t.Context(), d)
			if err != nil || created != (password != "") {
				t.Errorf("got %v, created %v", err, created)
			}
			if created {
				mu.Lock()
				passwords = append(passwords, password)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(passwords) != 1 {
		t.Fatalf("%d administrators were made, want 1", len(passwords))
	}
	u, err := d.UserByName(t.Context(), auth.FirstAdmin)
	if err != nil || u.Role != string(auth.Admin) {
		t.Fatalf("got %+v, %v", u, err)
	}
	if ok, err := auth.Verify(t.Context(), u.Password, passwords[0]); !ok || err != nil {
		t.Errorf("the password that was told does not fit: %v", err)
	}
	if n := len(passwords[0]); n != 19 {
		t.Errorf("the password has %d characters, want 19: %s", n, passwords[0])
	}
}

// An installation whose administrator has another name is not given a second one.
func TestNoAdminBesideUsers(t *testing.T) {
	d := pgtest.New(t)
	if _, err := d.CreateUser(t.Context(), db.CreateUserParams{Name: "ann", Role: "viewer", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, created, err := auth.EnsureAdmin(t.Context(), d); created || err != nil {
		t.Errorf("got %v, %v", created, err)
	}
}

func TestResetPassword(t *testing.T) {
	d := pgtest.New(t)
	if _, err := d.CreateUser(t.Context(), db.CreateUserParams{Name: "ann", FullName: "Ann", Role: "operator", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	password, err := auth.ResetPassword(t.Context(), d, "ann")
	if err != nil {
		t.Fatal(err)
	}
	u, err := d.UserByName(t.Context(), "ann")
	if err != nil || u.FullName != "Ann" || u.Role != "operator" {
		t.Errorf("got %+v, %v", u, err)
	}
	if ok, err := auth.Verify(t.Context(), u.Password, password); !ok || err != nil {
		t.Errorf("the new password does not fit: %v", err)
	}
	if _, err := auth.ResetPassword(t.Context(), d, "nobody"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}
