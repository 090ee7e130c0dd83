package conf

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
)

// Marks in docs/configuration.md between which the generated reference stands.
const (
	beginMark = "<!-- reference: written by go test ./internal/conf -update -->\n"
	endMark   = "<!-- end of reference -->\n"
)

func TestReferenceIsFresh(t *testing.T) {
	const file = "../../docs/configuration.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), beginMark)
	old, after, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		t.Fatalf("%s: the marks %q and %q are gone", file, beginMark, endMark)
	}
	var b bytes.Buffer
	if err := WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	fresh := "\n" + b.String() + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(before+beginMark+fresh+endMark+after), 0o644); err != nil {
			t.Fatal(err)
		}
		old = fresh
	}
	if old != fresh {
		t.Errorf("%s does not hold the reference of conf.go: run go test ./internal/conf -update", file)
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	for _, r := range rowsOf(reflect.ValueOf(Default()), "") {
		if r.key == "" || r.doc == "" {
			t.Errorf("%s: want yaml and doc tags", r.path)
		}
	}
}
