package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// User is somebody who may sign in.
type User struct {
	ID        int32  `json:"id"`
	Name      string `json:"name"`
	FullName  string `json:"full_name"`
	Role      string `json:"role" enum:"viewer,operator,admin"`
	Language  string `json:"language" enum:",en,zh"`
	Disabled  bool   `json:"disabled"`
	CreatedAt Time   `json:"created_at"`
	LastLogin *Time  `json:"last_login" nullable:"true"`
}

func userOf(u db.User) User {
	return User{
		ID: u.ID, Name: u.Name, FullName: u.FullName, Role: u.Role, Language: u.Language, Disabled: u.Disabled,
		CreatedAt: at(u.CreatedAt), LastLogin: atOrNull(u.LastLogin),
	}
}

func (a *API) registerUsers() {
	register(a, "list-users", http.MethodGet, "/users", auth.Admin, "All users", func(ctx context.Context, _ *none) (*items[User], error) {
		rows, err := a.db.UIUsers(ctx)
		return list(each(rows, userOf)), err
	})
	register(a, "create-user", http.MethodPost, "/users", auth.Admin, "Add a user", a.createUser, status(http.StatusCreated))
	register(a, "update-user", http.MethodPut, "/users/{id}", auth.Admin, "Change a user; a new password ends the user's sessions", a.updateUser)
	register(a, "delete-user", http.MethodDelete, "/users/{id}", auth.Admin, "Remove a user", a.deleteUser, status(http.StatusNoContent))
	register(a, "list-audit", http.MethodGet, "/audit", auth.Admin, "Who changed what, and who signed in, newest first", a.listAudit)
}

type newUser struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64"`
		FullName string `json:"full_name" maxLength:"200"`
		Role     string `json:"role" enum:"viewer,operator,admin"`
		Password string `json:"password" minLength:"10" maxLength:"256"`
	}
}

var userName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]*$`)

// reservedNames stand in audit rows for what is nobody.
var reservedNames = []string{"system", auth.Local.Name}

func (a *API) createUser(ctx context.Context, in *newUser) (*body[User], error) {
	b := &in.Body
	if !userName.MatchString(b.Name) || slices.Contains(reservedNames, strings.ToLower(b.Name)) {
		return nil, wrong(field("name", "want letters, digits and . _ @ -, a letter or digit first, and neither system nor local", b.Name))
	}
	hash, err := auth.Hash(ctx, b.Password)
	if err != nil {
		return nil, err
	}
	var u db.User
	err = a.db.InTx(ctx, func(tx *db.Tx) (err error) {
		if u, err = tx.CreateUser(ctx, db.CreateUserParams{Name: b.Name, FullName: b.FullName, Role: b.Role, Password: hash}); err != nil {
			return err
		}
		return audit(ctx, tx, "user.create", b.Name, map[string]any{"role": b.Role, "full_name": b.FullName})
	})
	if isConstraint(err, "users_name_key") {
		return nil, wrong(field("name", "there is a user of this name already", b.Name))
	}
	if err != nil {
		return nil, err
	}
	return one(userOf(u)), nil
}

type changedUser struct {
	Numbered
	Body struct {
		FullName string  `json:"full_name" maxLength:"200"`
		Role     string  `json:"role" enum:"viewer,operator,admin"`
		Disabled bool    `json:"disabled"`
		Password *string `json:"password,omitempty" minLength:"10" maxLength:"256" doc:"a new one; left out: stays"`
	}
}

func (a *API) updateUser(ctx context.Context, in *changedUser) (*body[User], error) {
	b := &in.Body
	p := db.UIUpdateUserParams{ID: in.ID, FullName: b.FullName, Role: b.Role, Disabled: b.Disabled}
	if b.Password != nil {
		hash, err := auth.Hash(ctx, *b.Password)
		if err != nil {
			return nil, err
		}
		p.Password = &hash
	}
	var u db.User
	err := a.db.InTx(ctx, func(tx *db.Tx) (err error) {
		if b.Role != string(auth.Admin) || b.Disabled {
			if err := keepsAdmin(ctx, tx, in.ID); err != nil {
				return err
			}
		}
		if u, err = tx.UIUpdateUser(ctx, p); err != nil {
			return err
		}
		return audit(ctx, tx, "user.update", u.Name, map[string]any{
			"role": b.Role, "full_name": b.FullName, "disabled": b.Disabled, "password_changed": b.Password != nil,
		})
	})
	if err != nil {
		return nil, err
	}
	return one(userOf(u)), nil
}

func (a *API) deleteUser(ctx context.Context, in *Numbered) (*none, error) {
	return nil, a.db.InTx(ctx, func(tx *db.Tx) error {
		if err := keepsAdmin(ctx, tx, in.ID); err != nil {
			return err
		}
		name, err := tx.UIDeleteUser(ctx, in.ID)
		if err != nil {
			return err
		}
		return audit(ctx, tx, "user.delete", name, map[string]any{"id": in.ID})
	})
}

// keepsAdmin refuses to lose the last administrator. It holds the administrators' rows, so that two who remove each
// other cannot both succeed.
func keepsAdmin(ctx context.Context, tx *db.Tx, id int32) error {
	admins, err := tx.UILockAdmins(ctx)
	if err != nil {
		return err
	}
	if len(admins) == 1 && admins[0] == id {
		return conflict("This is the last administrator. Make another one first.")
	}
	return nil
}

// AuditEntry is one row of the audit.
type AuditEntry struct {
	ID      int64           `json:"id"`
	Time    Time            `json:"time"`
	Actor   string          `json:"actor"`
	Action  string          `json:"action" doc:"as threshold.create, session.refuse"`
	Object  string          `json:"object"`
	Details json.RawMessage `json:"details"`
}

type limited struct {
	Limit int32 `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

func (a *API) listAudit(ctx context.Context, in *limited) (*items[AuditEntry], error) {
	rows, err := a.db.UIAudit(ctx, in.Limit)
	if err != nil {
		return nil, fmt.Errorf("cannot read the audit: %w", err)
	}
	return list(each(rows, func(r db.Audit) AuditEntry {
		return AuditEntry{ID: r.ID, Time: at(r.Time), Actor: r.Actor, Action: r.Action, Object: r.Object, Details: r.Details}
	})), nil
}
