// Package metric is the vocabulary that all parts of Keepwatch share: sample, series, event, unit and kind, with
// the invariants that make a value of these types safe to pass on. It never does I/O, reads no clock, starts no
// goroutine and imports the standard library only. Every part imports it; it imports none.
package metric

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what a series may be called. They hold for every source, so that one hostile or broken sender cannot
// make a name that a later part must truncate.
const (
	MaxName       = 200  // bytes of a metric name
	MaxHost       = 253  // bytes of a host or cluster name, as DNS has it
	MaxLabels     = 24   // labels of one series, cluster and host not counted
	MaxLabelName  = 100  // bytes
	MaxLabelValue = 512  // bytes
	MaxUnit       = 32   // bytes
	MaxSeries     = 2400 // bytes of cluster, host, metric name and labels together, 8 more counted for each label
	MaxEventText  = 2048 // bytes
)

// ErrInvalid is what every refusal of this package wraps.
var ErrInvalid = errors.New("invalid")

// Kind says how a series moves, which decides what may be computed from it.
type Kind uint8

// The kinds of a series.
const (
	Gauge   Kind = 1 // goes up and down; averaging makes sense
	Counter Kind = 2 // only grows but for resets; its rate makes sense
	State   Kind = 3 // a number that stands for a state; neither average nor rate makes sense
)

// String gives the word that the database and the API use.
func (k Kind) String() string {
	switch k {
	case Gauge:
		return "gauge"
	case Counter:
		return "counter"
	case State:
		return "state"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind is the inverse of Kind.String.
func ParseKind(s string) (Kind, error) {
	switch s {
	case "gauge":
		return Gauge, nil
	case "counter":
		return Counter, nil
	case "state":
		return State, nil
	}
	return 0, fmt.Errorf("%w kind %q: want gauge, counter or state", ErrInvalid, s)
}

// Unit is the base unit of a series' values, in the words that Prometheus names end in.
type Unit string

// The units in use. A source may bring others; these are the ones that the web app knows how to write.
const (
	NoUnit      Unit = ""
	Seconds     Unit = "seconds"
	Bytes       Unit = "bytes"
	Ratio       Unit = "ratio" // 0 to 1
	Percent     Unit = "percent"
	Bits        Unit = "bits"
	Celsius     Unit = "celsius"
	BytesPerSec Unit = "bytes_per_second"
	PerSecond   Unit = "per_second"
)

// Label is one name and value of a series' identity beyond cluster, host and metric name.
type Label struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Series is what a sample belongs to. It is immutable after NewSeries and passed by pointer: who holds the same
// pointer holds the same series, and Key tells whether two pointers mean one series.
type Series struct {
	Cluster string
	Host    string
	Name    string
	Labels  []Label // sorted by name, names unique
	Unit    Unit
	Kind    Kind
	key     string
}

// NewSeries checks and makes a series. Labels are copied and sorted; empty values are left out, as Prometheus does.
// The error wraps ErrInvalid and says which field is wrong.
func NewSeries(cluster, host, name string, labels []Label, unit Unit, kind Kind) (*Series, error) {
	if err := CheckHost("cluster", cluster); err != nil {
		return nil, err
	}
	if err := CheckHost("host", host); err != nil {
		return nil, err
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if kind < Gauge || kind > State {
		return nil, fmt.Errorf("%w kind %d of metric %q", ErrInvalid, kind, name)
	}
	if len(unit) > MaxUnit || !utf8.ValidString(string(unit)) {
		return nil, fmt.Errorf("%w unit %.40q of metric %q", ErrInvalid, unit, name)
	}
	ls, err := canonical(labels)
	if err != nil {
		return nil, fmt.Errorf("metric %q: %w", name, err)
	}
	s := &Series{Cluster: cluster, Host: host, Name: name, Labels: ls, Unit: unit, Kind: kind}
	if err := s.checkSize(); err != nil {
		return nil, err
	}
	s.key = s.buildKey()
	return s, nil
}

// labelSize is what Postgres adds to each name and value of a label (jsonb), in bytes.
const labelSize = 8

// checkSize holds a series to what the unique index on series takes: rows of at most 2704 bytes, of which lengths and
// alignment take up to 60.
func (s *Series) checkSize() error {
	n := len(s.Cluster) + len(s.Host) + len(s.Name)
	for _, l := range s.Labels {
		n += len(l.Name) + len(l.Value) + labelSize
	}
	if n > MaxSeries {
		return fmt.Errorf("%w series of metric %q: cluster, host, name and labels are %d bytes, at most %d", ErrInvalid, s.Name, n, MaxSeries)
	}
	return nil
}

// OfHost makes the same series of another host. The two share cluster, name, labels and unit in memory, so that a
// metric that thousands of hosts have costs each no more than the difference. The error wraps ErrInvalid: the host's name
// is none, or too long for this series.
func (s *Series) OfHost(host string) (*Series, error) {
	if err := CheckHost("host", host); err != nil {
		return nil, err
	}
	other := *s
	other.Host = host
	if err := other.checkSize(); err != nil {
		return nil, err
	}
	other.key = other.buildKey()
	return &other, nil
}

// MustSeries is NewSeries for names that are constants of the program.
func MustSeries(cluster, host, name string, labels []Label, unit Unit, kind Kind) *Series {
	s, err := NewSeries(cluster, host, name, labels, unit, kind)
	if err != nil {
		panic(err)
	}
	return s
}

func canonical(labels []Label) ([]Label, error) {
	ls := make([]Label, 0, len(labels))
	for _, l := range labels {
		if l.Value == "" {
			continue
		}
		if err := CheckLabel(l); err != nil {
			return nil, err
		}
		ls = append(ls, l)
	}
	if len(ls) > MaxLabels {
		return nil, fmt.Errorf("%w labels: %d, at most %d", ErrInvalid, len(ls), MaxLabels)
	}
	slices.SortFunc(ls, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(ls); i++ {
		if ls[i].Name == ls[i-1].Name {
			return nil, fmt.Errorf("%w labels: %q is there twice", ErrInvalid, ls[i].Name)
		}
	}
	return ls, nil
}

func (s *Series) buildKey() string {
	n := len(s.Cluster) + len(s.Host) + len(s.Name) + 2
	for _, l := range s.Labels {
		n += len(l.Name) + len(l.Value) + 2
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(s.Cluster)
	b.WriteByte(0)
	b.WriteString(s.Host)
	b.WriteByte(0)
	b.WriteString(s.Name)
	for _, l := range s.Labels {
		b.WriteByte(0)
		b.WriteString(l.Name)
		b.WriteByte(1)
		b.WriteString(l.Value)
	}
	return b.String()
}

// Key is the identity of the series: cluster, host, name and labels. Unit and kind describe it and are no part of
// the identity. Two series are the same exactly when their keys are equal.
func (s *Series) Key() string { return s.key }

// Label gives the value of a label, or the empty string.
func (s *Series) Label(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// String writes the series as PromQL would select it.
func (s *Series) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s{cluster=%q,host=%q", s.Name, s.Cluster, s.Host)
	for _, l := range s.Labels {
		fmt.Fprintf(&b, ",%s=%q", l.Name, l.Value)
	}
	b.WriteByte('}')
	return b.String()
}

// Sample is one value of a series at one time.
type Sample struct {
	Series *Series
	Time   int64 // milliseconds since the epoch
	Value  float64
}

// EventKind names what happened, in the field's own word.
type EventKind string

// The kinds of event that parts of Keepwatch make.
const (
	EventVRRPTransition   EventKind = "vrrp_transition"
	EventVIPTaken         EventKind = "vip_taken"
	EventVIPReleased      EventKind = "vip_released"
	EventVIPConflict      EventKind = "vip_conflict"
	EventVIPConflictEnded EventKind = "vip_conflict_ended"
	EventServerUp         EventKind = "server_up"
	EventServerDown       EventKind = "server_down"
	EventProxyStarted     EventKind = "proxy_started"
	EventProxyStopped     EventKind = "proxy_stopped"
	EventTrackChanged     EventKind = "track_changed"
	EventConfigReloaded   EventKind = "config_reloaded"
	EventHostJoined       EventKind = "host_joined"
	EventHostLost         EventKind = "host_lost"
	EventHostForgotten    EventKind = "host_forgotten" // silent for host_dmax, or kept under another name: nothing more is said of it
	EventHostConflict     EventKind = "host_conflict"
	EventMetricRetyped    EventKind = "metric_retyped"
	EventCollectorDropped EventKind = "collector_dropped"
	EventAggregatorLost   EventKind = "aggregator_lost"
	EventSourceLost       EventKind = "ganglia_source_lost" // a gmond or gmetad that is polled over XML
	EventSourceFound      EventKind = "ganglia_source_found"
	EventClockSkew        EventKind = "clock_skew" // a host's clock is wrong, or right again
	EventCheckDown        EventKind = "check_down" // a vantage point's view, not what all say together
	EventCheckUp          EventKind = "check_up"
)

// Event is something that happened once. ID makes it the same event however often it is delivered.
type Event struct {
	ID      string // unique per cluster and host; the sender makes it from its boot id and a counter
	Cluster string
	Host    string
	Time    int64 // milliseconds since the epoch
	Kind    EventKind
	Text    string
	Labels  []Label
}

// Check reports the first thing that makes an event unfit to be passed on, wrapping ErrInvalid.
func (e *Event) Check() error {
	if err := CheckHost("cluster", e.Cluster); err != nil {
		return err
	}
	if err := CheckHost("host", e.Host); err != nil {
		return err
	}
	switch {
	case e.ID == "" || len(e.ID) > MaxName || !clean(e.ID):
		return fmt.Errorf("%w event id %.40q", ErrInvalid, e.ID)
	case e.Kind == "" || len(e.Kind) > MaxName || !clean(string(e.Kind)):
		return fmt.Errorf("%w event kind %.40q", ErrInvalid, e.Kind)
	case len(e.Text) > MaxEventText || !utf8.ValidString(e.Text) || strings.ContainsRune(e.Text, 0):
		return fmt.Errorf("%w text of event %q: at most %d bytes of UTF-8 without NUL", ErrInvalid, e.ID, MaxEventText)
	case len(e.Labels) > MaxLabels:
		return fmt.Errorf("%w labels of event %q: %d, at most %d", ErrInvalid, e.ID, len(e.Labels), MaxLabels)
	}
	for _, l := range e.Labels {
		if err := CheckLabel(l); err != nil {
			return fmt.Errorf("event %q: %w", e.ID, err)
		}
	}
	return nil
}

// Label gives the value of a label of the event, or the empty string.
func (e *Event) Label(name string) string {
	for _, l := range e.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// CheckHost checks a host or cluster name. Rules: 1 to MaxHost bytes of UTF-8 without control characters.
func CheckHost(what, s string) error {
	if s == "" || len(s) > MaxHost || !clean(s) {
		return fmt.Errorf("%w %s name %.60q: want 1 to %d bytes of text without control characters", ErrInvalid, what, s, MaxHost)
	}
	return nil
}

// CheckName checks a metric name. Rules: 1 to MaxName bytes, letters, digits, underscore and colon, no digit first.
func CheckName(s string) error {
	if len(s) > MaxName || !identifier(s, true) {
		return fmt.Errorf("%w metric name %.60q: want 1 to %d letters, digits, '_' or ':', no digit first", ErrInvalid, s, MaxName)
	}
	return nil
}

// CheckLabel checks one label. Rules: name as of a metric without colon and not "cluster", "host" or starting with
// "__"; value at most MaxLabelValue bytes of UTF-8 without control characters.
func CheckLabel(l Label) error {
	if len(l.Name) > MaxLabelName || !identifier(l.Name, false) || strings.HasPrefix(l.Name, "__") || l.Name == "cluster" || l.Name == "host" {
		return fmt.Errorf("%w label name %.60q: want at most %d letters, digits or '_', no digit first, and neither cluster, host nor __", ErrInvalid, l.Name, MaxLabelName)
	}
	if len(l.Value) > MaxLabelValue || !clean(l.Value) {
		return fmt.Errorf("%w value %.60q of label %q: want at most %d bytes of text without control characters", ErrInvalid, l.Value, l.Name, MaxLabelValue)
	}
	return nil
}

func identifier(s string, colon bool) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case c == ':' && colon:
		case c >= '0' && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return s != ""
}

// clean: valid UTF-8 without control characters. NUL would end strings in C and is refused by Postgres; the bytes 0
// and 1 separate the parts of a Key.
func clean(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}
