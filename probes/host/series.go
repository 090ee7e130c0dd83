package host

import (
	"fmt"

	"keepwatch/metric"
)

// owner is whose series are made.
type owner struct{ cluster, host string }

// desc describes one metric. label, where set, tells apart metrics of one name.
type desc struct {
	name  string
	unit  metric.Unit
	kind  metric.Kind
	label metric.Label
}

func (d *desc) series(who owner, labels []metric.Label) (*metric.Series, error) {
	if d.label.Name != "" {
		labels = append(labels[:len(labels):len(labels)], d.label)
	}
	return metric.NewSeries(who.cluster, who.host, d.name, labels, d.unit, d.kind)
}

// fixed makes the series of metrics that have no device. Their names are constants, so a failure is a programming
// error that New's checks of cluster and host leave as the only one.
func fixed(who owner, descs []desc) []*metric.Series {
	all := make([]*metric.Series, len(descs))
	for i := range descs {
		d := &descs[i]
		var labels []metric.Label
		if d.label.Name != "" {
			labels = []metric.Label{d.label}
		}
		all[i] = metric.MustSeries(who.cluster, who.host, d.name, labels, d.unit, d.kind)
	}
	return all
}

// family holds the series of a class of devices that come and go: each device has every metric of descs. A device
// costs allocations when it is first seen and none from then on.
type family struct {
	who     owner
	what    string // of messages, plural: "disks"
	descs   []desc
	max     int // devices; those past it are left out and named in the error
	devices map[string]*device
	turn    uint64
	seen    int
	left    int   // devices left out in this turn
	bad     error // the first device of this turn whose name is no label
}

// device is one of a family. Its series are all nil when its name is unfit for a label: then it has no samples.
type device struct {
	series []*metric.Series // as the family's descs
	paths  []string         // files to read for it, whatever the class wants here
	turn   uint64
	err    error
}

func newFamily(who owner, what string, max int, descs []desc) *family {
	return &family{who: who, what: what, descs: descs, max: max, devices: make(map[string]*device)}
}

// begin starts a turn: every device found from here on is present.
func (f *family) begin() {
	f.turn++
	f.seen, f.left, f.bad = 0, 0, nil
}

// find gives a known device, nil when it must be added. It does not keep key.
func (f *family) find(key []byte) *device {
	d := f.devices[string(key)]
	if d != nil {
		f.mark(d)
	}
	return d
}

func (f *family) mark(d *device) {
	if d.turn != f.turn {
		d.turn = f.turn
		f.seen++
	}
	if f.bad == nil {
		f.bad = d.err
	}
}

// add makes a device. It gives nil when the family is full.
func (f *family) add(key []byte, labels ...metric.Label) *device {
	if f.seen >= f.max {
		f.left++
		return nil
	}
	d := &device{series: make([]*metric.Series, len(f.descs))}
	for i := range f.descs {
		s, err := f.descs[i].series(f.who, labels)
		if err != nil {
			clear(d.series)
			d.err = fmt.Errorf("cannot name %s: %w", f.what, err)
			break
		}
		d.series[i] = s
	}
	f.devices[string(key)] = d
	f.mark(d)
	return d
}

// end forgets the devices that this turn did not find and reports what was left out.
func (f *family) end() error {
	if len(f.devices) > f.seen {
		for k, d := range f.devices {
			if d.turn != f.turn {
				delete(f.devices, k)
			}
		}
	}
	if f.left > 0 {
		return fmt.Errorf("cannot report all %s: %d left out, at most %d are reported", f.what, f.left, f.max)
	}
	return f.bad
}
