package ganglia

import (
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func start() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

// tree writes files below a new root.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, files)
	return root
}

func write(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// machineFiles is a machine with a bond of two interfaces, a bridge that is no bond, and disks of which some count.
func machineFiles() map[string]string {
	return map[string]string{
		"/proc/stat":    "cpu  100 50 200 8000 1000 100 50 500 7 7\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nbtime 1795235213\n",
		"/proc/loadavg": "0.50 1.25 2.00 3/456 789\n",
		"/proc/meminfo": "MemTotal:  1000 kB\nMemFree:  200 kB\nMemAvailable:  700 kB\nBuffers:  30 kB\nCached:  400 kB\nSwapCached:  5 kB\n" +
			"SwapTotal:  500 kB\nSwapFree:  450 kB\nShmem:  60 kB\nSReclaimable:  70 kB\n",
		"/proc/net/dev": netDev(1000, 10, 100, 5),
		"/proc/1/mountinfo": `1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 / /data rw - xfs /dev/sda2 rw
3 1 8:2 /sub /elsewhere rw - xfs /dev/sda2 rw
4 1 8:3 / /cd ro - ext4 /dev/sda3 ro
5 1 0:50 / /nfs rw - nfs4 server:/export rw
6 1 0:51 / /tmp rw - tmpfs tmpfs rw
7 1 0:52 / /fuse rw - fuseblk /dev/sdb1 rw
`,
		"/proc/cpuinfo":                    "processor\t: 0\ncpu MHz\t\t: 2596.992\n",
		"/sys/class/net/team/bonding/mode": "active-backup 1\n",
	}
}

// netDev has eth0 and eth1 in a bond whose name says it, and in one whose name does not; lo's own traffic; lowpan0.
func netDev(rxBytes, rxPackets, txBytes, txPackets int) string {
	line := func(name string, times int) string {
		return " " + name + ": " + strings.Join([]string{
			number(rxBytes * times), number(rxPackets * times), "0 0 0 0 0 0", number(txBytes * times), number(txPackets * times), "0 0 0 0 0 0",
		}, " ") + "\n"
	}
	return "Inter-|   Receive\n face |bytes\n" + line("lo", 100) + line("eth0", 1) + line("eth1", 2) + line("bond0", 3) + line("team", 3) + line("lowpan0", 4)
}

func number(v int) string {
	var digits []byte
	for {
		digits = append([]byte{byte('0' + v%10)}, digits...)
		if v /= 10; v == 0 {
			return string(digits)
		}
	}
}

func fixture(t testing.TB, root string) *Probe {
	p := New(Options{Root: root, Started: start(), Location: "1,2,3"}, start())
	p.statfs = func(path string, st *unix.Statfs_t) error {
		switch strings.TrimPrefix(path, root) {
		case "", "/":
			*st = unix.Statfs_t{Bsize: 4096, Frsize: 1000, Blocks: 4_000_000, Bfree: 3_500_000, Bavail: 3_000_000}
		case "/data":
			*st = unix.Statfs_t{Bsize: 1000, Blocks: 2_000_000, Bavail: 500_000}
		default:
			t.Errorf("asked how full %q is", path)
		}
		return nil
	}
	p.uname = func(u *unix.Utsname) error {
		copy(u.Machine[:], "armv7l")
		copy(u.Release[:], "6.1.0-18")
		return nil
	}
	p.interfaces = func() ([]net.Interface, error) {
		return []net.Interface{{MTU: 65536, Flags: net.FlagUp}, {MTU: 1400, Flags: net.FlagUp}, {MTU: 576}}, nil
	}
	return p
}

func everything() []int {
	places := make([]int, nMetrics)
	for i := range places {
		places[i] = i
	}
	return places
}

func TestCollect(t *testing.T) {
	root := tree(t, machineFiles())
	p := fixture(t, root)
	write(t, root, map[string]string{"/proc/net/dev": netDev(1500, 20, 200, 10)})
	got, err := p.Collect(start().Add(10*time.Second), everything())
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]float64{
		heartbeat: float64(start().Unix()), cpuNum: 2, cpuSpeed: 2596,
		cpuUser: 1, cpuNice: 0.5, cpuSystem: 3.5, cpuIdle: 80, cpuWio: 10, cpuIntr: 1, cpuSintr: 0.5, cpuSteal: 5, cpuAidle: 80,
		loadOne: 0.5, loadFive: 1.25, loadFifteen: 2, procRun: 2, procTotal: 456,
		memTotal: 1000, memFree: 200, memShared: 0, memBuffers: 30, memCached: 400, memSreclaimable: 70, swapTotal: 500, swapFree: 450,
		bytesIn: 350, pktsIn: 7, bytesOut: 70, pktsOut: 3.5, // eth0, eth1 and lowpan0: seven times
		diskTotal: 6, diskFree: 3.5, partMaxUsed: 75,
		bootTime: 1795235213, sysClock: float64(start().Unix() + 10), mtu: 1400,
	}
	text := map[int]string{gexec: "OFF", location: "1,2,3", machineType: "arm", osName: "Linux", osRelease: "6.1.0-18"}
	for i, m := range Metrics() {
		if v := got[i]; !v.OK || math.Abs(v.Number-want[i]) > 1e-9 || v.Text != text[i] {
			t.Errorf("%s: got %+v, want %v %q", m.Name, v, want[i], text[i])
		}
	}
}

// Each share of time is since that metric's own previous collection; where no time has passed, it stays.
func TestSharesOfTime(t *testing.T) {
	root := tree(t, machineFiles())
	p := fixture(t, root)
	f := func(stat string, place int, want float64) {
		t.Helper()
		write(t, root, map[string]string{"/proc/stat": stat + "\nbtime 1\n"})
		got, err := p.Collect(start(), []int{place})
		if err != nil || !got[0].OK || math.Abs(got[0].Number-want) > 1e-9 {
			t.Errorf("%s: got %+v, %v; want %v", stat, got, err, want)
		}
	}
	f("cpu 10 0 0 90", cpuUser, 10)
	f("cpu 10 0 0 90", cpuIdle, 90)
	f("cpu 60 0 0 140", cpuUser, 50)
	f("cpu 60 0 0 140", cpuUser, 50)
	f("cpu 60 0 0 240", cpuUser, 0)
	f("cpu 60 0 0 240", cpuIdle, 75)
	f("cpu 60 0 0 240", cpuAidle, 80)
}

// Counters that went back count from 0, and an interface that appears had counted nothing before.
func TestRates(t *testing.T) {
	root := tree(t, map[string]string{"/proc/net/dev": "eth0: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n"})
	p, now := fixture(t, root), start()
	f := func(dev string, want float64) {
		t.Helper()
		now = now.Add(10 * time.Second)
		write(t, root, map[string]string{"/proc/net/dev": dev})
		got, err := p.Collect(now, []int{bytesIn})
		if err != nil || !got[0].OK || got[0].Number != want {
			t.Errorf("%q: got %+v, %v; want %v", dev, got, err, want)
		}
	}
	f("eth0: 3000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n", 200)
	f("eth0: 500 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n", 50)
	f("eth0: 500 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\neth1: 99000 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", 0)
	f("eth0: 600 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\neth1: 99100 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", 20)
	f("eth1: 99200 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nbroken: 1 2\n", 10)
	if got, err := p.Collect(now, []int{bytesIn, pktsIn}); err != nil || got[0].Number != 10 || !got[1].OK {
		t.Errorf("no time has passed: got %+v, %v", got, err)
	}
}

// What cannot be read is missing and named, the rest is there.
func TestMissing(t *testing.T) {
	files := machineFiles()
	for _, name := range []string{"/proc/loadavg", "/proc/meminfo", "/proc/net/dev", "/proc/1/mountinfo", "/proc/cpuinfo"} {
		delete(files, name)
	}
	root := tree(t, files)
	p := fixture(t, root)
	p.uname = func(*unix.Utsname) error { return unix.EPERM }
	p.interfaces = func() ([]net.Interface, error) { return nil, errors.New("no netlink") }
	got, err := p.Collect(start(), everything())
	for _, part := range []string{"loadavg", "meminfo", "net/dev", "mountinfo", "kernel", "no netlink"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	missing := map[int]bool{mtu: true, osRelease: true, machineType: true}
	for i, m := range Metrics() {
		want := !missing[i] && m.Group != "load" && m.Group != "memory" && m.Group != "network" && m.Group != "disk" && m.Group != "process"
		if got[i].OK != want {
			t.Errorf("%s: OK is %v", m.Name, got[i].OK)
		}
	}
	write(t, root, map[string]string{"/proc/stat": "nonsense\n", "/proc/loadavg": "high\n"})
	if got, err := p.Collect(start(), []int{cpuUser, cpuNum, bootTime, loadOne}); err == nil || got[0].OK || got[1].OK || got[2].OK || got[3].OK {
		t.Errorf("nonsense gives %+v, %v", got, err)
	}
}

func TestMachine(t *testing.T) {
	for kernel, want := range map[string]string{
		"x86_64": "x86_64", "i686": "x86", "i386": "x86", "ppc64le": "powerpc", "aarch64": "aarch64", "armv6l": "arm", "s390x": "s390", "riscv64": "riscv64", "": "",
	} {
		if got := machine(kernel); got != want {
			t.Errorf("%s: got %s, want %s", kernel, got, want)
		}
	}
}

func TestSpeed(t *testing.T) {
	for _, x := range []struct {
		file, text string
		want       float64
	}{
		{"/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "3600000\n", 3600},
		{"/proc/cpuinfo", "cpu MHz : 1200.5\n", 1200}, {"/proc/cpuinfo", "clock : 3000.000000MHz\n", 3000},
		{"/proc/cpuinfo", "model name : none\n", 0}, {"/proc/cpuinfo", "cpu MHz : fast\n", 0}, {"/proc/version", "", 0},
	} {
		if got := fixture(t, tree(t, map[string]string{x.file: x.text})).speed(); got != x.want {
			t.Errorf("%s %q: got %v, want %v", x.file, x.text, got, x.want)
		}
	}
}

// FuzzNetwork: no two readings of /proc/net/dev, whatever they hold, make a rate that is none.
func FuzzNetwork(f *testing.F) {
	f.Add([]byte(netDev(1, 2, 3, 4)), []byte(netDev(5, 6, 7, 8)))
	f.Add([]byte("eth0: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"), []byte("eth0:9 0 0 0 0 0 0 0 18446744073709551615 0 0 0 0 0 0 0\nlo:"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var n network
		bond := func(name string) bool { return name == "bond0" }
		n.begin(bond, first, start())
		for rate := range nRates {
			if v := n.step(bond, second, rate); !(v >= 0) || math.IsInf(v, 0) {
				t.Fatalf("it has grown by %v", v)
			}
			if v := n.step(bond, second, rate); v != 0 && !twice(second) {
				t.Fatalf("the same again has grown by %v", v)
			}
		}
	})
}

// twice says whether an interface may be there twice, which the kernel never says.
func twice(b []byte) bool { return strings.Count(string(b), ":") > 1 }
