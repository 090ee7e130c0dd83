package gmond

import (
	"errors"
	"fmt"

	"keepwatch/metric"
)

var (
	// ErrHost is a packet whose host field is no host name.
	ErrHost = errors.New("unfit host name in gmond packet")

	// ErrMetric is a packet whose metric cannot be named.
	ErrMetric = errors.New("unfit metric in gmond packet")

	// ErrValue is a value that is empty or no number although its type says number.
	ErrValue = errors.New("unfit value in gmond packet")

	// ErrTooManyHosts and ErrTooManyMetrics are the bounds of TableOptions.
	ErrTooManyHosts   = errors.New("too many gmond hosts")
	ErrTooManyMetrics = errors.New("too many metrics of one gmond host")
)

// Outcome is what became of a packet that was no error.
type Outcome uint8

// The outcomes of Add.
const (
	Joined  Outcome = 1 // a sample came out
	Waiting Outcome = 2 // a value without metadata, kept until it comes
	Learned Outcome = 3 // metadata without a value
	Asked   Outcome = 4 // a request for metadata, which says nothing about its sender's metrics
)

// String is the word that counters use.
func (o Outcome) String() string {
	switch o {
	case Joined:
		return "joined"
	case Waiting:
		return "waiting"
	case Learned:
		return "metadata"
	case Asked:
		return "request"
	}
	return "unknown"
}

// TableOptions bound a Table.
type TableOptions struct {
	Cluster    string // of every sample that comes out
	MaxHosts   int
	MaxMetrics int // of one host; also the series that strings may make of one host between two Sweeps
}

// Table joins metadata and values per host and metric. It is not safe for concurrent use.
type Table struct {
	opt   TableOptions
	hosts map[string]*host
}

type host struct {
	name    string
	metrics map[string]*entry
	heard   int64
	started int64 // value of its heartbeat, s
	made    int   // series made since the last Sweep
}

// entry is one metric of one host.
type entry struct {
	base string // sanitized name
	orig string // original name where base differs
	seen int64  // newest of value and metadata, ms

	described bool
	class     class
	kind      metric.Kind
	unit      metric.Unit
	dmax      int64 // ms

	series *metric.Series
	info   string // value of the info label in series

	pending *pending // a value that came before its metadata
}

type pending struct {
	at     int64
	id     ID
	number float64
	format string
	text   string
}

// NewTable makes an empty table.
func NewTable(opt TableOptions) (*Table, error) {
	if err := metric.CheckHost("cluster", opt.Cluster); err != nil {
		return nil, err
	}
	if opt.MaxHosts < 1 || opt.MaxMetrics < 1 {
		return nil, fmt.Errorf("gmond table of %d hosts with %d metrics: want at least 1 of each", opt.MaxHosts, opt.MaxMetrics)
	}
	return &Table{opt: opt, hosts: make(map[string]*host)}, nil
}

// Result says whom a packet was about and what came of it.
type Result struct {
	Outcome Outcome
	Host    string        // its name; empty for Asked
	Started int64         // of the host's gmond, epoch seconds, once a heartbeat told; else 0
	Sample  metric.Sample // of Joined
}

// Add takes one packet that came at now, ms since the epoch. A value gives a sample named gmond_NAME with the label
// source="gmond" (and gmond_name where characters had to be replaced); a string gives gmond_NAME_info with the
// string as label value and the value 1. A packet with a fit host tells that the host lives even when Add returns
// ErrMetric, ErrValue or ErrTooManyMetrics: Result.Host is then set.
func (t *Table) Add(p *Packet, now int64) (Result, error) {
	if p.ID == Request {
		return Result{Outcome: Asked}, nil
	}
	h, err := t.host(p)
	if err != nil {
		return Result{}, err
	}
	h.heard = max(h.heard, now)
	if p.ID == ValueUint && string(p.Name) == "heartbeat" {
		h.started = int64(p.Number)
	}
	res := Result{Host: h.name, Started: h.started}
	e, err := t.entry(h, p)
	if err != nil {
		return res, err
	}
	e.seen = max(e.seen, now)
	if p.ID == Metadata {
		return t.describe(h, e, p, res)
	}
	if !e.described {
		res.Outcome = Waiting
		e.pending = &pending{at: now, id: p.ID, number: p.Number, format: string(p.Format[:min(len(p.Format), 16)]), text: string(p.Text[:min(len(p.Text), metric.MaxLabelValue)])}
		return res, nil
	}
	return t.join(h, e, p, now, res)
}

func (t *Table) host(p *Packet) (*host, error) {
	name, err := hostOf(p)
	if err != nil {
		return nil, err
	}
	if h := t.hosts[string(name)]; h != nil {
		return h, nil
	}
	s := string(name)
	if err := metric.CheckHost("host", s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHost, err)
	}
	if len(t.hosts) >= t.opt.MaxHosts {
		return nil, fmt.Errorf("%w: %d, and now %q", ErrTooManyHosts, len(t.hosts), s)
	}
	h := &host{name: s, metrics: make(map[string]*entry)}
	t.hosts[s] = h
	return h, nil
}

func (t *Table) entry(h *host, p *Packet) (*entry, error) {
	name := metricOf(p)
	if e := h.metrics[string(name)]; e != nil {
		return e, nil
	}
	base, err := sanitize(name)
	if err != nil {
		return nil, err
	}
	if len(h.metrics) >= t.opt.MaxMetrics {
		return nil, fmt.Errorf("%w: %d of %q", ErrTooManyMetrics, len(h.metrics), h.name)
	}
	e := &entry{base: base}
	if base[len(Prefix):] != string(name) {
		e.orig = text(name, metric.MaxLabelValue)
	}
	h.metrics[string(name)] = e
	return e, nil
}

func (t *Table) describe(h *host, e *entry, p *Packet, res Result) (Result, error) {
	kind := metric.Gauge
	if p.Slope == Positive || p.Slope == Derivative {
		kind = metric.Counter
	}
	unit, class := metric.Unit(text(p.Units, metric.MaxUnit)), classOf(p.Type)
	if e.kind != kind || e.unit != unit || e.class != class {
		e.series = nil
	}
	e.described, e.kind, e.unit, e.class, e.dmax = true, kind, unit, class, int64(p.DMax)*1000
	res.Outcome = Learned
	if e.pending == nil {
		return res, nil
	}
	w := e.pending
	e.pending = nil
	v := Packet{ID: w.id, Number: w.number, Format: []byte(w.format), Text: []byte(w.text)}
	return t.join(h, e, &v, w.at, res)
}

// join makes the sample of a value whose metadata is known.
func (t *Table) join(h *host, e *entry, p *Packet, at int64, res Result) (Result, error) {
	v, isNumber := p.Number, p.ID != ValueString
	if !isNumber && e.class != textual {
		v, isNumber = number(p.Text)
	}
	switch {
	case isNumber && e.class == textual, !isNumber && (e.class == textual || e.class == byMessage):
		return t.joinText(h, e, p, at, res)
	case !isNumber:
		return res, fmt.Errorf("%w: %.40q of %s on %q is no number", ErrValue, p.Text, e.base, h.name)
	case !finite(v):
		return res, fmt.Errorf("%w: %v of %s on %q", ErrValue, v, e.base, h.name)
	}
	s, err := t.series(h, e, "")
	if err != nil {
		return res, err
	}
	res.Outcome, res.Sample = Joined, metric.Sample{Series: s, Time: at, Value: round(v, p.Format, p.ID)}
	return res, nil
}

func (t *Table) joinText(h *host, e *entry, p *Packet, at int64, res Result) (Result, error) {
	value := text(p.Text, metric.MaxLabelValue)
	if p.ID != ValueString {
		value = fmt.Sprint(round(p.Number, p.Format, p.ID))
	}
	if value == "" {
		return res, fmt.Errorf("%w: %s on %q is empty", ErrValue, e.base, h.name)
	}
	s, err := t.series(h, e, value)
	if err != nil {
		return res, err
	}
	res.Outcome, res.Sample = Joined, metric.Sample{Series: s, Time: at, Value: 1}
	return res, nil
}

// series gives the series of a metric; info is the value of a textual one, empty for a number.
func (t *Table) series(h *host, e *entry, info string) (*metric.Series, error) {
	if e.series != nil && e.info == info {
		return e.series, nil
	}
	// A string that never repeats would otherwise make a series with each packet.
	if h.made >= t.opt.MaxMetrics {
		return nil, fmt.Errorf("%w: %d made of %q since the last hour", ErrTooManyMetrics, h.made, h.name)
	}
	labels := []metric.Label{{Name: "source", Value: "gmond"}, {Name: "gmond_name", Value: e.orig}}
	name, kind, unit := e.base, e.kind, e.unit
	if info != "" {
		name, kind, unit = e.base+infoSuffix, metric.State, metric.NoUnit
		labels = append(labels, metric.Label{Name: "value", Value: info})
	}
	s, err := metric.NewSeries(t.opt.Cluster, h.name, name, labels, unit, kind)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetric, err)
	}
	h.made++
	e.series, e.info = s, info
	return s, nil
}

// Sweep forgets hosts that have been silent for hostDmax ms and metrics silent for their own dmax, by the later of
// value and metadata. Call it about once an hour: it also renews the series that a host's strings may make.
func (t *Table) Sweep(now, hostDmax int64) {
	for name, h := range t.hosts {
		if now-h.heard > hostDmax {
			delete(t.hosts, name)
			continue
		}
		h.made = 0
		for m, e := range h.metrics {
			if e.dmax > 0 && now-e.seen > e.dmax || now-e.seen > hostDmax {
				delete(h.metrics, m)
			}
		}
	}
}

// Hosts is the number of hosts held.
func (t *Table) Hosts() int { return len(t.hosts) }
