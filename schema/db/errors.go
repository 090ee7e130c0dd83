package db

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What a caller may branch on. Map makes an error match one of them.
var (
	ErrNotFound  = errors.New("not found")
	ErrExists    = errors.New("exists already")      // a unique constraint
	ErrReference = errors.New("is referred to")      // a foreign key
	ErrCheck     = errors.New("value out of bounds") // a check or not-null constraint, or a value that its type or an index refuses
	ErrRetry     = errors.New("to be tried again")   // serialization failure or deadlock
	ErrFull      = errors.New("the database's disk is full")
)

// ConstraintError is a refusal by a named constraint. It matches ErrExists, ErrReference or ErrCheck.
type ConstraintError struct {
	Kind       error
	Constraint string
	Table      string
	Column     string
	err        error
}

func (e *ConstraintError) Error() string { return e.err.Error() }

// Unwrap gives the sentinel and the server's own error.
func (e *ConstraintError) Unwrap() []error { return []error{e.Kind, e.err} }

// Map gives errors of the driver the types of this package. A nil stays nil, others stay as they are.
func Map(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	kind := func() error {
		switch pg.Code {
		case "23505", "42P04", "42P06":
			return ErrExists
		case "23503":
			return ErrReference
		case "23514", "23502", "22001", "22003", "22P02", "22007", "22008", "22021", "22P05", "54000": // NUL in text, twice; too long for an index
			return ErrCheck
		case "40001", "40P01":
			return ErrRetry
		case "53100":
			return ErrFull
		}
		if strings.HasPrefix(pg.Code, "22") { // data exception
			return ErrCheck
		}
		return nil
	}()
	switch kind {
	case nil:
		return err
	case ErrExists, ErrReference, ErrCheck:
		return &ConstraintError{Kind: kind, Constraint: pg.ConstraintName, Table: pg.TableName, Column: pg.ColumnName, err: err}
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// Unreachable reports whether the server cannot be talked to now but may later: refused connections, broken ones,
// starting up, shutting down. What was sent may or may not have been committed.
func Unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "08", "57", "53": // connection, operator intervention, insufficient resources
			return true
		}
		return false
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) || errors.Is(err, net.ErrClosed) || isEOF(err)
}
