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
