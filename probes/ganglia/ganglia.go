// Package ganglia reads from this host what gmond's own modules read, in gmond's units: the metrics of its default
// configuration, so that old aggregators and ganglia-web's standard graphs go on working. It never decides when a
// metric is read or sent, and never sends: the collector calls Collect for what collector/gmondsend says is due.
//
// Numbers are those of gmond 3.7's Linux modules (libmetrics/linux/metrics.c) but where these are plainly wrong: see
// network.go and disks.go.
package ganglia

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/probes/host"
)

// Options say what cannot be read.
type Options struct {
	// Root is put before /proc, /sys and every mount point. Empty: the machine's own.
	Root string

	Started  time.Time // value of heartbeat: when the sender started
	Location string    // as rack,rank,plane; empty: unspecified
}

// Value is the value of one metric: Text of a String, else Number.
type Value struct {
	Number float64
	Text   string
	OK     bool // false: it could not be read now
}

// Probe reads the metrics. It is not for concurrent use.
type Probe struct {
	opt        Options
	metrics    []Metric
	tree       *host.Tree
	statfs     func(string, *unix.Statfs_t) error
	uname      func(*unix.Utsname) error
	interfaces func() ([]net.Interface, error)

	stat   host.Stat
	cpus   [nMetrics]cpu // of those that are a share of time
	net    network
	wanted [fromSystem + 1]bool
	values [nMetrics]Value
}

// New makes a probe. What is a rate is counted from now on.
func New(o Options, now time.Time) *Probe {
	p := &Probe{
		opt: o, metrics: Metrics(), tree: host.NewTree(o.Root), statfs: unix.Statfs, uname: unix.Uname, interfaces: net.Interfaces,
	}
	if b, err := p.tree.Read("/proc/net/dev"); err == nil { // an error shows again at the first Collect
		p.net.begin(p.bonding, bytes.Clone(b), now) // the look for bonds uses the tree's memory
	}
	return p
}

// Collect reads the metrics of these places in Metrics and gives their values, one for each. What could not be read
// is not OK and named in the error. now counts for what is a rate.
func (p *Probe) Collect(now time.Time, places []int) ([]Value, error) {
	clear(p.wanted[:])
	for _, i := range places {
		p.wanted[p.metrics[i].read] = true
		p.values[i] = Value{}
	}
	var errs []error
	for from, read := range [...]func(time.Time, []int) error{
		fromStat: p.readStat, fromLoad: p.readLoad, fromMemory: p.readMemory,
		fromNetwork: p.readNetwork, fromDisks: p.readDisks, fromSystem: p.readSystem,
	} {
		if p.wanted[from] {
			errs = append(errs, read(now, places))
		}
	}
	out := make([]Value, len(places))
	for i, place := range places {
		out[i] = p.values[place]
	}
	return out, errors.Join(errs...)
}

func (p *Probe) number(place int, v float64) { p.values[place] = Value{Number: v, OK: true} }
func (p *Probe) text(place int, s string)    { p.values[place] = Value{Text: s, OK: s != ""} }

func (p *Probe) readLoad(time.Time, []int) error {
	b, err := p.tree.Read("/proc/loadavg")
	if err != nil {
		return err
	}
	l, ok := host.ParseLoad(b)
	if !ok {
		return fmt.Errorf("cannot read /proc/loadavg: %.60q is not as proc(5) says", b)
	}
	p.number(loadOne, l.Averages[0])
	p.number(loadFive, l.Averages[1])
	p.number(loadFifteen, l.Averages[2])
	p.number(procRun, float64(max(l.Running, 1)-1)) // without the reader itself
	p.number(procTotal, float64(l.Threads))
	return nil
}

// readMemory takes /proc/meminfo's numbers as they are. MemShared has been 0 since Linux 2.5.52, in gmond too: what is
// shared now (Shmem) is part of Cached, and graphs that stack the two would count it twice.
func (p *Probe) readMemory(time.Time, []int) error {
	b, err := p.tree.Read("/proc/meminfo")
	if err != nil {
		return err
	}
	p.number(memShared, 0)
	for len(b) > 0 {
		var line []byte
		line, b = host.CutLine(b)
		name, rest := host.CutField(line)
		v, _, ok := host.CutUint(rest)
		if !ok {
			continue
		}
		switch string(name) {
		case "MemTotal:":
			p.number(memTotal, float64(v))
		case "MemFree:":
			p.number(memFree, float64(v))
		case "MemShared:":
			p.number(memShared, float64(v))
		case "Buffers:":
			p.number(memBuffers, float64(v))
		case "Cached:":
			p.number(memCached, float64(v))
		case "SReclaimable:":
			p.number(memSreclaimable, float64(v))
		case "SwapTotal:":
			p.number(swapTotal, float64(v))
		case "SwapFree:":
			p.number(swapFree, float64(v))
		}
	}
	return nil
}

func (p *Probe) readSystem(now time.Time, places []int) error {
	p.number(heartbeat, float64(p.opt.Started.Unix()))
	p.text(gexec, "OFF") // gexec(1) of the Ganglia project is gone; gmond says so too
	p.text(location, cmp.Or(p.opt.Location, "unspecified"))
	p.number(sysClock, float64(now.Unix()))
	p.text(osName, "Linux")
	var errs []error
	var u unix.Utsname
	if err := p.uname(&u); err != nil {
		errs = append(errs, fmt.Errorf("cannot ask the kernel for its name: %w", err))
	} else {
		p.text(osRelease, unix.ByteSliceToString(u.Release[:]))
		p.text(machineType, machine(unix.ByteSliceToString(u.Machine[:])))
	}
	for _, place := range places {
		switch place {
		case cpuSpeed:
			p.number(cpuSpeed, p.speed())
		case mtu:
			errs = append(errs, p.readMTU())
		}
	}
	return errors.Join(errs...)
}

// machine gives the name that gmond has compiled in for its processor. Where it has none, that of the kernel.
func machine(kernel string) string {
	for _, m := range []struct{ prefix, name string }{
		{"x86_64", "x86_64"}, {"ia64", "ia64"}, {"sparc", "sparc"}, {"alpha", "alpha"}, {"ppc", "powerpc"},
		{"m68k", "m68k"}, {"mips", "mips"}, {"armv", "arm"}, {"parisc", "hppa"}, {"s390", "s390"},
	} {
		if len(kernel) >= len(m.prefix) && kernel[:len(m.prefix)] == m.prefix {
			return m.name
		}
	}
	if len(kernel) == 4 && kernel[0] == 'i' && kernel[2:] == "86" {
		return "x86"
	}
	return kernel
}

// speed gives the first processor's highest speed in MHz, or what it runs at, or 0 where the machine does not say.
func (p *Probe) speed() float64 {
	if b, err := p.tree.Read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq"); err == nil {
		if khz, ok := host.ParseUint(bytes.TrimSpace(b)); ok && khz >= 1000 {
			return float64(khz / 1000)
		}
	}
	b, err := p.tree.Read("/proc/cpuinfo")
	if err != nil {
		return 0
	}
	for len(b) > 0 {
		var line []byte
		line, b = host.CutLine(b)
		key, value, ok := bytes.Cut(line, []byte{':'})
		if name := bytes.TrimSpace(key); !ok || string(name) != "cpu MHz" && string(name) != "clock" {
			continue
		}
		whole, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte{'.'})
		mhz, _ := host.ParseUint(bytes.TrimSuffix(whole, []byte("MHz")))
		return float64(mhz)
	}
	return 0
}

// readMTU gives the smallest MTU of the interfaces that are up.
func (p *Probe) readMTU() error {
	list, err := p.interfaces()
	if err != nil {
		return fmt.Errorf("cannot list the network interfaces: %w", err)
	}
	least := 0
	for _, i := range list {
		if i.Flags&net.FlagUp != 0 && (least == 0 || i.MTU < least) {
			least = i.MTU
		}
	}
	p.number(mtu, float64(least))
	return nil
}
