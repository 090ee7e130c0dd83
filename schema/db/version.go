package db

import (
	"context"
	"fmt"
)

// Version is the version of the schema that the database has now.
func (d *DB) Version(ctx context.Context) (int64, error) {
	var v int64
	if err := d.Pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&v); err != nil {
		return 0, fmt.Errorf("cannot read the database's version: %w", Map(err))
	}
	return v, nil
}

// RowsWritten is how many rows were ever inserted into a table's partitions, as the server's statistics have it: it
// lags by up to a second and starts anew when they are reset.
func (d *DB) RowsWritten(ctx context.Context, table string) (int64, error) {
	var n int64
	err := d.Pool.QueryRow(ctx, `SELECT coalesce(sum(pg_stat_get_tuples_inserted(inhrelid)), 0)::bigint
		FROM pg_inherits WHERE inhparent = to_regclass($1)`, table).Scan(&n)
	return n, Map(err)
}
