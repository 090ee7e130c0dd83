package up_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// query asks PromQL and returns how many series answered.
func (r *program) query(expr string) int {
	r.t.Helper()
	status, text := r.call("GET", "/prometheus/api/v1/query?query="+url.QueryEscape(expr), nil)
	if status != 200 {
		r.t.Fatalf("query %s: status %d: %s", expr, status, text)
	}
	var a struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(text, &a); err != nil {
		r.t.Fatal(err)
	}
	return len(a.Data.Result)
}

// A user starts Keepwatch on nothing, signs in with the printed password and sees this host's six classes of
// metrics; it is killed, started again, and everything is still there.
func TestFirstStartKillAndStartAgain(t *testing.T) {
	p := newPlace(t)
	r := p.start(t)
	r.until("the first password is printed", func() bool { return r.password() != "" })
	password := r.password()
	if got := r.signIn("wrong " + password); got != 401 {
		t.Errorf("a wrong password: status %d, want 401", got)
	}
	if got := r.signIn(password); got != 200 {
		t.Fatalf("the printed password: status %d, want 200", got)
	}
	for class, expr := range map[string]string{
		"CPU":      `node_cpu_usage_ratio{mode="busy"}`,
		"memory":   `node_memory_MemAvailable_bytes`,
		"disk":     `node_filesystem_avail_bytes`,
		"I/O":      `rate(node_disk_io_time_seconds_total[1m]) or node_pressure_io_waiting_seconds_total`,
		"process":  `node_procs_running`,
		"network":  `rate(node_network_receive_bytes_total[1m])`,
		"presence": `keepwatch_host_up == 1`,
	} {
		r.until(class+" is there", func() bool { return r.query(expr) > 0 })
	}

	r.signal(syscall.SIGKILL)
	again := p.start(t)
	again.until("the web app is ready", func() bool { s, _ := again.call("GET", "/readyz", nil); return s == 200 })
	if got := again.signIn(password); got != 200 {
		t.Fatalf("the password after a kill: status %d, want 200", got)
	}
	if again.password() != "" {
		t.Error("the password is printed twice")
	}
	again.until("samples from before the kill and after it", func() bool {
		return again.query(`count_over_time(node_load1[10m]) > 5`) > 0
	})

	again.signal(syscall.SIGINT)
	if code := again.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("Ctrl-C: exit status %d, want 0\n%s", code, again.out)
	}
	if pid, err := os.ReadFile(filepath.Join(p.data, "postgres", "postmaster.pid")); err == nil {
		t.Errorf("a Postgres is left behind: %s", pid)
	}
}

// A gmetric sent by hand, and a gmond on the same group, are there to be asked for like everything else.
func TestGangliaIsHeard(t *testing.T) {
	p := newPlace(t)
	r := p.start(t)
	conf := filepath.Join(t.TempDir(), "gmond.conf")
	text := fmt.Sprintf(`globals { daemonize = no setuid = no send_metadata_interval = 1 module_dir = "/usr/lib/x86_64-linux-gnu/ganglia" override_hostname = "ganglia1" override_ip = "127.0.0.1" }
cluster { name = "default" }
udp_send_channel { mcast_join = 239.2.11.71 port = %d mcast_if = lo }
modules { module { name = "core_metrics" } module { name = "load_module" path = "modload.so" } }
collection_group { collect_once = yes time_threshold = 20 metric { name = "heartbeat" } }
collection_group { collect_every = 1 time_threshold = 1 metric { name = "load_one" value_threshold = 0 } }
`, p.gmond)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	gmond := exec.Command("gmond", "-c", conf, "-f")
	if err := gmond.Start(); err != nil {
		t.Fatalf("cannot start gmond, install Debian's package ganglia-monitor: %v", err)
	}
	defer func() { _ = gmond.Process.Kill(); _ = gmond.Wait() }()
	gmetric := exec.Command("gmetric", "-c", conf, "-n", "queue_length", "-v", "17", "-t", "uint32")
	if out, err := gmetric.CombinedOutput(); err != nil {
		t.Fatalf("gmetric: %v: %s", err, out)
	}
	local := func(expr string) string {
		out, err := exec.Command(binary(t), "query", expr, "--data", p.data).CombinedOutput()
		if err != nil {
			t.Fatalf("query %s: %v: %s", expr, err, out)
		}
		return string(out)
	}
	r.until("gmond's load under Keepwatch's own name for it", func() bool {
		return strings.Contains(local(`node_load1{source="gmond",host="ganglia1"}`), "ganglia1")
	})
	r.until("gmetric's value", func() bool { return strings.Contains(local(`gmond_queue_length`), "17") })
	r.signal(syscall.SIGTERM)
}

// Each mistake ends at once in one sentence that says what to do.
func TestMistakesEndInOneSentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p := newPlace(t)
	running := p.start(t)
	other := newPlace(t)
	if err := os.MkdirAll(other.data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other.data, "FORMAT"), []byte("99\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	free := newPlace(t)
	config := func(text string) string {
		path := filepath.Join(t.TempDir(), "keepwatch.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := func(want string, args ...string) {
		t.Helper()
		out, err := exec.Command(binary(t), args...).CombinedOutput()
		if err == nil {
			t.Errorf("%v: no error", args)
		}
		last := strings.TrimSpace(string(out))
		last = last[strings.LastIndexByte(last, '\n')+1:]
		if !strings.HasPrefix(last, "keepwatch: ") || !strings.Contains(last, want) {
			t.Errorf("%v: got %q, want a line that says %q", args, last, want)
		}
	}
	f("ui.listn", "config", "check", "--config", config("ui: {listn: x}\n"))
	f("is in use by another keepwatch", "up", "--config", p.config, "--data", p.data)
	f("has format", "up", "--config", other.config, "--data", other.data)
	f("ui.listen", "up", "--config", config("ui: {listen: \""+taken.Addr().String()+"\"}\ncollector: {native: {group: \"\"}, gmond: {receive: []}, serve: {listen: \"127.0.0.1:0\"}}\n"), "--data", free.data)
	f("no keepwatch runs on this data folder", "status", "--data", t.TempDir())
	f("database.url", "alerter", "--data", t.TempDir())
	if out, err := exec.Command(binary(t), "query", "vector(42)", "--data", p.data).CombinedOutput(); err != nil || !strings.Contains(string(out), "42") {
		t.Errorf("query over the local socket: %v, %s", err, out)
	}
	running.signal(syscall.SIGTERM)
}
