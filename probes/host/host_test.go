package host

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the fixture was taken.
func start() time.Time { return time.UnixMilli(1_795_300_000_500) }

// fixtureKernel answers as the machine of testdata/root would: /mnt/gone is a server that refuses.
func fixtureKernel() kernel {
	return kernel{
		page: 4096,
		statfs: func(path string, st *unix.Statfs_t) error {
			*st = unix.Statfs_t{Bsize: 4096, Frsize: 4096, Blocks: 1000, Bfree: 400, Bavail: 350, Files: 5000, Ffree: 4000}
			switch filepath.Base(path) {
			case "gone":
				return unix.ESTALE
			case "boot": // vfat: neither a table of files nor blocks kept for root
				*st = unix.Statfs_t{Bsize: 2048, Blocks: 100, Bfree: 25, Bavail: 25}
			}
			return nil
		},
		uname: func(u *unix.Utsname) error {
			copy(u.Sysname[:], "Linux")
			copy(u.Nodename[:], "web-1")
			copy(u.Release[:], "6.1.0-28-amd64")
			copy(u.Version[:], "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1")
			copy(u.Machine[:], "x86_64")
			return nil
		},
	}
}

func fixture(t testing.TB, root string) *Probe {
	t.Helper()
	p, err := newProbe(Options{Cluster: "lab", Host: "web-1", Root: root, Interval: 15 * time.Second}, fixtureKernel())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func lines(b *batch.Batch) []string {
	var all []string
	for _, s := range b.Samples {
		all = append(all, fmt.Sprintf("%s %v %s %s %d", s.Series, s.Value, s.Series.Kind, s.Series.Unit, s.Time))
	}
	slices.Sort(all)
	return all
}

func TestGolden(t *testing.T) {
	p := fixture(t, "testdata/root")
	var b batch.Batch
	err := p.Collect(t.Context(), start(), &b)
	if !errors.Is(err, unix.ESTALE) || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("Collect: %v, want the one file system that refuses", err)
	}
	got := strings.Join(lines(&b), "\n") + "\n"
	golden := "testdata/samples.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("samples differ from %s (rewrite with -update):\n%s", golden, diff(got, string(want)))
	}
}

func diff(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	var b strings.Builder
	for _, l := range g {
		if !slices.Contains(w, l) {
			fmt.Fprintln(&b, "got  ", l)
		}
	}
	for _, l := range w {
		if !slices.Contains(g, l) {
			fmt.Fprintln(&b, "want ", l)
		}
	}
	return b.String()
}

// TestNoTwice: one run never says two values of one series.
func TestNoTwice(t *testing.T) {
	var b batch.Batch
	fixture(t, "testdata/root").Collect(t.Context(), start(), &b)
	seen := make(map[string]bool)
	for _, s := range b.Samples {
		if seen[s.Series.Key()] {
			t.Errorf("%s is there twice", s.Series)
		}
		seen[s.Series.Key()] = true
	}
}

// TestDocumented holds docs/probes/host.md to what the probe says.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/probes/host.md")
	if err != nil {
		t.Fatal(err)
	}
	var b batch.Batch
	p := fixture(t, copyTree(t))
	p.Collect(t.Context(), start(), &b)
	write(t, p.tree.root, "proc/stat", "cpu  20132153 290696 3084719 46828483 16683 0 25195 175 0 0\ncpu0 1 2 3 4\n")
	write(t, p.tree.root, "proc/pressure/irq", "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n")
	p.Collect(t.Context(), start(), &b)
	for _, s := range b.Samples {
		unit := string(s.Series.Unit)
		if unit == "" {
			unit = "–"
		}
		row := fmt.Sprintf("| `%s` | %s | %s |", s.Series.Name, s.Series.Kind, unit)
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/probes/host.md lacks a row that begins %s", row)
		}
	}
}

func TestUsageNeedsTwoRuns(t *testing.T) {
	p := fixture(t, copyTree(t))
	if got := value(t, p, "node_cpu_usage_ratio", "mode", "busy"); len(got) != 0 {
		t.Errorf("first run: busy = %v, want none", got)
	}
	// 100 ticks later: 40 user, 10 system, 30 idle, 20 iowait
	write(t, p.tree.root, "proc/stat", "cpu  10132193 290696 3084729 46828513 16703 0 25195 175 0 0\n")
	for mode, want := range map[string]float64{"busy": 0.5, "user": 0.4, "system": 0.1, "idle": 0.3, "iowait": 0.2, "steal": 0} {
		p := *p
		c := *(p.classes[0].(*stat))
		p.classes = []class{&c}
		if got := value(t, &p, "node_cpu_usage_ratio", "mode", mode); len(got) != 1 || got[0] < want-1e-9 || got[0] > want+1e-9 {
			t.Errorf("%s = %v, want %v", mode, got, want)
		}
	}
}

func value(t *testing.T, p *Probe, name, label, want string) (all []float64) {
	t.Helper()
	var b batch.Batch
	p.Collect(t.Context(), start(), &b)
	for _, s := range b.Samples {
		if s.Series.Name == name && s.Series.Label(label) == want {
			all = append(all, s.Value)
		}
	}
	return all
}

// TestDevicesComeAndGo: a disk that is pulled is forgotten, one that comes back is the same name, those that stay
// are the same pointers.
func TestDevicesComeAndGo(t *testing.T) {
	p := fixture(t, copyTree(t))
	full, err := os.ReadFile("testdata/root/proc/diskstats")
	if err != nil {
		t.Fatal(err)
	}
	pointer := func() map[string]*metric.Series {
		var b batch.Batch
		p.Collect(t.Context(), start(), &b)
		m := make(map[string]*metric.Series)
		for _, s := range b.Samples {
			if s.Series.Name == "node_disk_reads_completed_total" {
				m[s.Series.Label("device")] = s.Series
			}
		}
		return m
	}
	a := pointer()
	write(t, p.tree.root, "proc/diskstats", strings.Replace(string(full), " sda ", " sdb ", 1))
	b := pointer()
	write(t, p.tree.root, "proc/diskstats", string(full))
	c := pointer()
	if a["sda"] == nil || b["sda"] != nil || b["sdb"] == nil || c["sda"] == nil || c["sdb"] != nil {
		t.Errorf("disks were %v, then %v, then %v", a, b, c)
	}
	if a["nvme0n1"] != b["nvme0n1"] || a["nvme0n1"] != c["nvme0n1"] {
		t.Error("a disk that stayed changed its series")
	}
}

func TestDevicesAreBounded(t *testing.T) {
	p := fixture(t, copyTree(t))
	var s strings.Builder
	for i := range maxDisks + 5 {
		fmt.Fprintf(&s, "8 %d dm-%d 1 2 3 4 5 6 7 8 9 10 11\n", i, i)
	}
	write(t, p.tree.root, "proc/diskstats", s.String())
	var b batch.Batch
	err := p.Collect(t.Context(), start(), &b)
	if err == nil || !strings.Contains(err.Error(), "cannot report all disks: 5 left out, at most 1024") {
		t.Errorf("error %v, want one that tells of 5 disks left out", err)
	}
}

func TestUnfitNamesAreNamed(t *testing.T) {
	p := fixture(t, copyTree(t))
	write(t, p.tree.root, "proc/diskstats", "8 0 \xff\xfe 1 2 3 4 5 6 7 8 9 10 11\n8 1 sdq 1 2 3 4 5 6 7 8 9 10 11\n")
	for range 2 {
		var b batch.Batch
		err := p.Collect(t.Context(), start(), &b)
		if err == nil || !strings.Contains(err.Error(), "cannot name disks") {
			t.Errorf("error %v, want one about the disk's name", err)
		}
		if !slices.ContainsFunc(b.Samples, func(s metric.Sample) bool { return s.Series.Label("device") == "sdq" }) {
			t.Error("the disk beside it is missing")
		}
	}
}

// TestMissingFiles: an empty root gives errors that name each file, and still the clock.
func TestMissingFiles(t *testing.T) {
	p := fixture(t, t.TempDir())
	var b batch.Batch
	err := p.Collect(t.Context(), start(), &b)
	for _, f := range []string{"proc/stat", "proc/meminfo", "proc/self/mountinfo", "proc/net/dev"} {
		if err == nil || !strings.Contains(err.Error(), f) {
			t.Errorf("error %v does not name %s", err, f)
		}
	}
	if len(b.Samples) != 2 { // node_time_seconds, node_uname_info
		t.Errorf("%d samples: %v", len(b.Samples), lines(&b))
	}
}

func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b batch.Batch
	if err := fixture(t, "testdata/root").Collect(ctx, start(), &b); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestDeadServer: a file system that never answers costs the first run its timeout, later ones nothing, one
// goroutine in all, and is back as soon as it answers.
func TestDeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := make(chan struct{})
		var calls atomic.Int32
		k := fixtureKernel()
		answer := k.statfs
		k.statfs = func(path string, st *unix.Statfs_t) error {
			if filepath.Base(path) == "nfs" {
				calls.Add(1)
				<-dead
			}
			return answer(path, st)
		}
		p, err := newProbe(Options{Cluster: "lab", Host: "web-1", Root: "testdata/root"}, k)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{statfsTimeout, 0, 0} {
			begin := time.Now()
			got := value(t, p, "node_filesystem_device_error", "mountpoint", "/mnt/nfs")
			if took := time.Since(begin); took != want || len(got) != 1 || got[0] != 1 {
				t.Errorf("run %d: took %v, want %v; error %v, want [1]", i, took, want, got)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("the dead server was asked %d times, want once", n)
		}
		close(dead)
		synctest.Wait()
		if got := value(t, p, "node_filesystem_size_bytes", "mountpoint", "/mnt/nfs"); len(got) != 1 || got[0] != 4096000 {
			t.Errorf("size after it came back: %v", got)
		}
	})
}

// TestManyDeadServers: no more goroutines wait than maxStuck.
func TestManyDeadServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := copyTree(t)
		var s strings.Builder
		for i := range maxStuck + 20 {
			fmt.Fprintf(&s, "%d 1 0:%d / /mnt/%d rw - nfs4 dead:/%d rw\n", i, i, i, i)
		}
		write(t, root, "proc/1/mountinfo", s.String())
		dead, calls := make(chan struct{}), make(chan struct{}, 1000)
		p, err := newProbe(Options{Cluster: "lab", Host: "web-1", Root: root}, kernel{
			statfs: func(string, *unix.Statfs_t) error { calls <- struct{}{}; <-dead; return unix.EIO },
			uname:  fixtureKernel().uname,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			var b batch.Batch
			if err := p.Collect(t.Context(), start(), &b); strings.Count(err.Error(), "\n")+1 != maxErrors {
				t.Errorf("error has %d lines, want %d", strings.Count(err.Error(), "\n")+1, maxErrors)
			}
		}
		if len(calls) != maxStuck {
			t.Errorf("%d calls wait, want %d", len(calls), maxStuck)
		}
		close(dead)
		synctest.Wait()
	})
}

func copyTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/root")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, root, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
