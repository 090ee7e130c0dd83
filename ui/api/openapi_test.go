package api

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"keepwatch/ui/auth"
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

// Every call is in the page for people, with its role.
func TestDocsListEveryCall(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	a := New(Options{Log: slog.New(slog.DiscardHandler)})
	for path, item := range a.huma.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete, "PATCH": item.Patch} {
			if op == nil {
				continue
			}
			role, _ := op.Metadata[roleKey].(auth.Role)
			if op.OperationID == "get-stream" {
				role = auth.Viewer
			}
			line := fmt.Sprintf("| `%s %s` | %s", method, strings.TrimPrefix(path, "/api/v1"), role)
			if !bytes.Contains(page, []byte(strings.TrimSuffix(line, " "))) {
				t.Errorf("docs/api.md lacks: %s", line)
			}
		}
	}
}
