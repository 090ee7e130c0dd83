package host

import (
	"bytes"
	"context"
	"errors"

	"keepwatch/metric"
)

// userHZ is the unit of the times in /proc/stat, ticks in a second: 100 on every Linux that Go runs on, whatever
// the kernel's own HZ (proc(5)).
const userHZ = 100

// maxCPUs is more than the kernel's own bound, CONFIG_NR_CPUS.
const maxCPUs = 8192

// The places of a CPUTimes: the times of a cpu line, in its order. guest and guest_nice are part of user and nice already.
const (
	TimeUser = iota
	TimeNice
	TimeSystem
	TimeIdle
	TimeIOWait
	TimeIRQ
	TimeSoftIRQ
	TimeSteal
	TimeModes                 // how many add up to all time
	nTimes    = TimeModes + 2 // and guest, guest_nice
)

func modeNames() [TimeModes]string {
	return [TimeModes]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"}
}

// CPUTimes are times in ticks, a hundredth of a second each.
type CPUTimes [nTimes]uint64

// cpuLine is one processor. id points into the parsed bytes.
type cpuLine struct {
	id    []byte
	times CPUTimes
}

// Stat is /proc/stat. Its slices are used again by the next parse.
type Stat struct {
	total     CPUTimes
	cpus      []cpuLine
	counters  [nCounters]uint64
	has       [nCounters]bool
	sawTotal  bool
	malformed int
}

// The single numbers of /proc/stat.
const (
	cIntr = iota
	cCtxt
	cForks
	cSoftIRQ
	cBoot
	cRunning
	cBlocked
	nCounters
)

// Parse reads /proc/stat. Lines that it does not know are passed over, lines that are not what proc(5) says are
// counted in malformed.
func (s *Stat) Parse(b []byte) {
	*s = Stat{cpus: s.cpus[:0]}
	for len(b) > 0 {
		var line []byte
		line, b = CutLine(b)
		name, rest := CutField(line)
		if id, ok := bytes.CutPrefix(name, []byte("cpu")); ok {
			s.cpu(id, rest)
			continue
		}
		i := -1
		switch string(name) {
		case "intr":
			i = cIntr
		case "ctxt":
			i = cCtxt
		case "processes":
			i = cForks
		case "softirq":
			i = cSoftIRQ
		case "btime":
			i = cBoot
		case "procs_running":
			i = cRunning
		case "procs_blocked":
			i = cBlocked
		default:
			continue
		}
		v, _, ok := CutUint(rest)
		if !ok {
			s.malformed++
			continue
		}
		s.counters[i], s.has[i] = v, true
	}
}

// Total is the time of all processors together, in ticks; false: the file did not say.
func (s *Stat) Total() (CPUTimes, bool) { return s.total, s.sawTotal }

// CPUs is the number of processors online.
func (s *Stat) CPUs() int { return len(s.cpus) }

// Boot is when the machine started, epoch seconds; false: the file did not say.
func (s *Stat) Boot() (uint64, bool) { return s.counters[cBoot], s.has[cBoot] }

func (s *Stat) cpu(id, rest []byte) {
	var t CPUTimes
	if cutUints(rest, t[:]) < 4 { // the oldest kernels have four; those that are missing stay 0
		s.malformed++
		return
	}
	if len(id) == 0 {
		s.total, s.sawTotal = t, true
		return
	}
	if _, ok := ParseUint(id); !ok || len(s.cpus) >= maxCPUs {
		s.malformed++
		return
	}
	s.cpus = append(s.cpus, cpuLine{id, t})
}

// Usage gives the share of each mode in the time between two totals, and false when no time has passed. A time that
// went back, which the kernel allows iowait to do, counts as not having moved.
func Usage(old, now *CPUTimes) (share [TimeModes]float64, ok bool) {
	var all uint64
	var delta [TimeModes]uint64
	for i := range TimeModes {
		if now[i] > old[i] {
			delta[i] = now[i] - old[i]
			all += delta[i]
		}
	}
	if all == 0 {
		return share, false
	}
	for i := range delta {
		share[i] = float64(delta[i]) / float64(all)
	}
	return share, true
}

// stat is the class of all that /proc/stat holds.
type stat struct {
	parsed   Stat
	old      CPUTimes
	sawOld   bool
	cpus     *family
	usage    []*metric.Series // by mode, then busy
	counters []*metric.Series
	count    []*metric.Series
}

func newStat(who owner) *stat {
	var cpu, share []desc
	for _, m := range modeNames() {
		cpu = append(cpu, desc{"node_cpu_seconds_total", metric.Seconds, metric.Counter, metric.Label{Name: "mode", Value: m}})
		share = append(share, desc{"node_cpu_usage_ratio", metric.Ratio, metric.Gauge, metric.Label{Name: "mode", Value: m}})
	}
	for _, m := range []string{"user", "nice"} {
		cpu = append(cpu, desc{"node_cpu_guest_seconds_total", metric.Seconds, metric.Counter, metric.Label{Name: "mode", Value: m}})
	}
	share = append(share, desc{"node_cpu_usage_ratio", metric.Ratio, metric.Gauge, metric.Label{Name: "mode", Value: "busy"}})
	return &stat{
		cpus:  newFamily(who, "cpus", maxCPUs, cpu),
		usage: fixed(who, share),
		count: fixed(who, []desc{{name: "node_cpu_count", kind: metric.Gauge}}),
		counters: fixed(who, []desc{
			cIntr:    {name: "node_intr_total", kind: metric.Counter},
			cCtxt:    {name: "node_context_switches_total", kind: metric.Counter},
			cForks:   {name: "node_forks_total", kind: metric.Counter},
			cSoftIRQ: {name: "node_softirqs_total", kind: metric.Counter},
			cBoot:    {name: "node_boot_time_seconds", unit: metric.Seconds, kind: metric.Gauge},
			cRunning: {name: "node_procs_running", kind: metric.Gauge},
			cBlocked: {name: "node_procs_blocked", kind: metric.Gauge},
		}),
	}
}

func (c *stat) collect(_ context.Context, t *Tree, r *run) error {
	b, err := t.Read("/proc/stat")
	if err != nil {
		return err
	}
	s := &c.parsed
	s.Parse(b)
	c.cpus.begin()
	for i := range s.cpus {
		c.emitCPU(&s.cpus[i], r)
	}
	err = c.cpus.end()
	r.put(c.count[0], float64(len(s.cpus)))
	for i, ok := range s.has {
		if ok {
			r.putUint(c.counters[i], s.counters[i])
		}
	}
	if s.sawTotal {
		c.emitUsage(r)
	}
	if s.malformed > 0 || !s.sawTotal {
		err = errors.Join(err, errors.New("cannot read all of /proc/stat: it has lines that are not as proc(5) says"))
	}
	return err
}

func (c *stat) emitCPU(l *cpuLine, r *run) {
	d := c.cpus.find(l.id)
	if d == nil {
		if d = c.cpus.add(l.id, metric.Label{Name: "cpu", Value: string(l.id)}); d == nil {
			return
		}
	}
	for i, v := range l.times {
		r.put(d.series[i], float64(v)/userHZ)
	}
}

func (c *stat) emitUsage(r *run) {
	old := c.old
	c.old = c.parsed.total
	if !c.sawOld {
		c.sawOld = true
		return
	}
	share, ok := Usage(&old, &c.old)
	if !ok {
		return
	}
	for i, v := range share {
		r.put(c.usage[i], v)
	}
	r.put(c.usage[TimeModes], max(0, 1-share[TimeIdle]-share[TimeIOWait]))
}
