package extractor

import (
	"encoding/csv"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The documentation's table of gmond names is that of the program.
func TestDocumentationHasTheTable(t *testing.T) {
	page, err := os.ReadFile("../docs/probes/gmond-metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("normalize/gmond.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines[1:] {
		if want := docLine(l); !strings.Contains(string(page), want) {
			t.Errorf("docs/probes/gmond-metrics.md lacks the line\n%s", want)
		}
	}
	if got := strings.Count(string(page), "\n| `"); got != len(lines)-1 {
		t.Errorf("docs/probes/gmond-metrics.md has %d lines of metrics, the table has %d", got, len(lines)-1)
	}
}

func docLine(l []string) string {
	dash := func(s string) string {
		if s == "" {
			return "–"
		}
		return s
	}
	var labels []string
	for part := range strings.FieldsSeq(l[3]) {
		name, value, _ := strings.Cut(part, "=")
		labels = append(labels, fmt.Sprintf("%s=%q", name, value))
	}
	if _, rest, ok := strings.Cut(l[0], "<"); ok {
		label, _, _ := strings.Cut(rest, ">")
		label = strings.TrimSuffix(label, "#")
		labels = append(labels, fmt.Sprintf("%s=\"<%s>\"", label, label))
	}
	name := l[2]
	if len(labels) > 0 {
		name += "{" + strings.Join(labels, ",") + "}"
	}
	return fmt.Sprintf("| `%s` | %s | `%s` | %s | %s | %s | %s |\n", strings.ReplaceAll(l[0], "#", ""), dash(l[1]), name, dash(l[4]), l[5], l[6], l[7])
}
