package host

import (
	"bytes"
	"context"
	"errors"

	"keepwatch/metric"
)

const maxInterfaces = 1024

// network is the class of /proc/net/dev and of what /sys/class/net says of each interface.
type network struct{ all *family }

// The fields of a line of /proc/net/dev, in the file's order: NetFields in all, of which these have names.
const (
	NetReceivedBytes   = 0
	NetReceivedPackets = 1
	NetSentBytes       = 8
	NetSentPackets     = 9
	NetFields          = 16
)

// What /sys adds to an interface's fields.
const (
	netUp    = NetFields
	netSpeed = NetFields + 1
)

func newNetwork(who owner) *network {
	descs := make([]desc, 0, NetFields+2)
	add := func(direction string, names ...string) {
		for _, n := range names {
			d := desc{name: "node_network_" + direction + "_" + n + "_total", kind: metric.Counter}
			if n == "bytes" {
				d.unit = metric.Bytes
			}
			descs = append(descs, d)
		}
	}
	add("receive", "bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")
	add("transmit", "bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")
	descs = append(descs,
		desc{name: "node_network_up", kind: metric.State},
		desc{name: "node_network_speed_bytes", unit: metric.BytesPerSec, kind: metric.Gauge})
	return &network{newFamily(who, "network interfaces", maxInterfaces, descs)}
}

func (c *network) collect(_ context.Context, t *Tree, r *run) error {
	b, err := t.Read("/proc/net/dev")
	if err != nil {
		return err
	}
	c.all.begin()
	for len(b) > 0 {
		var line []byte
		line, b = CutLine(b)
		var v [NetFields]uint64
		name, ok := ParseNetLine(line, &v)
		if !ok {
			continue
		}
		d := c.all.find(name)
		if d == nil {
			if d = c.all.add(name, metric.Label{Name: "device", Value: string(name)}); d == nil {
				continue
			}
			dir := "/sys/class/net/" + string(name)
			d.paths = []string{dir + "/operstate", dir + "/carrier", dir + "/speed"}
		}
		for i, x := range v {
			r.putUint(d.series[i], x)
		}
	}
	errs := []error{c.all.end()}
	for _, d := range c.all.devices { // only now: reading these files overwrites the one above
		errs = append(errs, putLink(d, t, r))
	}
	return errors.Join(errs...)
}

// putLink reads the state and the speed. An interface that went away meanwhile or that has no speed, as most virtual
// ones, is no error.
func putLink(d *device, t *Tree, r *run) error {
	b, err := t.Read(d.paths[0])
	if optional(err) {
		return nil
	}
	if err != nil {
		return err
	}
	up := string(bytes.TrimSpace(b)) == "up"
	if string(bytes.TrimSpace(b)) == "unknown" { // a driver that does not tell, as the loopback's
		carrier, err := t.readUint(d.paths[1])
		up = err == nil && carrier == 1
	}
	if up {
		r.put(d.series[netUp], 1)
	} else {
		r.put(d.series[netUp], 0)
	}
	if b, err = t.Read(d.paths[2]); err == nil { // EINVAL while the link is down
		if mbit, ok := ParseUint(bytes.TrimSpace(b)); ok && mbit > 0 && mbit < 1<<31 { // "-1" or 4294967295: unknown
			r.put(d.series[netSpeed], float64(mbit)*1e6/8)
		}
	}
	return nil
}

// ParseNetLine reads one line: name, colon, eight fields of what was received, eight of what was sent.
func ParseNetLine(line []byte, v *[NetFields]uint64) (name []byte, ok bool) {
	i := bytes.LastIndexByte(line, ':') // an alias, "eth0:1", holds one too
	if i < 0 {
		return nil, false
	}
	name = bytes.TrimSpace(line[:i])
	return name, len(name) > 0 && cutUints(line[i+1:], v[:]) == NetFields
}
