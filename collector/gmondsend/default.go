package gmondsend

import (
	"time"

	"keepwatch/internal/conf"
)

// Default are the collection groups of gmond 3.7 as `gmond -t` prints them.
func Default() []conf.GmondGroup {
	group := func(every, threshold int, metrics ...conf.GmondMetric) conf.GmondGroup {
		return conf.GmondGroup{
			Every: time.Duration(every) * time.Second, Threshold: time.Duration(threshold) * time.Second, Metrics: metrics,
		}
	}
	once := func(g conf.GmondGroup) conf.GmondGroup { g.Once = true; return g }
	by := func(threshold float64, names ...string) (all []conf.GmondMetric) {
		for _, n := range names {
			all = append(all, conf.GmondMetric{Name: n, ValueThreshold: threshold})
		}
		return all
	}
	const never = -1
	cpu := append(by(1, "cpu_user", "cpu_system"), by(5, "cpu_idle")...)
	cpu = append(append(append(cpu, by(1, "cpu_nice")...), by(5, "cpu_aidle")...), by(1, "cpu_wio", "cpu_steal")...)
	return []conf.GmondGroup{
		once(group(60, 20, by(never, "heartbeat")...)),
		group(60, 60, by(never, "cpu_num", "cpu_speed", "mem_total", "swap_total", "boottime", "machine_type", "os_name",
			"os_release", "location")...),
		once(group(60, 300, by(never, "gexec")...)),
		group(20, 90, cpu...),
		group(20, 90, by(1, "load_one", "load_five", "load_fifteen")...),
		group(80, 950, by(1, "proc_run", "proc_total")...),
		group(40, 180, by(1024, "mem_free", "mem_shared", "mem_buffers", "mem_cached", "swap_free")...),
		group(40, 300, append(by(4096, "bytes_out", "bytes_in"), by(256, "pkts_in", "pkts_out")...)...),
		group(1800, 3600, by(1, "disk_total")...),
		group(40, 180, by(1, "disk_free", "part_max_used")...),
	}
}
