package gmetadconf

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keepwatch/internal/report"
)

// TestFaults: each fault says where it is and what is wanted, and one does not hide the next.
func TestFaults(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := Parse("g.conf", []byte(text), Options{})
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("%q:\n got %v\nwant %s", text, err, strings.Join(want, "\n"))
		}
	}
	f("grid_name x\n  xml_port\n\nfoo\n# data_source\ndata_source a\n",
		`g.conf:1:1: "grid_name": gmetad knows no such directive: perhaps gridname is meant`,
		"g.conf:2:3: xml_port: want a value behind it",
		`g.conf:4:1: "foo": gmetad knows no such directive`,
		`g.conf:6:1: data_source: want a name and at least one host, as data_source "web" 15 web1 web2:8655; gmetad crashes at this`)
	f("", "g.conf: no line holds data_source in small letters, want at least one: gmetad counts its sources by that, in this file alone")
	f(lab+"gridname <<END\nx\nEND\n", "g.conf:2:1: gridname: a here-document is not read: write the value on one line")
	f(lab+"gridname ${A\n", `g.conf:2:1: "${A": want } behind ${`)
	f(lab+"include x\n", `g.conf:2:1: cannot read "x": no file can be included here`)
}

// TestConfig: what is read lands where it belongs, the last of a name is in force.
func TestConfig(t *testing.T) {
	c, err := Parse("g.conf", []byte(`
data_source "my cluster" 10 a:8655 10.0.0.1
data_source other b \
  c:8650
data_source 1.2.3.4 1.2.3.4
data_source "my cluster" d
GridName 'My Grid' x
trusted_hosts 10.0.0.5 host.example.com
trusted_hosts a\ b
xml_port 0x21CB
interactive_port 8652 # no more
case_sensitive_hostnames 0
all_trusted off
scalable off
authority "http://${HOST:-web}/ganglia/"
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Sources {
		got = append(got, fmt.Sprint(s.Name, " ", s.Step, " ", s.Addresses, " ", s.At))
	}
	want := []string{"my cluster 15 [{d 8649}] g.conf:6:1", "other 15 [{b 8649} {c 8650}] g.conf:3:1", "1.2.3.4 15 [{1.2.3.4 8649}] g.conf:5:1"}
	if !slices.Equal(got, want) || len(c.Replaced) != 1 || c.Replaced[0].Step != 10 || c.Replaced[0].Addresses[0].Port != 8655 {
		t.Errorf("got sources %q, replaced %+v, want %q", got, c.Replaced, want)
	}
	if c.Grid != "My Grid" || c.Authority != "http://web/ganglia/" || c.XMLPort != 8651 || c.Interactive != 8652 || c.Sensitive || !c.AllTrusted || c.Scalable {
		t.Errorf("got %+v", c)
	}
	if len(c.Trusted) != 3 || c.Trusted[1].Name != "host.example.com" || c.Trusted[2].Name != "a b" {
		t.Errorf("got trusted %+v", c.Trusted)
	}
	if at := c.Set["gridname"]; at != (report.Place{File: "g.conf", Line: 7, Column: 1}) {
		t.Errorf("got gridname at %v", at)
	}
}

// TestArguments: quotes, protected characters, comments and variables as dotconf takes them.
func TestArguments(t *testing.T) {
	o := Options{Env: func(name string) (string, bool) { return "v", name == "V" }}
	f := func(text, lost string, want ...string) {
		t.Helper()
		c, _ := Parse("g.conf", []byte("rras "+text+"\n"), o)
		if len(c.Directives) != 1 || !slices.Equal(c.Directives[0].Args, want) || c.Directives[0].Lost != lost {
			t.Errorf("%q: got %+v, want %q, lost %q", text, c.Directives, want, lost)
		}
	}
	f("", "")
	f(`a  "b c"	'd "e'`, "", "a", "b c", `d "e`)
	f(`a"b c"d`, "", "ab cd")
	f(`a\ b \"c\" '\'d'`, "", "a b", `"c"`, "'d")
	f(`a #b c`, "", "a")
	f(`a b#c d`, "b", "a")
	f(`a "b#c" d`, "", "a", "b#c", "d")
	f(`a "b c`, "", "a", "b c\n")
	f(`a "" b c`, "", "a", "b c")
	f(`${V} ${W} ${W:-x y} '${W:-z}' a${V}b`, "", "v", "", "", "y}", "z", "avb")
	f(`${V}${V}`, "", "v${V}")
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]int{"8651": 8651, " 12x": 12, "x": 0, "": 0, "0x10": 16, "010": 8, "08": 0, "-5": -5, "+5": 5, "0x": 0, "99999999999999999999": 999999999999} {
		if got := integer(text); got != want {
			t.Errorf("integer(%q): got %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]int{"8651": 8651, "12x": 12, "x": 0, "": 0, "010": 10} {
		if got := decimal(text); got != want {
			t.Errorf("decimal(%q): got %d, want %d", text, got, want)
		}
	}
}

// TestBounds: past a bound reading stops and says so.
func TestBounds(t *testing.T) {
	o := Options{
		Read: func(path string) ([]byte, error) { return []byte("include x" + path + "\n"), nil },
		Glob: func(string) ([]string, error) { return slices.Repeat([]string{"many"}, 200), nil },
	}
	f := func(name, text, want string) {
		t.Helper()
		_, err := Parse("g.conf", []byte(text), o)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1<<15 {
			t.Errorf("%s: got %.500v, want %q", name, err, want)
		}
	}
	f("size", strings.Repeat("#", MaxFile+1), "larger than 1048576 bytes")
	f("depth", "include y", "files include each other more than 8 deep")
	f("line", "gridname "+strings.Repeat("x", maxLine), "a line of more than 4095 bytes")
	f("joined line", strings.Repeat("gridname \\\n", maxLine), "a line of more than 4095 bytes")
	f("faults", strings.Repeat("x\n", 1000), `"x": gmetad knows no such directive`)
	f("NUL", lab+"\x00", "holds NUL bytes")
	f("itself", "include g.conf", `g.conf:1:1: "g.conf" includes itself`)
	files := 0
	_, err := Parse("g.conf", []byte("include *"), Options{
		Read: func(string) ([]byte, error) { files++; return nil, nil }, Glob: o.Glob,
	})
	if err == nil || files != maxFiles {
		t.Errorf("got %v after %d files, want %d and an error", err, files, maxFiles)
	}
}

// TestIncluded: files are read in their place, relative ones in the folder of IncludePath, which ends with its file.
func TestIncluded(t *testing.T) {
	var read []string
	o := Options{
		Read: func(path string) ([]byte, error) {
			read = append(read, path)
			return []byte("includepath /other\ndata_source " + path + " x\n"), nil
		},
		Glob: func(pattern string) ([]string, error) {
			if pattern != `/d\[1]/\[a*` {
				t.Errorf("got pattern %q", pattern)
			}
			return []string{"/d[1]/[a1", "/d[1]/[a2"}, nil
		},
	}
	c, err := Parse("g.conf", []byte("include rel\nincludepath /d[1]\ninclude [a*\ninclude /abs\ninclude b\ndata_source last x\n"), o)
	want := []string{"rel", "/d[1]/[a1", "/d[1]/[a2", "/abs", "/d[1]/b"}
	if err != nil || !slices.Equal(read, want) || !slices.Equal(c.Files, append([]string{"g.conf"}, want...)) {
		t.Errorf("got %q, %v, want %q", read, err, want)
	}
	if len(c.Sources) != 6 || c.Sources[5].Name != "last" || len(c.Relative) != 1 {
		t.Errorf("got %+v, relative %v", c.Sources, c.Relative)
	}
}

// FuzzParse: no text panics or hangs, and the same text says the same.
func FuzzParse(f *testing.F) {
	for text := range texts {
		f.Add([]byte(text))
	}
	data, err := os.ReadFile("testdata/debian.conf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	o := Options{
		Read: func(path string) ([]byte, error) { return []byte("gridname x\ninclude x" + path + "\n"), nil },
		Glob: func(pattern string) ([]string, error) { return []string{pattern}, nil },
		Env:  func(name string) (string, bool) { return "20", name == "KW_SET" },
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.conf", data, o)
		again, err2 := Parse("fuzz.conf", data, o)
		if fmt.Sprint(err) != fmt.Sprint(err2) || !reflect.DeepEqual(c, again) {
			t.Fatalf("got %v, then %v", err, err2)
		}
		var faults report.Faults
		if err != nil && (!errors.As(err, &faults) || len(faults) == 0 || len(faults) > maxFaults) {
			t.Fatalf("got %T of %d faults", err, len(faults))
		}
	})
}
