package extractor

import (
	"encoding/csv"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The documentation's table of gmond names is that of the program.
func TestMetricsPageHasTheTable(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
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
		name, unit := l[1], l[3]
		if label, value, ok := strings.Cut(l[2], "="); ok {
			name += fmt.Sprintf("{%s=%q}", label, value)
		}
		if unit == "" {
			unit = "–"
		}
		if want := fmt.Sprintf("| `%s` | `%s` | %s | %s | %s |\n", l[0], name, unit, l[5], l[6]); !strings.Contains(string(page), want) {
			t.Errorf("docs/metrics.md lacks the line\n%s", want)
		}
	}
}
