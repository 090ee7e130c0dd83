package host

import (
	"math"
	"reflect"
	"testing"

	"keepwatch/internal/batch"
)

func TestWholeDisk(t *testing.T) {
	for name, want := range map[string]bool{
		"sda": true, "sda1": false, "sdaa": true, "sdaa12": false, "vda": true, "vda1": false, "xvda": true, "xvda1": false,
		"nvme0n1": true, "nvme0n1p1": false, "nvme10n1p128": false, "mmcblk0": true, "mmcblk0p2": false,
		"mmcblk0boot0": true, "loop0": false, "ram3": false, "zram0": false, "fd0": false, "dm-0": true, "md127": true,
		"sr0": true, "rbd0": true, "drbd1": true,
	} {
		if got := wholeDisk([]byte(name)); got != want {
			t.Errorf("wholeDisk(%q) = %v", name, got)
		}
	}
}

func TestParseMounts(t *testing.T) {
	f := func(in string, want ...Mount) {
		t.Helper()
		if got := ParseMounts([]byte(in)); !reflect.DeepEqual(got, append([]Mount{}, want...)) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	f("")
	f("27 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw", Mount{ID: "8:1", Point: "/", Type: "ext4", Source: "/dev/sda1"})
	f("27 1 8:1 / / rw - ext4 /dev/sda1 ro", Mount{ID: "8:1", Point: "/", Type: "ext4", Source: "/dev/sda1", ReadOnly: true})
	// the last mount on one place counts
	f("1 1 8:1 / /a rw - ext4 /dev/sda1 rw\n2 1 8:2 / /a rw - xfs /dev/sda2 rw", Mount{ID: "8:2", Point: "/a", Type: "xfs", Source: "/dev/sda2"})
	// a pseudo file system over a real one hides it
	f("1 1 8:1 / /a rw - ext4 /dev/sda1 rw\n2 1 0:9 / /a rw - autofs x rw")
	// one disk in two places is one disk
	f("1 1 8:1 / /a/long rw - ext4 /dev/sda1 rw\n2 1 8:1 /x /b rw - ext4 /dev/sda1 rw", Mount{ID: "8:1", Point: "/b", Type: "ext4", Source: "/dev/sda1"})
	// a container's root
	f("1 1 0:60 / / rw - overlay overlay rw\n2 1 0:61 / /var/lib/docker/x rw - overlay overlay rw", Mount{ID: "0:60", Point: "/", Type: "overlay", Source: "overlay"})
	f(`1 1 8:1 / /a\040b\011c\134\1x rw - ext4 /dev/x rw`, Mount{ID: "8:1", Point: "/a b\tc\\\\1x", Type: "ext4", Source: "/dev/x"})
	// broken lines
	f("27 1 8:1 / / rw shared:1")
	f("27 1 8:1 / / rw -")
	f("- - -\n\n \n")
}

func TestProcessState(t *testing.T) {
	for in, want := range map[string]int{
		"1 (init) S 0": pSleeping, "1 (a) R (b) D 0": pUninterruptible, "1 (x)": pOther, "": pOther, "1 (x) ": pOther,
		"1 (x) Q": pOther, "9 (k) I 2": pIdle, "9 (k) T 2": pStopped,
	} {
		if got := processState([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

func TestParseNumbers(t *testing.T) {
	for in, want := range map[string]uint64{"0": 0, "007": 7, "18446744073709551615": math.MaxUint64} {
		if v, ok := ParseUint([]byte(in)); !ok || v != want {
			t.Errorf("%q: %d %v", in, v, ok)
		}
	}
	for _, in := range []string{"", "-1", "+1", "1 ", "18446744073709551616", "99999999999999999999", "100000000000000000000", "0x1"} {
		if v, ok := ParseUint([]byte(in)); ok {
			t.Errorf("%q is taken for %d", in, v)
		}
	}
	for in, want := range map[string]float64{"0.52": 0.52, "12": 12, "3.": 3, "1.005": 1.005} {
		if v, ok := parseDecimal([]byte(in)); !ok || math.Abs(v-want) > 1e-12 {
			t.Errorf("%q: %v %v", in, v, ok)
		}
	}
	for _, in := range []string{"", ".5", "1.2.3", "a", "-0.5"} {
		if v, ok := parseDecimal([]byte(in)); ok {
			t.Errorf("%q is taken for %v", in, v)
		}
	}
}

func TestUsage(t *testing.T) {
	if _, ok := Usage(&CPUTimes{1, 2}, &CPUTimes{1, 2}); ok {
		t.Error("no time passed, yet there is a share")
	}
	// iowait went back: it counts as not having moved
	share, ok := Usage(&CPUTimes{TimeUser: 10, TimeIOWait: 50}, &CPUTimes{TimeUser: 20, TimeIdle: 30, TimeIOWait: 40})
	if !ok || share[TimeUser] != 0.25 || share[TimeIdle] != 0.75 || share[TimeIOWait] != 0 {
		t.Errorf("%v %v", share, ok)
	}
}

// FuzzParsers feeds every parser with the same bytes: none may panic or run away.
func FuzzParsers(f *testing.F) {
	for _, s := range []string{
		"cpu  1 2 3 4 5\ncpu0 1 2 3 4\nintr 5 6\nbtime x\n", "MemTotal:  5 kB\nMemFree\n", "0.1 0.2 0.3 1/2 3\n",
		"8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n", "27 1 8:1 / /\\040 rw shared:1 - ext4 /dev/sda1 rw\n",
		" eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", "Tcp: A CurrEstab\nTcp: 1 2\n", "TCP: inuse 1 mem\n",
		"some avg10=0 total=5\nfull total=\n", "12 (a b) S 1",
	} {
		f.Add([]byte(s))
	}
	who := owner{"c", "h"}
	mem, conns, socks := newMemory(who), newTCP(who), newSockets(who, 4096)
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Stat
		s.Parse(b)
		mem.parse(b)
		if v, ok := memoryUsed(mem); ok && !(v >= 0 && v <= 1) {
			t.Errorf("memory used %v", v)
		}
		conns.parse(b)
		socks.putSockstat(b, &run{out: new(batch.Batch)})
		ParseMounts(b)
		ParseLoad(b)
		parsePressure(b)
		processState(b)
		for name, rest := cutDirent(b); len(rest) > 0; name, rest = cutDirent(rest) {
			_ = name
		}
		for len(b) > 0 {
			var line []byte
			line, b = CutLine(b)
			var d [nDiskFields]uint64
			if name, ok := parseDiskLine(line, &d); ok {
				wholeDisk(name)
			}
			var n [NetFields]uint64
			ParseNetLine(line, &n)
		}
	})
}
