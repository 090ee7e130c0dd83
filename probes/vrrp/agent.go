// Package vrrp holds two probes of failover: Agent reads this host's own HA agent by its socket, state and events
// alike; Listener hears the advertisements of anybody on an interface, of keepalived and routers too. They never
// send, decide or change anything. The collector calls Collect and Watch; decoding and the words of the socket come
// from haagent/vrrp and haagent/status, which are pure.
package vrrp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// AgentOptions say whose series these are and where the HA agent is found.
type AgentOptions struct {
	Cluster, Host string
	Socket        string        // path of the agent's haagent.sock
	Interval      time.Duration // 0: the collector's own
	Log           *slog.Logger
}

// Agent is the probe of this host's own HA agent. It is a probes.Probe and a probes.Watcher.
type Agent struct {
	opt    AgentOptions
	client http.Client

	// What Watch has told. Only Watch uses these.
	boot string
	seq  uint64
	up   bool // the last that was told
	told bool

	mu     sync.Mutex
	series *seriesCache
	upOf   *metric.Series
}

// NewAgent makes the probe. It opens nothing yet; the error says which option is unfit.
func NewAgent(o AgentOptions) (*Agent, error) {
	if o.Socket == "" {
		return nil, errors.New("cannot make a vrrp probe: the agent's socket is not named")
	}
	up, err := metric.NewSeries(o.Cluster, o.Host, "keepwatch_ha_up", nil, metric.NoUnit, metric.State)
	if err != nil {
		return nil, fmt.Errorf("cannot make a vrrp probe: %w", err)
	}
	p := &Agent{opt: o, upOf: up, series: newSeriesCache(o.Cluster, o.Host)}
	p.client.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", o.Socket)
		},
		DisableKeepAlives: true,
	}
	return p, nil
}

// Name is "vrrp/agent".
func (p *Agent) Name() string { return "vrrp/agent" }

// Interval is the one of the options.
func (p *Agent) Interval() time.Duration { return p.opt.Interval }

// statusWithin bounds one GET /status, which the agent answers from memory.
const statusWithin = 3 * time.Second

// Collect asks for the agent's state once. keepwatch_ha_up is appended in any case: 0 when the agent gave no answer.
// That the agent is away is a finding, not an error.
func (p *Agent) Collect(ctx context.Context, now time.Time, out *batch.Batch) error {
	s, err := p.status(ctx)
	if err != nil {
		p.put(out, p.upOf, now, 0)
		return nil
	}
	return p.samples(out, now, s)
}

func (p *Agent) put(out *batch.Batch, s *metric.Series, now time.Time, v float64) {
	out.Samples = append(out.Samples, metric.Sample{Series: s, Time: now.UnixMilli(), Value: v})
}

func (p *Agent) status(ctx context.Context) (s status.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	err = p.get(ctx, "/status", &s)
	return s, err
}

// maxAnswer bounds what is read of one answer.
const maxAnswer = 16 << 20

func (p *Agent) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		return err
	}
	r, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("the HA agent answers %s", r.Status)
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxAnswer)).Decode(v); err != nil {
		return fmt.Errorf("cannot read the HA agent's answer: %w", err)
	}
	return nil
}

// waitAtAgent is how long the agent may hold a request that has nothing to answer; a little more bounds it here.
const waitAtAgent = 25 * time.Second

// Watch tells the agent's events as they happen, each with the state right after it, and that the agent stopped or
// came back. An event may come again after the collector was started anew: its ID is the same then.
func (p *Agent) Watch(ctx context.Context, emit func(*batch.Batch)) error {
	for ctx.Err() == nil {
		e, err := p.events(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var out batch.Batch
		if err == nil {
			p.read(&out, e)
		}
		p.look(ctx, &out, len(out.Events) > 0)
		if len(out.Samples)+len(out.Events) > 0 {
			emit(&out)
		}
		if err != nil && p.up {
			return fmt.Errorf("cannot follow the HA agent's events: %w", err)
		}
		if err != nil && !wait(ctx, retryAgent) {
			return nil
		}
	}
	return nil
}

// retryAgent is the pause between two tries to reach an agent that is away.
const retryAgent = 250 * time.Millisecond

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *Agent) events(ctx context.Context) (e status.Events, err error) {
	hold := waitAtAgent
	if !p.told || !p.up {
		hold = 0 // first tell that it is there
	}
	ctx, cancel := context.WithTimeout(ctx, hold+statusWithin)
	defer cancel()
	q := url.Values{"boot": {p.boot}, "after": {strconv.FormatUint(p.seq, 10)}, "wait": {strconv.Itoa(int(hold.Seconds()))}}
	err = p.get(ctx, "/events?"+q.Encode(), &e)
	return e, err
}

// read takes over what events came.
func (p *Agent) read(out *batch.Batch, e status.Events) {
	if e.Missed > 0 && p.boot == e.Boot {
		p.opt.Log.Warn("the HA agent had more events than it remembers", "missed", e.Missed)
	}
	for i := range e.Items {
		event := toEvent(&p.opt, e.Boot, &e.Items[i])
		if err := event.Check(); err != nil {
			p.opt.Log.Warn("an event of the HA agent is unfit", "err", err)
			continue
		}
		out.Events = append(out.Events, event)
	}
	p.boot, p.seq = e.Boot, e.Last
}

// look appends the agent's state when there is a reason to: something happened, or the agent came or went.
func (p *Agent) look(ctx context.Context, out *batch.Batch, happened bool) {
	s, err := p.status(ctx)
	now := time.Now()
	up := err == nil
	if up == p.up && p.told && !(up && happened) {
		return
	}
	p.up, p.told = up, true
	if !up {
		p.put(out, p.upOf, now, 0)
		return
	}
	if err := p.samples(out, now, s); err != nil {
		p.opt.Log.Warn("the HA agent's state is unfit", "err", err)
	}
}
