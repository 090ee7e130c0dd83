package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/datafolder"
	"keepwatch/internal/postgres"
	"keepwatch/schema/db"
)

// database is the Postgres of this process: one that somebody runs, or a private one that is started here and
// started again when it dies.
type database struct {
	url     string
	server  *postgres.Server
	options postgres.Options
	log     *slog.Logger
}

// startDatabase makes the database reachable. alone says that this process runs a single role, which cannot have a
// private Postgres: the other roles could not reach it.
func startDatabase(ctx context.Context, c conf.Database, data *datafolder.Folder, alone bool, say func(string), log *slog.Logger) (*database, error) {
	if c.URL != "" {
		return &database{url: c.URL, log: log}, nil
	}
	if alone {
		return nil, errors.New("database.url is not set: a role that runs alone needs a Postgres that the others reach too; set it, or run keepwatch up")
	}
	d := &database{log: log, options: postgres.Options{Dir: data.File("postgres"), Progress: say}}
	var err error
	if d.server, err = postgres.Start(ctx, d.options); err != nil {
		return nil, err
	}
	d.url = d.server.URL()
	return d, nil
}

// watch starts a private server again whenever it ends, until ctx does.
func (d *database) watch(ctx context.Context) error {
	if d.server == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.server.Exited():
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.log.Error("the private Postgres ended; starting it again")
		for {
			s, err := postgres.Start(ctx, d.options)
			if err == nil {
				d.server, wait = s, time.Second
				d.log.Info("the private Postgres runs again")
				break
			}
			d.log.Error("cannot start the private Postgres", "err", err, "again_in", wait)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
			wait = min(2*wait, 30*time.Second)
		}
	}
}

// stop ends the private server, last of all.
func (d *database) stop(ctx context.Context) error {
	if d.server == nil {
		return nil
	}
	return d.server.Stop(ctx)
}

// openDB opens and migrates.
func openDB(ctx context.Context, url string, c conf.Database, say func(string)) (*db.DB, error) {
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	slow := time.AfterFunc(2*time.Second, func() { say("waiting for the database") })
	defer slow.Stop()
	d, err := db.Open(wait, url, c.MaxConns)
	if err != nil {
		return nil, err
	}
	if _, err := d.Migrate(ctx); err != nil {
		d.Close()
		if errors.Is(err, db.ErrFull) {
			return nil, fmt.Errorf("%w: free some space and start again; what is stored is safe", err)
		}
		return nil, err
	}
	return d, nil
}
