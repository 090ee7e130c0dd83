package gmondimport

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keepwatch/internal/conf"
	"keepwatch/internal/draft"
	"keepwatch/internal/gmondconf"
	"keepwatch/internal/report"
	"keepwatch/probes/ganglia"
)

var update = flag.Bool("update", false, "rewrite golden files")

// options are those of a host at 10.0.0.9 whose files are those of this folder.
func options() Options {
	return Options{
		Options: gmondconf.Options{
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
		Own: func(ipv6 bool) (string, bool) { return "10.0.0.9", !ipv6 },
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

// TestGolden translates configurations as people write them, the one that gmond has built in and Debian's.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) < 9 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conf")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := Import(filepath.Base(file), data, options())
			var notes strings.Builder
			for _, n := range r.Notes {
				notes.WriteString(n.String() + "\n")
			}
			golden(t, "testdata/"+name+".yaml", written(t, r))
			golden(t, "testdata/"+name+".notes", notes.String())
			if r.Usable != (name != "nothing") {
				t.Errorf("got usable %t", r.Usable)
			}
			mistakes := []string{"mistakes", "nothing", "sender-only", "receiver-only", "aggregator", "modules"}
			if got, want := report.Mistakes(r.Notes) > 0, slices.Contains(mistakes, name); got != want {
				t.Errorf("got mistakes %t, want %t", got, want)
			}
			if strings.Contains(notes.String(), "hunter2") {
				t.Error("a password is shown")
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

// TestTitles: the metrics that count as known are those that this host sends as gmond does, under the same titles.
func TestTitles(t *testing.T) {
	for _, m := range ganglia.Metrics() {
		title, ok := titles[m.Name]
		if !ok || title != m.Title {
			t.Errorf("%s: got %q, %t, want %q", m.Name, title, ok, m.Title)
		}
	}
	if got, want := len(titles), len(ganglia.Metrics()); got != want {
		t.Errorf("got %d metrics, want %d", got, want)
	}
}

// TestBounds: what is too much is left out, and told.
func TestBounds(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		r := Import("g.conf", []byte("tcp_accept_channel { port = 8649 }\n"+text), options())
		written(t, r)
		for _, n := range r.Notes {
			if strings.Contains(n.String(), want) {
				return
			}
		}
		t.Errorf("got notes %.500v, want %q", r.Notes, want)
	}
	f(strings.Repeat("udp_recv_channel { port = 1 }\n", 65), "65 of udp_recv_channel: the first 64 are imported")
	f(strings.Repeat("udp_send_channel { host = a port = 1 }\n", 65), "65 of udp_send_channel")
	f(strings.Repeat("collection_group { metric { name = load_one } }\n", 501), "501 of collection_group")
	f("udp_send_channel { host = a }"+strings.Repeat("collection_group { "+strings.Repeat("metric { name = load_one } ", 500)+" }\n", 5), "more than 2000 metrics")
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
