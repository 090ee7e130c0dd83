package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// task is one cell of the table: its trials run one after the other in one rig, the systems in turn.
type task struct {
	sc   *scenario
	mode mode
}

// table runs the trials. Slow modes idle mostly, so several of their rigs run at a time; the fastest run alone.
func table(ctx context.Context, o options, both []system) error {
	if _, err := exec.LookPath("keepalived"); err != nil {
		return errors.New("this measures against the real thing: install Debian's package keepalived")
	}
	name, err := build(o.program)
	if err != nil {
		return err
	}
	results, err := openJournal(strings.Split(o.results, ",")[0])
	if err != nil {
		return err
	}
	defer results.f.Close()
	tasks, err := choose(o)
	if err != nil {
		return err
	}
	var errs []error
	for _, class := range []struct {
		at   time.Duration // least interval
		rigs int
	}{{time.Second, o.slow}, {100 * time.Millisecond, o.middle}, {0, 1}} {
		var now, later []task
		for _, t := range tasks {
			if t.mode.interval >= class.at {
				now = append(now, t)
			} else {
				later = append(later, t)
			}
		}
		tasks = later
		errs = append(errs, workers(ctx, class.rigs, now, func(r *rig, t task) error {
			return cellOf(ctx, r, t, both, o, name, results)
		}))
	}
	return errors.Join(errs...)
}

// choose lists the cells that the flags name.
func choose(o options) (tasks []task, err error) {
	known := make(map[string]bool)
	wanted := func(list, name string, begin bool) bool {
		for _, w := range strings.Split(list, ",") {
			if w == "" && list == "" || w == name || begin && w != "" && strings.HasPrefix(name, w) {
				known[w] = true
				return true
			}
		}
		return false
	}
	for i := range scenarios {
		sc := &scenarios[i]
		if !wanted(o.cases, sc.name, false) {
			continue
		}
		for _, m := range modes {
			if wanted(o.modes, m.name, true) && strings.HasPrefix(m.name, sc.only) {
				tasks = append(tasks, task{sc, m})
			}
		}
	}
	for _, w := range strings.Split(o.cases+","+o.modes, ",") {
		if w != "" && !known[w] {
			return nil, fmt.Errorf("no case and no mode is called %q; -help lists them", w)
		}
	}
	return tasks, nil
}

// workers do tasks, each worker in a rig of its own.
func workers(ctx context.Context, count int, tasks []task, do func(*rig, task) error) error {
	var wg sync.WaitGroup
	queue := make(chan task)
	errs := make([]error, min(count, len(tasks)))
	for i := range errs {
		wg.Go(func() {
			r, err := newRig(ctx)
			if err != nil {
				errs[i] = err
				for range queue { // the others cannot do without: their rigs fail alike
				}
				return
			}
			defer r.close()
			for t := range queue {
				if err := do(r, t); err != nil {
					errs[i] = errors.Join(errs[i], err)
				}
			}
		})
	}
	for _, t := range tasks {
		if ctx.Err() == nil && len(errs) > 0 {
			queue <- t
		}
	}
	close(queue)
	wg.Wait()
	return errors.Join(errs...)
}

const (
	// attempts is how often a trial is tried that could not be carried out.
	attempts = 2
	// tooLate is the client's own pause that spoils a trial: the machine had other things to do. It is repeated, up to
	// repeats times, whatever it found.
	tooLate = 10 * time.Millisecond
	repeats = 5
)

// cellOf runs the trials of one cell, the systems in turn. Both meet the same phases: the i-th of n trials has its
// event (i+½)/n of an interval after an advertisement, so that the two see the same failures.
func cellOf(ctx context.Context, r *rig, t task, both []system, o options, name string, results *journal) error {
	begin := time.Now()
	broken := make(map[string]error)
	for i := range o.trials {
		for _, sys := range both {
			if !t.sc.applies(sys, t.mode) || broken[sys.name()] != nil {
				continue
			}
			res, err := one(r, sys, t, (float64(i)+0.5)/float64(o.trials))
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				broken[sys.name()] = fmt.Errorf("%s, %s, %s: %w", t.sc.name, t.mode.name, sys.name(), err)
				continue
			}
			res.Trial, res.Build = i, name
			if o.verbose {
				fmt.Fprintf(os.Stderr, "%s %s %s phase %.2f: %.2f ms, %d failed of %d; client: hole %.1f ms, %.0f µs a request\n", res.Case, res.Mode, res.System, res.Phase, res.GapMS, res.Failed, res.Requests, res.HoleMS, res.CPUUS)
			}
			if err := results.add(res); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(os.Stderr, "%s, %s: %s\n", t.sc.name, t.mode.name, time.Since(begin).Round(100*time.Millisecond))
	return errors.Join(broken["keepwatch"], broken["keepalived"])
}

func one(r *rig, sys system, t task, phase float64) (res result, err error) {
	failed := 0
	for n := 1; ; n++ {
		err = try(func() (err error) {
			res, err = (&trial{rig: r, sys: sys, mode: t.mode, sc: t.sc, phase: phase}).run()
			return err
		})
		res.Tries = n
		switch {
		case r.ctx.Err() != nil:
			return res, r.ctx.Err()
		case err != nil:
			if failed++; failed == attempts {
				return res, err
			}
			fmt.Fprintf(os.Stderr, "%s, %s, %s: %v\n", t.sc.name, t.mode.name, sys.name(), err)
		case res.HoleMS <= ms(tooLate) || n >= repeats:
			return res, nil
		}
	}
}

// machine is what the numbers depend on.
func machine() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("Linux %s, %d CPUs, keepalived %s", kernel(unix.ByteSliceToString(u.Release[:])), runtime.NumCPU(), keepalivedVersion())
}

// kernel is the part of a release that says how the kernel behaves: what follows names one build of it.
func kernel(release string) string {
	major, rest, _ := strings.Cut(release, ".")
	minor, _, _ := strings.Cut(rest, ".")
	minor, _, _ = strings.Cut(minor, "-")
	return major + "." + minor
}

func keepalivedVersion() string {
	out, err := exec.Command("keepalived", "--version").CombinedOutput()
	if f := strings.Fields(string(out)); err == nil && len(f) > 1 {
		return strings.TrimPrefix(f[1], "v")
	}
	return "not installed"
}
