package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/alerter"
	"keepwatch/bus"
	"keepwatch/collector"
	"keepwatch/extractor"
	"keepwatch/extractor/promql"
	"keepwatch/internal/conf"
	"keepwatch/internal/control"
	"keepwatch/internal/datafolder"
	"keepwatch/internal/logs"
	"keepwatch/internal/run"
	"keepwatch/schema/db"
	"keepwatch/ui"
	"keepwatch/ui/auth"
)

// The roles, in the order in which they are built.
const (
	roleHAAgent   = "haagent"
	roleCollector = "collector"
	roleExtractor = "extractor"
	roleAlerter   = "alerter"
	roleUI        = "ui"
)

var allRoles = []string{roleHAAgent, roleCollector, roleExtractor, roleAlerter, roleUI}

// app joins the parts of one process.
type app struct {
	global *global
	roles  []string
	conf   conf.Config
	level  slog.LevelVar
	log    *slog.Logger
	out    io.Writer
	data   *datafolder.Folder
	undo   run.Stack

	db        *db.DB
	bus       *bus.Bus
	collector *collector.Collector
	haagent   *agentProcess
	extractor atomic.Pointer[extractor.Extractor] // set when what is central has come up
	ui        *ui.UI

	reloading sync.Mutex
	inForce   conf.Config // conf, with what reloads have changed in it

	mu     sync.Mutex
	status map[string]func() any // of each role, for keepwatch status
}

// runRoles runs roles until ctx ends or one of them fails, and undoes everything in order.
func (g *global) runRoles(ctx context.Context, out io.Writer, roles ...string) (err error) {
	a := &app{global: g, roles: roles, out: out, status: make(map[string]func() any)}
	if a.conf, err = g.load(); err != nil {
		return err
	}
	a.inForce = a.conf
	a.log = logs.New(os.Stderr, a.conf.Log, &a.level)
	slog.SetDefault(a.log)
	a.undo = run.Stack{Log: a.log, Timeout: 25 * time.Second}
	defer func() { err = errors.Join(err, a.undo.Undo(context.WithoutCancel(ctx))) }()
	// The HA agent guards its folder itself.
	locks := slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return r == roleHAAgent })
	if a.data, err = datafolder.Open(g.data, locks...); err != nil {
		return err
	}
	a.undo.Push("data folder", func(context.Context) error { a.data.Close(); return nil })
	group := run.Group{Log: a.log}
	if err := a.addEdge(ctx, &group); err != nil {
		return err
	}
	group.Add("reload", func(ctx context.Context) error { return run.OnHangup(ctx, a.log, a.reload) })
	if a.has(roleExtractor) || a.has(roleAlerter) || a.has(roleUI) {
		// What is central may take its time to come up, a recovering database above all: what watches and what
		// holds addresses does not wait for it.
		group.Add("central", a.central)
	} else {
		if err := a.addControl(&group, nil); err != nil {
			return err
		}
	}
	return group.Run(ctx)
}

func (a *app) has(role string) bool { return slices.Contains(a.roles, role) }

func (a *app) alone() bool { return len(a.roles) == 1 }

// say tells a person at the terminal what takes long.
func (a *app) say(step string) { fmt.Fprintf(a.out, "keepwatch: %s\n", step) }

// addEdge adds the roles that need neither database nor bus.
func (a *app) addEdge(ctx context.Context, group *run.Group) (err error) {
	if a.has(roleHAAgent) && a.conf.HAAgent.Configured() {
		if a.haagent, err = newAgentProcess(a.global, a.log.With("part", roleHAAgent)); err != nil {
			return err
		}
		a.tell(roleHAAgent, a.haagent.status)
		group.Add(roleHAAgent, a.haagent.run)
	}
	if a.has(roleCollector) {
		a.collector, err = collector.New(collector.Options{
			Config: a.conf.Collector, Cluster: a.conf.Cluster, Host: a.conf.Host, DataDir: a.data.Path,
			HAAgent: a.conf.HAAgent.Configured(), Log: a.log.With("part", roleCollector),
		})
		if err != nil {
			return err
		}
		a.tell(roleCollector, func() any { return a.collector.Status() })
		group.Add(roleCollector, a.collector.Run)
	}
	return nil
}

// central opens database and bus and runs the roles that need them.
func (a *app) central(ctx context.Context) (err error) {
	var undo run.Stack
	undo.Log, undo.Timeout = a.log, 25*time.Second
	defer func() { err = errors.Join(err, undo.Undo(context.WithoutCancel(ctx))) }()
	database, err := startDatabase(ctx, a.conf.Database, a.data, a.alone(), a.say, a.log)
	if err != nil {
		return err
	}
	undo.Push("private Postgres", database.stop)
	if a.db, err = openDB(ctx, database.url, a.conf.Database, a.say); err != nil {
		return err
	}
	undo.Push("database", func(context.Context) error { a.db.Close(); return nil })
	group := run.Group{Log: a.log}
	group.Add("private Postgres", database.watch)
	if a.has(roleExtractor) || a.has(roleAlerter) {
		if a.alone() && a.conf.Bus.URL == "" {
			return errors.New("bus.url is not set: a role that runs alone needs a NATS that the others reach too; set it, or run keepwatch up")
		}
		if a.bus, err = bus.Open(ctx, bus.Options{Dir: a.data.File("bus"), URL: a.conf.Bus.URL, MaxBytes: a.conf.Bus.MaxBytes, Log: a.log.With("part", "bus")}); err != nil {
			return err
		}
		undo.Push("bus", a.bus.Close)
	}
	engine := promql.New(promql.Options{DB: a.db, Config: a.conf.Extractor.Query, Log: a.log.With("part", "promql")})
	if err := a.addCentral(ctx, &group, engine.Handler()); err != nil {
		return err
	}
	return group.Run(ctx)
}

func (a *app) addCentral(ctx context.Context, group *run.Group, prometheus http.Handler) (err error) {
	if a.has(roleExtractor) {
		if err := a.addExtractor(group); err != nil {
			return err
		}
	}
	if a.has(roleAlerter) {
		al, err := alerter.New(alerter.Options{Config: a.conf.Alerter, DB: a.db, Bus: a.bus, URL: a.conf.UI.PublicURL(), Log: a.log.With("part", roleAlerter)})
		if err != nil {
			return err
		}
		group.Add(roleAlerter, al.Run)
	}
	if !a.has(roleUI) {
		return a.addControl(group, prometheusOnly(prometheus))
	}
	return a.addUI(ctx, group, prometheus)
}

// addExtractor adds an extractor of the configuration that is in force now, a while after the start perhaps.
func (a *app) addExtractor(group *run.Group) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	c := &a.inForce
	keys, err := collector.LoadKeys(c.Collector.Keys, a.data.Path)
	if err != nil {
		return err
	}
	e, err := extractor.New(extractor.Options{
		Config: c.Extractor, Cluster: c.Cluster, Local: c.Collector.Serve.Listen, Interval: c.Collector.Interval,
		LocalXML: a.localXML(), Authority: c.UI.PublicURL(),
		HostDmax: c.Collector.HostDmax, Keys: keys, DataDir: a.data.Path, Bus: a.bus, DB: a.db, Log: a.log.With("part", roleExtractor),
	})
	if err != nil {
		return err
	}
	a.extractor.Store(e)
	a.tell(roleExtractor, func() any { return e.Status() })
	group.Add(roleExtractor, e.Run)
	return nil
}

// localXML is where this host's own collector serves gmond's XML, if it does.
func (a *app) localXML() string {
	if !a.has(roleCollector) || a.conf.Collector.Deaf {
		return ""
	}
	return a.conf.Collector.Gmond.XML.Listen
}

func (a *app) addUI(ctx context.Context, group *run.Group, prometheus http.Handler) error {
	password, first, err := auth.EnsureAdmin(ctx, a.db)
	if err != nil {
		return err
	}
	a.ui, err = ui.New(ui.Options{
		Config: a.conf.UI, DB: a.db, Prometheus: prometheus, Metrics: metricsHandler(), Version: version, Cluster: a.conf.Cluster,
		Channels: func() (mail, sms string) { return a.conf.Alerter.SMTP.Why(), a.conf.Alerter.SMS.Why() },
		Query:    a.conf.Extractor.Query.Timeout, Stale: max(time.Minute, 4*a.conf.Collector.Interval), Log: a.log.With("part", roleUI),
	})
	if err != nil {
		return err
	}
	group.Add(roleUI, a.ui.Run)
	if err := a.addControl(group, a.ui.LocalHandler()); err != nil {
		return err
	}
	// The address is bound since New: whoever reads these lines can go there.
	fmt.Fprintf(a.out, "\nKeepwatch runs: %s\n", a.conf.UI.PublicURL())
	if first {
		fmt.Fprintf(a.out, "Sign in as %s with the password %s (it is shown this once)\n", auth.FirstAdmin, password)
	}
	fmt.Fprintln(a.out)
	return nil
}

func prometheusOnly(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/prometheus/", http.StripPrefix("/prometheus", h))
	return mux
}

// metricsHandler serves what this process counts of itself: the runtime's numbers, then the hot paths' counters.
func metricsHandler() http.Handler {
	runtime := promhttp.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Both are one text: the first half neither compressed nor in another format, whatever the client takes.
		plain := r.Clone(r.Context())
		plain.Header.Del("Accept")
		plain.Header.Del("Accept-Encoding")
		runtime.ServeHTTP(w, plain)
		metrics.WritePrometheus(w, false)
	})
}

func (a *app) tell(role string, status func() any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status[role] = status
}

// addControl binds the control socket, unless another role's process on the same data folder has it, and adds the
// role that serves it.
func (a *app) addControl(group *run.Group, local http.Handler) error {
	if a.alone() && a.data.Lock("control") != nil {
		a.log.Info("another process serves the control socket of this data folder")
		return nil
	}
	ln, err := control.Listen(a.data.File(controlSocket))
	if err != nil {
		return err
	}
	started := time.Now()
	c := control.Controls{Local: local, Metrics: metricsHandler(), Status: func() any { return a.statusNow(started) }}
	if a.db != nil {
		c.Password = func(ctx context.Context, user string) (string, error) { return auth.ResetPassword(ctx, a.db, user) }
	}
	if a.collector != nil {
		c.Send = a.collector.TakeGmetric
	}
	group.Add("control socket", func(ctx context.Context) error { return control.Serve(ctx, ln, c, a.log) })
	return nil
}

func (a *app) statusNow(started time.Time) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := map[string]any{"version": version, "host": a.conf.Host, "cluster": a.conf.Cluster, "roles": a.roles, "started": started}
	for role, status := range a.status {
		s[role] = status()
	}
	return s
}
