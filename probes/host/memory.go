package host

import (
	"bytes"
	"context"

	"keepwatch/metric"
)

// keyed is a class whose file has lines of a name and a number: /proc/meminfo, /proc/vmstat.
type keyed struct {
	path   string
	index  map[string]int // name in the file → place in series
	series []*metric.Series
	values []uint64
	has    []bool
	after  func(r *run) // what is computed from the values
}

func newKeyed(who owner, path string, names []string, describe func(name string) desc) *keyed {
	k := &keyed{path: path, index: make(map[string]int), values: make([]uint64, len(names)), has: make([]bool, len(names))}
	descs := make([]desc, len(names))
	for i, n := range names {
		k.index[n] = i
		descs[i] = describe(n)
	}
	k.series = fixed(who, descs)
	return k
}

func (k *keyed) collect(_ context.Context, t *Tree, r *run) error {
	b, err := t.Read(k.path)
	if err != nil {
		return err
	}
	k.parse(b)
	for i, ok := range k.has {
		if ok {
			r.putUint(k.series[i], k.values[i])
		}
	}
	if k.after != nil {
		k.after(r)
	}
	return nil
}

// parse takes the numbers of the names in index. "kB" after a number means 1,024 bytes; a colon after a name is no
// part of it.
func (k *keyed) parse(b []byte) {
	clear(k.has)
	for len(b) > 0 {
		var line []byte
		line, b = CutLine(b)
		name, rest := CutField(line)
		i, ok := k.index[string(bytes.TrimSuffix(name, []byte(":")))]
		if !ok {
			continue
		}
		v, rest, ok := CutUint(rest)
		if !ok {
			continue
		}
		if unit, _ := CutField(rest); string(unit) == "kB" {
			v *= 1024
		}
		k.values[i], k.has[i] = v, true
	}
}

// get gives the value of a name and whether the file had it.
func (k *keyed) get(name string) (float64, bool) {
	i, ok := k.index[name]
	if !ok || !k.has[i] {
		return 0, false
	}
	return float64(k.values[i]), true
}

func newMemory(who owner) *keyed {
	k := newKeyed(who, "/proc/meminfo", []string{
		"MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal",
		"SwapFree", "Dirty", "Writeback", "AnonPages", "Mapped", "Shmem", "Slab", "SReclaimable", "SUnreclaim",
		"KernelStack", "PageTables", "CommitLimit", "Committed_AS", "HugePages_Total", "HugePages_Free", "Hugepagesize",
	}, func(name string) desc {
		if name == "HugePages_Total" || name == "HugePages_Free" { // pages, not bytes
			return desc{name: "node_memory_" + name, kind: metric.Gauge}
		}
		return desc{name: "node_memory_" + name + "_bytes", unit: metric.Bytes, kind: metric.Gauge}
	})
	ratio := fixed(who, []desc{
		{name: "node_memory_used_ratio", unit: metric.Ratio, kind: metric.Gauge},
		{name: "node_swap_used_ratio", unit: metric.Ratio, kind: metric.Gauge},
	})
	k.after = func(r *run) {
		if v, ok := memoryUsed(k); ok {
			r.put(ratio[0], v)
		}
		total, ok := k.get("SwapTotal")
		if free, has := k.get("SwapFree"); ok && has && total > 0 {
			r.put(ratio[1], clampRatio(1-free/total))
		}
	}
	return k
}

// memoryUsed is the share of memory that no program could get without swapping. Kernels before 3.14 do not say
// MemAvailable; for them free, buffers and page cache count as available.
func memoryUsed(k *keyed) (float64, bool) {
	total, ok := k.get("MemTotal")
	if !ok || total == 0 {
		return 0, false
	}
	avail, ok := k.get("MemAvailable")
	if !ok {
		for _, n := range []string{"MemFree", "Buffers", "Cached"} {
			v, _ := k.get(n)
			avail += v
		}
	}
	return clampRatio(1 - avail/total), true
}

func clampRatio(v float64) float64 { return min(1, max(0, v)) }

func newVMStat(who owner) *keyed {
	return newKeyed(who, "/proc/vmstat", []string{"pgfault", "pgmajfault", "pswpin", "pswpout", "oom_kill"},
		func(name string) desc {
			return desc{name: "node_vmstat_" + name + "_total", kind: metric.Counter}
		})
}
