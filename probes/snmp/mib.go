package snmp

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gosnmp/gosnmp"

	"keepwatch/metric"
)

// The system group, RFC 3418.
const (
	sysDescr    = "1.3.6.1.2.1.1.1.0"
	sysUpTime   = "1.3.6.1.2.1.1.3.0"
	sysName     = "1.3.6.1.2.1.1.5.0"
	sysLocation = "1.3.6.1.2.1.1.6.0"
)

var systemOIDs = []string{sysDescr, sysUpTime, sysName, sysLocation}

// column is one column of ifTable or ifXTable, RFC 2863.
type column struct {
	name     string // as the MIB calls it
	oid      string
	extended bool // of ifXTable
	metric   string
	unit     metric.Unit
	kind     metric.Kind
	scale    float64
}

const (
	ifTable  = "1.3.6.1.2.1.2.2.1."
	ifXTable = "1.3.6.1.2.1.31.1.1.1."
)

// columns are read in this order. Where two give the same metric the later, of 64 bits, wins.
var columns = []column{
	{name: "ifDescr", oid: ifTable + "2"},
	{name: "ifSpeed", oid: ifTable + "5", metric: "snmp_interface_speed_bits_per_second", unit: "bits_per_second", kind: metric.Gauge, scale: 1},
	{name: "ifAdminStatus", oid: ifTable + "7", metric: "snmp_interface_admin_up", kind: metric.State, scale: 1},
	{name: "ifOperStatus", oid: ifTable + "8", metric: "snmp_interface_up", kind: metric.State, scale: 1},
	{name: "ifInOctets", oid: ifTable + "10", metric: "snmp_interface_receive_bytes_total", unit: metric.Bytes, kind: metric.Counter, scale: 1},
	{name: "ifInUcastPkts", oid: ifTable + "11", metric: "snmp_interface_receive_packets_total", kind: metric.Counter, scale: 1},
	{name: "ifInDiscards", oid: ifTable + "13", metric: "snmp_interface_receive_discards_total", kind: metric.Counter, scale: 1},
	{name: "ifInErrors", oid: ifTable + "14", metric: "snmp_interface_receive_errors_total", kind: metric.Counter, scale: 1},
	{name: "ifOutOctets", oid: ifTable + "16", metric: "snmp_interface_transmit_bytes_total", unit: metric.Bytes, kind: metric.Counter, scale: 1},
	{name: "ifOutUcastPkts", oid: ifTable + "17", metric: "snmp_interface_transmit_packets_total", kind: metric.Counter, scale: 1},
	{name: "ifOutDiscards", oid: ifTable + "19", metric: "snmp_interface_transmit_discards_total", kind: metric.Counter, scale: 1},
	{name: "ifOutErrors", oid: ifTable + "20", metric: "snmp_interface_transmit_errors_total", kind: metric.Counter, scale: 1},
	{name: "ifName", oid: ifXTable + "1", extended: true},
	{name: "ifHCInOctets", oid: ifXTable + "6", extended: true, metric: "snmp_interface_receive_bytes_total", unit: metric.Bytes, kind: metric.Counter, scale: 1},
	{name: "ifHCInUcastPkts", oid: ifXTable + "7", extended: true, metric: "snmp_interface_receive_packets_total", kind: metric.Counter, scale: 1},
	{name: "ifHCOutOctets", oid: ifXTable + "10", extended: true, metric: "snmp_interface_transmit_bytes_total", unit: metric.Bytes, kind: metric.Counter, scale: 1},
	{name: "ifHCOutUcastPkts", oid: ifXTable + "11", extended: true, metric: "snmp_interface_transmit_packets_total", kind: metric.Counter, scale: 1},
	{name: "ifHighSpeed", oid: ifXTable + "15", extended: true, metric: "snmp_interface_speed_bits_per_second", unit: "bits_per_second", kind: metric.Gauge, scale: 1e6},
	{name: "ifAlias", oid: ifXTable + "18", extended: true},
}

// reading is what a device said.
type reading struct {
	uptime                float64
	hasUptime             bool
	descr, name, location string
	interfaces            map[int]*iface // by ifIndex
}

type iface struct {
	index              int
	descr, name, alias string
	values             map[string]value // by metric
}

type value struct {
	column *column
	v      float64
}

func newReading() *reading { return &reading{interfaces: make(map[int]*iface)} }

func (r *reading) system(pdus []gosnmp.SnmpPDU) {
	for _, p := range pdus {
		switch strings.TrimPrefix(p.Name, ".") {
		case sysDescr:
			r.descr = text(p.Value)
		case sysName:
			r.name = text(p.Value)
		case sysLocation:
			r.location = text(p.Value)
		case sysUpTime:
			if v, ok := number(p.Value); ok {
				r.uptime, r.hasUptime = v/100, true // TimeTicks, hundredths of a second
			}
		}
	}
}

// row takes one cell of a column. Cells that make no sense are passed over: a device's fault must not cost the rest.
func (r *reading) row(c column, p gosnmp.SnmpPDU) {
	tail, found := strings.CutPrefix(strings.TrimPrefix(p.Name, "."), c.oid+".")
	index, err := strconv.Atoi(tail)
	if !found || err != nil || index < 1 {
		return
	}
	i := r.interfaces[index]
	if i == nil {
		if len(r.interfaces) >= maxInterfaces {
			return
		}
		i = &iface{index: index, values: make(map[string]value)}
		r.interfaces[index] = i
	}
	switch c.name {
	case "ifDescr":
		i.descr = text(p.Value)
		return
	case "ifName":
		i.name = text(p.Value)
		return
	case "ifAlias":
		i.alias = text(p.Value)
		return
	}
	v, ok := number(p.Value)
	if !ok || v < 0 {
		return
	}
	switch c.name {
	case "ifAdminStatus", "ifOperStatus":
		v = isUp(v)
	case "ifHighSpeed":
		if v == 0 {
			return // below one megabit ifSpeed says more
		}
	}
	i.values[c.metric] = value{column: &c, v: v * c.scale}
}

// isUp: 1 is up, 2 down, 3 testing, 4 unknown, 5 dormant, 6 not present, 7 lower layer down.
func isUp(v float64) float64 {
	if v == 1 {
		return 1
	}
	return 0
}

// number takes what gosnmp makes of integers. Others, as noSuchInstance, are none.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case uint:
		return float64(v), true
	case int32:
		return float64(v), true
	case uint32:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, !math.IsInf(f, 0)
	}
	return 0, false
}

// text takes an octet string as UTF-8, else as Latin-1, without control characters, cut to maxString bytes.
func text(v any) string {
	b, ok := v.([]byte)
	if !ok {
		return ""
	}
	b = b[:min(len(b), 4*maxString)]
	var out strings.Builder
	latin := !utf8.Valid(b)
	for len(b) > 0 {
		r, n := rune(b[0]), 1
		if !latin {
			r, n = utf8.DecodeRune(b)
		}
		b = b[n:]
		switch {
		case r < 0x20 || r == 0x7f || r == utf8.RuneError:
			r = ' '
		}
		if out.Len()+utf8.RuneLen(r) > maxString {
			break
		}
		out.WriteRune(r)
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// series remembers the series of a device, so that equal readings use equal pointers.
type series struct {
	cluster, host string
	known         map[string]*metric.Series
}

func newSeries(cluster, host string) series {
	return series{cluster: cluster, host: host, known: make(map[string]*metric.Series)}
}

// append adds a reading's samples, in the order of the interfaces.
func (s *series) append(out []metric.Sample, r *reading, ms int64) []metric.Sample {
	if len(s.known) > 2*maxInterfaces*len(columns) {
		clear(s.known) // a device whose names change with each reading
	}
	add := func(name string, labels []metric.Label, unit metric.Unit, kind metric.Kind, v float64) {
		if one := s.get(name, labels, unit, kind); one != nil {
			out = append(out, metric.Sample{Series: one, Time: ms, Value: v})
		}
	}
	if r.hasUptime {
		add("snmp_sys_uptime_seconds", nil, metric.Seconds, metric.Gauge, r.uptime)
	}
	if r.descr+r.name+r.location != "" {
		add("snmp_sys_info", []metric.Label{{Name: "descr", Value: r.descr}, {Name: "name", Value: r.name}, {Name: "location", Value: r.location}}, metric.NoUnit, metric.Gauge, 1)
	}
	all := make([]*iface, 0, len(r.interfaces))
	for _, i := range r.interfaces {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *iface) int { return cmp.Compare(a.index, b.index) })
	for _, i := range all {
		labels := i.labels()
		if i.alias != "" {
			add("snmp_interface_info", append(labels[:2:2], metric.Label{Name: "alias", Value: i.alias}, metric.Label{Name: "descr", Value: i.descr}), metric.NoUnit, metric.Gauge, 1)
		}
		for _, c := range columns {
			if v, ok := i.values[c.metric]; ok && v.column.name == c.name {
				add(c.metric, labels, c.unit, c.kind, v.v)
			}
		}
	}
	return out
}

// labels name an interface: ifName where the device has it, else ifDescr, and the index, since neither is unique
// everywhere.
func (i *iface) labels() []metric.Label {
	return []metric.Label{{Name: "interface", Value: cmp.Or(i.name, i.descr, "if"+strconv.Itoa(i.index))}, {Name: "ifindex", Value: strconv.Itoa(i.index)}}
}

func (s *series) get(name string, labels []metric.Label, unit metric.Unit, kind metric.Kind) *metric.Series {
	var key strings.Builder
	key.WriteString(name)
	for _, l := range labels {
		key.WriteByte(0)
		key.WriteString(l.Value)
	}
	if one, ok := s.known[key.String()]; ok {
		return one
	}
	one, err := metric.NewSeries(s.cluster, s.host, name, labels, unit, kind)
	if err != nil {
		one = nil // text made every label fit; a nil is remembered so that it is not tried each time
	}
	s.known[key.String()] = one
	return one
}
