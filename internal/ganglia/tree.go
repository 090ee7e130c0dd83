// Package ganglia owns Ganglia's XML: the tree that gmond and gmetad tell of hosts and metrics, written in the form
// of either, read from either however broken it is, asked for parts of it by gmetad's paths, and summed up. It never
// opens a socket, reads a clock or stores a sample. The collector writes gmond's form; the extractor reads both and
// writes gmetad's.
package ganglia

// Extra is one EXTRA_ELEMENT: GROUP, TITLE, DESC, SPOOF_HOST, …; a name may stand several times.
type Extra struct {
	Name, Value string
}

// Metric is one METRIC of a host. Times are seconds.
type Metric struct {
	Name   string
	Value  string // as its sender prints it
	Type   string // string, int8 … uint32, float, double, timestamp; or whatever the sender wrote
	Units  string
	TN     uint32 // since the last value
	TMax   uint32 // a value is due after this at the latest
	DMax   uint32 // forgotten after this without a value; 0: never
	Slope  string // zero, positive, negative, both, unspecified or derivative
	Source string // who told it, as gmetad adds: gmond
	Extra  []Extra

	// Carried: it stood in an earlier document, not in the newest. It is shown and not summed up.
	Carried bool
}

// Host is one HOST.
type Host struct {
	Name     string
	IP       string // as text; a gmond with override_hostname may put a name here
	Tags     string
	Reported int64  // epoch seconds of its last packet
	TN       uint32 // seconds since
	TMax     uint32
	DMax     uint32
	Location string
	Started  int64 // epoch seconds at which its gmond started; 0: unknown
	Metrics  []Metric
	Carried  bool // it stood in an earlier document, not in the newest
}

// Up is gmetad's rule: a host is up while it was heard within four times its TMAX.
func (h *Host) Up() bool {
	tmax := h.TMax
	if tmax == 0 {
		tmax = defaultTMax
	}
	return uint64(h.TN) < 4*uint64(tmax)
}

// defaultTMax is gmond's host_tmax, for hosts that tell none.
const defaultTMax = 20

// Cluster is one CLUSTER: hosts in full, or their summary.
type Cluster struct {
	Name      string
	LocalTime int64 // epoch seconds of who told it
	Owner     string
	LatLong   string
	URL       string
	Hosts     []Host
	Summary   *Summary // in place of Hosts where only it was told, or what is known of them already
	Polled    int64    // epoch seconds at which it was told, by the clock of who reads it: TNs grow from there; 0: they are of now
}

// Grid is one GRID: the clusters of a gmetad, and the grids below it. gmetad tells of those only the summary.
type Grid struct {
	Name      string
	Authority string
	LocalTime int64
	Clusters  []Cluster
	Grids     []Grid
	Summary   *Summary // of all that is below; nil: not told
}

// Summary is HOSTS and METRICS: how many hosts are up, and each metric's sum over them.
type Summary struct {
	Up, Down int
	Metrics  []Sum
}

// Sum is one METRICS element: the mean is Sum by Num.
type Sum struct {
	Name     string
	Sum      float64
	Num      int // hosts in it
	Type     string
	Units    string
	Slope    string
	Decimals int // of Sum as it is printed
	Extra    []Extra
}

// Document is one GANGLIA_XML: what a gmond (one cluster) or a gmetad (one grid) answers.
type Document struct {
	Version string
	Source  string // gmond or gmetad
	Cluster *Cluster
	Grid    *Grid
}
