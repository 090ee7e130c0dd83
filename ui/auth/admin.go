package auth

import (
	"context"
	"fmt"

	"keepwatch/schema/db"
)

// FirstAdmin is the name of the administrator that EnsureAdmin makes.
const FirstAdmin = "admin"

// EnsureAdmin makes the administrator FirstAdmin with a random password when there is no user yet, and only then:
// created is true once in a database's life, however many processes ask, and only then is there a password, which
// the caller must show to a person.
func EnsureAdmin(ctx context.Context, d *db.DB) (password string, created bool, err error) {
	n, err := d.CountUsers(ctx)
	if err != nil || n > 0 {
		return "", false, db.Map(err)
	}
	password = newPassword()
	hash, err := Hash(ctx, password)
	if err != nil {
		return "", false, err
	}
	err = d.InTx(ctx, func(tx *db.Tx) error {
		n, err := tx.UIFirstUser(ctx, db.UIFirstUserParams{Name: FirstAdmin, FullName: "Administrator", Role: string(Admin), Password: hash})
		if created = err == nil && n == 1; !created {
			return err
		}
		return audit(ctx, tx.Queries, "system", "user.create", FirstAdmin, map[string]any{"role": Admin})
	})
	if err != nil || !created {
		return "", false, db.Map(err)
	}
	return password, true, nil
}

// ResetPassword gives a user a new random password, which ends the user's sessions, and enables the user again. It
// is for an operator at the server who has lost the password. The error matches db.ErrNotFound when there is no
// such user.
func ResetPassword(ctx context.Context, d *db.DB, name string) (password string, err error) {
	password = newPassword()
	hash, err := Hash(ctx, password)
	if err != nil {
		return "", err
	}
	err = d.InTx(ctx, func(tx *db.Tx) error {
		u, err := tx.UserByName(ctx, name)
		if err != nil {
			return fmt.Errorf("cannot find user %q: %w", name, db.Map(err))
		}
		_, err = tx.UIUpdateUser(ctx, db.UIUpdateUserParams{ID: u.ID, FullName: u.FullName, Role: u.Role, Password: &hash})
		if err != nil {
			return err
		}
		return audit(ctx, tx.Queries, "system", "user.password", name, nil)
	})
	if err != nil {
		return "", err
	}
	return password, nil
}
