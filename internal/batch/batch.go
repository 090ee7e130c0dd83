// Package batch owns the one encoding in which samples and events travel: inside native frames, in a collector's
// state stream and on the bus. It never opens a socket, seals, or decides what a batch should hold. A batch stands
// by itself: it names every series it carries, so a receiver that starts late understands the first one it gets.
//
// Layout before compression, integers as (u)varints, strings as length and bytes:
//
//	byte     version, 1
//	varint   base time, ms since the epoch
//	uvarint  number of groups
//	         group: cluster, host, uvarint number of samples
//	         sample: descriptor, varint time minus base, 8 bytes IEEE 754 little endian
//	uvarint  number of events
//	         event: id, cluster, host, kind, varint time minus base, text, uvarint number of labels, name, value …
//
// A descriptor is the string: kind byte, name, unit, label name, label value, … each of the last four kinds of
// part preceded by its length. Equal descriptors in one group are equal byte for byte, so a receiver finds the
// series by one map access on raw bytes and allocates nothing for a sample it has seen the series of.
package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"keepwatch/metric"
)

const version = 1

// Bounds of one decoded batch.
const (
	MaxSamples = 200_000
	MaxEvents  = 10_000
	MaxGroups  = 20_000
	maxDesc    = 1 + 3*binary.MaxVarintLen16 + metric.MaxName + metric.MaxUnit + metric.MaxLabels*(metric.MaxLabelName+metric.MaxLabelValue+2*binary.MaxVarintLen16)
)

// ErrMalformed is what every refusal of a batch wraps.
var ErrMalformed = errors.New("malformed batch")

// Batch is what one encoding holds. Samples of one host should stand together: each change of host starts a group.
type Batch struct {
	Samples []metric.Sample
	Events  []metric.Event
}

// Groups is how many groups its encoding has; a decoder takes MaxGroups.
func (b *Batch) Groups() int { return countGroups(b.Samples) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	clear(b.Samples)
	clear(b.Events)
	b.Samples, b.Events = b.Samples[:0], b.Events[:0]
}

// Append appends the encoding of b to dst. The samples' series must come from metric.NewSeries.
func Append(dst []byte, b *Batch) []byte {
	base := baseTime(b)
	dst = append(dst, version)
	dst = binary.AppendVarint(dst, base)
	dst = binary.AppendUvarint(dst, uint64(countGroups(b.Samples)))
	for i := 0; i < len(b.Samples); {
		n := groupLen(b.Samples[i:])
		first := b.Samples[i].Series
		dst = appendString(dst, first.Cluster)
		dst = appendString(dst, first.Host)
		dst = binary.AppendUvarint(dst, uint64(n))
		for _, s := range b.Samples[i : i+n] {
			dst = appendDescriptor(dst, s.Series)
			dst = binary.AppendVarint(dst, s.Time-base)
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Value))
		}
		i += n
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Events)))
	for i := range b.Events {
		dst = appendEvent(dst, &b.Events[i], base)
	}
	return dst
}

func baseTime(b *Batch) int64 {
	if len(b.Samples) > 0 {
		return b.Samples[0].Time
	}
	if len(b.Events) > 0 {
		return b.Events[0].Time
	}
	return 0
}

func groupLen(s []metric.Sample) int {
	n := 1
	for n < len(s) && s[n].Series.Host == s[0].Series.Host && s[n].Series.Cluster == s[0].Series.Cluster {
		n++
	}
	return n
}

func countGroups(s []metric.Sample) (n int) {
	for len(s) > 0 {
		s = s[groupLen(s):]
		n++
	}
	return n
}

// appendDescriptor appends the descriptor of a series, its length before it.
func appendDescriptor(dst []byte, s *metric.Series) []byte {
	n := 1 + stringLen(s.Name) + stringLen(string(s.Unit))
	for i := range s.Labels {
		n += stringLen(s.Labels[i].Name) + stringLen(s.Labels[i].Value)
	}
	dst = append(binary.AppendUvarint(dst, uint64(n)), byte(s.Kind))
	dst = appendString(dst, s.Name)
	dst = appendString(dst, string(s.Unit))
	for i := range s.Labels {
		dst = appendString(dst, s.Labels[i].Name)
		dst = appendString(dst, s.Labels[i].Value)
	}
	return dst
}

// stringLen is how many bytes appendString appends; no part of a series is longer than two bytes can say.
func stringLen(s string) int {
	if len(s) < 0x80 {
		return 1 + len(s)
	}
	return 2 + len(s)
}

func appendEvent(dst []byte, e *metric.Event, base int64) []byte {
	dst = appendString(dst, e.ID)
	dst = appendString(dst, e.Cluster)
	dst = appendString(dst, e.Host)
	dst = appendString(dst, string(e.Kind))
	dst = binary.AppendVarint(dst, e.Time-base)
	dst = appendString(dst, e.Text)
	dst = binary.AppendUvarint(dst, uint64(len(e.Labels)))
	for _, l := range e.Labels {
		dst = appendString(dst, l.Name)
		dst = appendString(dst, l.Value)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Decoder turns encodings back into batches. It keeps the series it has seen, so that equal series are equal
// pointers over all its batches. It is not safe for concurrent use.
type Decoder struct {
	// MaxSeries bounds the series remembered; a batch that would pass it is refused with ErrTooManySeries and
	// nothing of it is returned. 0 means one million.
	MaxSeries int

	groups map[string]*group // series seen since the last Sweep
	old    map[string]*group // series seen before it
	count  int
	host   []byte // the key of a group, reused
}

type group struct {
	cluster, host string
	series        map[string]*metric.Series
}

// ErrTooManySeries says that a Decoder's bound on remembered series is reached.
var ErrTooManySeries = errors.New("too many series")

// Sweep forgets the series that no batch since the last Sweep has named.
func (d *Decoder) Sweep() {
	d.old, d.groups, d.count = d.groups, nil, 0
}

// Decode appends what src holds to b. On an error, which wraps ErrMalformed or ErrTooManySeries, b is as before.
func (d *Decoder) Decode(src []byte, b *Batch) error {
	nSamples, nEvents := len(b.Samples), len(b.Events)
	if err := d.decode(src, b); err != nil {
		clear(b.Samples[nSamples:])
		clear(b.Events[nEvents:])
		b.Samples, b.Events = b.Samples[:nSamples], b.Events[:nEvents]
		return err
	}
	return nil
}

func (d *Decoder) decode(src []byte, b *Batch) error {
	r := reader{b: src}
	if v := r.byte(); r.err == nil && v != version {
		return fmt.Errorf("%w: version %d, this build reads %d", ErrMalformed, v, version)
	}
	base := r.varint()
	groups := r.count("groups", MaxGroups)
	total := 0
	for range groups {
		g := d.group(r.string(metric.MaxHost), r.string(metric.MaxHost), &r)
		n := r.count("samples", MaxSamples-total)
		total += n
		for range n {
			desc, dt, bits := r.string(maxDesc), r.varint(), r.fixed64()
			if r.err != nil {
				return r.fail()
			}
			s, err := d.series(g, desc)
			if err != nil {
				return err
			}
			b.Samples = append(b.Samples, metric.Sample{Series: s, Time: base + dt, Value: math.Float64frombits(bits)})
		}
		if r.err != nil {
			return r.fail()
		}
	}
	for range r.count("events", MaxEvents) {
		e := decodeEvent(&r, base)
		if r.err != nil {
			return r.fail()
		}
		if err := e.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		b.Events = append(b.Events, e)
	}
	if r.err == nil && len(r.b) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrMalformed, len(r.b))
	}
	return r.fail()
}

func (d *Decoder) group(cluster, host []byte, r *reader) *group {
	if r.err != nil {
		return nil
	}
	if d.groups == nil {
		d.groups = make(map[string]*group)
	}
	d.host = append(append(append(d.host[:0], cluster...), 0), host...)
	g := d.groups[string(d.host)]
	if g == nil {
		g = &group{cluster: string(cluster), host: string(host), series: make(map[string]*metric.Series)}
		d.groups[string(d.host)] = g
		d.count++ // a group without series costs memory too
	}
	return g
}

func (d *Decoder) series(g *group, desc []byte) (*metric.Series, error) {
	if s, ok := g.series[string(desc)]; ok {
		return s, nil
	}
	limit := d.MaxSeries
	if limit == 0 {
		limit = 1_000_000
	}
	if d.count >= limit {
		return nil, fmt.Errorf("%w: %d are remembered", ErrTooManySeries, d.count)
	}
	s, err := d.oldSeries(g, desc)
	if err != nil {
		return nil, err
	}
	g.series[string(desc)] = s
	d.count++
	return s, nil
}

// oldSeries takes the series over from before the last Sweep, so that its pointer stays the same, or makes it.
func (d *Decoder) oldSeries(g *group, desc []byte) (*metric.Series, error) {
	if o := d.old[g.cluster+"\x00"+g.host]; o != nil {
		if s := o.series[string(desc)]; s != nil {
			return s, nil
		}
	}
	return parseSeries(g.cluster, g.host, desc)
}

func parseSeries(cluster, host string, desc []byte) (*metric.Series, error) {
	r := reader{b: desc}
	kind := r.byte()
	name, unit := string(r.string(metric.MaxName)), string(r.string(metric.MaxUnit))
	var labels []metric.Label
	for r.err == nil && len(r.b) > 0 {
		l := metric.Label{Name: string(r.string(metric.MaxLabelName))}
		l.Value = string(r.string(metric.MaxLabelValue))
		labels = append(labels, l)
	}
	if r.err != nil {
		return nil, r.fail()
	}
	s, err := metric.NewSeries(cluster, host, name, labels, metric.Unit(unit), metric.Kind(kind))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return s, nil
}

func decodeEvent(r *reader, base int64) metric.Event {
	e := metric.Event{
		ID:      string(r.string(metric.MaxName)),
		Cluster: string(r.string(metric.MaxHost)),
		Host:    string(r.string(metric.MaxHost)),
		Kind:    metric.EventKind(r.string(metric.MaxName)),
		Time:    base + r.varint(),
		Text:    string(r.string(metric.MaxEventText)),
	}
	for range r.count("labels", metric.MaxLabels) {
		l := metric.Label{Name: string(r.string(metric.MaxLabelName))}
		l.Value = string(r.string(metric.MaxLabelValue))
		e.Labels = append(e.Labels, l)
	}
	return e
}

// reader takes parts off the front of b. After the first error every further part is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() error { return r.err }

func (r *reader) stop(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) < 1 {
		r.stop("cut short")
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.stop("bad integer")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.stop("bad integer")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) count(what string, limit int) int {
	v := r.uvarint()
	if v > uint64(max(limit, 0)) {
		r.stop(fmt.Sprintf("%d %s, at most %d", v, what, max(limit, 0)))
		return 0
	}
	return int(v)
}

func (r *reader) string(limit int) []byte {
	n := r.uvarint()
	if r.err != nil {
		return nil
	}
	if n > uint64(limit) || n > uint64(len(r.b)) {
		r.stop(fmt.Sprintf("string of %d bytes, at most %d and %d are left", n, limit, len(r.b)))
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) fixed64() uint64 {
	if len(r.b) < 8 {
		r.stop("cut short")
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}
