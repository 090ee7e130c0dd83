package gmond

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/netip"

	"keepwatch/metric"
)

var (
	// ErrHost is a packet whose host field is no host name.
	ErrHost = errors.New("unfit host name in gmond packet")

	// ErrMetric is a packet whose metric cannot be named.
	ErrMetric = errors.New("unfit metric in gmond packet")

	// ErrValue is a value that is empty or no number although its type says number.
	ErrValue = errors.New("unfit value in gmond packet")

	// ErrTooManyHosts, ErrTooManyMetrics and ErrTooManyBytes are the bounds of TableOptions.
	ErrTooManyHosts   = errors.New("too many gmond hosts")
	ErrTooManyMetrics = errors.New("too many metrics of one gmond host")
	ErrTooManyBytes   = errors.New("too many bytes of gmond state")
)

// Outcome is what became of a packet that was no error.
type Outcome uint8

// The outcomes of Add.
const (
	Joined  Outcome = 1 // a sample came out
	Waiting Outcome = 2 // a value without metadata, kept until it comes
	Learned Outcome = 3 // metadata without a value
	Asked   Outcome = 4 // a request for metadata, which says nothing about its sender's metrics
	Alive   Outcome = 5 // a sign of life and nothing else, of which a sample came out
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
	case Alive:
		return "alive"
	}
	return "unknown"
}

// lifeMetric is 1 at each heartbeat that tells nothing else. No metric that a packet names has this name.
const lifeMetric = "keepwatch_host_heartbeat"

const (
	defaultBytes    = 1 << 30
	defaultHostTMax = 20 // s, gmond's host_tmax
)

// TableOptions bound a Table.
type TableOptions struct {
	Cluster    string // of every sample that comes out
	MaxHosts   int
	MaxMetrics int    // of one host; also the series that its strings and types may make anew in an hour
	MaxBytes   int64  // of all that is held, as an estimate; 0: 1 GiB
	MaxAsks    int    // requests for metadata in one second, over all metrics; 0: none is ever asked for
	HostTMax   uint32 // seconds, of every host in the XML; 0: 20
}

// Table joins metadata and values per host and metric, and is the soft state of a gmond network: what gmond's XML
// tells. A host is whom packets claim to speak of: the name of a spoofed packet or that of metric_id, and the source
// address for packets before 3.1, which name none. (gmond trusts the source address and its reverse lookup instead.)
// It is not safe for concurrent use.
type Table struct {
	opt         TableOptions
	hosts       map[string]*host
	entries     index
	descriptors map[string]*Descriptor
	seed        maphash.Seed
	bytes       int64          // estimate
	life        *metric.Series // of Alive, which those of hosts are made of

	asked       int   // requests in askedSecond
	askedSecond int64 // s since the epoch
	turn, dealt uint8 // of Sweep: under way, and given to the next host

	scratch []byte // key of a descriptor
	address []byte // text of a source address
	name    []byte // of a metric, changed
	printed []byte // values of one host
	cuts    []int
	near    []nearby
	touched int // keeps Ahead from being optimized away
}

// NewTable makes an empty table.
func NewTable(opt TableOptions) (*Table, error) {
	if err := metric.CheckHost("cluster", opt.Cluster); err != nil {
		return nil, err
	}
	if opt.MaxHosts < 1 || opt.MaxMetrics < 1 || opt.MaxBytes < 0 || opt.MaxAsks < 0 {
		return nil, fmt.Errorf("gmond table of %d hosts with %d metrics, %d bytes, %d requests a second: want at least 1 of the first two and none negative",
			opt.MaxHosts, opt.MaxMetrics, opt.MaxBytes, opt.MaxAsks)
	}
	if opt.MaxBytes == 0 {
		opt.MaxBytes = defaultBytes
	}
	if opt.HostTMax == 0 {
		opt.HostTMax = defaultHostTMax
	}
	life, err := metric.NewSeries(opt.Cluster, opt.Cluster, lifeMetric, []metric.Label{{Name: "source", Value: "gmond"}}, metric.NoUnit, metric.State)
	if err != nil {
		return nil, err
	}
	return &Table{
		opt: opt, seed: maphash.MakeSeed(), life: life,
		hosts: make(map[string]*host), entries: index{slots: make([]slot, minSlots)}, descriptors: make(map[string]*Descriptor),
	}, nil
}

// Result says whom a packet was about and what came of it.
type Result struct {
	Outcome Outcome
	Host    string        // its name; of Asked that in the request, which is no sign of life and may be any text or empty
	Name    string        // of the metric, as its sender wrote it but for colons, which gmond changes
	Address string        // of the host: what a spoofed packet says, else the source's; the first of two that dispute it
	Started int64         // of the host's gmond, epoch seconds, once a heartbeat told; else 0
	Sample  metric.Sample // of Joined and Alive
	Tag     *any          // of the host, as long as the table holds it: for what the caller knows of it, nil at first

	// Ask is set when the metadata of Name should be asked for now: by a Request that is not spoofed to the source
	// of the packet and wherever this host sends. It comes at most once a minute for a metric, then rarer, up to ten.
	Ask bool

	// Retyped tells that metadata gave a known metric another kind, unit or type: the series that follows is another.
	Retyped bool

	// Descr is metadata to be published (see its Info): that of a metric when it is learned, and then once an hour.
	Descr *Descriptor

	// Conflict is a second address that speaks for Host beside Address. It comes once an hour, and is else empty.
	Conflict string
}

// Add takes one packet that came from an address at now, ms since the epoch. A value gives a sample named gmond_NAME
// with the label source="gmond" (and gmond_name where characters had to be replaced); a string gives gmond_NAME_info
// with the string as label value and the value 1; a heartbeat that does not tell when gmond started gives
// keepwatch_host_heartbeat. A value whose metadata is missing is kept; after a minute its message must do for its
// type. A packet with a fit host tells that the host lives even when Add returns ErrMetric, ErrValue, ErrTooManyMetrics
// or ErrTooManyBytes: Result.Host is then set.
func (t *Table) Add(p *Packet, from netip.Addr, now int64) (Result, error) {
	if p.ID == Request {
		return asked(p), nil
	}
	from = from.Unmap()
	c, err := t.claimOf(p, from)
	if err != nil {
		return Result{}, err
	}
	if p.ID == Heartbeat {
		h, err := t.host(c, from, now)
		if err != nil {
			return Result{}, err
		}
		return t.alive(h.hear(c, from, now), now), nil
	}
	name := t.metricOf(p)
	hash := uint32(p.hash)
	if p.hash == 0 {
		hash = t.hash(c.name, name)
	}
	e := t.entries.find(hash, c.name, name)
	if e == nil {
		h, err := t.host(c, from, now)
		if err != nil {
			return Result{}, err
		}
		if e, err = t.newEntry(h, hash, name, now); err != nil {
			return h.hear(c, from, now), err
		}
	}
	res := e.host.hear(c, from, now)
	res.Name = e.desc.Name
	err = t.take(e, name, p, now, &res)
	return res, err
}

// asked is the Result of a request. It makes no host of whom it speaks of: a request says that somebody wants to know.
func asked(p *Packet) Result {
	host := p.Host
	if p.Spoof {
		_, host, _ = split(p.Host)
	}
	return Result{Outcome: Asked, Host: string(host), Name: string(p.Name)}
}

// alive makes res that of a packet which says that its host lives and nothing else. Its sample carries that on, as one
// of a metric carries the life of a host that has metrics.
func (t *Table) alive(res Result, now int64) Result {
	if s, err := t.life.OfHost(res.Host); err == nil {
		res.Sample = metric.Sample{Series: s, Time: now, Value: 1}
	}
	res.Outcome = Alive
	return res
}

// hear notes a packet about h.
func (h *host) hear(c claim, from netip.Addr, now int64) Result {
	h.heard = max(h.heard, now)
	conflict := h.spokenFor(c.address, from, now)
	return Result{Host: h.name, Address: h.first.text, Started: h.started, Conflict: conflict, Tag: &h.tag}
}

func (t *Table) host(c claim, from netip.Addr, now int64) (*host, error) {
	if h := t.hosts[string(c.name)]; h != nil {
		return h, nil
	}
	return t.newHost(c, from, now)
}

func (t *Table) hash(host, name []byte) uint32 {
	high, low := bits.Mul64(maphash.Bytes(t.seed, host), maphash.Bytes(t.seed, name)|1)
	return uint32(high ^ low)
}

// charge counts bytes that are about to be held.
func (t *Table) charge(n int64) error {
	if t.bytes+n > t.opt.MaxBytes {
		return fmt.Errorf("%w: %d of %d", ErrTooManyBytes, t.bytes, t.opt.MaxBytes)
	}
	t.bytes += n
	return nil
}

// Hosts is the number of hosts held, Metrics that of their metrics, Descriptors that of different metadata which is
// shared, and Bytes about how much memory all of it takes.
func (t *Table) Hosts() int       { return len(t.hosts) }
func (t *Table) Metrics() int     { return t.entries.held }
func (t *Table) Descriptors() int { return len(t.descriptors) }
func (t *Table) Bytes() int64     { return t.bytes }
