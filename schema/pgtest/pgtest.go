// Package pgtest gives a test a real Postgres: one private server a test program, one database a test, made from a
// migrated template. It is imported by tests only.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"keepwatch/internal/postgres"
	"keepwatch/schema/db"
)

var shared struct {
	once   sync.Once
	server *postgres.Server
	dir    string
	err    error
	count  atomic.Int32
}

// Main runs a package's tests and ends the server after them:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		_ = shared.server.Stop(context.Background())
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	return code
}

// New gives the test a migrated database of its own. It fails the test when no server can be had.
func New(t testing.TB) *db.DB {
	t.Helper()
	d, _ := NewURL(t)
	return d
}

// NewURL is New that also gives the database's address, for what opens it itself.
func NewURL(t testing.TB) (*db.DB, string) {
	t.Helper()
	shared.once.Do(start)
	if shared.err != nil {
		t.Fatalf("cannot have a Postgres to test with: %v", shared.err)
	}
	ctx := t.Context()
	name := fmt.Sprintf("test_%d", shared.count.Add(1))
	admin(t, fmt.Sprintf("CREATE DATABASE %s TEMPLATE keepwatch", pgx.Identifier{name}.Sanitize()))
	url := strings.Replace(shared.server.URL(), "dbname=keepwatch", "dbname="+name, 1)
	d, err := db.Open(ctx, url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, url
}

func start() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shared.dir, shared.err = os.MkdirTemp("", "keepwatch-pgtest-")
	if shared.err != nil {
		return
	}
	if shared.err = os.Chmod(shared.dir, 0o755); shared.err != nil { // the server runs as another user when we are root
		return
	}
	shared.server, shared.err = postgres.Start(ctx, postgres.Options{
		Dir:      filepath.Join(shared.dir, "postgres"),
		Settings: map[string]string{"fsync": "off", "shared_buffers": "64MB", "logging_collector": "off"},
	})
	if shared.err != nil {
		return
	}
	var d *db.DB
	if d, shared.err = db.Open(ctx, shared.server.URL(), 2); shared.err != nil {
		return
	}
	defer d.Close()
	_, shared.err = d.Migrate(ctx)
}

// admin runs one statement outside of the template database, which must have no connection while it is copied.
func admin(t testing.TB, sql string) {
	t.Helper()
	url := strings.Replace(shared.server.URL(), "dbname=keepwatch", "dbname=postgres", 1)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
