// Package haproxy is the probe of one HAProxy: process, frontends, backends and servers as "show info" and
// "show stat" on its stats socket tell them, and an event when a server stops or starts to take traffic. It never
// changes HAProxy's state and needs no more than a socket of level user, or operator for the addresses of servers in
// events. The collector calls Collect; parse.go, status.go and change.go are pure.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// Options says whose series these are and where HAProxy is found.
type Options struct {
	Cluster string
	Host    string
	Config  conf.HAProxyProbe
}

// Probe reads one HAProxy. It is a probes.Probe; like every one it is not for concurrent use.
type Probe struct {
	conf    conf.HAProxyProbe
	socket  socket
	up      *metric.Series
	info    *info
	table   table
	objects *objects
	events  *events
	last    int64 // when the last good run was, ms; 0: never
}

// New makes the probe. It opens nothing yet; the error says which option is unfit.
func New(o Options) (*Probe, error) {
	if o.Config.Socket == "" {
		return nil, errors.New("cannot make an haproxy probe: socket is empty: it is the path of HAProxy's stats socket")
	}
	who := owner{cluster: o.Cluster, host: o.Host, instance: o.Config.Name}
	up, err := who.series("haproxy_up", nil, metric.NoUnit, metric.State)
	if err != nil {
		return nil, fmt.Errorf("cannot make haproxy probe %q: %w", o.Config.Name, err)
	}
	return &Probe{
		conf: o.Config, socket: socket{path: o.Config.Socket}, up: up,
		info: newInfo(who), objects: newObjects(who), events: newEvents(who),
	}, nil
}

// Name is "haproxy/" and the name of the instance, or "haproxy" where it has none.
func (p *Probe) Name() string {
	if p.conf.Name == "" {
		return "haproxy"
	}
	return "haproxy/" + p.conf.Name
}

// Interval is the one of the configuration.
func (p *Probe) Interval() time.Duration { return p.conf.Interval }

// Collect asks once. haproxy_up is appended in any case: 0 when HAProxy gave no answer that could be read whole.
// A change of a server since the last good run is appended as an event; the first run makes none.
func (p *Probe) Collect(ctx context.Context, now time.Time, out *batch.Batch) error {
	r := run{ms: now.UnixMilli(), out: out}
	reply, err := p.socket.ask(ctx)
	if err == nil {
		err = p.read(reply, &r)
	}
	up := 0.0
	if err == nil || errors.Is(err, errLeftOut) {
		up = 1
		p.last = r.ms
	}
	r.put(p.up, up)
	if err != nil {
		return fmt.Errorf("cannot read HAProxy by its stats socket %q: %w", p.conf.Socket, err)
	}
	return nil
}

func (p *Probe) read(reply []byte, r *run) error {
	infoText, stat, err := split(reply)
	if err != nil {
		return err
	}
	p.info.emit(infoText, r)
	rows, err := p.table.begin(stat)
	if err != nil {
		return err
	}
	p.objects.begin()
	for len(rows) > 0 {
		var line row
		if rows, err = p.table.next(rows, &line); err != nil {
			return err
		}
		p.row(&line, r)
	}
	return p.objects.end()
}

// row takes one line of the table: a frontend, backend or server. Listeners, which HAProxy only tells apart with
// "option socket-stats", are part of their frontend.
func (p *Probe) row(line *row, r *run) {
	o := p.objects.find(line)
	if o == nil {
		return
	}
	p.objects.emit(o, r, line)
	if o.kind == server {
		for _, c := range o.seen.change(observe(line, r.ms), p.last) {
			p.events.add(o, line, c, r)
		}
	}
}

// run is one call of Collect.
type run struct {
	ms  int64
	out *batch.Batch
}

func (r *run) put(s *metric.Series, v float64) {
	if s != nil {
		r.out.Samples = append(r.out.Samples, metric.Sample{Series: s, Time: r.ms, Value: v})
	}
}

// owner is whose series are made.
type owner struct{ cluster, host, instance string }

func (w owner) series(name string, labels []metric.Label, unit metric.Unit, kind metric.Kind) (*metric.Series, error) {
	all := append(labels[:len(labels):len(labels)], metric.Label{Name: "proxy_instance", Value: w.instance})
	return metric.NewSeries(w.cluster, w.host, name, all, unit, kind)
}
