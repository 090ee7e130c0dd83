package db

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"keepwatch/schema/migrations"
)

// ErrNewer says that the database was made by a newer build than this one.
var ErrNewer = errors.New("the database belongs to a newer Keepwatch")

// Migrate brings the database to this build's schema. Processes that do so at the same time wait for each other.
// It returns the schema's version, or an error that matches ErrNewer when the database is ahead of this build.
func (d *DB) Migrate(ctx context.Context) (int64, error) {
	if _, err := d.Pool.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{Schema}.Sanitize()); err != nil && !errors.Is(Map(err), ErrExists) {
		return 0, fmt.Errorf("cannot make schema %s: %w", Schema, Map(err))
	}
	conn := stdlib.OpenDBFromPool(d.Pool)
	defer conn.Close()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return 0, fmt.Errorf("cannot make the migration lock: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return 0, fmt.Errorf("cannot read the migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("cannot read the database's version: %w", Map(err))
	}
	if current > target {
		return current, fmt.Errorf("%w: its schema is version %d, this build knows %d; start the newer build", ErrNewer, current, target)
	}
	if _, err := p.Up(ctx); err != nil {
		return current, fmt.Errorf("cannot migrate the database: %w", Map(err))
	}
	return target, nil
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
