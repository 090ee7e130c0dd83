package gmond

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"keepwatch/metric"
)

// src is the source of packets whose source does not matter.
var src = netip.MustParseAddr("192.0.2.1")

var update = flag.Bool("update", false, "rewrite golden files")

// payloads are datagrams captured from gmond and gmetric 3.7.2, one file each: a comment, the datagram in
// hexadecimal, then its fields.
func payloads(t testing.TB) (names []string, data map[string][]byte) {
	t.Helper()
	files, err := filepath.Glob("testdata/payloads/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	sort.Strings(files)
	data = make(map[string][]byte)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := hex.DecodeString(strings.Split(string(raw), "\n")[1])
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".hex")
		names, data[name] = append(names, name), d
	}
	return names, data
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
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

func TestDecodeCaptures(t *testing.T) {
	names, data := payloads(t)
	var out strings.Builder
	var p Packet
	for _, n := range names {
		if err := Decode(data[n], &p); err != nil {
			t.Errorf("%s: %v", n, err)
		}
		fmt.Fprintf(&out, "%s: id %d host %q name %q spoof %v", n, p.ID, p.Host, p.Name, p.Spoof)
		switch {
		case p.ID == Metadata:
			fmt.Fprintf(&out, " type %q units %q slope %d tmax %d dmax %d", p.Type, p.Units, p.Slope, p.TMax, p.DMax)
			for _, e := range p.Extra {
				fmt.Fprintf(&out, " %s=%q", e.Name, e.Data)
			}
		case p.ID != Request:
			fmt.Fprintf(&out, " format %q number %v text %q", p.Format, p.Number, p.Text)
		}
		out.WriteByte('\n')
	}
	golden(t, "testdata/decoded.txt", out.String())
}

func TestJoinCaptures(t *testing.T) {
	names, data := payloads(t)
	tab := newTable(t, 100, 1000)
	var out strings.Builder
	var p Packet
	for _, n := range names { // metadata sorts first
		if err := Decode(data[n], &p); err != nil {
			t.Fatal(err)
		}
		res, err := tab.Add(&p, src, 1000)
		switch {
		case err != nil:
			fmt.Fprintf(&out, "%s: %v\n", n, err)
		case res.Outcome == Joined:
			fmt.Fprintf(&out, "%s: %v %v %v %q\n", n, res.Sample.Series, res.Sample.Value, res.Sample.Series.Kind, res.Sample.Series.Unit)
		default:
			fmt.Fprintf(&out, "%s: %v\n", n, res.Outcome)
		}
	}
	golden(t, "testdata/joined.txt", out.String())
}

func newTable(t testing.TB, hosts, metrics int) *Table {
	t.Helper()
	tab, err := NewTable(TableOptions{Cluster: "lab", MaxHosts: hosts, MaxMetrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// Every way of cutting a datagram is refused, and none reads past its end.
func TestCutPacketsAreRefused(t *testing.T) {
	names, data := payloads(t)
	var p Packet
	for _, n := range names {
		for cut := range data[n] {
			if err := Decode(data[n][:cut:cut], &p); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s cut at %d: got %v, want ErrMalformed", n, cut, err)
			}
		}
		if err := Decode(append(bytes.Clone(data[n]), 1, 2, 3), &p); err != nil {
			t.Errorf("%s with bytes behind it: %v", n, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	u := func(vs ...uint32) (b []byte) {
		for _, v := range vs {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"gmond 3.0", u(15, 0x3e570a3d), ErrUnknown},
		{"future", u(137, 0, 0, 0), ErrUnknown},
		{"huge string", u(134, 0xffffffff), ErrMalformed},
		{"string of all but the padding", u(134, 0xfffffffe), ErrMalformed},
		{"huge count", u(128, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0xffffffff), ErrMalformed},
	} {
		if err := Decode(c.in, new(Packet)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	var p Packet
	if err := Decode(append(append(u(133, 3), 'a', 0, 'b', 9), u(1, 'm'<<24, 2, 0, 0)...), &p); err != nil {
		t.Fatal(err)
	}
	if string(p.Host) != "a" || string(p.Name) != "m" || !p.Spoof {
		t.Errorf("NUL, padding, spoof 2: got %q %q %v", p.Host, p.Name, p.Spoof)
	}
}

func meta(host, name, typ string, slope Slope) *Packet {
	return &Packet{ID: Metadata, Host: []byte(host), Name: []byte(name), Type: []byte(typ), Slope: slope, Units: []byte("KB ")}
}

func text133(host, name, value string) *Packet {
	return &Packet{ID: ValueString, Host: []byte(host), Name: []byte(name), Format: []byte("%s"), Text: []byte(value)}
}

func TestValueBeforeMetadataIsKept(t *testing.T) {
	tab := newTable(t, 10, 10)
	for i, v := range []string{"1", "2"} {
		if res, err := tab.Add(text133("a", "x", v), src, int64(i)); err != nil || res.Outcome != Waiting || res.Host != "a" {
			t.Fatalf("got %+v, %v; want Waiting", res, err)
		}
	}
	res, err := tab.Add(meta("a", "x", "uint32", Positive), src, 9)
	if err != nil || res.Outcome != Joined {
		t.Fatalf("got %+v, %v; want Joined", res, err)
	}
	if s := res.Sample; s.Value != 2 || s.Time != 1 || s.Series.Kind != metric.Counter || s.Series.Unit != "KB" || s.Series.Name != "gmond_x" {
		t.Errorf("got %v of %v, want the last value at its own time", s, s.Series)
	}
	if res, err := tab.Add(meta("a", "x", "uint32", Positive), src, 10); err != nil || res.Outcome != Learned {
		t.Errorf("metadata again: got %+v, %v; want Learned", res, err)
	}
	if again, err := tab.Add(text133("a", "x", "3"), src, 11); err != nil || again.Sample.Series != res.Sample.Series && again.Sample.Series.Key() != "lab\x00a\x00gmond_x\x00source\x01gmond" {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		typ  string
		p    Packet
		want string // "NAME LABELVALUE VALUE" or empty for ErrValue
	}{
		{"uint32", *text133("a", "x", "42"), "gmond_x  42"},
		{"uint32", *text133("a", "x", " 0x1f"), "gmond_x  31"},
		{"double", *text133("a", "x", "-1e3"), "gmond_x  -1000"},
		{"uint32", *text133("a", "x", ""), ""},
		{"float", *text133("a", "x", "nan"), ""},
		{"float", *text133("a", "x", "inf"), ""},
		{"float", *text133("a", "x", "1_0"), ""},
		{"float", *text133("a", "x", "abc"), ""},
		{"string", *text133("a", "x", "5"), "gmond_x_info 5 1"},
		{"string", *text133("a", "x", "Linux\x01\xe9"), "gmond_x_info Linux é 1"},
		{"string", *text133("a", "x", "  "), ""},
		{"string", *text133("a", "x", strings.Repeat("é", 300)), "gmond_x_info " + strings.Repeat("é", 256) + " 1"},
		{"int64", *text133("a", "x", "7"), "gmond_x  7"},
		{"int64", *text133("a", "x", "up"), "gmond_x_info up 1"},
		{"float", Packet{ID: ValueFloat, Number: float64(float32(99.380859)), Format: []byte("%.1f")}, "gmond_x  99.4"},
		{"float", Packet{ID: ValueFloat, Number: float64(float32(0.21)), Format: []byte("%n%n")}, "gmond_x  0.21"},
		{"double", Packet{ID: ValueDouble, Number: 2.0 / 3, Format: []byte("%.3f")}, "gmond_x  0.667"},
		{"double", Packet{ID: ValueDouble, Number: 1e300, Format: []byte("%.3f")}, "gmond_x  1e+300"},
		{"double", Packet{ID: ValueDouble, Number: math.NaN(), Format: []byte("%f")}, ""},
		{"float", Packet{ID: ValueFloat, Number: math.Inf(1), Format: []byte("%f")}, ""},
		{"uint16", Packet{ID: ValueUshort, Number: 2, Format: []byte("%s%s%s")}, "gmond_x  2"},
		{"string", Packet{ID: ValueUint, Number: 2}, "gmond_x_info 2 1"},
	} {
		tab := newTable(t, 10, 10)
		if _, err := tab.Add(meta("a", "x", c.typ, Both), src, 1); err != nil {
			t.Fatal(err)
		}
		c.p.Host, c.p.Name = []byte("a"), []byte("x")
		res, err := tab.Add(&c.p, src, 2)
		if c.want == "" {
			if !errors.Is(err, ErrValue) || res.Host != "a" {
				t.Errorf("%s %q %v: got %+v, %v; want ErrValue", c.typ, c.p.Text, c.p.Number, res, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %q: %v", c.typ, c.p.Text, err)
			continue
		}
		s := res.Sample
		if got := fmt.Sprintf("%s %s %v", s.Series.Name, s.Series.Label("value"), s.Value); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.typ, c.p.Text, got, c.want)
		}
	}
}

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		host  string
		spoof bool
		want  string // empty: ErrHost
	}{
		{"web1", false, "web1"},
		{"10.0.0.9:ghost", true, "ghost"},
		{"fe80::1:h", true, ":1:h"},
		{"ghost", true, ""},
		{":ghost", true, ""},
		{"10.0.0.9:", true, ""},
		{"", false, ""},
		{"", true, ""},
		{"a\nb", false, ""},
		{strings.Repeat("a", 254), false, ""},
		{"\xff\xfe", false, ""},
	} {
		res, err := newTable(t, 10, 10).Add(&Packet{ID: ValueUint, Host: []byte(c.host), Name: []byte("x"), Spoof: c.spoof}, src, 1)
		if c.want == "" {
			if !errors.Is(err, ErrHost) {
				t.Errorf("%q spoof %v: got %+v, %v; want ErrHost", c.host, c.spoof, res, err)
			}
		} else if err != nil || res.Host != c.want {
			t.Errorf("%q spoof %v: got %q, %v; want %q", c.host, c.spoof, res.Host, err, c.want)
		}
	}
}

func TestOddNamesKeepTheirOriginal(t *testing.T) {
	tab := newTable(t, 10, 10)
	if _, err := tab.Add(meta("a", "disk /var é", "float", Both), src, 1); err != nil {
		t.Fatal(err)
	}
	res, err := tab.Add(text133("a", "disk /var é", "1"), src, 1)
	if err != nil {
		t.Fatal(err)
	}
	if s := res.Sample.Series; s.Name != "gmond_disk__var___" || s.Label("gmond_name") != "disk /var é" {
		t.Errorf("got %v", s)
	}
	if _, err := tab.Add(text133("a", strings.Repeat("x", 300), "1"), src, 1); !errors.Is(err, ErrMetric) {
		t.Errorf("long name: got %v, want ErrMetric", err)
	}
}

func TestTableIsBounded(t *testing.T) {
	tab := newTable(t, 2, 3)
	for i := range 5 {
		_, err := tab.Add(text133(fmt.Sprintf("h%d", i), "x", "1"), src, 1)
		if got := errors.Is(err, ErrTooManyHosts); got != (i >= 2) {
			t.Errorf("host %d: %v", i, err)
		}
		_, err = tab.Add(text133("h0", fmt.Sprintf("m%d", i), "1"), src, 1)
		if got := errors.Is(err, ErrTooManyMetrics); got != (i >= 2) {
			t.Errorf("metric %d: %v", i, err)
		}
	}
	// A string that is new each time makes a series each time, up to the bound.
	if _, err := tab.Add(meta("h1", "x", "string", Zero), src, 2); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := 0; i < 10 && err == nil; i++ {
		_, err = tab.Add(text133("h1", "x", fmt.Sprint("v", i)), src, 3)
	}
	if !errors.Is(err, ErrTooManyMetrics) {
		t.Errorf("changing string: got %v, want ErrTooManyMetrics", err)
	}
	if _, err := tab.Add(text133("h1", "x", "new"), src, hour); err != nil {
		t.Errorf("an hour later: %v", err)
	}
	if tab.Sweep(hour+101, 100); tab.Hosts() != 0 {
		t.Errorf("%d hosts after their time, want none", tab.Hosts())
	}
}

func TestJoinAllocatesNothing(t *testing.T) {
	tab := newTable(t, 2, 3)
	if _, err := tab.Add(meta("a", "x", "float", Both), src, 1); err != nil {
		t.Fatal(err)
	}
	p := Packet{ID: ValueFloat, Host: []byte("a"), Name: []byte("x"), Format: []byte("%.2f"), Number: float64(float32(0.21))}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := tab.Add(&p, src, 2); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations a value, want none", n)
	}
}
