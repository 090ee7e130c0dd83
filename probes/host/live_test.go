package host

import (
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"keepwatch/internal/batch"
)

// TestLive reads the machine that the test runs on and holds the result against procfs, the library of
// node_exporter, wherever a value cannot have moved in between.
func TestLive(t *testing.T) {
	p, err := New(Options{Cluster: "lab", Host: "me"})
	if err != nil {
		t.Fatal(err)
	}
	var b batch.Batch
	if err := p.Collect(t.Context(), time.Now(), &b); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, s := range b.Samples {
		got[s.Series.Name+"/"+s.Series.Label("device")+s.Series.Label("mountpoint")] = s.Value
	}
	checkProcfs(t, got, "/proc")
	for _, name := range []string{"node_load1/", "node_processes/", "node_procs_running/", "node_cpu_seconds_total/",
		"node_network_receive_bytes_total/lo", "node_netstat_Tcp_CurrEstab/", "node_uname_info/", "node_forks_total/"} {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if got["node_memory_used_ratio/"] <= 0 || got["node_memory_used_ratio/"] >= 1 {
		t.Errorf("node_memory_used_ratio = %v", got["node_memory_used_ratio/"])
	}
}

// TestFixtureAgainstProcfs does the same over the fixture, where nothing moves.
func TestFixtureAgainstProcfs(t *testing.T) {
	var b batch.Batch
	fixture(t, "testdata/root").Collect(t.Context(), start(), &b)
	got := make(map[string]float64)
	for _, s := range b.Samples {
		got[s.Series.Name+"/"+s.Series.Label("device")+s.Series.Label("mountpoint")] = s.Value
	}
	fs := checkProcfs(t, got, "testdata/root/proc")
	st, err := fs.Stat()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, "node_context_switches_total/", float64(st.ContextSwitches))
	equal(t, got, "node_forks_total/", float64(st.ProcessCreated))
	equal(t, got, "node_procs_blocked/", float64(st.ProcessesBlocked))
	equal(t, got, "node_softirqs_total/", float64(st.SoftIRQTotal))
	dev, err := fs.NetDev()
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range dev {
		equal(t, got, "node_network_receive_bytes_total/"+name, float64(d.RxBytes))
		equal(t, got, "node_network_receive_drop_total/"+name, float64(d.RxDropped))
		equal(t, got, "node_network_transmit_packets_total/"+name, float64(d.TxPackets))
		equal(t, got, "node_network_transmit_carrier_total/"+name, float64(d.TxCarrier))
	}
	psi, err := fs.PSIStatsForResource("io")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, "node_pressure_io_waiting_seconds_total/", float64(psi.Some.Total)/1e6)
	equal(t, got, "node_pressure_io_stalled_seconds_total/", float64(psi.Full.Total)/1e6)
}

func checkProcfs(t *testing.T, got map[string]float64, dir string) procfs.FS {
	t.Helper()
	fs, err := procfs.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	mem, err := fs.Meminfo()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, "node_memory_MemTotal_bytes/", float64(*mem.MemTotalBytes))
	equal(t, got, "node_memory_SwapTotal_bytes/", float64(*mem.SwapTotalBytes))
	st, err := fs.Stat()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, "node_boot_time_seconds/", float64(st.BootTime))
	equal(t, got, "node_cpu_count/", float64(len(st.CPU)))
	return fs
}

func equal(t *testing.T, got map[string]float64, name string, want float64) {
	t.Helper()
	if v, ok := got[name]; !ok || v != want {
		t.Errorf("%s = %v (there: %v), procfs has %v", name, v, ok, want)
	}
}

// BenchmarkCollect reads the live machine; allocations are those of opening files, one of a name's bytes each.
func BenchmarkCollect(b *testing.B) {
	p, err := New(Options{Cluster: "lab", Host: "me"})
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, p)
}

// BenchmarkCollectFixture reads the tree of the golden test, where the number of processes stays the same.
func BenchmarkCollectFixture(b *testing.B) { benchmark(b, fixture(b, "testdata/root")) }

func benchmark(b *testing.B, p *Probe) {
	var out batch.Batch
	p.Collect(b.Context(), start(), &out)
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		p.Collect(b.Context(), start(), &out)
	}
	b.ReportMetric(float64(len(out.Samples)), "samples/op")
}
