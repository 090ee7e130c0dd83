package haproxy

import (
	"bytes"
	"os"
	"testing"

	"keepwatch/internal/batch"
)

func TestCutCSV(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		b := []byte(in)
		for i, w := range want {
			field, rest, end, err := cutCSV(b)
			if err != nil || string(field) != w || end != (i == len(want)-1) {
				t.Fatalf("%q, field %d: %q, end %v, %v; want %q", in, i, field, end, err, w)
			}
			b = rest
		}
		if len(b) > 0 {
			t.Errorf("%q: %q is left", in, b)
		}
	}
	f("a,,b,\n", "a", "", "b", "")
	f("\n", "")
	f("\"a,b\",\"c\nd\",\"\",\"x\"\"y\"\"\"\n", "a,b", "c\nd", "", `x"y"`)
	for _, in := range []string{"", "a", `"`, `"a`, `"a"`, `"a"b,`, `"a""`, `""`} {
		if field, _, _, err := cutCSV([]byte(in)); err == nil {
			t.Errorf("%q is taken for %q", in, field)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for in, want := range map[string]float64{"0": 0, "-1": -1, "18446744073709551615": 18446744073709551615} {
		if v, ok := parseNumber([]byte(in)); !ok || v != want {
			t.Errorf("%q: %v %v", in, v, ok)
		}
	}
	for _, in := range []string{"", "-", "1.5", " 1", "1e3", "123456789012345678901", "NaN"} {
		if v, ok := parseNumber([]byte(in)); ok {
			t.Errorf("%q is taken for %v", in, v)
		}
	}
}

func TestMetricTable(t *testing.T) {
	seen := make(map[string]bool)
	for i, m := range metrics() {
		if m.column == "" || m.of == 0 || m.kind == 0 || seen[m.column] {
			t.Errorf("metric %d: %+v is incomplete or its column is there twice", i, m)
		}
		seen[m.column] = true
	}
	if m := metrics(); m[mDowns].column != "chkdown" || m[mChanged].column != "lastchg" {
		t.Error("the first two metrics are not those that events read")
	}
	header, err := os.ReadFile("testdata/show-stat.csv")
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ = bytes.Cut(header, []byte{'\n'})
	for name := range columnIndex() {
		if !bytes.Contains(header, []byte(","+name+",")) && name != "pxname" {
			t.Errorf("HAProxy 2.6 has no column %q", name)
		}
	}
}

// FuzzRead: no answer makes the probe panic, run away or append a sample or event that others must refuse.
func FuzzRead(f *testing.F) {
	f.Add(capture(f), capture(f))
	f.Add(reply("UP", "L7OK", "", 0, 1), reply("DOWN", "L4CON", `"a""b"`, 1, 0))
	f.Add([]byte("Name: x\n\n# pxname,svname,type,status\n,,,\n\"a,\n\",b,2,UP\n"), []byte("Name: x\n# pxname,"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		p := newTest(t, "edge", "x")
		for _, in := range [][]byte{first, second, first} {
			r := &run{ms: start().UnixMilli(), out: new(batch.Batch)}
			p.read(in, r) // an error is an answer too
			for _, s := range r.out.Samples {
				if s.Series == nil || s.Value != s.Value || s.Value < 0 {
					t.Fatalf("sample %v", s)
				}
			}
			for _, e := range r.out.Events {
				if err := e.Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
