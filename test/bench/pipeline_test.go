package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sys/unix"

	"keepwatch/bus"
	"keepwatch/collector"
	"keepwatch/extractor"
	"keepwatch/internal/conf"
	"keepwatch/internal/postgres"
	"keepwatch/schema/db"
)

const (
	hosts   = 1000
	perHost = 100
	warmUp  = 10 * hosts * perHost // samples: series are made, connections and caches warm
	measure = 40 * hosts * perHost
)

// drops are the counters that must not move, and what they would mean.
var drops = []struct{ name, meaning string }{
	{`keepwatch_extractor_frames_dropped_total{reason="sealed"}`, "frames that the extractor could not open"},
	{`keepwatch_extractor_frames_dropped_total{reason="malformed"}`, "frames that the extractor could not read"},
	{`keepwatch_writer_dropped_samples_total{reason="older_than_retention"}`, "samples too old"},
	{`keepwatch_writer_dropped_samples_total{reason="future"}`, "samples from the future"},
	{`keepwatch_writer_dropped_messages_total{reason="refused"}`, "batches that Postgres refused"},
	{`keepwatch_bus_missed_messages_total{consumer="writer",stream="samples"}`, "batches dropped by the bus"},
}

func counter(name string) uint64 { return metrics.GetOrCreateCounter(name).Get() }

// rig is the product: collector, extractor with its writer, bus, Postgres.
type rig struct {
	dir       string
	db        *db.DB
	collector *collector.Collector
}

func newRig(b *testing.B) *rig {
	b.Helper()
	dir := b.TempDir()
	for p := dir; p != "/"; p = filepath.Dir(p) { // Postgres runs as another user when we are root
		if st, err := os.Stat(p); err == nil && st.Mode().Perm()&0o5 != 0o5 {
			must(b, os.Chmod(p, 0o755))
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server, err := postgres.Start(b.Context(), postgres.Options{Dir: filepath.Join(dir, "postgres")}) // as keepwatch up has it: fsync on
	must(b, err)
	b.Cleanup(func() { _ = server.Stop(context.Background()) })
	d, err := db.Open(b.Context(), server.URL(), 16)
	must(b, err)
	b.Cleanup(d.Close)
	_, err = d.Migrate(b.Context())
	must(b, err)
	c := conf.Default()
	bs, err := bus.Open(b.Context(), bus.Options{Dir: filepath.Join(dir, "bus"), MaxBytes: c.Bus.MaxBytes, Log: log})
	must(b, err)
	b.Cleanup(func() { _ = bs.Close(context.Background()) })

	c.Collector.Probes.Host.Enabled = false
	c.Collector.Native = conf.Native{Listen: "127.0.0.1:0", Payload: 1400, TTL: 1}
	c.Collector.Gmond.Receive, c.Collector.Gmond.XML.Listen = nil, ""
	c.Collector.Serve.Listen = "127.0.0.1:0"
	col, err := collector.New(collector.Options{Config: c.Collector, Cluster: "bench", Host: "aggregator", DataDir: dir, Log: log})
	must(b, err)
	keys, err := collector.LoadKeys(nil, dir)
	must(b, err)
	ex, err := extractor.New(extractor.Options{
		Config: c.Extractor, Cluster: "bench", Local: col.Listeners().Serve.String(), Keys: keys, DataDir: dir, Bus: bs, DB: d, Log: log,
	})
	must(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{col.Run, ex.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	b.Cleanup(func() { cancel(); wg.Wait() })
	return &rig{dir: dir, db: d, collector: col}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPipeline sends as fast as everything together can commit, with at most maxAhead samples on the way, and
// prints what came of it. The sender, with the sealing of 1,000 hosts, runs on the same processors; its share is told.
func BenchmarkPipeline(b *testing.B) {
	r := newRig(b)
	g := newGenerator(b, r)
	for b.Loop() {
		g.send(b, warmUp)
		start := r.reading(b)
		began, sender := time.Now(), g.cpu
		g.send(b, measure)
		elapsed := time.Since(began)
		r.report(b, start, r.reading(b), elapsed, g.cpu-sender, g.samples)
	}
}

// reading is what is measured before and after.
type reading struct {
	self, postgres time.Duration // CPU
	rows           int64
	bytes          int64
	bus            uint64 // bytes
	dropped        uint64
}

func (r *rig) reading(b *testing.B) (m reading) {
	b.Helper()
	m.self = selfCPU(unix.RUSAGE_SELF)
	var err error
	m.postgres, err = postgresCPU(filepath.Join(r.dir, "postgres", "postmaster.pid"))
	must(b, err)
	const size = "SELECT count(*), (SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'sample_rows'::regclass) FROM sample_rows"
	must(b, r.db.Pool.QueryRow(b.Context(), size).Scan(&m.rows, &m.bytes))
	m.bus = counter("keepwatch_bus_published_bytes_total")
	for _, d := range drops {
		m.dropped += counter(d.name)
	}
	return m
}

func (r *rig) report(b *testing.B, from, to reading, elapsed, sender time.Duration, sent uint64) {
	b.Helper()
	const samples = measure
	perSample := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(samples) }
	self, pg := to.self-from.self, to.postgres-from.postgres
	rate := float64(samples) / elapsed.Seconds()
	var own int64
	must(b, r.db.Pool.QueryRow(b.Context(), "SELECT count(*) FROM samples WHERE metric LIKE 'keepwatch%'").Scan(&own))
	fmt.Printf(`
%d hosts x %d series, %d samples in %.1f s
  committed                 %10.0f samples/s
  lost                      %10d samples (and %d counted drops)
  CPU, all                  %10.2f us/sample
    sender (seal and send)  %10.2f
    collector to writer     %10.2f
    Postgres                %10.2f
  on the bus                %10.1f bytes/sample
  in Postgres, with index   %10.1f bytes/sample
`, hosts, perHost, samples, elapsed.Seconds(), rate, int64(sent)-(to.rows-own), to.dropped-from.dropped,
		perSample(self+pg), perSample(sender), perSample(self-sender), perSample(pg),
		float64(to.bus-from.bus)/float64(samples), float64(to.bytes)/float64(to.rows))
	b.ReportMetric(rate, "samples/s")
	b.ReportMetric(perSample(self+pg), "cpu-us/sample")
	b.ReportMetric(float64(to.bytes)/float64(to.rows), "bytes/sample")
	b.ReportMetric(0, "ns/op")
}
