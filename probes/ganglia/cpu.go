package ganglia

import (
	"errors"
	"time"

	"keepwatch/probes/host"
)

// cpu is a metric that is a share of time since its previous collection.
type cpu struct {
	old  host.CPUTimes // zero at first: then it is the share since the machine started, as gmond's
	last float64
}

// modes are the times that count for a metric. cpu_system holds both kinds of interrupts, as gmond's does.
func modes(place int) []int {
	switch place {
	case cpuUser:
		return []int{host.TimeUser}
	case cpuNice:
		return []int{host.TimeNice}
	case cpuSystem:
		return []int{host.TimeSystem, host.TimeIRQ, host.TimeSoftIRQ}
	case cpuIdle:
		return []int{host.TimeIdle}
	case cpuWio:
		return []int{host.TimeIOWait}
	case cpuIntr:
		return []int{host.TimeIRQ}
	case cpuSintr:
		return []int{host.TimeSoftIRQ}
	case cpuSteal:
		return []int{host.TimeSteal}
	}
	return nil
}

// percent gives the share since the last call; when no time has passed, the share of then.
func (c *cpu) percent(now *host.CPUTimes, modes []int) float64 {
	share, ok := host.Usage(&c.old, now)
	if !ok {
		return c.last
	}
	c.old, c.last = *now, 0
	for _, m := range modes {
		c.last += 100 * share[m]
	}
	return c.last
}

func (p *Probe) readStat(_ time.Time, places []int) error {
	b, err := p.tree.Read("/proc/stat")
	if err != nil {
		return err
	}
	p.stat.Parse(b)
	boot, ok := p.stat.Boot()
	if ok {
		p.number(bootTime, float64(boot))
	}
	total, sawTotal := p.stat.Total()
	if !ok || !sawTotal {
		err = errors.New("cannot read all of /proc/stat: it has lines that are not as proc(5) says")
	}
	if n := p.stat.CPUs(); n > 0 {
		p.number(cpuNum, float64(n))
	}
	if !sawTotal {
		return err
	}
	for _, place := range places {
		if m := modes(place); m != nil {
			p.number(place, p.cpus[place].percent(&total, m))
		}
	}
	if share, ok := host.Usage(new(host.CPUTimes), &total); ok {
		p.number(cpuAidle, 100*share[host.TimeIdle])
	}
	return err
}
