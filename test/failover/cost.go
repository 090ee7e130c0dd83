package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	costRouters = 20
	costSpan    = 20 * time.Second
	costTries   = 4 // a failover in between spoils the measurement: then it is made again
)

// errFailedOver is a measurement of a steady state that was none.
var errFailedOver = errors.New("the master changed while it was measured")

// cost measures what many virtual routers at the shortest interval take, of one system after the other.
func cost(ctx context.Context, _ options, both []system) (string, error) {
	var all []setup
	for n := 1; n <= costRouters; n++ {
		all = append(all, setup{vrid: n, version: 3, interval: 10 * time.Millisecond, addresses: []string{fmt.Sprintf("10.9.1.%d/32", n)}})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "`make bench-failover-more`: %s; %d virtual routers at 10 ms, %s.\n\n", machine(), costRouters, costSpan)
	b.WriteString("| system | node | CPU an advertisement, µs | CPU, % of a core | resident, MiB | of it its own (PSS), MiB | processes |\n|---|---|--:|--:|--:|--:|--:|\n")
	for _, sys := range both {
		var err error
		for n := 0; n == 0 || n < costTries && errors.Is(err, errFailedOver); n++ {
			err = try(func() error { return costOf(ctx, sys, all, &b) })
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", sys.name(), err)
		}
	}
	return b.String(), nil
}

func costOf(ctx context.Context, sys system, all []setup, b *strings.Builder) error {
	r, err := newRig(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.settle(sys, all); err != nil {
		return err
	}
	if err := r.pause(3 * time.Second); err != nil { // the bursts of the takeover are no part of it
		return err
	}
	w := newTally(r.a, all)
	before := make(map[*side]time.Duration)
	for _, s := range []*side{r.a, r.b} {
		if before[s], err = cpu(tree(s.agent.pid())); err != nil {
			return err
		}
	}
	r.seen.tell(w.add)
	begin := time.Now()
	if err := r.pause(costSpan); err != nil {
		return err
	}
	adverts, takes := 0, 0
	for _, s := range all {
		n := w.of(s.vrid)
		adverts, takes = adverts+n.adverts, takes+n.takes
	}
	took := time.Since(begin)
	if takes > 0 || adverts == 0 {
		return fmt.Errorf("%w: %d advertisements, %d failovers", errFailedOver, adverts, takes)
	}
	for _, s := range []*side{r.a, r.b} {
		pids := tree(s.agent.pid())
		after, err := cpu(pids)
		if err != nil {
			return err
		}
		rss, pss, err := memory(pids)
		if err != nil {
			return err
		}
		used := after - before[s]
		fmt.Fprintf(b, "| %s | %s | %.1f | %.2f | %.1f | %.1f | %d |\n", sys.name(), map[*side]string{r.a: "master", r.b: "backup"}[s],
			float64(used.Microseconds())/float64(adverts), 100*used.Seconds()/took.Seconds(), rss, pss, len(pids))
	}
	return nil
}

// cpu is user and system time of processes. The kernel keeps it exactly and tells it in hundredths of a second.
func cpu(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		f := statFields(fmt.Sprintf("/proc/%d/stat", pid))
		if f == nil {
			return 0, fmt.Errorf("process %d is gone", pid)
		}
		for _, text := range f[11:13] { // utime, stime
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("cannot read the CPU time of process %d: %w", pid, err)
			}
			sum += time.Duration(n) * time.Second / 100
		}
	}
	return sum, nil
}

// memory is what processes have resident, and what is their share of it, in MiB.
func memory(pids []int) (rss, pss float64, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, 0, fmt.Errorf("cannot read the memory of process %d: %w", pid, err)
		}
		found := 0
		for line := range strings.Lines(string(text)) {
			var kib float64
			if n, _ := fmt.Sscanf(line, "Rss: %f kB", &kib); n == 1 {
				rss += kib / 1024
				found++
			} else if n, _ := fmt.Sscanf(line, "Pss: %f kB", &kib); n == 1 {
				pss += kib / 1024
				found++
			}
		}
		if found != 2 {
			return 0, 0, errors.New("the kernel tells no memory in smaps_rollup")
		}
	}
	return rss, pss, nil
}
