package host

import (
	"bytes"
	"context"

	"keepwatch/metric"
)

const (
	maxDisks = 1024
	sector   = 512 // bytes of a sector in /proc/diskstats, whatever the disk's own (Documentation/admin-guide/iostats.rst)
)

// disks is the class of /proc/diskstats. Partitions, RAM disks, loop devices and floppies are left out: what they do
// shows in the disk below or on no disk at all.
type disks struct{ all *family }

// diskFields are the fields of a line after the device's name, in the file's order, each with what it becomes.
func diskFields() []desc {
	count := func(n string) desc { return desc{name: n, kind: metric.Counter} }
	size := func(n string) desc { return desc{name: n, unit: metric.Bytes, kind: metric.Counter} }
	secs := func(n string) desc { return desc{name: n, unit: metric.Seconds, kind: metric.Counter} }
	return []desc{
		count("node_disk_reads_completed_total"),
		count("node_disk_reads_merged_total"),
		size("node_disk_read_bytes_total"),
		secs("node_disk_read_time_seconds_total"),
		count("node_disk_writes_completed_total"),
		count("node_disk_writes_merged_total"),
		size("node_disk_written_bytes_total"),
		secs("node_disk_write_time_seconds_total"),
		{name: "node_disk_io_now", kind: metric.Gauge},
		secs("node_disk_io_time_seconds_total"),
		secs("node_disk_io_time_weighted_seconds_total"),
	}
}

const nDiskFields = 11

func newDisks(who owner) *disks {
	return &disks{newFamily(who, "disks", maxDisks, diskFields())}
}

func (c *disks) collect(_ context.Context, t *Tree, r *run) error {
	b, err := t.Read("/proc/diskstats")
	if optional(err) {
		return nil // a container without block devices
	}
	if err != nil {
		return err
	}
	c.all.begin()
	for len(b) > 0 {
		var line []byte
		line, b = CutLine(b)
		var v [nDiskFields]uint64
		name, ok := parseDiskLine(line, &v)
		if !ok || !wholeDisk(name) {
			continue
		}
		d := c.all.find(name)
		if d == nil {
			d = c.all.add(name, metric.Label{Name: "device", Value: string(name)})
		}
		if d != nil {
			putDisk(d, &v, r)
		}
	}
	return c.all.end()
}

func putDisk(d *device, v *[nDiskFields]uint64, r *run) {
	for i, s := range d.series {
		if s == nil {
			continue
		}
		x := float64(v[i])
		switch s.Unit {
		case metric.Bytes:
			x *= sector
		case metric.Seconds:
			x /= 1000
		}
		r.put(s, x)
	}
}

// parseDiskLine reads one line: major, minor, name and the fields that every kernel since 2.6 has.
func parseDiskLine(line []byte, v *[nDiskFields]uint64) (name []byte, ok bool) {
	_, rest, ok := CutUint(line)
	if !ok {
		return nil, false
	}
	_, rest, ok = CutUint(rest)
	if !ok {
		return nil, false
	}
	name, rest = CutField(rest)
	return name, len(name) > 0 && cutUints(rest, v[:]) == nDiskFields
}

// wholeDisk says whether the device is a disk of its own, by the kernel's names (Documentation/admin-guide/devices).
func wholeDisk(name []byte) bool {
	for _, prefix := range [...]string{"ram", "loop", "fd", "zram"} {
		if rest, ok := bytes.CutPrefix(name, []byte(prefix)); ok && digits(rest) {
			return false
		}
	}
	for _, prefix := range [...]string{"sd", "hd", "vd", "xvd"} { // sda is a disk, sda1 a partition
		if rest, ok := bytes.CutPrefix(name, []byte(prefix)); ok {
			letters := bytes.TrimRight(rest, "0123456789")
			return len(letters) == len(rest) || len(letters) == 0
		}
	}
	for _, prefix := range [...]string{"nvme", "mmcblk"} { // nvme0n1 is a disk, nvme0n1p1 a partition
		if bytes.HasPrefix(name, []byte(prefix)) {
			i := bytes.LastIndexByte(name, 'p')
			return i < 0 || !digits(name[i+1:])
		}
	}
	return true
}

func digits(b []byte) bool {
	_, ok := ParseUint(b)
	return ok
}

// pressure is the class of pressure stall information, which kernels have from 4.20 on unless it is switched off.
type pressure struct {
	files []pressureFile
}

type pressureFile struct {
	path       string
	some, full *metric.Series // nil: not reported
}

func newPressure(who owner) *pressure {
	one := func(what string) *metric.Series {
		return fixed(who, []desc{{name: "node_pressure_" + what + "_seconds_total", unit: metric.Seconds, kind: metric.Counter}})[0]
	}
	return &pressure{[]pressureFile{
		{"/proc/pressure/cpu", one("cpu_waiting"), nil}, // "full" of the CPU is always 0 for the whole system
		{"/proc/pressure/io", one("io_waiting"), one("io_stalled")},
		{"/proc/pressure/memory", one("memory_waiting"), one("memory_stalled")},
		{"/proc/pressure/irq", nil, one("irq_stalled")},
	}}
}

func (c *pressure) collect(_ context.Context, t *Tree, r *run) error {
	for i := range c.files {
		f := &c.files[i]
		b, err := t.Read(f.path)
		if optional(err) {
			continue
		}
		if err != nil {
			return err
		}
		some, full, hasSome, hasFull := parsePressure(b)
		if hasSome {
			r.put(f.some, some)
		}
		if hasFull {
			r.put(f.full, full)
		}
	}
	return nil
}

// parsePressure gives the totals of both lines in seconds (Documentation/accounting/psi.rst; the file says µs).
func parsePressure(b []byte) (some, full float64, hasSome, hasFull bool) {
	for len(b) > 0 {
		var line []byte
		line, b = CutLine(b)
		name, rest := CutField(line)
		var total uint64
		found := false
		for len(rest) > 0 && !found {
			var field []byte
			field, rest = CutField(rest)
			if v, ok := bytes.CutPrefix(field, []byte("total=")); ok {
				total, found = ParseUint(v)
			}
		}
		switch {
		case found && string(name) == "some":
			some, hasSome = float64(total)/1e6, true
		case found && string(name) == "full":
			full, hasFull = float64(total)/1e6, true
		}
	}
	return some, full, hasSome, hasFull
}
