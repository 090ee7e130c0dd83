// Failover measures what clients see of a failover: of Keepwatch's HA agent beside the real keepalived, one after the
// other in the same network namespaces. It owns the method that docs/failover.md describes, and the tables there. It
// never runs for long as part of the tests, which try each way once; make bench-failover starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	program, results, docs string
	cases, modes, systems  string
	trials                 int
	slow, middle           int
	minutes                float64
	update, verbose        bool
}

func main() {
	if name := os.Getenv(roleVariable); name != "" {
		fmt.Fprintln(os.Stderr, role(name))
		os.Exit(1)
	}
	var o options
	flag.StringVar(&o.program, "keepwatch", "bin/keepwatch", "the keepwatch program")
	flag.StringVar(&o.results, "results", "bin/failover.jsonl", "table, render: files of results with commas between; trials are appended to the first")
	flag.StringVar(&o.docs, "docs", "docs/failover.md", "file that -update writes the tables into")
	flag.StringVar(&o.cases, "cases", "", "table: names of cases with commas between; empty: all")
	flag.StringVar(&o.modes, "modes", "", "table: beginnings of names of modes with commas between; empty: all")
	flag.StringVar(&o.systems, "systems", "", "table: keepwatch or keepalived; empty: both in turn")
	flag.IntVar(&o.trials, "trials", 20, "table: trials of each case, mode and system")
	flag.IntVar(&o.slow, "slow", 5, "table: segments at a time for intervals of a second, which idle mostly")
	flag.IntVar(&o.middle, "middle", 2, "table: segments at a time for intervals of 100 ms; those of 10 ms run alone")
	flag.Float64Var(&o.minutes, "minutes", 10, "quiet: how long")
	flag.BoolVar(&o.update, "update", false, "write what was measured into the docs")
	flag.BoolVar(&o.verbose, "v", false, "table: a line for each trial")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintf(flag.CommandLine.Output(), "failover [flags] table | render | quiet | cost | flood\n\ncases:\n")
	for _, sc := range scenarios {
		fmt.Fprintf(flag.CommandLine.Output(), "  %-16s %s\n", sc.name, sc.title)
	}
	fmt.Fprint(flag.CommandLine.Output(), "modes:\n")
	for _, m := range modes {
		fmt.Fprintf(flag.CommandLine.Output(), "  %-16s %s\n", m.name, m.title())
	}
	fmt.Fprint(flag.CommandLine.Output(), "flags:\n")
	flag.PrintDefaults()
}

func run(ctx context.Context, o options, what string) error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root: run it as root")
	}
	var err error
	if o.program, err = filepath.Abs(o.program); err != nil {
		return err
	}
	var both []system
	for _, sys := range []system{&ours{o.program}, &keepalived{}} {
		if o.systems == "" || o.systems == sys.name() {
			both = append(both, sys)
		}
	}
	switch what {
	case "table":
		started := time.Now()
		if err := table(ctx, o, both); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "took %s\n", time.Since(started).Round(time.Second))
		return show(o)
	case "render":
		return show(o)
	case "quiet", "cost", "flood":
		measure := map[string]func(context.Context, options, []system) (string, error){"quiet": quiet, "cost": cost, "flood": flood}[what]
		text, err := measure(ctx, o, both)
		if err != nil {
			return err
		}
		fmt.Println(text)
		if o.update {
			return update(o.docs, what, text)
		}
		return nil
	}
	return fmt.Errorf("%q: want table, render, quiet, cost or flood; -help tells more", what)
}

// show prints the tables of the results files, and writes them into the docs when asked.
func show(o options) error {
	all, err := readResults(strings.Split(o.results, ","))
	if err != nil {
		return err
	}
	builds := make(map[string]bool)
	for _, r := range all {
		builds[r.Build] = true
	}
	repeated, late := 0, 0
	for _, r := range all {
		repeated += max(0, r.Tries-1)
		if r.HoleMS > ms(tooLate) {
			late++
		}
	}
	if len(builds) > 1 {
		fmt.Fprintf(os.Stderr, "failover: %s hold trials of %d different builds of the agent: remove the file for a fresh table\n", o.results, len(builds))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "`make bench-failover`: %s. %d trials were repeated because the client itself was late by more than %s, %d stand although it was.\n\n", machine(), repeated, tooLate, late)
	render(&b, all)
	fmt.Print(b.String())
	if o.update {
		return update(o.docs, "table", b.String())
	}
	return nil
}
