package gmond

import (
	"encoding/binary"
	"fmt"
)

// The messages of gmond 2.5 to 3.0 (its own protocol.x): the id of a builtin metric is the metric, and what no builtin
// has is told in full each time.
const (
	legacyGmetric ID = 0
	legacyLast    ID = 50
	legacySpoofed ID = 4096

	// Heartbeat is the sign of life of a spoofed host; decoded it stays the Packet's ID. Every other legacy packet
	// gets the ID of the value that it carries.
	Heartbeat ID = 4097
)

// builtin is a metric that gmond 3.0 has compiled in.
type builtin struct {
	name  string
	id    ID // of its value
	units string
	slope Slope
	tmax  uint32
	fmt   string
}

// builtins are those of gmond 3.0, by their message id. A slope that its table leaves empty is Unspecified.
var builtins = [legacyLast + 1]builtin{
	1:  {"cpu_num", ValueUshort, "CPUs", Zero, 1200, "%hu"},
	2:  {"cpu_speed", ValueUint, "MHz", Zero, 1200, "%u"},
	3:  {"mem_total", ValueUint, "KB", Zero, 1200, "%u"},
	4:  {"swap_total", ValueUint, "KB", Zero, 1200, "%u"},
	5:  {"boottime", ValueUint, "s", Zero, 1200, "%u"},
	6:  {"sys_clock", ValueUint, "s", Zero, 1200, "%u"},
	7:  {"machine_type", ValueString, "", Zero, 1200, "%s"},
	8:  {"os_name", ValueString, "", Zero, 1200, "%s"},
	9:  {"os_release", ValueString, "", Zero, 1200, "%s"},
	10: {"cpu_user", ValueFloat, "%", Both, 90, "%.1f"},
	11: {"cpu_nice", ValueFloat, "%", Both, 90, "%.1f"},
	12: {"cpu_system", ValueFloat, "%", Both, 90, "%.1f"},
	13: {"cpu_idle", ValueFloat, "%", Both, 90, "%.1f"},
	14: {"cpu_aidle", ValueFloat, "%", Both, 3800, "%.1f"},
	15: {"load_one", ValueFloat, "", Both, 70, "%.2f"},
	16: {"load_five", ValueFloat, "", Both, 325, "%.2f"},
	17: {"load_fifteen", ValueFloat, "", Both, 950, "%.2f"},
	18: {"proc_run", ValueUint, "", Both, 950, "%u"},
	19: {"proc_total", ValueUint, "", Both, 950, "%u"},
	20: {"mem_free", ValueUint, "KB", Both, 180, "%u"},
	21: {"mem_shared", ValueUint, "KB", Both, 180, "%u"},
	22: {"mem_buffers", ValueUint, "KB", Both, 180, "%u"},
	23: {"mem_cached", ValueUint, "KB", Both, 180, "%u"},
	24: {"swap_free", ValueUint, "KB", Both, 180, "%u"},
	25: {"gexec", ValueString, "", Zero, 300, "%s"},
	26: {"heartbeat", ValueUint, "", Unspecified, 20, "%u"},
	27: {"mtu", ValueUint, "", Both, 1200, "%u"},
	28: {"location", ValueString, "(x,y,z)", Unspecified, 1200, "%s"},
	29: {"bytes_out", ValueFloat, "bytes/sec", Both, 300, "%.2f"},
	30: {"bytes_in", ValueFloat, "bytes/sec", Both, 300, "%.2f"},
	31: {"pkts_in", ValueFloat, "packets/sec", Both, 300, "%.2f"},
	32: {"pkts_out", ValueFloat, "packets/sec", Both, 300, "%.2f"},
	33: {"disk_total", ValueDouble, "GB", Both, 1200, "%.3f"},
	34: {"disk_free", ValueDouble, "GB", Both, 180, "%.3f"},
	35: {"part_max_used", ValueFloat, "%", Both, 180, "%.1f"},
	36: {"cpu_wio", ValueFloat, "%", Both, 90, "%.1f"},
	37: {"bread_sec", ValueFloat, "1/sec", Both, 90, "%.2f"},
	38: {"bwrite_sec", ValueFloat, "1/sec", Both, 90, "%.2f"},
	39: {"lread_sec", ValueFloat, "1/sec", Both, 90, "%.2f"},
	40: {"lwrite_sec", ValueFloat, "1/sec", Both, 90, "%.2f"},
	41: {"rcache", ValueFloat, "%", Both, 90, "%.1f"},
	42: {"wcache", ValueFloat, "%", Both, 90, "%.1f"},
	43: {"phread_sec", ValueFloat, "1/sec", Both, 90, "%.2f"},
	44: {"phwrite_sec", ValueFloat, "1/sec", Both, 90, "%.2f"},
	45: {"cpu_intr", ValueFloat, "%", Both, 90, "%.1f"},
	46: {"cpu_sintr", ValueFloat, "%", Both, 90, "%.1f"},
	47: {"mem_arm", ValueUint, "KB", Both, 180, "%u"},
	48: {"mem_rm", ValueUint, "KB", Both, 180, "%u"},
	49: {"mem_avm", ValueUint, "KB", Both, 180, "%u"},
	50: {"mem_vm", ValueUint, "KB", Both, 180, "%u"},
}

// IsLegacy reports whether the first word of a datagram is one of gmond 2.5 to 3.0: DecodeLegacy reads it.
func IsLegacy(datagram []byte) bool {
	if len(datagram) < 4 {
		return false
	}
	id := ID(binary.BigEndian.Uint32(datagram))
	return id <= legacyLast || id == legacySpoofed || id == Heartbeat
}

// DecodeLegacy reads one datagram of gmond or gmetric 2.5 to 3.0 into p, whose memory it uses again. These shared
// their port and group with their successors and named no host: who sent them is their source address.
func DecodeLegacy(datagram []byte, p *Packet) error {
	*p = Packet{Extra: p.Extra[:0], own: p.own, Legacy: true}
	r := reader{b: datagram}
	id := ID(r.u32("message id"))
	switch {
	case r.err != nil:
	case id == legacyGmetric:
		p.gmetric(&r)
	case id == legacySpoofed, id == Heartbeat:
		p.Host, p.Address, p.Spoof = r.string("spoofed host name"), r.string("spoofed address"), true
		if p.ID = id; id == legacySpoofed {
			p.gmetric(&r)
		}
	case id <= legacyLast:
		b := &builtins[id]
		p.ID, p.Slope, p.TMax = b.id, b.slope, b.tmax
		p.say(b.name, typeOf(b.id), b.units, b.fmt)
		p.value(&r)
	default:
		return fmt.Errorf("%w: id %d", ErrUnknown, uint32(id))
	}
	return r.err
}

// say puts into p what its datagram leaves unsaid.
func (p *Packet) say(name, typ, units, format string) {
	p.own = append(append(append(append(p.own[:0], name...), typ...), units...), format...)
	rest := p.own
	for _, part := range [...]struct {
		to *[]byte
		n  int
	}{{&p.Name, len(name)}, {&p.Type, len(typ)}, {&p.Units, len(units)}, {&p.Format, len(format)}} {
		*part.to, rest = rest[:part.n:part.n], rest[part.n:]
	}
}

// gmetric reads the metric that a gmetric tells in full; its value is text whatever its type.
func (p *Packet) gmetric(r *reader) {
	p.say("", "", "", "%s")
	p.ID = ValueString
	p.Type, p.Name, p.Text, p.Units = r.string("type"), r.string("metric name"), r.string("value"), r.string("units")
	p.Slope = Slope(r.u32("slope"))
	if p.Slope > Derivative {
		p.Slope = Unspecified
	}
	p.TMax, p.DMax = r.u32("tmax"), r.u32("dmax")
}
