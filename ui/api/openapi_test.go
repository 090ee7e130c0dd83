package api

import (
	"bytes"
	"flag"
	"log/slog"
	"os"
	"regexp"
	"testing"
)

var update = flag.Bool("update", false, "write openapi.json anew")

func document(t *testing.T) []byte {
	t.Helper()
	a := New(Options{Log: slog.New(slog.DiscardHandler)})
	b, err := a.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// The description in the repository is the one that the server gives: programs are generated from it.
func TestOpenAPIIsFresh(t *testing.T) {
	got := document(t)
	if *update {
		if err := os.WriteFile("openapi.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("ui/api/openapi.json is not what the API is: run go test ./ui/api -update and look at the difference")
	}
}

func TestOpenAPIHasNoNullableLists(t *testing.T) {
	if regexp.MustCompile(`"array",\s*"null"`).Match(document(t)) {
		t.Error("a list is described as possibly null, which it never is")
	}
}
