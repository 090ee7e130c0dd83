package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrLeadLost says that the connection that holds the leader's lock is gone, or may be soon.
var ErrLeadLost = errors.New("lost the connection that holds the leader's lock")

// A leader counts from when it last asked the server: it stops leading after trust unless it has been answered, and
// the server ends its session, which holds the lock, after release at the earliest. So the next one leads soon after a
// leader that lost its power or network, and not before that one has stopped, wherever the two are cut off.
const (
	trustSlack = 5 * time.Second
	stopSlack  = 5 * time.Second // for what a leader is doing when it stops
)

func trust(every time.Duration) time.Duration   { return 2*every + trustSlack }
func release(every time.Duration) time.Duration { return trust(every) + stopSlack }

// Lead runs fn while this process holds the named lock, which no other process holds at the same time. It waits
// for the lock, trying every interval, and returns when ctx ends or fn returns. fn's context ends when the
// connection that holds the lock is lost: at once when it breaks, two intervals and 5 s after the last answer when it
// is silent. Another process may lead 5 s later.
func (d *DB) Lead(ctx context.Context, name string, every time.Duration, fn func(ctx context.Context) error) error {
	for {
		led, err := d.leadOnce(ctx, name, every, fn)
		if led || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

func (d *DB) leadOnce(ctx context.Context, name string, every time.Duration, fn func(ctx context.Context) error) (bool, error) {
	trying, cancel := context.WithTimeout(ctx, trust(every))
	defer cancel()
	conn, err := d.Pool.Acquire(trying)
	if err != nil {
		return false, Map(err)
	}
	raw := conn.Hijack()
	defer raw.Close(context.WithoutCancel(ctx))
	if _, err := raw.Exec(trying, fmt.Sprintf("SET idle_session_timeout = %d", release(every).Milliseconds())); err != nil {
		return false, Map(err)
	}
	asked := time.Now()
	var got bool
	if err := raw.QueryRow(trying, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name).Scan(&got); err != nil || !got {
		return false, Map(err)
	}
	term, lost := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		hold(term, raw, every, asked, lost)
	}()
	err = fn(term)
	if cause := context.Cause(term); err != nil && cause != nil && ctx.Err() == nil {
		err = cause
	}
	lost(nil)
	<-done
	return true, err
}

// hold asks the server every interval whether the connection lives; it was asked last at asked.
func hold(ctx context.Context, conn *pgx.Conn, every time.Duration, asked time.Time, lost context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		now := time.Now()
		ping, cancel := context.WithDeadline(ctx, asked.Add(trust(every)))
		err := conn.Ping(ping)
		cancel()
		if err != nil && ctx.Err() == nil {
			lost(fmt.Errorf("%w: %w", ErrLeadLost, err))
			return
		}
		asked = now
	}
}
