// Package host is the probe of the machine that the collector runs on: CPU, memory, disk space, I/O, processes and
// network, read from /proc, /sys and statfs(2). It never stores, schedules or judges, needs no privilege and writes
// nothing. The collector calls Collect; the files that parse are pure functions over bytes, which probes/ganglia uses
// too.
//
// Names are those of Prometheus' node_exporter where it has one, but for counters that lack _total there
// (node_forks_total is the same, node_netstat_Tcp_RetransSegs_total is not).
package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// Options says whose series these are and where the machine is found.
type Options struct {
	Cluster string
	Host    string

	// Root is put before /proc, /sys and every mount point: the place where a container sees its host's root, or
	// a tree for tests. Empty: the machine's own.
	Root string

	Interval time.Duration // 0: the collector's
}

// Probe reads the machine. It is a probes.Probe; like every one it is not for concurrent use.
type Probe struct {
	interval time.Duration
	tree     Tree
	classes  []class
}

// kernel is what cannot be read from files.
type kernel struct {
	statfs func(path string, st *unix.Statfs_t) error
	uname  func(u *unix.Utsname) error
	page   int // bytes of a memory page
}

// class is one group of metrics that is read together. An error leaves the other classes alone.
type class interface {
	collect(ctx context.Context, t *Tree, r *run) error
}

// run is one call of Collect.
type run struct {
	now time.Time
	ms  int64
	out *batch.Batch
}

func (r *run) put(s *metric.Series, v float64) {
	if s != nil {
		r.out.Samples = append(r.out.Samples, metric.Sample{Series: s, Time: r.ms, Value: v})
	}
}

func (r *run) putUint(s *metric.Series, v uint64) { r.put(s, float64(v)) }

// New makes the probe. It reads nothing yet; the error says which name is unfit.
func New(o Options) (*Probe, error) {
	return newProbe(o, kernel{statfs: unix.Statfs, uname: unix.Uname, page: os.Getpagesize()})
}

func newProbe(o Options, k kernel) (*Probe, error) {
	if err := metric.CheckHost("cluster", o.Cluster); err != nil {
		return nil, err
	}
	if err := metric.CheckHost("host", o.Host); err != nil {
		return nil, err
	}
	who := owner{o.Cluster, o.Host}
	return &Probe{
		interval: o.Interval,
		tree:     Tree{root: o.Root},
		classes: []class{
			newStat(who), newMemory(who), newVMStat(who), newLoad(who), newProcesses(who),
			newFilesystems(who, o.Root, k.statfs), newDisks(who), newPressure(who),
			newNetwork(who), newTCP(who), newSockets(who, k.page), newSystem(who, k.uname),
		},
	}, nil
}

// Name is "host".
func (p *Probe) Name() string { return "host" }

// Interval is the one of Options.
func (p *Probe) Interval() time.Duration { return p.interval }

// Collect reads everything once. What could not be read is missing from out and named in the error; files that a
// kernel may lack, as pressure stall information or connection tracking, are no error.
func (p *Probe) Collect(ctx context.Context, now time.Time, out *batch.Batch) error {
	r := run{now: now, ms: now.UnixMilli(), out: out}
	var errs []error
	for _, c := range p.classes {
		if err := ctx.Err(); err != nil {
			errs = append(errs, fmt.Errorf("cannot read all of the host in time: %w", err))
			break
		}
		if err := c.collect(ctx, &p.tree, &r); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
