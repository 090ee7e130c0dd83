package host

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"keepwatch/metric"
)

// system is the class of the clock and of uname(2).
type system struct {
	uname func(*unix.Utsname) error
	time  []*metric.Series
	info  *family
	last  unix.Utsname
	key   []byte
}

func newSystem(who owner, uname func(*unix.Utsname) error) *system {
	return &system{
		uname: uname,
		time:  fixed(who, []desc{{name: "node_time_seconds", unit: metric.Seconds, kind: metric.Gauge}}),
		info:  newFamily(who, "uname", 1, []desc{{name: "node_uname_info", kind: metric.Gauge}}),
	}
}

func (c *system) collect(_ context.Context, _ *Tree, r *run) error {
	r.put(c.time[0], float64(r.ms)/1000)
	var u unix.Utsname
	if err := c.uname(&u); err != nil {
		return fmt.Errorf("cannot ask the kernel for its name: %w", err)
	}
	if c.key == nil || u != c.last { // the node name may change while the kernel runs
		c.last = u
		c.key = fmt.Appendf(nil, "%v", u)
	}
	c.info.begin()
	d := c.info.find(c.key)
	if d == nil {
		d = c.info.add(c.key,
			metric.Label{Name: "sysname", Value: text(u.Sysname[:])},
			metric.Label{Name: "nodename", Value: text(u.Nodename[:])},
			metric.Label{Name: "release", Value: text(u.Release[:])},
			metric.Label{Name: "version", Value: text(u.Version[:])},
			metric.Label{Name: "machine", Value: text(u.Machine[:])})
	}
	r.put(d.series[0], 1)
	return c.info.end()
}

func text(b []byte) string { return unix.ByteSliceToString(b) }
