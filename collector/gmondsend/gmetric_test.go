package gmondsend

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keepwatch/collector/gmond"
)

// captured reads a datagram that a gmetric 3.7.2 sent.
func captured(t *testing.T, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Split(string(raw), "\n")[1])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// flags are those that gmetric must have been given for its two datagrams.
func flags(t *testing.T, metadata, value []byte) (g Gmetric, host string) {
	t.Helper()
	var m, v gmond.Packet
	if err := gmond.Decode(metadata, &m); err != nil {
		t.Fatal(err)
	}
	if err := gmond.Decode(value, &v); err != nil {
		t.Fatal(err)
	}
	g = Gmetric{
		Name: string(m.Name), Value: string(v.Text), Type: string(m.Type), Units: string(m.Units), Slope: m.Slope.String(),
		TMax: m.TMax, DMax: m.DMax,
	}
	for _, e := range m.Extra {
		data := string(e.Data)
		switch string(e.Name) {
		case "SPOOF_HOST":
			g.Spoof = data
		case "SPOOF_HEARTBEAT":
			g.Heartbeat = true
		case "CLUSTER":
			g.Cluster = data
		case "GROUP":
			g.Group += ", " + data
		case "DESC":
			g.Desc = data
		case "TITLE":
			g.Title = data
		default:
			t.Fatalf("extra element %q", e.Name)
		}
	}
	if g.Heartbeat {
		g = Gmetric{Spoof: g.Spoof, Heartbeat: true}
	}
	return g, string(m.Host)
}

func TestDatagramsAreThoseOfGmetric(t *testing.T) {
	files, err := filepath.Glob("../gmond/testdata/payloads/133-value_string-*.hex")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range files {
		name := strings.TrimPrefix(filepath.Base(file), "133-value_string-")
		switch strings.TrimSuffix(name, ".hex") {
		case "gexec", "location", "machine_type", "os_name", "os_release":
			continue // gmond's own
		}
		metadata, value := captured(t, filepath.Join(filepath.Dir(file), "128-metadata_full-"+name)), captured(t, file)
		g, host := flags(t, metadata, value)
		if err := g.Check(); err != nil && g.Value != "" {
			t.Errorf("%s: %v", name, err)
		}
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		if g, err = ParseGmetric(text); err != nil { // the control socket carries it so
			t.Fatal(err)
		}
		gotM, gotV, err := g.Datagrams(host, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(gotM, metadata) || !bytes.Equal(gotV, value) {
			t.Errorf("%s:\n got %x %x\nwant %x %x", name, gotM, gotV, metadata, value)
		}
		compared++
	}
	if compared < 20 {
		t.Errorf("only %d captures were compared", compared)
	}
}

func TestCheck(t *testing.T) {
	f := func(g Gmetric, want string) {
		t.Helper()
		switch err := g.Check(); {
		case want == "" && err != nil:
			t.Errorf("%+v: %v", g, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%+v: got %v, want an error that says %q", g, err, want)
		}
	}
	for _, ok := range []string{
		"5", " 7", "\n-1.5e3", "+.5", "5.", "0x1f", "0x1.8p-3", "0X.8", "nan", "NaN(a_1)", "inf", "-Infinity", "1e999", "300",
	} {
		f(Gmetric{Name: "a", Type: "uint8", Value: ok}, "")
	}
	for _, bad := range []string{"7 ", " ", "1e", "0x", "0xg", "1_0", "five", "infinite", "nan(", "--1", ".", "1,5"} {
		f(Gmetric{Name: "a", Type: "float", Value: bad}, "is no number")
		f(Gmetric{Name: "a", Type: "string", Value: bad}, "")
	}
	f(Gmetric{Name: "a", Type: "float"}, "value is empty")
	f(Gmetric{Name: "a", Type: "string"}, "")
	f(Gmetric{Type: "string", Value: "x"}, "needs a name")
	f(Gmetric{Name: "a", Type: "int64", Value: "1"}, `type "int64"`)
	f(Gmetric{Name: "a", Type: "STRING", Value: "1"}, "type")
	for _, g := range []Gmetric{
		{Name: `a"`, Type: "int8", Value: "1"}, {Name: "a", Type: "string", Value: `"`}, {Name: "a", Type: "int8", Value: "1", Units: `"`},
	} {
		f(g, "double quote")
	}
	f(Gmetric{Name: "a", Type: "int8", Value: "1", Group: `"`, Title: `"`, Slope: "bogus"}, "")
	f(Gmetric{Name: "a", Type: "int8", Value: "1", Spoof: "ghost"}, "address:name")
	f(Gmetric{Spoof: "10.0.0.9:ghost", Heartbeat: true}, "")
	f(Gmetric{Name: "a", Type: "int8", Value: "1", Heartbeat: true}, "without spoof")
}

func TestDatagramsRefuse(t *testing.T) {
	long := strings.Repeat("x", 1500)
	for _, g := range []Gmetric{
		{Name: long, Type: "string", Value: "1"}, {Name: "a", Type: "string", Value: long},
		{Name: "a", Type: "string", Value: "1", Desc: long}, {Name: "a\x00b", Type: "string", Value: "1"},
	} {
		if m, v, err := g.Datagrams("host", ""); err == nil || m != nil || v != nil {
			t.Errorf("%.40q: got %d and %d bytes, %v", g.Name, len(m), len(v), err)
		}
	}
}

func TestOverride(t *testing.T) {
	for _, x := range [][3]string{{"", "", ""}, {"web", "", "web:web"}, {"web", "10.0.0.9", "10.0.0.9:web"}} {
		if got := Override(x[0], x[1]); got != x[2] {
			t.Errorf("Override(%q, %q) = %q", x[0], x[1], got)
		}
	}
	g := Gmetric{Name: "a", Type: "int8", Value: "1"}
	metadata, value, err := g.Datagrams("me", "10.0.0.9:web")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range [][]byte{metadata, value} {
		var p gmond.Packet
		if err := gmond.Decode(d, &p); err != nil || string(p.Host) != "10.0.0.9:web" || !p.Spoof {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

func FuzzParseGmetric(f *testing.F) {
	f.Add([]byte(`{"name":"a","value":"1","type":"int8","slope":"both","tmax":60,"dmax":0,"group":"a, b","spoof":"10.0.0.9:g"}`))
	f.Add([]byte(`{"heartbeat":true,"spoof":"1:2"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := ParseGmetric(text)
		if err != nil || g.Check() != nil {
			return
		}
		metadata, value, err := g.Datagrams("host", "")
		if err != nil {
			return
		}
		var p gmond.Packet
		for _, d := range [][]byte{metadata, value} {
			if err := gmond.Decode(d, &p); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
	})
}
