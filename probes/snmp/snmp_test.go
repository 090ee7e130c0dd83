package snmp

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
)

// device is a real snmpd on loopback.
func device(t *testing.T) string {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.LocalAddr().String()
	l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "snmpd.conf")
	text := `rocommunity s3cret-community 127.0.0.1
createUser watcher SHA "authentic-phrase" AES "private-phrase"
rouser watcher authPriv
sysLocation rack 7
sysName switch1
sysDescr A switch of the lab
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("snmpd")
	if err != nil {
		program = "/usr/sbin/snmpd"
	}
	cmd := exec.Command(program, "-f", "-Lo", "-C", "-c", config, "-p", filepath.Join(dir, "pid"), "udp:"+addr)
	cmd.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+dir, "MIBS=")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start snmpd, install Debian's package snmpd: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "NET-SNMP version") {
			return addr
		}
	}
	t.Fatal("snmpd ended before it was ready")
	return ""
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func collect(t *testing.T, c conf.SNMPProbe) (map[string]float64, error) {
	t.Helper()
	p, err := New(Options{Cluster: "lab", Config: c})
	if err != nil {
		t.Fatal(err)
	}
	var b batch.Batch
	err = p.Collect(t.Context(), time.Now(), &b)
	got := make(map[string]float64)
	for _, s := range b.Samples {
		if s.Series.Host != "switch1" || s.Series.Cluster != "lab" {
			t.Errorf("series of another host: %v", s.Series)
		}
		name := s.Series.Name
		if i := s.Series.Label("interface"); i != "" {
			name += "/" + i
		}
		got[name] = s.Value
	}
	return got, err
}

func TestRealDevice(t *testing.T) {
	addr := device(t)
	base := conf.SNMPProbe{Host: "switch1", Target: addr, Timeout: 5 * time.Second, Retries: 1}
	v1, v2, v3 := base, base, base
	v1.Version, v1.CommunityFile = "1", file(t, "s3cret-community")
	v2.Version, v2.CommunityFile = "2c", v1.CommunityFile
	v3.Version, v3.User = "3", "watcher"
	v3.AuthProtocol, v3.AuthFile = "sha", file(t, "authentic-phrase")
	v3.PrivProtocol, v3.PrivFile = "aes", file(t, "private-phrase")
	for name, c := range map[string]conf.SNMPProbe{"1": v1, "2c": v2, "3": v3} {
		t.Run(name, func(t *testing.T) {
			got, err := collect(t, c)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"snmp_sys_uptime_seconds", "snmp_sys_info", "snmp_interface_up/lo", "snmp_interface_receive_bytes_total/lo", "snmp_interface_speed_bits_per_second/lo"} {
				if _, ok := got[want]; !ok {
					t.Errorf("%s is missing in %v", want, got)
				}
			}
			if got["snmp_up"] != 1 || got["snmp_interface_up/lo"] != 1 {
				t.Errorf("up: got %v, %v", got["snmp_up"], got["snmp_interface_up/lo"])
			}
		})
	}
}

func TestSilentDeviceIsDownAndSecretsStaySecret(t *testing.T) {
	addr := device(t)
	c := conf.SNMPProbe{Host: "switch1", Target: addr, Version: "2c", CommunityFile: file(t, "wrong-s3cret"), Timeout: 100 * time.Millisecond}
	got, err := collect(t, c)
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "check the address, the community") {
		t.Errorf("got error %v", err)
	}
	if v, ok := got["snmp_up"]; !ok || v != 0 {
		t.Errorf("snmp_up: got %v, %t, want 0", v, ok)
	}
}

// A user that the device does not know is told as such, not as a silent device.
func TestUnknownUser(t *testing.T) {
	addr := device(t)
	c := conf.SNMPProbe{Host: "switch1", Target: addr, Version: "3", User: "nobody", AuthProtocol: "sha", AuthFile: file(t, "authentic-phrase"), Timeout: 2 * time.Second}
	if _, err := collect(t, c); err == nil || !strings.Contains(err.Error(), "refuses the user") {
		t.Errorf("got error %v", err)
	}
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Target = l.LocalAddr().String()
	l.Close()
	if _, err := collect(t, c); err == nil || !strings.Contains(err.Error(), "nothing listens there") {
		t.Errorf("got error %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	f := func(want string, c conf.SNMPProbe) {
		t.Helper()
		if _, err := New(Options{Cluster: "lab", Config: c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("version", conf.SNMPProbe{Target: "h", Version: "4"})
	f("host:port", conf.SNMPProbe{Target: "h:x", Version: "2c"})
	f("cannot read a secret", conf.SNMPProbe{Target: "h", Version: "2c", CommunityFile: "/nowhere"})
	f("holds no secret", conf.SNMPProbe{Target: "h", Version: "2c", CommunityFile: file(t, "")})
	f("auth_protocol", conf.SNMPProbe{Target: "h", Version: "3", User: "u", AuthFile: file(t, "x"), AuthProtocol: "rot13"})
	f("priv_protocol", conf.SNMPProbe{Target: "h", Version: "3", User: "u", AuthFile: file(t, "x"), AuthProtocol: "sha", PrivFile: file(t, "x"), PrivProtocol: "rot13"})
}

// captured turns lines of snmpwalk -On into PDUs.
func captured(t *testing.T) (pdus []gosnmp.SnmpPDU) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "walk.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		oid, rest, ok := strings.Cut(lines.Text(), " = ")
		kind, text, typed := strings.Cut(rest, ": ")
		if !ok || !typed {
			continue
		}
		p := gosnmp.SnmpPDU{Name: oid}
		switch kind {
		case "STRING":
			p.Value = []byte(strings.Trim(text, `"`))
		case "Counter32", "Gauge32", "Counter64", "INTEGER":
			digits := text
			if _, after, ok := strings.Cut(text, "("); ok {
				digits, _, _ = strings.Cut(after, ")")
			}
			n, err := strconv.ParseUint(digits, 10, 64)
			if err != nil {
				continue
			}
			p.Value = n
		case "Timeticks":
			digits, _, _ := strings.Cut(strings.TrimPrefix(text, "("), ")")
			n, err := strconv.ParseUint(digits, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			p.Value = uint32(n)
		default:
			continue
		}
		pdus = append(pdus, p)
	}
	return pdus
}

func feed(pdus []gosnmp.SnmpPDU) *reading {
	r := newReading()
	r.system(pdus)
	for _, c := range columns {
		for _, p := range pdus {
			if strings.HasPrefix(strings.TrimPrefix(p.Name, "."), c.oid+".") {
				r.row(c, p)
			}
		}
	}
	return r
}

func TestCapturedWalk(t *testing.T) {
	cache := newSeries("lab", "switch1")
	r := feed(captured(t))
	if r.uptime != 1.49 || r.name != "vm" || r.location != "lab" {
		t.Errorf("system: got %v, %q, %q", r.uptime, r.name, r.location)
	}
	samples := cache.append(nil, r, 1)
	if len(samples) < 12 {
		t.Fatalf("got %d samples", len(samples))
	}
	again := cache.append(nil, r, 2)
	for i := range samples {
		if samples[i].Series != again[i].Series {
			t.Errorf("%v: another pointer on the second reading", samples[i].Series)
		}
	}
}

func TestHostilePDUs(t *testing.T) {
	huge := []byte(strings.Repeat("\xff\x00\n", 100_000))
	values := []any{nil, huge, "text", -1, uint64(1) << 63, []byte{}, struct{}{}}
	names := []string{"", ".", "." + ifTable + "2.", "." + ifTable + "2.0", "." + ifTable + "2.-1", "." + ifTable + "2.99999999999999999999", "." + ifTable + "10.1", "." + ifTable + "2.1", "." + ifXTable + "1.1", "." + sysUpTime, "." + sysDescr}
	var pdus []gosnmp.SnmpPDU
	for _, n := range names {
		for _, v := range values {
			pdus = append(pdus, gosnmp.SnmpPDU{Name: n, Value: v})
		}
	}
	for i := range 3 * maxInterfaces {
		pdus = append(pdus, gosnmp.SnmpPDU{Name: fmt.Sprintf(".%s10.%d", ifTable, i+1), Value: uint32(i)})
	}
	r := newReading()
	r.system(pdus)
	for _, c := range columns {
		for _, p := range pdus {
			r.row(c, p)
		}
	}
	if len(r.interfaces) > maxInterfaces {
		t.Errorf("%d interfaces, at most %d", len(r.interfaces), maxInterfaces)
	}
	cache := newSeries("lab", "switch1")
	for _, s := range cache.append(nil, r, 1) {
		if len(s.Series.Label("descr")) > maxString {
			t.Errorf("a label of %d bytes", len(s.Series.Label("descr")))
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("eth0"))
	f.Add([]byte{0xff, 0, 'a', 0xc3, 0xa9})
	f.Fuzz(func(t *testing.T, b []byte) {
		got := text(b)
		cache := newSeries("c", "h")
		r := newReading()
		r.descr = got
		if got != "" && len(cache.append(nil, r, 1)) != 1 {
			t.Errorf("%q became %q, which no label takes", b, got)
		}
	})
}
