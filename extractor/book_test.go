package extractor

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reopened is how far two clusters are after a start on a folder.
func reopened(t *testing.T, dir string) (a, b int64) {
	t.Helper()
	have, err := openBook(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return have.page("a").since(), have.page("b").since()
}

// saved is a folder in which both clusters were noted at 100, then at 200.
func saved(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	have, err := openBook(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{100, 200} {
		have.page("a").published(at)
		have.page("b").published(at)
		if err := have.save(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func change(t *testing.T, file string, f func(string) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(f(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever a power failure or a damaged disk leaves of the files, each cluster goes on from the newest page of it that
// can be read.
func TestDamagedBook(t *testing.T) {
	hurt := func(text string) string { return strings.Replace(text, `"received":200`, `"received":"x"`, 1) }
	half := func(text string) string { return text[:len(text)/2] }
	empty := func(string) string { return "" }
	nothing := func(string) string { return `{"a":null}` }
	tests := []struct {
		name      string
		file, old func(string) string // nil: as it is
		gone      bool                // the newer file is not there
		a, b      int64
	}{
		{name: "whole", a: 200, b: 200},
		{name: "one page", file: hurt, a: 100, b: 200},
		{name: "one page, and no older file", file: hurt, old: empty, a: 0, b: 200},
		{name: "half of the file", file: half, a: 100, b: 100},
		{name: "an empty file", file: empty, a: 100, b: 100},
		{name: "between the two renames", gone: true, a: 100, b: 100},
		{name: "both", file: half, old: half, a: 0, b: 0},
		{name: "a page of nothing", file: nothing, a: 0, b: 0},
		{name: "only the older file", old: half, a: 200, b: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := saved(t)
			file := filepath.Join(dir, bookFile)
			if tt.file != nil {
				change(t, file, tt.file)
			}
			if tt.old != nil {
				change(t, file+oldSuffix, tt.old)
			}
			if tt.gone {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			if a, b := reopened(t, dir); a != tt.a || b != tt.b {
				t.Errorf("got %d and %d, want %d and %d", a, b, tt.a, tt.b)
			}
		})
	}
}
