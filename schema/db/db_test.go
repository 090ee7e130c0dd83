package db_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"keepwatch/metric"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestMigrateTwiceAndRefuseNewer(t *testing.T) {
	d := pgtest.New(t)
	version, err := d.Migrate(t.Context())
	if err != nil || version < 1 {
		t.Fatalf("second migration: version %d, %v", version, err)
	}
	if _, err := d.Pool.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Migrate(t.Context()); !errors.Is(err, db.ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
}

func TestErrorsHaveTypes(t *testing.T) {
	d := pgtest.New(t)
	user := db.CreateUserParams{Name: "ann", Role: "admin", Password: "x"}
	if _, err := d.CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	_, err := d.CreateUser(t.Context(), user)
	var c *db.ConstraintError
	if err = db.Map(err); !errors.Is(err, db.ErrExists) || !errors.As(err, &c) || c.Constraint != "users_name_key" {
		t.Errorf("got %v, want ErrExists by users_name_key", err)
	}
	_, err = d.CreateUser(t.Context(), db.CreateUserParams{Name: "bob", Role: "king", Password: "x"})
	if !errors.Is(db.Map(err), db.ErrReference) {
		t.Errorf("got %v, want ErrReference", err)
	}
	if _, err = d.UserByName(t.Context(), "nobody"); !errors.Is(db.Map(err), db.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// random is text that no compression makes shorter.
func random(n int) string {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('!' + rnd.IntN('~'-'!'))
	}
	return strings.NewReplacer(`"`, "x", `\`, "x").Replace(string(b))
}

// The longest series that there may be fits in every index, as few long labels and as many short ones; what is longer
// than an index takes is a refusal of that row, which a writer may pass over.
func TestLongestSeriesFits(t *testing.T) {
	d := pgtest.New(t)
	add := func(cluster, host, name string, labels []metric.Label) error {
		m := make(map[string]string, len(labels))
		for _, l := range labels {
			m[l.Name] = l.Value
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Pool.Exec(t.Context(), `WITH s AS (INSERT INTO series (cluster, host, metric, labels, kind) VALUES ($1, $2, $3, $4::jsonb, 'gauge') RETURNING *)
			INSERT INTO alerts (rule, rule_version, cluster, host, metric, labels, state, since, machine)
			SELECT (SELECT min(id) FROM rules), 1, cluster, host, metric, labels, 'ok', now(), '{}' FROM s`, cluster, host, name, string(text))
		return db.Map(err)
	}
	cluster, host, name := random(metric.MaxHost), random(metric.MaxHost-1), strings.Repeat("m", metric.MaxName-1)
	for _, n := range []int{3, 4, metric.MaxLabels} {
		left := metric.MaxSeries - len(cluster) - len(host) - len(name)
		var labels []metric.Label
		for i := range n {
			l := metric.Label{Name: fmt.Sprintf("label%02d", i)}
			l.Value = random(min(metric.MaxLabelValue, (left-8*(n-i))/(n-i)-len(l.Name)))
			left -= len(l.Name) + len(l.Value) + 8
			labels = append(labels, l)
		}
		if _, err := metric.NewSeries(cluster, host, name, labels, metric.NoUnit, metric.Gauge); err != nil {
			t.Fatalf("%d labels: %v", n, err)
		}
		if n > 3 && left != 0 {
			t.Fatalf("%d labels: %d bytes are left", n, left)
		}
		if err := add(cluster, host, name, labels); err != nil {
			t.Errorf("%d labels: %v", n, err)
		}
	}
	long := make([]metric.Label, 0, 6)
	for i := range 6 {
		long = append(long, metric.Label{Name: fmt.Sprint("l", i), Value: random(metric.MaxLabelValue - i)})
	}
	var c *db.ConstraintError
	if err := add("c", "h", "m", long); !errors.Is(err, db.ErrCheck) || !errors.As(err, &c) {
		t.Errorf("a series that is too long: got %v, want a refusal by ErrCheck", err)
	}
}

func TestRolledBackTransactionLeavesNothing(t *testing.T) {
	d := pgtest.New(t)
	stop := errors.New("stop")
	err := d.InTx(t.Context(), func(tx *db.Tx) error {
		if _, err := tx.CreateUser(t.Context(), db.CreateUserParams{Name: "ann", Role: "admin", Password: "x"}); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatalf("got %v, want the function's error", err)
	}
	if n, err := d.CountUsers(t.Context()); err != nil || n != 0 {
		t.Errorf("got %d users, %v; want none", n, err)
	}
}

func TestListenHearsWhatIsTold(t *testing.T) {
	d := pgtest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heard := make(chan string, 1)
	ready := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- d.Listen(ctx, "keepwatch", func() { close(ready) }, func(p string) { heard <- p }) }()
	<-ready
	if _, err := d.Pool.Exec(ctx, "INSERT INTO events (cluster, host, id, time, kind, text) VALUES ('c', 'h', '1', now(), 'vip_taken', 't')"); err != nil {
		t.Fatal(err)
	}
	if got, want := <-heard, `{"id": "1", "op": "insert", "table": "events"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
}

// Two leaders of one name never overlap, and the second follows the first.
func TestOneLeadsAtATime(t *testing.T) {
	d := pgtest.New(t)
	first, second := make(chan struct{}), make(chan struct{})
	ctx, resign := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() {
		done <- d.Lead(ctx, "alerter", 10*time.Millisecond, func(ctx context.Context) error {
			close(first)
			<-ctx.Done()
			select {
			case <-second:
				t.Error("two lead at once")
			default:
			}
			return nil
		})
	}()
	<-first
	go func() {
		done <- d.Lead(t.Context(), "alerter", 10*time.Millisecond, func(context.Context) error { close(second); return nil })
	}()
	resign()
	<-second
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// When the connection that holds the lock is cut, the leader must know.
func TestLeaderLearnsOfItsLoss(t *testing.T) {
	d := pgtest.New(t)
	err := d.Lead(t.Context(), "alerter", 10*time.Millisecond, func(ctx context.Context) error {
		if _, err := d.Pool.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, db.ErrLeadLost) {
		t.Errorf("got %v, want ErrLeadLost", err)
	}
}

func TestOpenNeverTellsThePassword(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for _, url := range []string{"postgres://u:s3cret@127.0.0.1:1/x", "postgres://u:s3cret@[bad"} {
		_, err := db.Open(ctx, url, 2)
		if err == nil {
			t.Fatalf("%s: opened", url)
		}
		if got := err.Error(); strings.Contains(got, "s3cret") {
			t.Errorf("the error tells the password: %s", got)
		}
	}
}
