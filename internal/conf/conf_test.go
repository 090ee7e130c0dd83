package conf

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite golden files and the reference in docs")

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatalf("the defaults have faults:\n%v", err)
	}
	for _, text := range []string{"", "# nothing but a comment\n", "---\n", "collector:\nui:\n"} {
		got, err := Parse("keepwatch.yaml", []byte(text), nil)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		host, _ := os.Hostname()
		want := Default()
		want.Host = host
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want the defaults", text, got)
		}
	}
}

// TestLoadFull reads a file that sets a bit of everything.
func TestLoadFull(t *testing.T) {
	c, err := Load("testdata/full.yaml", []string{"PATH=/bin", "KEEPWATCH_CONFIG=x", "KEEPWATCH_TEST_ANY=1"})
	if err != nil {
		t.Fatal(err)
	}
	got := c.HAAgent.Instances[0]
	want := itemDefault(reflect.TypeFor[Instance]()).Interface().(Instance)
	want.Name, want.Interface, want.VRID, want.Priority, want.Interval = "web", "eth0", 51, 150, 500*time.Millisecond
	want.Addresses = []Address{{Prefix: netip.MustParsePrefix("10.0.0.100/24")}, {Prefix: netip.MustParsePrefix("10.0.0.101/24")}}
	want.Track = []TrackUse{{Name: "haproxy", Weight: -60}, {Name: "proxy"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("instance: got %+v, want %+v", got, want)
	}
	if got, want := c.HAAgent.Proxy.Backends[0].Servers, []Server{
		{Name: "a", Address: "10.0.0.11:8080", Weight: 100}, {Name: "b", Address: "10.0.0.12:8080", Backup: true},
	}; !slices.Equal(got, want) {
		t.Errorf("servers: got %+v, want %+v", got, want)
	}
	if got, want := c.HAAgent.Proxy.Backends[0].Check, (Check{Path: "/healthz", Interval: 2 * time.Second, Rise: 2, Fall: 3}); got != want {
		t.Errorf("check: got %+v, want %+v", got, want)
	}
	if got := c.Collector.Probes.SNMP[0]; got.Version != "2c" || got.Timeout != 2*time.Second || got.Retries != 1 {
		t.Errorf("snmp: got %+v, want version 2c, timeout 2s, retries 1", got)
	}
	if got, want := c.Collector.Gmond.Receive[0].AcceptFrom, []string{"local", "10.0.0.0/8"}; !slices.Equal(got, want) {
		t.Errorf("accept_from: got %q, want %q", got, want)
	}
	if got, want := c.Extractor.Storage.Retention, 30*24*time.Hour; got != want {
		t.Errorf("retention: got %s, want %s", got, want)
	}
	if got, want := c.Alerter.SMS.Headers["X-Token"], "{{.Secret}}"; got != want {
		t.Errorf("header: got %q, want %q", got, want)
	}
}

func TestEnvironment(t *testing.T) {
	c, err := Parse("k.yaml", []byte("ui: {listen: ':1'}\ncollector: {native: {payload: 1}}\n"), []string{
		"KEEPWATCH_UI_LISTEN=127.0.0.1:9090",
		"KEEPWATCH_COLLECTOR_NATIVE_GROUP=",
		"KEEPWATCH_COLLECTOR_NATIVE_PAYLOAD=600",
		"KEEPWATCH_COLLECTOR_NATIVE_SEND_TO= 10.0.0.1:8660, b.example:8660,",
		"KEEPWATCH_COLLECTOR_PROBES_HOST_ENABLED=false",
		"KEEPWATCH_EXTRACTOR_STORAGE_RETENTION=1d12h",
		"KEEPWATCH_DATABASE_URL=postgres://k@db/k?sslmode=verify-full&passfile=/run/pw",
		"KEEPWATCH_HOST=web1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.UI.Listen != "127.0.0.1:9090" || c.Collector.Native.Group != "" || c.Collector.Native.Payload != 600 ||
		!slices.Equal(c.Collector.Native.SendTo, []string{"10.0.0.1:8660", "b.example:8660"}) ||
		c.Collector.Probes.Host.Enabled || c.Extractor.Storage.Retention != 36*time.Hour || c.Host != "web1" ||
		c.Database.URL != "postgres://k@db/k?sslmode=verify-full&passfile=/run/pw" {
		t.Errorf("got %+v", c)
	}
}

func TestEnvironmentFaults(t *testing.T) {
	f := func(entry, want string) {
		t.Helper()
		_, err := Parse("", nil, []string{entry})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", entry, err, want)
		}
	}
	f("KEEPWATCH_UI_LISTNE=:1", "environment KEEPWATCH_UI_LISTNE: unknown variable: want KEEPWATCH_UI_LISTEN")
	f("KEEPWATCH_ZZZZZZZZZZZZ=:1", "environment KEEPWATCH_ZZZZZZZZZZZZ: unknown variable: want the path of a key in upper case with underscores, as KEEPWATCH_UI_LISTEN")
	f("KEEPWATCH_HAAGENT_INSTANCES=x", "environment KEEPWATCH_HAAGENT_INSTANCES: haagent.instances: is set in the file only: one variable cannot hold it")
	f("KEEPWATCH_COLLECTOR_NATIVE_PAYLOAD=99", "environment KEEPWATCH_COLLECTOR_NATIVE_PAYLOAD: collector.native.payload: 99: want 576 to 8900")
	f("KEEPWATCH_COLLECTOR_INTERVAL=15", `environment KEEPWATCH_COLLECTOR_INTERVAL: collector.interval: "15": want a duration, as 15s, 4h or 14d`)
	f("KEEPWATCH_COLLECTOR_NATIVE_SEND_TO=a:1,b", `environment KEEPWATCH_COLLECTOR_NATIVE_SEND_TO: collector.native.send_to[1]: "b": want host:port, port 1 to 65535`)
	f("KEEPWATCH_DATABASE_URL=postgres://k:geheim@db/k", "environment KEEPWATCH_DATABASE_URL: database.url: (not shown): want no password in it; name a password file, as postgres://USER@HOST/DATABASE?passfile=/etc/keepwatch/pgpass")
}

// TestEnvironmentNames: two keys of one variable would shadow each other.
func TestEnvironmentNames(t *testing.T) {
	c := Default()
	known, fileOnly := map[string]variable{}, map[string]string{}
	variables(reflect.ValueOf(&c).Elem(), "", known, fileOnly)
	paths := map[string]string{}
	for _, r := range rowsOf(reflect.ValueOf(c), "") {
		if strings.Contains(r.path, "[]") || r.value.Kind() == reflect.Struct {
			continue
		}
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(r.path, "."), ".", "_"))
		if other, twice := paths[name]; twice {
			t.Errorf("%s is both %s and %s", name, other, r.path)
		}
		paths[name] = r.path
	}
	if got, want := len(known)+len(fileOnly), len(paths); got != want {
		t.Errorf("got %d variables, want %d", got, want)
	}
	for _, taken := range []string{EnvConfig, EnvData} {
		if path, ok := paths[taken]; ok {
			t.Errorf("%s is the variable of %s and of a flag", taken, path)
		}
	}
}

// TestFaults: one file per mistake, the whole message beside it.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("got %d files, %v, want the bad files", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(file), data, nil)
			if err == nil {
				t.Fatal("got no fault")
			}
			if !reflect.DeepEqual(c, Config{}) {
				t.Error("got a configuration beside the faults")
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("shows a secret: %v", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n got %s\nwant %s", file, got, want)
	}
}

func TestLoadBounds(t *testing.T) {
	f := func(name, text, want string) {
		t.Helper()
		_, err := Parse("k.yaml", []byte(text), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %.300v, want %q in it", name, err, want)
		}
	}
	f("size", strings.Repeat("#", maxFile+1), "k.yaml: larger than 1048576 bytes")
	f("depth", "ui: "+strings.Repeat("[", 20_000), "k.yaml:1:")
	f("control characters", "cluster: \x00", "not YAML")

	var bomb strings.Builder
	bomb.WriteString("haagent:\n  proxy:\n    backends:\n    - &b\n      name: b\n      servers:\n")
	bomb.WriteString("      - &s {name: s, address: 'a:1'}\n" + strings.Repeat("      - *s\n", 2000))
	bomb.WriteString(strings.Repeat("    - *b\n", 2000))
	f("alias bomb", bomb.String(), "more than 100000 values, aliases (*) followed")

	f("many faults", "collector: {keys: ["+strings.Repeat("x, ", 500)+"]}", "and 400 more faults: mend these first")
}

func TestLoadUnreadable(t *testing.T) {
	if _, err := Load("testdata/none.yaml", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
	if _, err := Load("testdata", nil); err == nil || !strings.Contains(err.Error(), `cannot read configuration "testdata"`) {
		t.Errorf("folder: got %v", err)
	}
}

// TestAlias: a value may be named once and used twice.
func TestAlias(t *testing.T) {
	c, err := Parse("k.yaml", []byte("haagent:\n  tracks:\n  - {name: a, process: &p haproxy}\n  - {name: b, process: *p}\n"), nil)
	if err != nil || c.HAAgent.Tracks[1].Process != "haproxy" {
		t.Errorf("got %+v, %v", c.HAAgent.Tracks, err)
	}
}

func TestFaultsUnwrap(t *testing.T) {
	c := Default()
	c.Collector.Native.Payload = 99
	err := fmt.Errorf("check: %w", c.Validate())
	var one *Fault
	var all Faults
	if !errors.As(err, &one) || one.Path != "collector.native.payload" || !errors.As(err, &all) || len(all) != 1 {
		t.Errorf("got %v", err)
	}
	if got, want := one.Error(), "collector.native.payload: 99: want 576 to 8900"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
