// Command keepwatch-collector is the collector as a program of its own: what runs on every host of a cluster has
// neither Postgres' driver nor the web app in its memory. 'keepwatch collector' becomes it; 'keepwatch up' runs the
// same collector inside itself. This package owns flags, signals and the exit code; it decides nothing that collector
// owns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/collector"
	"keepwatch/internal/conf"
	"keepwatch/internal/control"
	"keepwatch/internal/datafolder"
	"keepwatch/internal/logs"
	"keepwatch/internal/resident"
	"keepwatch/internal/run"
)

// version is set by the linker.
var version = "unknown"

const role = "collector"

func main() {
	debug.SetGCPercent(resident.GCPercent)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a, err := parse(os.Args[1:])
	if err == nil {
		err = runCollector(ctx, a)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "keepwatch-collector:", err)
		os.Exit(1)
	}
}

type arguments struct {
	config, data string
}

func parse(args []string) (a arguments, err error) {
	f := flag.NewFlagSet("keepwatch-collector", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), `keepwatch-collector runs the probes of this host and shares what the cluster's hosts see, as collector of the
configuration file says. SIGHUP reads the file again, SIGTERM ends it.

`)
		f.PrintDefaults()
	}
	f.StringVar(&a.config, "config", os.Getenv(conf.EnvConfig), "configuration `file` (YAML); none: the defaults")
	data := os.Getenv(conf.EnvData)
	if data == "" {
		data = "./data"
	}
	f.StringVar(&a.data, "data", data, "data `folder`")
	tell := f.Bool("version", false, "print the version and end")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return a, err
		}
		os.Exit(2) // flag has said it
	}
	if f.NArg() > 0 {
		return a, fmt.Errorf("%.60q: there are no arguments but flags, see --help", f.Arg(0))
	}
	if *tell {
		fmt.Println("keepwatch-collector", version)
		return a, flag.ErrHelp
	}
	return a, nil
}

// program is one run.
type program struct {
	arguments
	log       *slog.Logger
	level     slog.LevelVar
	data      *datafolder.Folder
	collector *collector.Collector
	conf      conf.Config // as it was at the start
	started   time.Time
}

// open makes the program. Its data folder is to be closed.
func open(a arguments) (*program, error) {
	c, err := conf.Load(a.config, os.Environ())
	if err != nil {
		return nil, err
	}
	p := &program{arguments: a, conf: c, started: time.Now()}
	p.log = logs.New(os.Stderr, c.Log, &p.level)
	slog.SetDefault(p.log)
	if p.data, err = datafolder.Open(a.data, role); err != nil {
		return nil, err
	}
	p.collector, err = collector.New(collector.Options{
		Config: c.Collector, Cluster: c.Cluster, Host: c.Host, DataDir: p.data.Path,
		HAAgent: c.HAAgent.Configured(), Log: p.log.With("part", role),
	})
	if err != nil {
		p.data.Close()
		return nil, err
	}
	return p, nil
}

func runCollector(ctx context.Context, a arguments) error {
	p, err := open(a)
	if err != nil {
		return err
	}
	defer p.data.Close()
	group := run.Group{Log: p.log}
	group.Add(role, p.collector.Run)
	group.Add("reload", func(ctx context.Context) error { return run.OnHangup(ctx, p.log, p.reload) })
	group.Add("memory", settle)
	if err := p.addControl(&group); err != nil {
		return errors.Join(err, p.collector.Close())
	}
	return group.Run(ctx)
}

// settle gives back what only the start needed.
func settle(ctx context.Context) error {
	select {
	case <-time.After(resident.Settling):
		resident.Slim()
	case <-ctx.Done():
		return ctx.Err()
	}
	<-ctx.Done()
	return ctx.Err()
}

// addControl serves the control socket, unless another role's process on the same data folder does.
func (p *program) addControl(group *run.Group) error {
	if p.data.Lock("control") != nil {
		p.log.Info("another process serves the control socket of this data folder")
		return nil
	}
	ln, err := control.Listen(p.data.File(control.Socket))
	if err != nil {
		return err
	}
	c := control.Controls{Status: p.status, Metrics: http.HandlerFunc(selfMetrics), Send: p.collector.TakeGmetric}
	group.Add("control socket", func(ctx context.Context) error { return control.Serve(ctx, ln, c, p.log) })
	return nil
}

// selfMetrics serves what this process counts of itself, then the runtime's numbers.
func selfMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	metrics.WritePrometheus(w, true)
}

func (p *program) status() any {
	return map[string]any{
		"version": version, "host": p.conf.Host, "cluster": p.conf.Cluster, "roles": []string{role}, "started": p.started, role: p.collector.Status(),
	}
}

func (p *program) reload() error {
	next, err := conf.Load(p.config, os.Environ())
	if err != nil {
		return err
	}
	if err := p.collector.Reload(next.Collector); err != nil {
		return err
	}
	logs.SetLevel(next.Log, &p.level)
	p.log.Info("reloaded")
	// The collector itself refuses what it reads at start only.
	wait := slices.DeleteFunc(conf.Changed(p.conf, next), func(key string) bool { return !slices.Contains(conf.AtStart, key) })
	if len(wait) > 0 {
		p.log.Warn("keys have changed that are read at start only; start this process again to put them in force", "keys", strings.Join(wait, ", "))
	}
	return nil
}
