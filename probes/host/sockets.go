package host

import (
	"bytes"
	"context"
	"errors"

	"keepwatch/metric"
)

// tcp is the class of /proc/net/snmp and /proc/net/netstat, whose lines come in pairs: names, then values, both after
// the protocol.
type tcp struct {
	files  []string
	index  map[string]map[string]int // protocol → name → place in series
	series []*metric.Series
	picked []pick
}

type pick struct {
	at    int
	value uint64
}

func newTCP(who owner) *tcp {
	c := &tcp{files: []string{"/proc/net/snmp", "/proc/net/netstat"}, index: make(map[string]map[string]int)}
	var descs []desc
	add := func(proto string, names ...string) {
		c.index[proto] = make(map[string]int)
		for _, n := range names {
			c.index[proto][n] = len(descs)
			d := desc{name: "node_netstat_" + proto + "_" + n + "_total", kind: metric.Counter}
			if n == "CurrEstab" {
				d = desc{name: "node_netstat_Tcp_CurrEstab", kind: metric.Gauge}
			}
			descs = append(descs, d)
		}
	}
	add("Tcp", "CurrEstab", "ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "InSegs", "OutSegs",
		"RetransSegs", "InErrs", "OutRsts")
	add("Udp", "InDatagrams", "OutDatagrams", "NoPorts", "InErrors", "RcvbufErrors", "SndbufErrors")
	add("TcpExt", "ListenOverflows", "ListenDrops", "TCPTimeouts", "TCPSynRetrans", "TCPBacklogDrop",
		"SyncookiesSent", "TCPAbortOnMemory")
	c.series = fixed(who, descs)
	return c
}

func (c *tcp) collect(_ context.Context, t *Tree, r *run) error {
	var errs []error
	for _, f := range c.files {
		b, err := t.Read(f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.parse(b)
		for _, p := range c.picked {
			r.putUint(c.series[p.at], p.value)
		}
	}
	return errors.Join(errs...)
}

// parse fills picked. A pair whose lines do not begin alike is passed over.
func (c *tcp) parse(b []byte) {
	c.picked = c.picked[:0]
	for len(b) > 0 {
		var names, values, proto, again []byte
		names, b = CutLine(b)
		values, b = CutLine(b)
		proto, names = CutField(names)
		again, values = CutField(values)
		index := c.index[string(bytes.TrimSuffix(proto, []byte(":")))]
		if index == nil || !bytes.Equal(proto, again) {
			continue
		}
		for {
			var name, value []byte
			name, names = CutField(names)
			value, values = CutField(values)
			if len(name) == 0 || len(value) == 0 {
				break
			}
			if i, ok := index[string(name)]; ok {
				if v, ok := ParseUint(value); ok {
					c.picked = append(c.picked, pick{i, v})
				}
			}
		}
	}
}

// sockets is the class of /proc/net/sockstat and sockstat6, and of the kernel's bounds on files and connections.
type sockets struct {
	index  map[string]map[string]int // protocol → name → place in series
	series []*metric.Series
	limits []*metric.Series
	page   float64
}

func newSockets(who owner, page int) *sockets {
	c := &sockets{index: make(map[string]map[string]int), page: float64(page)}
	var descs []desc
	add := func(proto string, names ...string) {
		c.index[proto] = make(map[string]int)
		for _, n := range names {
			c.index[proto][n] = len(descs)
			d := desc{name: "node_sockstat_" + proto + "_" + n, kind: metric.Gauge}
			if n == "mem" { // in pages
				d.name, d.unit = d.name+"_bytes", metric.Bytes
			}
			descs = append(descs, d)
		}
	}
	add("sockets", "used")
	add("TCP", "inuse", "orphan", "tw", "alloc", "mem")
	add("UDP", "inuse", "mem")
	add("TCP6", "inuse")
	add("UDP6", "inuse")
	c.series = fixed(who, descs)
	c.limits = fixed(who, []desc{
		{name: "node_filefd_allocated", kind: metric.Gauge}, {name: "node_filefd_maximum", kind: metric.Gauge},
		{name: "node_nf_conntrack_entries", kind: metric.Gauge}, {name: "node_nf_conntrack_entries_limit", kind: metric.Gauge},
	})
	return c
}

func (c *sockets) collect(_ context.Context, t *Tree, r *run) error {
	var errs []error
	for _, f := range [...]string{"/proc/net/sockstat", "/proc/net/sockstat6"} {
		b, err := t.Read(f)
		if optional(err) {
			continue // a kernel without IPv6
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.putSockstat(b, r)
	}
	b, err := t.Read("/proc/sys/fs/file-nr")
	if err != nil && !optional(err) {
		errs = append(errs, err)
	}
	var v [3]uint64 // allocated, free (always 0), maximum
	if err == nil && cutUints(bytes.TrimSpace(b), v[:]) == len(v) {
		r.putUint(c.limits[0], v[0])
		r.putUint(c.limits[1], v[2])
	}
	for i, f := range [...]string{"/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max"} {
		if n, err := t.readUint(f); err == nil { // only while connection tracking is in use
			r.putUint(c.limits[2+i], n)
		}
	}
	return errors.Join(errs...)
}

// putSockstat reads lines of a protocol and pairs of name and value.
func (c *sockets) putSockstat(b []byte, r *run) {
	for len(b) > 0 {
		var line, proto []byte
		line, b = CutLine(b)
		proto, line = CutField(line)
		index := c.index[string(bytes.TrimSuffix(proto, []byte(":")))]
		for index != nil && len(line) > 0 {
			var name, value []byte
			name, line = CutField(line)
			value, line = CutField(line)
			i, known := index[string(name)]
			v, ok := ParseUint(value)
			switch {
			case !known || !ok:
			case c.series[i].Unit == metric.Bytes:
				r.put(c.series[i], float64(v)*c.page)
			default:
				r.putUint(c.series[i], v)
			}
		}
	}
}
