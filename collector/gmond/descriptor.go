package gmond

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"keepwatch/internal/ganglia"
	"keepwatch/metric"
)

const (
	maxDescriptors = 1 << 14 // that are shared; what comes past them is each metric's own
	maxExtras      = 64      // of one metric; gmond's own have 3
	maxText        = 1024    // bytes of any text that is kept: gmond's XML is cut at 1023 bytes a line
)

// knowledge says where a Descriptor is from.
type knowledge byte

const (
	unknown  knowledge = 'u' // only the name is known
	inferred knowledge = 'i' // from the message of a value, after metadata had been waited for in vain
	told     knowledge = 't' // by metadata
)

// special are the metrics that gmond's XML shows as attributes of the host.
type special uint8

const (
	ordinary special = iota
	isHeartbeat
	isLocation
)

// Descriptor is what a metric's metadata says. All hosts whose metadata is the same share one, so it is not to be
// changed.
type Descriptor struct {
	Name        string // of any bytes; the other texts are clean UTF-8
	Type, Units string
	Slope       Slope
	TMax, DMax  uint32 // seconds
	Title, Desc string
	Group       string // its GROUPs, joined by commas
	knowledge   knowledge
	special     special
	class       ganglia.Class
	kind        metric.Kind
	unit        metric.Unit
	base, orig  string          // sanitized name; the original where it differs
	shown       string          // Name as clean UTF-8
	extra       []ganglia.Extra // last first, as gmond prints it
	self        bool            // an extra's value is the host's own address:name: empty in extra
	series      *metric.Series  // of the first host; those of others are made of it
	info        string          // value of its label info
	about       *metric.Series  // what Info gave to the first host
	key         string
	refs        int
	shared      bool
}

// Info is the sample that publishes a descriptor: gmond_metric_info with the value 1 and what the metadata says in its
// labels metric (the name under which the values come), title, desc, group, units and slope. The error is that of
// metric.NewSeries.
func (d *Descriptor) Info(cluster, host string, at int64) (metric.Sample, error) {
	var s *metric.Series
	var err error
	if d.about != nil && d.about.Cluster == cluster {
		s, err = d.about.OfHost(host)
	} else {
		name := d.base
		if d.class == ganglia.Textual {
			name += ganglia.InfoSuffix
		}
		i := ganglia.Info{Metric: name, Original: d.orig, Title: d.Title, Desc: d.Desc, Group: d.Group, Units: d.Units, Slope: d.Slope.String()}
		s, err = i.Series(cluster, host)
		d.about = s
	}
	return metric.Sample{Series: s, Time: at, Value: 1}, err
}

// appendKey appends what tells one descriptor from another.
func appendKey(dst []byte, k knowledge, name []byte, p *Packet) []byte {
	part := func(b []byte) { dst = append(binary.AppendUvarint(dst, uint64(len(b))), b...) }
	dst = append(dst, byte(k))
	part(name)
	switch k {
	case inferred:
		dst = append(dst, byte(p.ID))
	case told:
		part(p.Type)
		part(p.Units)
		dst = append(dst, byte(p.Slope))
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(p.TMax)), uint64(p.DMax))
		for _, e := range p.Extra[:min(len(p.Extra), maxExtras)] {
			part(e.Name)
			if isSelf(p, e) {
				dst = append(dst, 0xff) // no length begins so
				continue
			}
			part(e.Data)
		}
	}
	return dst
}

// spoofHost is the extra by which a spoofing sender was told whom to speak for.
const spoofHost = "SPOOF_HOST"

// isSelf reports whether an extra repeats the spoofed host, which would make each host's descriptor its own.
func isSelf(p *Packet, e Extra) bool {
	return p.Spoof && strings.EqualFold(string(e.Name), spoofHost) && bytes.Equal(e.Data, p.Host)
}

func newDescriptor(k knowledge, name []byte, p *Packet, key string) (*Descriptor, error) {
	base, err := ganglia.MetricName(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetric, err)
	}
	d := &Descriptor{Name: string(name), knowledge: k, base: base, kind: metric.Gauge, Slope: Unspecified, key: key}
	if d.shown = d.Name; base[len(ganglia.Prefix):] != d.Name {
		d.shown, d.orig = string(appendClean(nil, name)), ganglia.Text(name, metric.MaxLabelValue)
	}
	switch strings.ToLower(d.Name) {
	case "heartbeat":
		d.special = isHeartbeat
	case "location":
		d.special = isLocation
	}
	switch k {
	case inferred:
		d.Type, d.TMax = typeOf(p.ID), inferredTMax
	case told:
		d.read(p)
	}
	return d, nil
}

func (d *Descriptor) read(p *Packet) {
	d.Type, d.Units, d.Slope, d.TMax, d.DMax = clean(p.Type), clean(p.Units), p.Slope, p.TMax, p.DMax
	d.unit, d.class = metric.Unit(ganglia.Text(p.Units, metric.MaxUnit)), ganglia.ClassOf(p.Type)
	if p.Slope == Positive || p.Slope == Derivative {
		d.kind = metric.Counter
	}
	n := min(len(p.Extra), maxExtras)
	if n == 0 {
		return
	}
	var groups []byte
	d.extra = make([]ganglia.Extra, n)
	for i, e := range p.Extra[:n] {
		x := &d.extra[n-1-i]
		x.Name = clean(e.Name)
		if isSelf(p, e) {
			d.self = true
			continue
		}
		x.Value = clean(e.Data)
		switch x.Name {
		case "TITLE":
			d.Title = ganglia.Text(e.Data, metric.MaxLabelValue)
		case "DESC":
			d.Desc = ganglia.Text(e.Data, metric.MaxLabelValue)
		case "GROUP":
			if len(groups) > 0 {
				groups = append(groups, ',')
			}
			groups = append(groups, e.Data...)
		}
	}
	d.Group = ganglia.Text(groups, metric.MaxLabelValue)
}

// cost is about how many bytes a descriptor holds: its texts are there once more in its key.
func (d *Descriptor) cost() int64 {
	const fixed = 640 // the struct, its place in a map, one series of each sort
	return fixed + int64(4*len(d.key)+40*len(d.extra))
}

// alike reports whether values of the two make the same series.
func (d *Descriptor) alike(other *Descriptor) bool {
	return d.kind == other.kind && d.unit == other.unit && d.class == other.class
}

// descriptor gives the descriptor of a metric name and the metadata of p, and counts the caller as one of its users.
// before is the one that the caller has, or nil.
func (t *Table) descriptor(k knowledge, name []byte, p *Packet, before *Descriptor) (*Descriptor, error) {
	t.scratch = appendKey(t.scratch[:0], k, name, p)
	if before != nil && before.key == string(t.scratch) {
		before.refs++
		return before, nil
	}
	if d := t.descriptors[string(t.scratch)]; d != nil {
		d.refs++
		return d, nil
	}
	d, err := newDescriptor(k, name, p, string(t.scratch))
	if err != nil {
		return nil, err
	}
	if err := t.charge(d.cost()); err != nil {
		return nil, err
	}
	if d.refs = 1; len(t.descriptors) < maxDescriptors {
		d.shared = true
		t.descriptors[d.key] = d
	}
	return d, nil
}

// drop ends one use of a descriptor.
func (t *Table) drop(d *Descriptor) {
	if d.refs--; d.refs > 0 {
		return
	}
	t.bytes -= d.cost()
	if d.shared {
		delete(t.descriptors, d.key)
	}
}
