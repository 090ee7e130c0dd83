// Package probes is the contract between the collector, which decides when a source is read, and the sources in the
// folders below it, which know how. It holds no source, schedules nothing, stores nothing and sends nothing. The
// collector calls Collect and Watch; each folder below implements one or both.
package probes

import (
	"context"
	"time"

	"keepwatch/internal/batch"
)

// Probe reads one source when asked.
type Probe interface {
	// Name is unique among the probes of one host and the same at every start: it is the label probe of
	// keepwatch_probe_up, and the delay before the first run is hashed from it. As "host", "haproxy/edge".
	Name() string

	// Interval is the time between two runs; 0 means the collector's own.
	Interval() time.Duration

	// Collect reads the source once and appends what it says to out, with the time now unless the source gives a
	// time of its own. It returns when ctx ends, which is at the latest one interval after the start. On an error
	// what was appended is still used: a source that answers half is half known. It is never called twice at the
	// same time, it keeps no reference to out, and every series comes from metric.NewSeries; series that stay the
	// same are the same pointers from run to run.
	Collect(ctx context.Context, now time.Time, out *batch.Batch) error
}

// Watcher is a probe whose source speaks up by itself. A probe that also is a Watcher is both collected and watched.
type Watcher interface {
	// Watch calls emit for what the source says, as soon as it says it, until ctx ends; then it returns nil. emit
	// takes what the batch holds before it returns, so the batch may be used again. When Watch returns an error
	// the collector logs it and calls Watch again after a pause that grows up to one interval.
	Watch(ctx context.Context, emit func(*batch.Batch)) error
}
