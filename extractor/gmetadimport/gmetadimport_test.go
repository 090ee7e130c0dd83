package gmetadimport

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keepwatch/internal/conf"
	"keepwatch/internal/draft"
	"keepwatch/internal/gmetadconf"
	"keepwatch/internal/report"
)

var update = flag.Bool("update", false, "rewrite golden files")

// options are those of a host that knows monitor.example.com and whose files are those of this folder.
func options() Options {
	return Options{
		Options: gmetadconf.Options{
			Read: func(path string) ([]byte, error) {
				if !strings.HasPrefix(path, "testdata/") {
					return nil, errors.New("no such file")
				}
				return os.ReadFile(path)
			},
			Glob: func(pattern string) ([]string, error) {
				if !strings.HasPrefix(pattern, "testdata/") {
					return nil, nil
				}
				return filepath.Glob(pattern)
			},
		},
		Resolve: func(name string) (string, bool) { return "10.0.0.77", name == "monitor.example.com" },
		Host:    "meta1",
	}
}

// written is the file that a translation becomes, after it was loaded from that again.
func written(t *testing.T, r draft.Result) string {
	t.Helper()
	var b, again bytes.Buffer
	if err := conf.Write(&b, r.Config, r.Comments); err != nil {
		t.Fatal(err)
	}
	back, err := conf.Parse("written.yaml", b.Bytes(), nil)
	if err != nil {
		t.Fatalf("the translation does not load: %v\n%s", err, b.String())
	}
	back.Host = ""
	if err := conf.Write(&again, back, r.Comments); err != nil || again.String() != b.String() {
		t.Fatalf("loaded it is another: %v\n%s\n%s", err, b.String(), again.String())
	}
	return b.String()
}

// TestGolden translates configurations as people write them, Debian's among them.
func TestGolden(t *testing.T) {
	for _, name := range []string{"debian", "full", "trusting", "mistakes", "nothing"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/" + name + ".conf")
			if err != nil {
				t.Fatal(err)
			}
			r := Import(name+".conf", data, options())
			var notes strings.Builder
			for _, n := range r.Notes {
				notes.WriteString(n.String() + "\n")
			}
			golden(t, "testdata/"+name+".yaml", written(t, r))
			golden(t, "testdata/"+name+".notes", notes.String())
			if r.Usable != (name != "nothing") {
				t.Errorf("got usable %t", r.Usable)
			}
			if got, want := report.Mistakes(r.Notes) > 0, slices.Contains([]string{"full", "mistakes", "nothing"}, name); got != want {
				t.Errorf("got mistakes %t, want %t", got, want)
			}
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

// TestEveryDirective: what has no key is told, whatever gmetad knows.
func TestEveryDirective(t *testing.T) {
	data, err := os.ReadFile("testdata/full.conf")
	if err != nil {
		t.Fatal(err)
	}
	c, err := gmetadconf.Parse("full.conf", data, gmetadconf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range without {
		if _, ok := c.Set[name]; !ok {
			t.Errorf("full.conf has no %s", name)
		}
	}
}

// TestBounds: what is too much is left out, and told.
func TestBounds(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		r := Import("g.conf", []byte(text), options())
		written(t, r)
		for _, n := range r.Notes {
			if strings.Contains(n.String(), want) {
				return
			}
		}
		t.Errorf("got notes %.500v, want %q", r.Notes, want)
	}
	var many strings.Builder
	for i := range maxSources + 1 {
		fmt.Fprintf(&many, "data_source s%d h\n", i)
	}
	f(many.String(), "more than 500 data_sources")
	f("data_source s"+strings.Repeat(" h", 100), `"h:8649" stands twice`)
	var hosts, trusted strings.Builder
	for i := range 70 {
		fmt.Fprintf(&hosts, " h%d", i)
	}
	f("data_source s"+hosts.String(), "more than 64 hosts")
	for i := range maxTrusted + 1 {
		fmt.Fprintf(&trusted, "trusted_hosts 10.0.%d.%d\n", i/250, i%250)
	}
	f("data_source s h\n"+trusted.String(), "more than 500 trusted_hosts")
}

// FuzzImport: no text panics or hangs, and what comes of it loads.
func FuzzImport(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.conf")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Import("fuzz.conf", data, options())
		if len(r.Notes) > report.MaxNotes+1 {
			t.Fatalf("got %d notes", len(r.Notes))
		}
		for _, n := range r.Notes {
			if strings.Contains(n.Text, "everything is left out") {
				t.Fatalf("its parts contradict each other: %v", n)
			}
		}
		written(t, r)
	})
}

// TestAuthority: what gmetad tells where its file names none.
func TestAuthority(t *testing.T) {
	f := func(text, host, want string, notes ...string) {
		t.Helper()
		o := options()
		o.Host = host
		r := Import("gmetad.conf", []byte("data_source lab 10.0.0.1\n"+text), o)
		if got := r.Config.Extractor.Ganglia.Authority; got != want {
			t.Errorf("%q on %q: got %q, want %q", text, host, got, want)
		}
		var got []string
		for _, n := range r.Notes {
			if strings.Contains(n.Text, "authority") {
				got = append(got, n.String())
			}
		}
		if !slices.EqualFunc(got, notes, strings.HasPrefix) {
			t.Errorf("%q on %q: got notes %q, want %q", text, host, got, notes)
		}
	}
	f("", "meta1", "http://meta1/ganglia/", "gmetad.conf: remark: no authority: http://meta1/ganglia/ is written")
	f("", "", "", "gmetad.conf: changed: no authority")
	f("", "no host", "", "gmetad.conf: mistake: authority")
	f("authority http://web/", "meta1", "http://web/")
}
