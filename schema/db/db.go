// Package db is the only door to Postgres: it opens the pool, migrates, runs transactions, maps errors and holds
// the Go generated from schema/queries. It never decides anything that a part should decide, and no other package
// imports pgx.
package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Schema is where everything lives.
const Schema = "keepwatch"

// DB is a pool with the generated statements on it.
type DB struct {
	*Queries
	Pool *pgxpool.Pool
}

// departed has the server end the session of a client that has lost its power or network, and with it its locks,
// within half a minute, of one that stands still in a transaction within a minute: its own patience is two hours.
var departed = map[string]string{
	"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", // s, s; of TCP alone
	"tcp_user_timeout": "25000", "idle_in_transaction_session_timeout": "60000", // ms
}

// Open makes a pool on a postgres:// address and waits until the server answers or ctx ends. The address is never
// part of an error, since it may hold a password.
func Open(ctx context.Context, url string, maxConns int) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("cannot read database.url: want postgres://user:password@host:port/database")
	}
	cfg.MaxConns = int32(maxConns)
	cfg.MaxConnLifetime = time.Hour
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	cfg.ConnConfig.RuntimeParams["search_path"] = Schema
	cfg.ConnConfig.RuntimeParams["application_name"] = "keepwatch"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	for name, value := range departed {
		cfg.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot make a pool for the database: %w", err)
	}
	d := &DB{Queries: New(pool), Pool: pool}
	if err := d.await(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return d, nil
}

func (d *DB) await(ctx context.Context) error {
	for {
		err := d.Pool.Ping(ctx)
		if err == nil || !Unreachable(err) {
			return Map(err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot reach the database at %s: %w", d.where(), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// where names the server without the secrets of its address.
func (d *DB) where() string {
	c := d.Pool.Config().ConnConfig
	return fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database)
}

// Close ends the pool.
func (d *DB) Close() { d.Pool.Close() }

// InTx runs fn in one transaction: committed when fn returns nil, else rolled back. Serialization failures and
// deadlocks are retried while ctx lasts, so fn must have no effect outside of the transaction.
func (d *DB) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	for {
		err := pgx.BeginFunc(ctx, d.Pool, func(t pgx.Tx) error { return fn(&Tx{Queries: New(t), Tx: t}) })
		if err = Map(err); !errors.Is(err, ErrRetry) || ctx.Err() != nil {
			return err
		}
	}
}

// Tx is a transaction with the generated statements on it.
type Tx struct {
	*Queries
	Tx pgx.Tx
}

// Listen calls fn with the payload of each NOTIFY on a channel until ctx ends or the connection breaks. ready is
// called once listening has begun: what changed before it must be read, what changes after it is told.
func (d *DB) Listen(ctx context.Context, channel string, ready func(), fn func(payload string)) error {
	conn, err := d.Pool.Acquire(ctx)
	if err != nil {
		return Map(err)
	}
	// A connection that listens must not go back to the pool.
	raw := conn.Hijack()
	defer raw.Close(context.WithoutCancel(ctx))
	if _, err := raw.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return Map(err)
	}
	ready()
	for {
		n, err := raw.WaitForNotification(ctx)
		if err != nil {
			return Map(err)
		}
		fn(n.Payload)
	}
}
