package store

import (
	"fmt"
	"testing"
	"time"

	"keepwatch/bus"
	"keepwatch/metric"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

// insertWays are the ways to put rows into the partitioned table. Only the last two bear a row that is there already.
var insertWays = []struct {
	name string
	run  func(tx *db.Tx, t testing.TB, rows []db.Point) error
}{
	{"copy", func(tx *db.Tx, t testing.TB, rows []db.Point) error { return tx.CopySamples(t.Context(), rows) }},
	{"copy+merge", func(tx *db.Tx, t testing.TB, rows []db.Point) error {
		_, err := tx.MergeSamples(t.Context(), rows)
		return err
	}},
	{"unnest", func(tx *db.Tx, t testing.TB, rows []db.Point) error {
		ids, times, values := make([]int32, len(rows)), make([]time.Time, len(rows)), make([]float64, len(rows))
		for i, r := range rows {
			ids[i], times[i], values[i] = r.Series, time.UnixMilli(r.Time), r.Value
		}
		_, err := tx.Tx.Exec(t.Context(), "INSERT INTO sample_rows SELECT unnest($1::int[]), unnest($2::timestamptz[]), unnest($3::float8[]) ON CONFLICT DO NOTHING", ids, times, values)
		return err
	}},
}

// BenchmarkInsert is one flush of 100,000 samples, one of each series, into a table that has some already.
func BenchmarkInsert(b *testing.B) {
	const n = 100_000
	for _, way := range insertWays {
		b.Run(way.name, func(b *testing.B) {
			d := pgtest.New(b)
			base := time.Now().Truncate(24 * time.Hour).UnixMilli()
			if err := d.MakeSampleDay(b.Context(), time.UnixMilli(base)); err != nil {
				b.Fatal(err)
			}
			rows := make([]db.Point, n)
			for b.Loop() {
				base += 15_000
				for i := range rows {
					rows[i] = db.Point{Series: int32(i + 1), Time: base, Value: float64(i) * 1.25}
				}
				if err := d.InTx(b.Context(), func(tx *db.Tx) error { return way.run(tx, b, rows) }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkFlush is what a flush costs beside Postgres: 100 messages of 1,000 samples of known series.
func BenchmarkFlush(b *testing.B) {
	w := newWriter(b, pgtest.New(b))
	now := time.Now()
	var messages []bus.Message
	for i := range 100 {
		m := message()
		for j := range 1000 {
			s := series(fmt.Sprintf("h%d", i*10+j/100), fmt.Sprintf("m%d", j%100))
			m.Batch.Samples = append(m.Batch.Samples, metric.Sample{Series: s, Time: now.UnixMilli()})
		}
		messages = append(messages, m)
	}
	if err := w.number(b.Context(), messages, now); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.points = w.points[:0]
		if err := w.number(b.Context(), messages, now); err != nil {
			b.Fatal(err)
		}
		w.collect(messages, now)
		w.points = unique(w.points)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/sample")
}
