package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// Me is who is signed in.
type Me struct {
	Name     string `json:"name"`
	FullName string `json:"full_name"`
	Role     string `json:"role" enum:"viewer,operator,admin"`
	Language string `json:"language" enum:",en,zh" doc:"of the web app; empty: the browser's"`
}

func meOf(u auth.User) Me {
	return Me{Name: u.Name, FullName: u.FullName, Role: string(u.Role), Language: u.Language}
}

type signIn struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64"`
		Password string `json:"password" minLength:"1" maxLength:"256"`
	}
}

type session struct {
	Cookie *http.Cookie `header:"Set-Cookie"`
	Body   Me
}

type cookieOnly struct {
	Cookie *http.Cookie `header:"Set-Cookie"`
}

func (a *API) registerSession() {
	register(a, "sign-in", http.MethodPost, "/session", anyone, "Sign in", a.signIn, func(op *huma.Operation) {
		op.Description = "Sets the session's cookie. After five failures in a minute for one name from one address: 429 with Retry-After."
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusTooManyRequests)
	})
	register(a, "sign-out", http.MethodDelete, "/session", anyone, "Sign out", a.signOut, status(http.StatusNoContent))
	register(a, "get-session", http.MethodGet, "/session", auth.Viewer, "Who is signed in", func(ctx context.Context, _ *none) (*body[Me], error) {
		u, _ := auth.UserOf(ctx)
		return one(meOf(u)), nil
	})
	register(a, "update-me", http.MethodPut, "/me", auth.Viewer, "Change one's own name and language", a.updateMe)
	register(a, "change-password", http.MethodPut, "/me/password", auth.Viewer, "Change one's own password; all other sessions end", a.changePassword,
		status(http.StatusNoContent), func(op *huma.Operation) { op.Errors = append(op.Errors, http.StatusTooManyRequests) })
}

func (a *API) signIn(ctx context.Context, in *signIn) (*session, error) {
	u, cookie, err := a.o.Auth.SignIn(ctx, in.Body.Name, in.Body.Password)
	if err != nil {
		return nil, err
	}
	return &session{Cookie: cookie, Body: meOf(u)}, nil
}

func (a *API) signOut(ctx context.Context, _ *none) (*cookieOnly, error) {
	cookie, err := a.o.Auth.SignOut(ctx)
	if err != nil {
		return nil, err
	}
	return &cookieOnly{Cookie: cookie}, nil
}

type profile struct {
	Body struct {
		FullName string `json:"full_name" maxLength:"200"`
		Language string `json:"language" enum:",en,zh"`
	}
}

func (a *API) updateMe(ctx context.Context, in *profile) (*body[Me], error) {
	u, _ := auth.UserOf(ctx)
	if err := notLocal(u); err != nil {
		return nil, err
	}
	u.FullName, u.Language = in.Body.FullName, in.Body.Language
	err := a.db.InTx(ctx, func(tx *db.Tx) error {
		if err := tx.UISetProfile(ctx, db.UISetProfileParams{ID: u.ID, FullName: u.FullName, Language: u.Language}); err != nil {
			return err
		}
		return audit(ctx, tx, "user.profile", u.Name, in.Body)
	})
	if err != nil {
		return nil, err
	}
	return one(meOf(u)), nil
}

type newPassword struct {
	Body struct {
		Current string `json:"current" minLength:"1" maxLength:"256"`
		New     string `json:"new" minLength:"10" maxLength:"256"`
	}
}

func (a *API) changePassword(ctx context.Context, in *newPassword) (*cookieOnly, error) {
	u, _ := auth.UserOf(ctx)
	if err := notLocal(u); err != nil {
		return nil, err
	}
	cookie, err := a.o.Auth.ChangePassword(ctx, in.Body.Current, in.Body.New)
	if err == auth.ErrRefused {
		return nil, wrong(field("current", "this is not your present password", nil))
	}
	if err != nil {
		return nil, err
	}
	return &cookieOnly{Cookie: cookie}, nil
}

// notLocal refuses what only a user with a row can do.
func notLocal(u auth.User) error {
	if u.ID == 0 {
		return huma.NewError(http.StatusForbidden, "The local control socket has no account of its own.")
	}
	return nil
}
