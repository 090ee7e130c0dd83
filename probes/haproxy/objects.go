package haproxy

import (
	"bytes"
	"fmt"

	"keepwatch/metric"
)

// objects holds the series of the frontends, backends and servers, which come and go with HAProxy's configuration.
// An object costs allocations when it is first seen and none from then on.
type objects struct {
	who     owner
	columns [nMetrics]column
	all     map[string]*object
	key     []byte
	turn    uint64
	seen    int
	left    int
	bad     error
}

type object struct {
	kind   kind
	proxy  string
	server string // empty unless it is a server
	status *metric.Series
	series [nMetrics]*metric.Series // made when first there is a value
	info   *metric.Series           // of a server: address and check, as they were last
	where  string
	check  string
	seen   memory
	turn   uint64
	err    error // its name is no label: it has no samples
}

func newObjects(who owner) *objects {
	return &objects{who: who, columns: metrics(), all: make(map[string]*object)}
}

func (os *objects) begin() {
	os.turn++
	os.seen, os.left, os.bad = 0, 0, nil
}

// find gives the object of a row, nil for a row that is none or that is past the bound.
func (os *objects) find(r *row) *object {
	n, ok := parseNumber(r.at[colType])
	if !ok || n < 0 || n >= nKinds || len(r.at[colProxy]) == 0 {
		return nil
	}
	os.key = append(append(os.key[:0], byte('0'+n)), r.at[colProxy]...)
	if kind(n) == server {
		os.key = append(append(os.key, 0), r.at[colServer]...)
	}
	o := os.all[string(os.key)]
	if o == nil {
		if os.seen >= maxRows {
			os.left++
			return nil
		}
		o = os.add(kind(n), r)
	}
	if o.turn != os.turn {
		o.turn = os.turn
		os.seen++
	}
	if os.bad == nil {
		os.bad = o.err
	}
	return o
}

func (os *objects) add(k kind, r *row) *object {
	o := &object{kind: k, proxy: string(r.at[colProxy])}
	if k == server {
		o.server = string(r.at[colServer])
	}
	o.status, o.err = os.series(o, "status", nil, metric.NoUnit, metric.State)
	os.all[string(os.key)] = o
	return o
}

func (os *objects) series(o *object, name string, labels []metric.Label, unit metric.Unit, k metric.Kind) (*metric.Series, error) {
	labels = append(labels, metric.Label{Name: "proxy", Value: o.proxy}, metric.Label{Name: "server", Value: o.server})
	return os.who.series("haproxy_"+o.kind.String()+"_"+name, labels, unit, k)
}

// emit appends the samples of a row.
func (os *objects) emit(o *object, r *run, line *row) {
	if o.err != nil {
		return
	}
	if v := status(o.kind, line.at[colStatus]); v != statusUnknown {
		r.put(o.status, float64(v))
	}
	os.emitInfo(o, r, line)
	for i := range os.columns {
		c := &os.columns[i]
		value := line.at[nPlain+i]
		if len(value) == 0 || c.of&(1<<o.kind) == 0 {
			continue
		}
		v, ok := parseNumber(value)
		if !ok || v < 0 { // -1: never
			continue
		}
		if c.scale != 0 {
			v *= c.scale
		}
		r.put(os.metric(o, i), v)
	}
}

// emitInfo tells a server's address, which HAProxy gives from level operator on, and what its check found last. Both
// change rarely, so the series does.
func (os *objects) emitInfo(o *object, r *run, line *row) {
	address, check := line.at[colAddress], checkStatus(line)
	if o.kind != server || len(address)+len(check) == 0 {
		return
	}
	if o.info == nil || o.where != string(address) || o.check != string(check) {
		o.where, o.check = string(address), string(check)
		labels := []metric.Label{{Name: "address", Value: clean(address)}, {Name: "check", Value: clean(check)}}
		o.info, o.err = os.series(o, "info", labels, metric.NoUnit, metric.State)
	}
	r.put(o.info, 1)
}

func status(k kind, b []byte) int {
	switch k {
	case frontend:
		return parseFrontendStatus(b)
	case backend:
		return parseBackendStatus(b)
	}
	return parseServerStatus(b)
}

func (os *objects) metric(o *object, i int) *metric.Series {
	if o.series[i] == nil {
		c := &os.columns[i]
		var labels []metric.Label
		if c.code != "" {
			labels = []metric.Label{{Name: "code", Value: c.code}}
		}
		o.series[i], o.err = os.series(o, c.name, labels, c.unit, c.kind)
	}
	return o.series[i]
}

// end forgets what this turn did not find. Its error wraps errLeftOut.
func (os *objects) end() error {
	if len(os.all) > os.seen {
		for k, o := range os.all {
			if o.turn != os.turn {
				delete(os.all, k)
			}
		}
	}
	if os.left > 0 {
		return fmt.Errorf("%w: %d frontends, backends and servers, at most %d are reported", errLeftOut, os.left, maxRows)
	}
	if os.bad != nil {
		return fmt.Errorf("%w: %w", errLeftOut, os.bad)
	}
	return nil
}

// checkStatus is the column without the mark of a check under way, "* L4OK".
func checkStatus(r *row) []byte {
	return bytes.TrimPrefix(r.at[colCheckStatus], []byte("* "))
}
