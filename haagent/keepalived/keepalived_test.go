package keepalived

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

var update = flag.Bool("update", false, "rewrite golden files")

// options are those of a host named node1 whose files are those of the folder.
func options(folder fs.FS) Options {
	return Options{
		ConfigID: "node1", ScriptUser: "root",
		Read: func(name string) ([]byte, error) { return fs.ReadFile(folder, name) },
		Glob: func(pattern string) ([]string, error) { return fs.Glob(folder, pattern) },
		LookPath: func(program string) (string, bool) {
			return "/usr/bin/" + program, program == "killall" || program == "pidof" || program == "pgrep"
		},
	}
}

// written is the file that a translation becomes.
func written(t *testing.T, r Result) string {
	t.Helper()
	c := conf.Default()
	c.HAAgent = r.Config
	var b bytes.Buffer
	if err := conf.Write(&b, c, r.Comments); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// load reads a written translation back.
func load(t *testing.T, text string) conf.HAAgent {
	t.Helper()
	c, err := conf.Parse("written.yaml", []byte(text), nil)
	if err != nil {
		t.Fatalf("the translation does not load: %v\n%s", err, text)
	}
	return c.HAAgent
}

// TestGolden translates configurations as people write them. Each translation loads, and says the same when loaded.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) < 25 {
		t.Fatalf("got %d files, %v, want at least 25", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conf")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := Import(path.Base(file), data, options(os.DirFS("testdata")))
			var notes strings.Builder
			for _, n := range r.Notes {
				notes.WriteString(n.String() + "\n")
			}
			text := written(t, r)
			golden(t, "testdata/"+name+".yaml", text)
			golden(t, "testdata/"+name+".notes", notes.String())
			back := conf.Default()
			back.HAAgent = load(t, text)
			var again bytes.Buffer
			if err := conf.Write(&again, back, r.Comments); err != nil || again.String() != text {
				t.Errorf("loaded and written again: %v\n%s", err, again.String())
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
	f.Add([]byte("$A=${B}${B}\n$B=${A}\n$A\n~SEQ(N,1,100000) ~SEQ(M,1,100000) $N\n"))
	f.Add([]byte("vrrp_instance A\n{{{{}}}} \"'{\n@^ include x\n$X= \\\n\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Import("fuzz.conf", data, options(os.DirFS("testdata")))
		if len(r.Notes) > report.MaxNotes+1 {
			t.Fatalf("got %d notes", len(r.Notes))
		}
		c := conf.Default()
		c.HAAgent = r.Config
		if err := c.Validate(); err != nil {
			t.Fatalf("the translation has faults: %v", err)
		}
		var b bytes.Buffer
		if err := conf.Write(&b, c, r.Comments); err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		if b.Len() > 1<<20 {
			return // the command says so
		}
		back, err := conf.Parse("written.yaml", b.Bytes(), nil)
		if err != nil {
			t.Fatalf("does not load: %v\n%s", err, b.String())
		}
		back.Host = ""
		var again bytes.Buffer
		if err := conf.Write(&again, back, r.Comments); err != nil || again.String() != b.String() {
			t.Fatalf("loaded it is another: %v\n%s\n%s", err, b.String(), again.String())
		}
	})
}

// TestBounds: past a bound reading stops and says so.
func TestBounds(t *testing.T) {
	f := func(name, text, want string) {
		t.Helper()
		r := Import("k.conf", []byte(text), options(os.DirFS("testdata")))
		for _, n := range r.Notes {
			if strings.Contains(n.String(), want) {
				return
			}
		}
		t.Errorf("%s: got notes %.500v, want %q", name, r.Notes, want)
	}
	f("size", strings.Repeat("#", MaxFile+1), "k.conf: mistake: the file is larger than 1048576 bytes")
	f("lines", strings.Repeat("\n", 7)+strings.Repeat("a\n", maxLines+1), "k.conf:100008: mistake: more than 100000 lines, or too many definitions")
	f("sequence", "~SEQ(A,1,90000) ~SEQ(B,1,90000) $A\n", "k.conf:1: mistake: more than 100000 lines, or too many definitions")
	f("definitions that grow", "$A=${B}${B}\n$B=${C}${C}\n$C=${A}${A}\n$A\n", "k.conf:4: mistake: a line of more than 16384 bytes")
	f("definition of itself", "$A=$A\n$A\n", "k.conf:2: mistake: a line of more than 16384 bytes, or definitions")
	f("nesting", strings.Repeat("a {\n", 1000), "mistake: more than 16 blocks within each other")
	f("include of itself", "include loop/self.inc\n", "mistake: 8 files include each other")
	f("notes", strings.Repeat("x\n", report.MaxNotes+5), "more than 1000 notes")
}

// TestNothing: what holds nothing to import says so by Usable.
func TestNothing(t *testing.T) {
	for _, text := range []string{"", "# nothing", "global_defs {\n router_id x\n}\n", "vrrp_instance A {\n}\n"} {
		if r := Import("k.conf", []byte(text), Options{}); r.Usable() || !reflect.DeepEqual(r.Config.Instances, []conf.Instance(nil)) {
			t.Errorf("%q: got %+v, want nothing", text, r.Config)
		}
	}
}
