package ganglia

// Type is the type that gmond names in a metric's metadata. It also says as which message the value travels.
type Type string

// The types of this host's metrics.
const (
	String Type = "string"
	Uint16 Type = "uint16"
	Uint32 Type = "uint32"
	Float  Type = "float"
	Double Type = "double"
)

// Slope is how a metric moves, by the number that it has on the wire (ganglia_slope in gmond's ganglia.h).
type Slope uint32

// The slopes of this host's metrics.
const (
	Zero        Slope = 0
	Both        Slope = 3
	Unspecified Slope = 4
)

// Metric is what gmond tells of one of its metrics.
type Metric struct {
	Name   string
	Type   Type
	Units  string
	Format string // printf directive by which receivers print it
	Slope  Slope
	TMax   uint32 // seconds between two values at most
	Title  string // as gmond's default configuration has it; empty: the name
	Desc   string
	Group  string

	read int // which source of Probe it comes from
}

// Sources of a Probe: what is read at once.
const (
	fromStat = iota
	fromLoad
	fromMemory
	fromNetwork
	fromDisks
	fromSystem
)

// Metrics are all metrics that gmond 3.7 has on Linux, in the order in which Probe.Collect counts them: those of its
// default configuration and the five that it leaves out (cpu_intr, cpu_sintr, mem_sreclaimable, mtu, sys_clock).
func Metrics() []Metric {
	cpu := func(name, title, desc string, tmax uint32) Metric {
		return Metric{name, Float, "%", "%.1f", Both, tmax, title, desc, "cpu", fromStat}
	}
	load := func(name, title, desc string, tmax uint32) Metric {
		return Metric{name, Float, " ", "%.2f", Both, tmax, title, desc, "load", fromLoad}
	}
	processes := func(name, title, desc string) Metric {
		return Metric{name, Uint32, " ", "%u", Both, 950, title, desc, "process", fromLoad}
	}
	memory := func(name, title, desc string) Metric {
		return Metric{name, Float, "KB", "%.0f", Both, 180, title, desc, "memory", fromMemory}
	}
	total := func(name, title, desc string) Metric {
		return Metric{name, Float, "KB", "%.0f", Zero, 1200, title, desc, "memory", fromMemory}
	}
	network := func(name, units, title, desc string) Metric {
		return Metric{name, Float, units, "%.2f", Both, 300, title, desc, "network", fromNetwork}
	}
	system := func(name string, t Type, units, format string, title, desc string) Metric {
		return Metric{name, t, units, format, Zero, 1200, title, desc, "system", fromSystem}
	}
	return []Metric{
		heartbeat: {"heartbeat", Uint32, "", "%u", Unspecified, 20, "", "Last heartbeat", "core", fromSystem},
		gexec:     {"gexec", String, "", "%s", Zero, 300, "Gexec Status", "gexec available", "core", fromSystem},
		location:  {"location", String, "(x,y,z)", "%s", Unspecified, 1200, "Location", "Location of the machine", "core", fromSystem},

		cpuNum:   {"cpu_num", Uint16, "CPUs", "%hu", Zero, 1200, "CPU Count", "Total number of CPUs", "cpu", fromStat},
		cpuSpeed: {"cpu_speed", Uint32, "MHz", "%u", Zero, 1200, "CPU Speed", "CPU Speed in terms of MHz", "cpu", fromSystem},
		cpuUser:  cpu("cpu_user", "CPU User", "Percentage of CPU utilization that occurred while executing at the user level", 90),
		cpuNice: cpu("cpu_nice", "CPU Nice",
			"Percentage of CPU utilization that occurred while executing at the user level with nice priority", 90),
		cpuSystem: cpu("cpu_system", "CPU System",
			"Percentage of CPU utilization that occurred while executing at the system level", 90),
		cpuIdle: cpu("cpu_idle", "CPU Idle",
			"Percentage of time that the CPU or CPUs were idle and the system did not have an outstanding disk I/O request", 90),
		cpuWio: cpu("cpu_wio", "CPU wio",
			"Percentage of time that the CPU or CPUs were idle during which the system had an outstanding disk I/O request", 90),
		cpuIntr:  cpu("cpu_intr", "CPU intr", "cpu_intr", 90),
		cpuSintr: cpu("cpu_sintr", "CPU sintr", "cpu_sintr", 90),
		cpuSteal: cpu("cpu_steal", "CPU steal", "cpu_steal", 90),
		cpuAidle: cpu("cpu_aidle", "CPU aidle", "Percent of time since boot idle CPU", 3800),

		loadOne:     load("load_one", "One Minute Load Average", "One minute load average", 70),
		loadFive:    load("load_five", "Five Minute Load Average", "Five minute load average", 325),
		loadFifteen: load("load_fifteen", "Fifteen Minute Load Average", "Fifteen minute load average", 950),
		procRun:     processes("proc_run", "Total Running Processes", "Total number of running processes"),
		procTotal:   processes("proc_total", "Total Processes", "Total number of processes"),

		memTotal:        total("mem_total", "Memory Total", "Total amount of memory displayed in KBs"),
		memFree:         memory("mem_free", "Free Memory", "Amount of available memory"),
		memShared:       memory("mem_shared", "Shared Memory", "Amount of shared memory"),
		memBuffers:      memory("mem_buffers", "Memory Buffers", "Amount of buffered memory"),
		memCached:       memory("mem_cached", "Cached Memory", "Amount of cached memory"),
		memSreclaimable: memory("mem_sreclaimable", "Slab Memory Reclaimable", "Amount of reclaimable slab memory"),
		swapTotal:       total("swap_total", "Swap Space Total", "Total amount of swap space displayed in KBs"),
		swapFree:        memory("swap_free", "Free Swap Space", "Amount of available swap memory"),

		bytesIn:  network("bytes_in", "bytes/sec", "Bytes Received", "Number of bytes in per second"),
		bytesOut: network("bytes_out", "bytes/sec", "Bytes Sent", "Number of bytes out per second"),
		pktsIn:   network("pkts_in", "packets/sec", "Packets Received", "Packets in per second"),
		pktsOut:  network("pkts_out", "packets/sec", "Packets Sent", "Packets out per second"),

		diskTotal: {"disk_total", Double, "GB", "%.3f", Both, 1200, "Total Disk Space",
			"Total available disk space", "disk", fromDisks},
		diskFree: {"disk_free", Double, "GB", "%.3f", Both, 180, "Disk Space Available",
			"Total free disk space", "disk", fromDisks},
		partMaxUsed: {"part_max_used", Float, "%", "%.1f", Both, 180, "Maximum Disk Space Used",
			"Maximum percent used for all partitions", "disk", fromDisks},

		bootTime: {"boottime", Uint32, "s", "%u", Zero, 1200, "Last Boot Time",
			"The last time that the system was started", "system", fromStat},
		sysClock:    system("sys_clock", Uint32, "s", "%u", "System Clock", "Time as reported by the system clock"),
		machineType: system("machine_type", String, "", "%s", "Machine Type", "System architecture"),
		osName:      system("os_name", String, "", "%s", "Operating System", "Operating system name"),
		osRelease:   system("os_release", String, "", "%s", "Operating System Release", "Operating system release date"),
		mtu: {"mtu", Uint32, "", "%u", Both, 1200, "Network MTU",
			"Network maximum transmission unit", "system", fromSystem},
	}
}

// The places of the metrics in Metrics.
const (
	heartbeat = iota
	gexec
	location
	cpuNum
	cpuSpeed
	cpuUser
	cpuNice
	cpuSystem
	cpuIdle
	cpuWio
	cpuIntr
	cpuSintr
	cpuSteal
	cpuAidle
	loadOne
	loadFive
	loadFifteen
	procRun
	procTotal
	memTotal
	memFree
	memShared
	memBuffers
	memCached
	memSreclaimable
	swapTotal
	swapFree
	bytesIn
	bytesOut
	pktsIn
	pktsOut
	diskTotal
	diskFree
	partMaxUsed
	bootTime
	sysClock
	machineType
	osName
	osRelease
	mtu
	nMetrics
)
