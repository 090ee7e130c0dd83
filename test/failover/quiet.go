package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// quietRouters are what runs while the cores are busy: the narrowest priorities, so the shortest patience.
var quietRouters = []setup{
	{vrid: 51, version: 3, interval: 100 * time.Millisecond, addresses: []string{"10.9.1.51/32"}},
	{vrid: 52, version: 3, interval: 10 * time.Millisecond, addresses: []string{"10.9.1.52/32"}},
}

// quiet counts failovers that nothing but a busy machine caused, of all systems at the same time.
func quiet(ctx context.Context, o options, both []system) (string, error) {
	var watches []*tally
	var all []*rig
	for _, sys := range both {
		r, err := newRig(ctx)
		if err != nil {
			return "", err
		}
		defer r.close()
		if err := try(func() error { return r.settle(sys, quietRouters) }); err != nil {
			return "", fmt.Errorf("%s: %w", sys.name(), err)
		}
		all = append(all, r)
	}
	stop, err := busy(all[0].dir)
	if err != nil {
		return "", err
	}
	for _, r := range all {
		w := newTally(r.a, quietRouters)
		r.seen.tell(w.add)
		watches = append(watches, w)
	}
	begin := time.Now()
	err = all[0].pause(time.Duration(o.minutes * float64(time.Minute)))
	took := time.Since(begin)
	var b strings.Builder
	fmt.Fprintf(&b, "`make bench-failover-more`: %s; %s with %d busy loops, priorities 254/253.\n\n", machine(), took.Round(time.Second), runtime.NumCPU())
	b.WriteString("| system | interval | advertisements | longest pause, ms | pauses over 1.5 intervals | false failovers |\n|---|---|--:|--:|--:|--:|\n")
	for i, sys := range both {
		for _, s := range quietRouters {
			n := watches[i].of(s.vrid)
			fmt.Fprintf(&b, "| %s | %s | %d | %.1f | %d | %d |\n", sys.name(), s.interval, n.adverts, ms(n.longest), n.late, n.takes)
		}
	}
	return b.String(), errors.Join(err, stop())
}

// busy keeps every core busy until stop.
func busy(dir string) (stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var all []*process
	stop = func() error {
		var errs []error
		for _, p := range all {
			errs = append(errs, p.kill())
		}
		return errors.Join(errs...)
	}
	for n := range runtime.NumCPU() {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), roleVariable+"=spin", "GOMAXPROCS=1")
		p, err := launch(cmd, filepath.Join(dir, fmt.Sprintf("spin%d.log", n)))
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		all = append(all, p)
	}
	return stop, nil
}
