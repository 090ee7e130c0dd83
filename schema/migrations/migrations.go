// Package migrations holds the steps that bring a database to this build's schema, in order, embedded. It never
// runs them: schema/db does.
package migrations

import "embed"

// FS holds the .sql files.
//
//go:embed *.sql
var FS embed.FS
