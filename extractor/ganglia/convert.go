package ganglia

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/internal/batch"
	tree "keepwatch/internal/ganglia"
	"keepwatch/metric"
)

const (
	hostUpMetric = "keepwatch_host_up"
	batchSamples = 10_000

	anyRhythm = 300 // s between two times that a gmetad asks a gmond, while it is not known

	sweepEvery = 3600 // s: what was not told since the last sweep is forgotten
	infoEvery  = 3600 // s: what is known of a metric is told again
	maxMade    = 1000 // series that the texts of one host may make between two sweeps

	stale      = 2 * 3600 // s: a value that is older when it is first seen is none of ours
	clockSlack = 2        // s that clocks may differ: TN and LOCALTIME are whole seconds
	startSlack = 60       // s by which a gmond may have started before its host's boot, or in its aggregator's future
	rounding   = 2        // s by which the time of one value differs from poll to poll: three terms of it are cut to seconds

	// elsewhere is the same when another clock tells it: either may be clockSlack off without being corrected.
	elsewhere = rounding + 2*clockSlack
)

var (
	samplesTotal   = metrics.GetOrCreateCounter(`keepwatch_ganglia_samples_total`)
	valuesEmpty    = metrics.GetOrCreateCounter(`keepwatch_ganglia_values_dropped_total{reason="empty"}`)
	valuesNoNumber = metrics.GetOrCreateCounter(`keepwatch_ganglia_values_dropped_total{reason="not_a_number"}`)
	valuesUnfit    = metrics.GetOrCreateCounter(`keepwatch_ganglia_values_dropped_total{reason="unfit_name"}`)
	valuesTooMany  = metrics.GetOrCreateCounter(`keepwatch_ganglia_values_dropped_total{reason="too_many_series"}`)
)

// converter makes samples of a cluster's tree: of each value one, at the time at which its host sent it. The tree
// says the same value again at each poll until there is a newer one; a value is new when its time is, by our clock:
// those of the aggregators that take turns may differ.
type converter struct {
	mu      sync.Mutex
	cluster string
	hosts   map[string]*host
	clock   int64  // of the source, s
	offset  int64  // s to add to it
	from    string // who told the present tree
	teller  uint32 // counts those, and their offsets
	swept   int64

	now    int64 // s, of the present take
	asked  int64 // LOCALTIME of the last tree: when who tells of the cluster asked it
	every  int64 // s between the last two
	behind int64 // s since then
	out    batch.Batch
	ups    []metric.Sample // of hostUpMetric
	sink   func(*batch.Batch) error
}

type host struct {
	metrics map[string]*last
	up      *metric.Series
	offset  int64 // s to add to the clock of who told of it
	seen    int64
	made    int
}

// last is the newest value of a metric.
type last struct {
	at                int64  // s
	teller            uint32 // who told it
	value             string
	typ, units, slope string
	series, info      *metric.Series
	text              string // label value of a textual series
	told, seen        int64  // s
}

func newConverter(cluster string) *converter {
	return &converter{cluster: cluster, hosts: make(map[string]*host), every: anyRhythm}
}

// take hands the new values of a cluster, as an address told it at now, to sink, in batches. The error is the sink's.
func (c *converter) take(t *tree.Cluster, from string, now time.Time, sink func(*batch.Batch) error, log *slog.Logger) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch at := now.Unix(); {
	case at < c.now-clockSlack:
		c.setBack(at)
	case at > c.now+sweepEvery: // nobody told of anything for so long
		c.swept = at
	}
	c.now, c.sink = now.Unix(), sink
	if from != c.from {
		c.from = from
		c.teller++
	}
	c.setClock(t, log)
	for _, i := range newest(t.Hosts) {
		if err := c.host(&t.Hosts[i], clockOf(&t.Hosts[i], t), t.LocalTime); err != nil {
			return err
		}
	}
	// Those of all hosts go together: several may be of one, by the rules of the Sink.
	if err := c.flush(); err != nil {
		return err
	}
	c.out.Samples = append(c.out.Samples, c.ups...)
	clear(c.ups)
	c.ups = c.ups[:0]
	c.sweep()
	return c.flush()
}

// setBack takes back what was noted while our clock was ahead of now: nothing can be newer.
func (c *converter) setBack(now int64) {
	c.swept = min(c.swept, now)
	c.teller++
	for _, h := range c.hosts {
		h.seen = min(h.seen, now)
		for _, l := range h.metrics {
			l.at, l.told, l.seen = min(l.at, now-elsewhere-1), min(l.told, now), min(l.seen, now)
		}
	}
}

// newest picks, of hosts of one name, the one that was heard last.
func newest(hosts []tree.Host) (picked []int) {
	at := make(map[string]int, len(hosts))
	for i := range hosts {
		name := hosts[i].Name
		if k, twice := at[name]; !twice {
			at[name] = len(picked)
			picked = append(picked, i)
		} else if hosts[i].TN < hosts[picked[k]].TN {
			picked[k] = i
		}
	}
	return picked
}

// clockOf is what time it is for the gmond that heard a host: a gmetad in between makes TN grow, REPORTED stays.
func clockOf(h *tree.Host, t *tree.Cluster) int64 {
	if h.Reported > 0 {
		return h.Reported + int64(h.TN)
	}
	return t.LocalTime
}

// sourceClock is what time it is for the source. LOCALTIME is that, but stands still in a gmetad that has not polled
// since; the clock on which the hosts agree goes on then. One host alone proves nothing: who told of it may have had
// another clock, or have set it since.
func sourceClock(t *tree.Cluster) int64 {
	var all, alive []int64
	for i := range t.Hosts {
		if h := &t.Hosts[i]; h.Reported > 0 && !h.Carried {
			all = append(all, clockOf(h, t))
			if h.Up() {
				alive = append(alive, clockOf(h, t))
			}
		}
	}
	if len(alive) == 0 {
		alive = all
	}
	clock := t.LocalTime
	if len(alive) == 0 {
		return clock
	}
	slices.Sort(alive)
	middle := alive[(len(alive)-1)/2]
	for _, at := range alive {
		if at <= middle+clockSlack {
			clock = max(clock, at)
		}
	}
	return clock
}

// setClock compares the source's clock with ours. A small difference is none, and one that is known stays as it is,
// so that a value has the same time at each poll.
func (c *converter) setClock(t *tree.Cluster, log *slog.Logger) {
	c.clock = sourceClock(t)
	if step := t.LocalTime - c.asked; c.asked > 0 && step > 0 {
		c.every = min(step, sweepEvery)
	}
	c.asked, c.behind = t.LocalTime, c.clock-t.LocalTime
	offset := c.now - c.clock
	if near(offset, c.offset) {
		return
	}
	if near(offset, 0) {
		offset = 0
	}
	c.offset = offset
	c.teller++
	if offset != 0 {
		log.Warn("the clock of the source is not ours; its times are corrected. Set its clock by NTP", "cluster", c.cluster, "source", c.from, "behind_seconds", offset)
	}
}

func near(a, b int64) bool { return a-b >= -clockSlack && a-b <= clockSlack }

// unasked says of a host that is silent for too long that it was not yet when its gmond was asked last: in a gmetad
// that cannot ask it any more TN grows and LOCALTIME stands still. Who does not hear must not say that others are silent.
func unasked(h *tree.Host, local int64) bool {
	if h.Carried || h.Reported == 0 || local < h.Reported {
		return false
	}
	then := *h
	then.TN = uint32(min(int64(h.TN), local-h.Reported))
	return then.Up()
}

func (c *converter) host(h *tree.Host, clock, local int64) error {
	name := tree.Text(h.Name, metric.MaxHost)
	s := c.hosts[name]
	if s == nil {
		up, err := metric.NewSeries(c.cluster, name, hostUpMetric, nil, metric.NoUnit, metric.State)
		if err != nil {
			valuesUnfit.Inc()
			return nil
		}
		s = &host{metrics: make(map[string]*last, len(h.Metrics)), up: up}
		c.hosts[name] = s
	}
	if s.seen == 0 || near(clock, c.clock) { // else another clock told of it, whose offset it keeps
		s.offset = c.offset
	}
	s.seen = c.now
	switch {
	case h.Up():
		c.ups = append(c.ups, metric.Sample{Series: s.up, Time: c.now * 1000, Value: 1})
	case !unasked(h, local):
		c.ups = append(c.ups, metric.Sample{Series: s.up, Time: c.now * 1000})
	}
	for i := range h.Metrics {
		if err := c.metric(name, s, &h.Metrics[i], clock); err != nil {
			return err
		}
	}
	for _, m := range attributes(h, clock) {
		if err := c.metric(name, s, &m, clock); err != nil {
			return err
		}
	}
	return nil
}

// attributes are the metrics that gmond tells as attributes of a host: heartbeat, whose value is when its gmond
// started, and location.
func attributes(h *tree.Host, clock int64) (out []tree.Metric) {
	if isStart(h, clock) {
		out = append(out, tree.Metric{Name: "heartbeat", Value: strconv.FormatInt(h.Started, 10), Type: "uint32", Slope: "unspecified", TN: h.TN})
	}
	if h.Location != "" && h.Location != "unspecified" {
		out = append(out, tree.Metric{Name: "location", Value: h.Location, Type: "string", Slope: "zero", TN: h.TN})
	}
	return out
}

// isStart says whether what stands as the start of a host's gmond is that. Of a heartbeat sent as text, as gmetric -H
// does, gmond shows bits of a pointer, which may look like a time: so it counts between the host's boot and now, and only
// where a gmond tells of the boot.
func isStart(h *tree.Host, clock int64) bool {
	const earliest = 1_000_000_000
	for i := range h.Metrics {
		if m := &h.Metrics[i]; m.Name == "boottime" {
			boot, ok := tree.Number(m.Value)
			return ok && float64(h.Started) >= max(boot-startSlack, earliest) && h.Started <= clock+startSlack
		}
	}
	return false
}

// metric adds the sample of a metric if its value is new.
func (c *converter) metric(hostName string, h *host, m *tree.Metric, clock int64) error {
	l := h.metrics[m.Name]
	if l == nil {
		l = &last{}
		h.metrics[m.Name] = l
	}
	l.seen = c.now
	at := clock - int64(m.TN) + h.offset
	if l.at == 0 && int64(m.TN) > stale {
		l.at, l.value, l.teller = at, m.Value, c.teller
	}
	if m.Carried || !l.older(at, m.Value, c.teller) {
		return nil
	}
	l.at, l.value, l.teller = at, m.Value, c.teller
	v, text, ok := value(m)
	if !ok || !c.name(hostName, h, m, l, text) {
		return nil
	}
	c.add(l.series, at*1000, v)
	if l.info != nil && c.now-l.told >= infoEvery {
		l.told = c.now
		c.add(l.info, c.now*1000, 1)
	}
	if len(c.out.Samples) >= batchSamples {
		return c.flush()
	}
	return nil
}

// older says whether a value of that time is a newer one than l.
func (l *last) older(at int64, value string, teller uint32) bool {
	if value != l.value {
		return at > l.at
	}
	if teller != l.teller {
		return at > l.at+elsewhere
	}
	return at > l.at+rounding
}

// value reads a VAL by its TYPE. Text gives 1 and itself.
func value(m *tree.Metric) (v float64, text string, ok bool) {
	class := tree.ClassOf(m.Type)
	if class != tree.Textual {
		if v, ok = tree.Number(m.Value); ok {
			return v, "", true
		}
	}
	text = tree.Text(m.Value, metric.MaxLabelValue)
	switch {
	case text == "":
		valuesEmpty.Inc()
	case class == tree.Textual || class == tree.ByValue:
		return 1, text, true
	default:
		valuesNoNumber.Inc()
	}
	return 0, "", false
}

// name sees to it that the series of l are those of m.
func (c *converter) name(hostName string, h *host, m *tree.Metric, l *last, text string) bool {
	described := l.typ == m.Type && l.units == m.Units && l.slope == m.Slope
	if l.series != nil && described && l.text == text {
		return true
	}
	if l.series != nil {
		if h.made++; h.made > maxMade {
			valuesTooMany.Inc()
			return false
		}
	}
	s, err := tree.NewSeries(c.cluster, hostName, m, text)
	if err != nil {
		valuesUnfit.Inc()
		return false
	}
	l.series, l.text = s, text
	if !described || l.info == nil {
		l.typ, l.units, l.slope, l.told = m.Type, m.Units, m.Slope, 0
		if l.info, err = tree.NewInfoSeries(c.cluster, hostName, m); err != nil {
			valuesUnfit.Inc()
		}
	}
	return true
}

func (c *converter) add(s *metric.Series, at int64, v float64) {
	c.out.Samples = append(c.out.Samples, metric.Sample{Series: s, Time: at, Value: v})
}

func (c *converter) flush() error {
	if len(c.out.Samples)+len(c.out.Events) == 0 {
		return nil
	}
	samplesTotal.Add(len(c.out.Samples))
	err := c.sink(&c.out)
	c.out.Reset()
	return err
}

// sweep forgets hosts and metrics that were not told for an hour. Of hosts it tells.
func (c *converter) sweep() {
	if c.now-c.swept < sweepEvery {
		return
	}
	c.swept = c.now
	for name, h := range c.hosts {
		if c.now-h.seen > sweepEvery {
			c.forget(name)
			continue
		}
		h.made = 0
		for m, l := range h.metrics {
			if c.now-l.seen > sweepEvery {
				delete(h.metrics, m)
			}
		}
	}
}

func (c *converter) forget(host string) {
	delete(c.hosts, host)
	c.out.Events = append(c.out.Events, metric.Event{
		ID: fmt.Sprintf("forgotten-%d", c.now*1000), Cluster: c.cluster, Host: host, Time: c.now * 1000, Kind: metric.EventHostForgotten,
		Text: fmt.Sprintf("%.60s has not told of %.250s for an hour; it is forgotten", c.from, host),
	})
}

// end forgets all hosts of a cluster of which no source tells any more.
func (c *converter) end(now time.Time, sink func(*batch.Batch) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.sink = now.Unix(), sink
	for name := range c.hosts {
		c.forget(name)
	}
	return c.flush()
}

// idle reports whether the cluster has not been told of for an hour.
func (c *converter) idle(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Unix()-c.now > sweepEvery
}

// unasked is for how many seconds who told of the cluster last has not asked it, and whether it should have by then.
func (c *converter) unasked() (seconds int64, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.behind, c.behind >= gone+2*c.every
}
