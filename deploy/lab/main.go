// Command lab builds a cluster of network namespaces on one machine to play with: two HA nodes that share a virtual
// address, two web servers, a client that asks through the address all the time, and a monitoring node. Everything
// in it is the real thing: HAProxy, nginx, Keepwatch, Postgres, SMTP. It never touches the machine's own interfaces:
// bridge, links and addresses live in its namespaces, and all of them go when it ends, however it ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "client":
			exit(runClient(os.Args[2:]))
		case "janitor":
			exit(runJanitor(os.Stdin))
		}
	}
	var o options
	flag.StringVar(&o.keepwatch, "keepwatch", "bin/keepwatch", "the keepwatch program")
	flag.StringVar(&o.scenario, "scenario", "", "run a story without hands and exit: failover")
	flag.IntVar(&o.port, "port", 8080, "port of the web app on 127.0.0.1")
	flag.BoolVar(&o.keep, "keep", false, "leave the nodes' files and logs behind")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "lab builds a cluster in network namespaces (root).\n\n")
		flag.PrintDefaults()
		fmt.Fprint(flag.CommandLine.Output(), "\n", commandHelp)
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

type options struct {
	keepwatch string
	scenario  string
	port      int
	keep      bool
}

func run(ctx context.Context, o options) error {
	if o.scenario != "" && o.scenario != "failover" {
		return fmt.Errorf("unknown scenario %q: there is failover", o.scenario)
	}
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root: run make lab as root")
	}
	binary, err := filepath.Abs(o.keepwatch)
	if err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("cannot find keepwatch: %w: run make build", err)
	}
	l, err := newLab(binary, o.port, o.keep)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.start(ctx); err != nil {
		return err
	}
	if o.scenario != "" {
		story, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		return l.failover(story)
	}
	return l.prompt(ctx, os.Stdin)
}
