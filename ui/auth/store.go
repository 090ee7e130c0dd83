package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"keepwatch/schema/db"
)

// store keeps sessions in Postgres, by a hash of their token: who reads the table cannot take over a session.
type store struct {
	db *db.DB
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// FindCtx gives a session that is not over. When ctx has a place for it, it also says when the session ends.
func (s *store) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	row, err := s.db.UISession(ctx, hashToken(token))
	switch err = db.Map(err); {
	case errors.Is(err, db.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	if p, ok := ctx.Value(expiryKey).(*time.Time); ok {
		*p = row.Expiry
	}
	return row.Data, true, nil
}

// CommitCtx writes a session.
func (s *store) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return db.Map(s.db.UIPutSession(ctx, db.UIPutSessionParams{Token: hashToken(token), Data: data, Expiry: expiry}))
}

// DeleteCtx removes a session, if there is one.
func (s *store) DeleteCtx(ctx context.Context, token string) error {
	return db.Map(s.db.UIDropSession(ctx, hashToken(token)))
}

// Find is FindCtx for callers without a context, as scs.Store demands.
func (s *store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *store) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s *store) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
