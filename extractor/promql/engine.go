// Package promql answers PromQL: Prometheus' own engine over the samples in Postgres, and the part of Prometheus'
// HTTP API that Grafana, promtool and the web app use. It is the only package that imports prometheus/prometheus. It
// never writes and knows nothing of users; ui and the local control socket mount its Handler.
package promql

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
)

// Options say what to read and what a query may cost.
type Options struct {
	DB     *db.DB
	Config conf.Query
	Log    *slog.Logger
}

// maxQueries are answered at the same time; others wait, within their timeout.
const maxQueries = 8

// Engine answers queries. It is safe for concurrent use.
type Engine struct {
	slots   chan struct{}
	engine  *promql.Engine
	parser  parser.Parser
	store   *store
	timeout time.Duration
	log     *slog.Logger
}

// New makes an engine. It keeps no goroutine.
func New(opt Options) *Engine {
	p := parser.NewParser(parser.Options{})
	return &Engine{
		slots: make(chan struct{}, maxQueries), parser: p, store: &store{db: opt.DB, maxSamples: opt.Config.MaxSamples}, timeout: opt.Config.Timeout, log: opt.Log,
		engine: promql.NewEngine(promql.EngineOpts{
			Logger: opt.Log, MaxSamples: opt.Config.MaxSamples, Timeout: opt.Config.Timeout, LookbackDelta: opt.Config.Lookback,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
			EnableAtModifier:         true, EnableNegativeOffset: true, Parser: p,
		}),
	}
}

// query runs one query and hands its result to use before its memory is given back.
func (e *Engine) query(ctx context.Context, expr string, start, end time.Time, step time.Duration, use func(*promql.Result)) error {
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var q promql.Query
	var err error
	if step == 0 {
		q, err = e.engine.NewInstantQuery(ctx, e.store, nil, expr, start)
	} else {
		q, err = e.engine.NewRangeQuery(ctx, e.store, nil, expr, start, end, step)
	}
	if err != nil {
		return badData(err)
	}
	defer q.Close()
	r := q.Exec(ctx)
	if r.Err != nil {
		return r.Err
	}
	use(r)
	return nil
}
