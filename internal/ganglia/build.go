package ganglia

import "fmt"

// builder makes the tree of the tags. What an unclosed element leaves open is closed by what cannot stand in it.
type builder struct {
	lim    Limits
	doc    *Document
	report *Report
	line   int
	twice  bool
	ended  bool

	grids   []*Grid // from the outermost to the present one
	cluster *Cluster
	host    *Host // within cluster; nil: none, or one that is left out
	metrics []Metric
	metric  *Metric // last of metrics, while it is open
	sum     *Sum    // last of the present summary, while it is open
	extras  []Extra // of metric or sum

	text  []byte
	words map[string]string  // strings in use
	lists map[string][]Extra // last extras of each metric's name
	held  int64
}

// Estimates of memory, bytes.
const (
	heldHost   = 200
	heldMetric = 152
	heldExtra  = 32
	heldSum    = 144

	maxWord  = 64      // longest string that is shared
	maxWords = 100_000 // strings shared
)

func newBuilder(lim Limits) *builder {
	return &builder{lim: lim, report: &Report{}, words: make(map[string]string), lists: make(map[string][]Extra)}
}

func (b *builder) document() *Document {
	if b.doc == nil {
		return nil
	}
	b.endGrids(0)
	return b.doc
}

func (b *builder) fault(metric, format string, args ...any) {
	if b.report.Faults++; b.report.Faults > maxFaults {
		return
	}
	f := Fault{Line: b.line, Metric: metric, What: fmt.Sprintf(format, args...)}
	if b.cluster != nil {
		f.Cluster = b.cluster.Name
	}
	if b.host != nil {
		f.Host = b.host.Name
	}
	b.report.First = append(b.report.First, f)
}

// start takes the beginning of an element.
func (b *builder) start(t *tag) error {
	if t.broken != "" {
		b.broken(t)
		return b.bounded()
	}
	switch t.name {
	case "GANGLIA_XML":
		if b.doc == nil {
			b.doc = &Document{Version: b.get(t, "VERSION"), Source: b.get(t, "SOURCE")}
		}
	case "GRID":
		return b.startGrid(t)
	case "CLUSTER":
		b.startCluster(t)
	case "HOST":
		return b.startHost(t)
	case "METRIC":
		b.startMetric(t)
	case "HOSTS":
		if s := b.summary(); s != nil {
			s.Up, s.Down = int(number[uint32](t, "UP")), int(number[uint32](t, "DOWN"))
		}
	case "METRICS":
		b.startSum(t)
	case "EXTRA_ELEMENT":
		if (b.metric != nil || b.sum != nil) && len(b.extras) < 2*maxMetricExtras {
			b.extras = append(b.extras, Extra{Name: b.get(t, "NAME"), Value: b.get(t, "VAL")})
		}
	}
	return b.bounded()
}

// broken leaves out an element whose tag cannot be read, and what stands in it.
func (b *builder) broken(t *tag) {
	name := b.get(t, "NAME")
	switch t.name {
	case "GANGLIA_XML":
		if b.doc == nil {
			b.doc = &Document{Version: b.get(t, "VERSION"), Source: b.get(t, "SOURCE")}
		}
	case "GRID", "CLUSTER":
		b.endCluster()
		b.fault("", "%s %.60q cannot be read: %s", t.name, name, t.broken)
		return
	case "HOST":
		b.endHost()
		b.host = &Host{Name: name}
		b.fault("", "the host cannot be read: %s", t.broken)
		b.host = nil
		return
	case "METRIC", "METRICS":
		b.endMetric()
		b.endSum()
		b.fault(name, "%s cannot be read: %s", t.name, t.broken)
		return
	}
	metric := ""
	if b.metric != nil {
		metric = b.metric.Name
	}
	b.fault(metric, "%s cannot be read: %s", t.name, t.broken)
}

// bounded refuses a document of which too much would have to be held.
func (b *builder) bounded() error {
	if b.held > b.lim.Held {
		return fmt.Errorf("%w: what it tells takes more than %d bytes", ErrTooLarge, b.lim.Held)
	}
	return nil
}

func (b *builder) startGrid(t *tag) error {
	b.endCluster()
	if len(b.grids) >= b.lim.Depth {
		return fmt.Errorf("%w: more than %d grids within each other", ErrTooLarge, b.lim.Depth)
	}
	g := &Grid{Name: b.get(t, "NAME"), Authority: b.get(t, "AUTHORITY"), LocalTime: number[int64](t, "LOCALTIME")}
	if len(b.grids) == 0 && b.doc.Grid != nil {
		b.fault("", "a second grid %.60q is left out", g.Name)
	}
	b.held += heldHost
	b.grids = append(b.grids, g)
	return nil
}

func (b *builder) startCluster(t *tag) {
	b.endCluster()
	c := &Cluster{
		Name: b.get(t, "NAME"), LocalTime: number[int64](t, "LOCALTIME"),
		Owner: b.get(t, "OWNER"), LatLong: b.get(t, "LATLONG"), URL: b.get(t, "URL"),
	}
	b.held += heldHost
	if c.Name == "" {
		b.fault("", "a cluster without NAME is left out")
		return
	}
	b.cluster = c
}

func (b *builder) startHost(t *tag) error {
	b.endHost()
	if b.cluster == nil {
		return nil
	}
	name := b.get(t, "NAME")
	if name == "" {
		b.fault("", "a host without NAME is left out")
		return nil
	}
	if b.report.Hosts++; b.report.Hosts > b.lim.Hosts {
		return fmt.Errorf("%w: more than %d hosts", ErrTooLarge, b.lim.Hosts)
	}
	b.held += heldHost
	b.host = &Host{
		Name: name, IP: b.get(t, "IP"), Tags: b.get(t, "TAGS"), Reported: number[int64](t, "REPORTED"),
		TN: number[uint32](t, "TN"), TMax: number[uint32](t, "TMAX"), DMax: number[uint32](t, "DMAX"),
		Location: b.get(t, "LOCATION"), Started: number[int64](t, "GMOND_STARTED"),
	}
	return nil
}

func (b *builder) startMetric(t *tag) {
	b.endMetric()
	if b.host == nil {
		return
	}
	m := Metric{Source: "gmond"}
	var named, valued bool
	for _, a := range t.attrs {
		switch string(a.key) {
		case "NAME":
			m.Name, named = b.string(a.value), len(a.value) > 0
		case "VAL":
			m.Value, valued = b.value(a.value), true
		case "TYPE":
			m.Type = b.string(a.value)
		case "UNITS":
			m.Units = b.string(a.value)
		case "TN":
			m.TN = parse[uint32](a.value)
		case "TMAX":
			m.TMax = parse[uint32](a.value)
		case "DMAX":
			m.DMax = parse[uint32](a.value)
		case "SLOPE":
			m.Slope = b.string(a.value)
		case "SOURCE":
			m.Source = b.string(a.value)
		}
	}
	if !named || !valued {
		b.fault(m.Name, "METRIC lacks NAME or VAL")
		return
	}
	b.report.Metrics++
	b.held += heldMetric
	b.metrics = append(b.metrics, m)
	b.metric = &b.metrics[len(b.metrics)-1]
}

// summary is the one that HOSTS and METRICS belong to here; nil: they belong nowhere.
func (b *builder) summary() *Summary {
	at := (**Summary)(nil)
	switch {
	case b.cluster != nil:
		at = &b.cluster.Summary
	case len(b.grids) > 0:
		at = &b.grids[len(b.grids)-1].Summary
	default:
		return nil
	}
	if *at == nil {
		*at = &Summary{}
		b.held += heldSum
	}
	return *at
}

func (b *builder) startSum(t *tag) {
	b.endSum()
	s := b.summary()
	if s == nil {
		return
	}
	sum := Sum{
		Name: b.get(t, "NAME"), Num: int(number[uint32](t, "NUM")), Type: b.get(t, "TYPE"),
		Units: b.get(t, "UNITS"), Slope: b.get(t, "SLOPE"),
	}
	text := attribute(t, "SUM")
	v, ok := Number(text)
	if sum.Name == "" || !ok {
		b.fault(sum.Name, "METRICS lacks NAME, or its SUM %.30q is no number", text)
		return
	}
	sum.Sum, sum.Decimals = v, decimals(text)
	b.held += heldSum
	s.Metrics = append(s.Metrics, sum)
	b.sum = &s.Metrics[len(s.Metrics)-1]
}
