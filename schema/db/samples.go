package db

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// Point is one row of sample_rows.
type Point struct {
	Series int32
	Time   int64 // ms since the epoch
	Value  float64
}

// postgresEpoch is 2000-01-01 in µs since 1970.
const postgresEpoch = 946_684_800_000_000

// CopySamples puts rows into the partitions, which must exist, by COPY. No two rows may have the same series and
// time, nor may one be there already: that is an error that matches ErrExists, after which the transaction is over.
func (t *Tx) CopySamples(ctx context.Context, rows []Point) error {
	return t.copySamples(ctx, "sample_rows", rows)
}

// MergeSamples is CopySamples that leaves rows as they are which are there already. It costs about twice as much. It
// returns how many rows were new.
func (t *Tx) MergeSamples(ctx context.Context, rows []Point) (int64, error) {
	const stage = "CREATE TEMPORARY TABLE sample_stage (series int, time timestamptz, value float8) ON COMMIT DROP"
	if _, err := t.Tx.Exec(ctx, stage); err != nil {
		return 0, Map(err)
	}
	if err := t.copySamples(ctx, "sample_stage", rows); err != nil {
		return 0, err
	}
	tag, err := t.Tx.Exec(ctx, "INSERT INTO sample_rows SELECT series, time, value FROM sample_stage ON CONFLICT DO NOTHING")
	return tag.RowsAffected(), Map(err)
}

func (t *Tx) copySamples(ctx context.Context, table string, rows []Point) error {
	r := &copyReader{rows: rows}
	tag, err := t.Tx.Conn().PgConn().CopyFrom(ctx, r, "COPY "+table+" (series, time, value) FROM STDIN (FORMAT binary)")
	if err != nil {
		return Map(err)
	}
	if n := tag.RowsAffected(); n != int64(len(rows)) {
		return fmt.Errorf("cannot copy samples: %d of %d rows arrived", n, len(rows))
	}
	return nil
}

// copyReader writes rows in the binary format of COPY: a header, then for each row the number of fields and for each
// field its length and bytes, big endian, then a trailer.
type copyReader struct {
	rows  []Point
	state int // 0: header is due, 1: rows, 2: over
	rest  []byte
	buf   [64 << 10]byte
}

const copyRow = 2 + 4 + 4 + 4 + 8 + 4 + 8

func (r *copyReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.state == 2 {
			return 0, io.EOF
		}
		r.fill()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *copyReader) fill() {
	b := r.buf[:0]
	if r.state == 0 {
		b = append(b, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
		r.state = 1
	}
	for len(r.rows) > 0 && len(b)+copyRow+2 <= cap(b) {
		s := &r.rows[0]
		r.rows = r.rows[1:]
		b = binary.BigEndian.AppendUint16(b, 3)
		b = binary.BigEndian.AppendUint32(b, 4)
		b = binary.BigEndian.AppendUint32(b, uint32(s.Series))
		b = binary.BigEndian.AppendUint32(b, 8)
		b = binary.BigEndian.AppendUint64(b, uint64(s.Time*1000-postgresEpoch))
		b = binary.BigEndian.AppendUint32(b, 8)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(s.Value))
	}
	if len(r.rows) == 0 {
		b = append(b, 0xff, 0xff)
		r.state = 2
	}
	r.rest = b
}

// dayFormat names the partition of a day.
const dayFormat = "sample_rows_20060102"

// MakeSampleDay makes the partition of the day (UTC) that begins at day, unless it is there.
func (d *DB) MakeSampleDay(ctx context.Context, day time.Time) error {
	day = day.UTC().Truncate(24 * time.Hour)
	_, err := d.Pool.Exec(ctx, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s PARTITION OF sample_rows FOR VALUES FROM ('%s') TO ('%s')",
		pgx.Identifier{day.Format(dayFormat)}.Sanitize(), day.Format(time.RFC3339), day.AddDate(0, 0, 1).Format(time.RFC3339)))
	if err = Map(err); err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("cannot make the partition of %s: %w", day.Format(time.DateOnly), err)
	}
	return nil
}

// DropSampleDay drops the partition of a day with all its samples. It gives up when queries hold the table for more
// than five seconds, so that the samples to come do not wait for it.
func (d *DB) DropSampleDay(ctx context.Context, day time.Time) error {
	err := d.InTx(ctx, func(tx *Tx) error {
		if _, err := tx.Tx.Exec(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
			return err
		}
		_, err := tx.Tx.Exec(ctx, "DROP TABLE IF EXISTS "+pgx.Identifier{day.UTC().Format(dayFormat)}.Sanitize())
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot drop the partition of %s: %w", day.Format(time.DateOnly), err)
	}
	return nil
}

// ListSampleDays gives the days that have a partition, oldest first.
func (d *DB) ListSampleDays(ctx context.Context) ([]time.Time, error) {
	rows, err := d.Pool.Query(ctx, "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'sample_rows'::regclass ORDER BY 1")
	if err != nil {
		return nil, Map(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, Map(err)
	}
	var days []time.Time
	for _, n := range names {
		if day, err := time.Parse(dayFormat, n); err == nil { // others are somebody else's
			days = append(days, day)
		}
	}
	return days, nil
}

// EachSample calls fn for every sample of the series from since to until, both included, in ms. Samples of one series
// may come in any order. It ends with fn's first error.
func (d *DB) EachSample(ctx context.Context, series []int32, since, until int64, fn func(series int32, at int64, value float64) error) error {
	const sql = "SELECT series, time, value FROM sample_rows WHERE series = ANY ($1) AND time >= $2 AND time <= $3"
	rows, err := d.Pool.Query(ctx, sql, series, time.UnixMilli(since), time.UnixMilli(until))
	if err != nil {
		return Map(err)
	}
	defer rows.Close()
	for rows.Next() {
		id, at, value, err := scanSample(rows)
		if err == nil {
			err = fn(id, at, value)
		}
		if err != nil {
			return err
		}
	}
	return Map(rows.Err())
}

// scanSample reads the binary form as it is on the wire: a query may read millions of rows.
func scanSample(rows pgx.Rows) (series int32, at int64, value float64, err error) {
	f, raw := rows.FieldDescriptions(), rows.RawValues()
	if f[0].Format == pgx.BinaryFormatCode && f[1].Format == pgx.BinaryFormatCode && f[2].Format == pgx.BinaryFormatCode &&
		len(raw[0]) == 4 && len(raw[1]) == 8 && len(raw[2]) == 8 {
		at = (int64(binary.BigEndian.Uint64(raw[1])) + postgresEpoch) / 1000
		return int32(binary.BigEndian.Uint32(raw[0])), at, math.Float64frombits(binary.BigEndian.Uint64(raw[2])), nil
	}
	var t time.Time
	if err := rows.Scan(&series, &t, &value); err != nil {
		return 0, 0, 0, fmt.Errorf("cannot read a sample: %w", err)
	}
	return series, t.UnixMilli(), value, nil
}
