package promql

import (
	"fmt"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

// BenchmarkQueries asks over 1,000 hosts with 10 series each, an hour of samples at 15 s, written as the writer does:
// all series of one time together.
func BenchmarkQueries(b *testing.B) {
	const hosts, metrics, steps = 1000, 10, 240
	d := pgtest.New(b)
	if _, err := d.Pool.Exec(b.Context(), `INSERT INTO series (cluster, host, metric, kind, last_seen)
		SELECT 'web', 'h' || h, 'm' || m || '_total', 'counter', $3 FROM generate_series(1, $1::int) h, generate_series(1, $2::int) m`, hosts, metrics, origin.Add(time.Hour)); err != nil {
		b.Fatal(err)
	}
	if err := d.MakeSampleDay(b.Context(), origin); err != nil {
		b.Fatal(err)
	}
	rows := make([]db.Point, hosts*metrics)
	for i := range steps {
		for j := range rows {
			rows[j] = db.Point{Series: int32(j + 1), Time: origin.UnixMilli() + int64(i)*15_000, Value: float64(i * j)}
		}
		if err := d.InTx(b.Context(), func(tx *db.Tx) error { return tx.CopySamples(b.Context(), rows) }); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := d.Pool.Exec(b.Context(), "VACUUM ANALYZE sample_rows"); err != nil {
		b.Fatal(err)
	}
	h := handler(d, func(c *conf.Query) { c.MaxSamples = 10_000_000 })
	for _, q := range []struct{ name, expr, step string }{
		{"one series, 1 h", `m1_total{host="h7"}`, "15s"},
		{"rate over 1000 series, now", `rate(m1_total[5m])`, ""},
		{"sum of rates over 1000 series, 1 h", `sum(rate(m1_total[5m]))`, "60s"},
		{"topk 10 of 1000", `topk(10, m3_total)`, ""},
		{"host page, 10 metrics, 1 h", `{host="h7",__name__=~"m.*"}`, "15s"},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				path, params := "/api/v1/query", []string{"query", q.expr, "time", at(3600)}
				if q.step != "" {
					path, params = "/api/v1/query_range", []string{"query", q.expr, "start", at(0), "end", at(3600), "step", q.step}
				}
				if status, body := get(b, h, path, params...); status != 200 {
					b.Fatal(fmt.Sprint(status, body))
				}
			}
		})
	}
}
